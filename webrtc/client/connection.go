package client

import (
	"fmt"
	"slices"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/logging"
	"github.com/pion/rtcp"
	"github.com/pion/sdp/v3"
	pion "github.com/pion/webrtc/v4"

	"tandem/capture/av"
	"tandem/webrtc/events"
)

// connection makes the pion connection with its tracks and data channels; servers are those of ICE.
func (s *Session) connection(servers []pion.ICEServer) error {
	api, err := s.o.api(s.now)
	if err != nil {
		return err
	}
	policy := pion.ICETransportPolicyAll
	if s.o.Relay {
		policy = pion.ICETransportPolicyRelay
	}
	s.pc, err = api.NewPeerConnection(pion.Configuration{
		ICETransportPolicy: policy,
		ICEServers:         servers, BundlePolicy: pion.BundlePolicyMaxBundle,
		AlwaysNegotiateDataChannels: s.o.Channel == ServerChannels,
	})
	if err != nil {
		return err
	}
	s.pc.OnConnectionStateChange(func(state pion.PeerConnectionState) {
		if state == pion.PeerConnectionStateClosed {
			if s.leaving.Load() {
				s.end(ErrClosed)
			}
			s.end(ErrEnded) // unless it has ended before
		}
		select {
		case s.states <- struct{}{}:
		default:
		}
	})
	s.pc.OnDataChannel(s.onChannel)
	if err = s.addTracks(); err == nil {
		err = s.addChannel()
	}
	if err != nil {
		_ = s.pc.GracefulClose()
		s.wg.Wait()
	}
	return err
}

func (s *Session) addTracks() error {
	for _, c := range s.o.Codecs {
		into, kind := &s.video, pion.RTPCodecTypeVideo
		if c == av.Opus {
			into, kind = &s.audio, pion.RTPCodecTypeAudio
		}
		if *into != nil {
			continue
		}
		t := newTrack(kind)
		tr, err := s.pc.AddTransceiverFromTrack(t,
			pion.RTPTransceiverInit{Direction: pion.RTPTransceiverDirectionSendonly})
		if err != nil {
			return err
		}
		*into = t
		s.wg.Go(func() { s.readRTCP(t, tr.Sender()) })
	}
	return nil
}

// readRTCP lets the interceptors see the server's reports and requests, and counts them, until the sender is stopped.
func (s *Session) readRTCP(t *track, r *pion.RTPSender) {
	buf := make([]byte, 1500)
	for {
		n, _, err := r.Read(buf)
		if err != nil {
			return
		}
		packets, err := rtcp.Unmarshal(buf[:n])
		if err != nil {
			continue // not ours to judge
		}
		now := s.now()
		for _, p := range packets {
			switch p := p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				t.count(func(s *TrackStats) { s.KeyFrameRequests++ })
			case *rtcp.TransportLayerNack:
				t.count(func(s *TrackStats) {
					for _, pair := range p.Nacks {
						s.NACKed += len(pair.PacketList())
					}
				})
			case *rtcp.ReceiverReport:
				for _, r := range p.Reports {
					t.report(r, now)
				}
			case *rtcp.TransportLayerCC:
				s.mu.Lock()
				s.network.feedback++
				s.mu.Unlock()
			case *rtcp.ReceiverEstimatedMaximumBitrate:
				s.mu.Lock()
				s.network.bitrate = float64(p.Bitrate)
				s.mu.Unlock()
			}
		}
	}
}

// api has only what the options need; now is the clock of the sender reports.
func (o *Options) api(now func() time.Time) (*pion.API, error) {
	logs := logging.NewDefaultLoggerFactory() // which reads PION_LOG_DEBUG and the like
	logs.DefaultLogLevel = logging.LogLevelDisabled
	var e pion.SettingEngine
	e.LoggerFactory = logs
	e.SetIncludeLoopbackCandidate(o.Loopback)
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	if o.TCP {
		e.SetNetworkTypes([]pion.NetworkType{pion.NetworkTypeTCP4, pion.NetworkTypeTCP6})
	} else {
		e.SetNetworkTypes([]pion.NetworkType{pion.NetworkTypeUDP4, pion.NetworkTypeUDP6})
	}
	e.DisableActiveTCP(!o.TCP)
	e.SetSTUNGatherTimeout(gatherTime * 3 / 4)
	e.DisableMediaEngineCopy(true) // it is made for this connection
	if o.Net != nil {
		e.SetNet(o.Net)
	}
	media, err := o.mediaEngine()
	if err != nil {
		return nil, err
	}
	r := &interceptor.Registry{}
	// From the network outward: a retransmission gets a transport-wide number of its own, and is none of the reports'.
	transport, err := twcc.NewHeaderExtensionInterceptor()
	if err != nil {
		return nil, err
	}
	responder, err := nack.NewResponderInterceptor(nack.WithResponderLoggerFactory(logs))
	if err != nil {
		return nil, err
	}
	reports, err := report.NewSenderInterceptor(report.WithSenderLoggerFactory(logs), report.SenderNow(now))
	if err != nil {
		return nil, err
	}
	r.Add(transport)
	r.Add(responder)
	r.Add(reports)
	return pion.NewAPI(pion.WithMediaEngine(media), pion.WithInterceptorRegistry(r), pion.WithSettingEngine(e)), nil
}

func (o *Options) mediaEngine() (*pion.MediaEngine, error) {
	m := &pion.MediaEngine{}
	feedback := []pion.RTCPFeedback{
		{Type: pion.TypeRTCPFBNACK},
		{Type: pion.TypeRTCPFBNACK, Parameter: "pli"},
		{Type: pion.TypeRTCPFBCCM, Parameter: "fir"},
		{Type: pion.TypeRTCPFBTransportCC},
		{Type: pion.TypeRTCPFBGoogREMB},
	}
	video := slices.DeleteFunc(slices.Clone(o.Codecs), func(c av.Codec) bool { return c == av.Opus })
	next := pion.PayloadType(96)
	for _, c := range o.Codecs {
		p := pion.RTPCodecParameters{RTPCodecCapability: pion.RTPCodecCapability{
			MimeType: mimes[c], ClockRate: 90000, RTCPFeedback: feedback,
		}}
		kind := pion.RTPCodecTypeVideo
		switch c {
		case av.VP8:
		case av.H264:
			p.SDPFmtpLine = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
		case av.Opus:
			kind = pion.RTPCodecTypeAudio
			p.ClockRate, p.Channels, p.SDPFmtpLine = 48000, 2, "minptime=10;useinbandfec=1"
			p.RTCPFeedback = []pion.RTCPFeedback{{Type: pion.TypeRTCPFBTransportCC}}
		default:
			return nil, fmt.Errorf("client: there is no codec %v in WebRTC: use VP8, H264 and Opus", c)
		}
		p.PayloadType = next
		next++
		if err := m.RegisterCodec(p, kind); err != nil {
			return nil, err
		}
		// Pion resends in one payload type a track, which is of one codec (RFC 4588 section 8.6).
		if kind == pion.RTPCodecTypeVideo && len(video) == 1 {
			rtx := pion.RTPCodecParameters{
				RTPCodecCapability: pion.RTPCodecCapability{
					MimeType: pion.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: fmt.Sprintf("apt=%d", p.PayloadType),
				},
				PayloadType: next,
			}
			next++
			if err := m.RegisterCodec(rtx, kind); err != nil {
				return nil, err
			}
		}
	}
	congestion := pion.RTPHeaderExtensionCapability{URI: sdp.TransportCCURI}
	for _, kind := range []pion.RTPCodecType{pion.RTPCodecTypeVideo, pion.RTPCodecTypeAudio} {
		if err := m.RegisterHeaderExtension(congestion, kind); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// addChannel opens the client's data channel, if it is to have one.
func (s *Session) addChannel() error {
	if s.o.Channel != ReliableChannel && s.o.Channel != LossyChannel {
		return nil
	}
	ordered, protocol := s.o.Channel == ReliableChannel, events.Protocol
	init := &pion.DataChannelInit{Ordered: &ordered, Protocol: &protocol}
	if !ordered {
		init.MaxRetransmits = new(uint16)
	}
	d, err := s.pc.CreateDataChannel(events.Label, init)
	if err == nil {
		s.read(d)
	}
	return err
}

// onChannel takes the channels that the server opens.
func (s *Session) onChannel(d *pion.DataChannel) {
	if l := d.Label(); d.Protocol() == events.Protocol && (l == events.Label || l == events.ReliableName) {
		s.read(d)
	}
}

func (s *Session) read(d *pion.DataChannel) {
	d.OnMessage(func(m pion.DataChannelMessage) { s.events.parse(m.Data) })
}
