package peer

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/nack"
	"github.com/pion/interceptor/pkg/report"
	"github.com/pion/interceptor/pkg/twcc"
	"github.com/pion/logging"
	"github.com/pion/sdp/v3"
	"github.com/pion/transport/v5"
	pion "github.com/pion/webrtc/v4"

	"tandem/webrtc/signal"
)

// iceTimes say when ICE gives up: disconnected after the first without a packet, failed after the second more.
type iceTimes struct{ disconnected, failed, keepAlive time.Duration }

var times = iceTimes{5 * time.Second, 15 * time.Second, 2 * time.Second}

// Options of a Network.
type Options struct {
	// Loopback offers the loopback addresses too, for clients on this machine that have no other.
	Loopback bool
	// UDPPort is the one port for the media of all connections; 0 for a port for each.
	UDPPort int
	// TCPPort is the port at which clients without UDP reach all connections (RFC 6544); 0 for none.
	TCPPort int
	// PublicIPs stand in the candidates in place of the machine's own addresses, for a server behind a NAT that maps
	// ports one to one; with Loopback beside them.
	PublicIPs []string
	// ICEServers are asked for the server's own candidates. One that is reachable needs none.
	ICEServers signal.ICEServers
	// PublicOnly refuses candidates of clients that are not public addresses, so that none can send the server's
	// packets into its own network.
	PublicOnly bool
	// MaxBitrate is named in answers as the most that the client's video may use, in bit/s; 0 for no bound.
	MaxBitrate int
	// Net replaces the machine's network, in tests.
	Net transport.Net
	// Log gets the messages of connections and their parts, all at debug level; nil for none.
	Log *slog.Logger
}

// serverName is the server's own among the users of TURN servers.
const serverName = "tandem"

// Network has the ports that all share, if there are any, and the settings of a server's connections.
type Network struct {
	o   Options
	log *slog.Logger
	mux ice.UDPMux // nil without UDPPort
	tcp ice.TCPMux // nil without TCPPort
}

// NewNetwork makes a Network. Close it after its connections.
func NewNetwork(o Options) (*Network, error) {
	n := &Network{o: o, log: o.Log}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	for _, ip := range o.PublicIPs {
		if a, err := netip.ParseAddr(ip); err != nil || a.Zone() != "" {
			return nil, fmt.Errorf("public address %q: want an IP address", ip)
		}
	}
	if o.UDPPort < 0 || o.UDPPort > 65535 {
		return nil, fmt.Errorf("UDP port %d: want 1 to 65535, or 0 for any", o.UDPPort)
	}
	if o.TCPPort < 0 || o.TCPPort > 65535 {
		return nil, fmt.Errorf("TCP port %d: want 1 to 65535, or 0 for none", o.TCPPort)
	}
	if o.UDPPort != 0 {
		opts := []ice.UDPMuxFromPortOption{ice.UDPMuxFromPortWithLogger(logAdapter{n.log})}
		if o.Loopback {
			opts = append(opts, ice.UDPMuxFromPortWithLoopback())
		}
		if o.Net != nil {
			opts = append(opts, ice.UDPMuxFromPortWithNet(o.Net))
		}
		mux, err := ice.NewMultiUDPMuxFromPort(o.UDPPort, opts...)
		if err != nil {
			return nil, fmt.Errorf("UDP port %d: %w; is another server using it?", o.UDPPort, err)
		}
		n.mux = mux
	}
	if o.TCPPort != 0 {
		if err := n.listenTCP(); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	return n, nil
}

// Close gives the ports back.
func (n *Network) Close() (err error) {
	if c, ok := n.mux.(io.Closer); ok {
		err = c.Close()
	}
	if n.tcp != nil {
		err = errors.Join(err, n.tcp.Close())
	}
	return err
}

// connection makes a pion connection. Its settings are its own, for its log and its filter.
// h264 are the formats of H.264 to take.
func (n *Network) connection(
	log *slog.Logger, keep func(net.IP) bool, h264 []string,
) (*pion.PeerConnection, error) {
	var s pion.SettingEngine
	s.LoggerFactory = logFactory{log}
	s.SetICETimeouts(times.disconnected, times.failed, times.keepAlive)
	s.SetSTUNGatherTimeout(gatherTime * 3 / 4)
	s.SetIncludeLoopbackCandidate(n.o.Loopback)
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetNetworkTypes(n.types())
	s.DisableActiveTCP(true) // no connections to wherever a client says
	s.SetRemoteIPFilter(keep)
	s.SetSCTPMaxReceiveBufferSize(256 << 10) // clients have little to say on data channels
	// Events are a few kB a second and worth nothing once they are old. By its defaults SCTP (RFC 9260 sections 6.3.3
	// and 7.2.3) sends one packet at a time after a loss and waits twice as long after each, which at 20 % loss holds
	// events back for many seconds.
	s.SetSCTPRTOMax(time.Second)
	s.SetSCTPMinCwnd(16 << 10)
	if n.mux != nil {
		s.SetICEUDPMux(n.mux)
	}
	if n.tcp != nil {
		s.SetICETCPMux(n.tcp)
	}
	if n.o.Net != nil {
		s.SetNet(n.o.Net)
	}
	if len(n.o.PublicIPs) > 0 {
		mode := pion.ICEAddressRewriteReplace
		if n.o.Loopback {
			mode = pion.ICEAddressRewriteAppend
		}
		if err := s.SetICEAddressRewriteRules(pion.ICEAddressRewriteRule{
			External: n.o.PublicIPs, AsCandidateType: pion.ICECandidateTypeHost, Mode: mode,
		}); err != nil {
			return nil, err
		}
	}
	media, err := mediaEngine(h264)
	if err != nil {
		return nil, err
	}
	registry, err := interceptors(s.LoggerFactory)
	if err != nil {
		return nil, err
	}
	c := pion.Configuration{BundlePolicy: pion.BundlePolicyMaxBundle}
	for _, i := range n.o.ICEServers.For(serverName, time.Now()) {
		c.ICEServers = append(c.ICEServers, pion.ICEServer{
			URLs: i.URLs, Username: i.Username, Credential: i.Credential,
		})
	}
	api := pion.NewAPI(pion.WithMediaEngine(media), pion.WithInterceptorRegistry(registry), pion.WithSettingEngine(s))
	return api.NewPeerConnection(c)
}

// mediaEngine has the codecs that tandem decodes, and what keeps them flowing. h264 are the formats of an Offer: pion
// takes only those that it was given.
func mediaEngine(h264 []string) (*pion.MediaEngine, error) {
	m := &pion.MediaEngine{}
	feedback := []pion.RTCPFeedback{
		{Type: pion.TypeRTCPFBGoogREMB},
		{Type: pion.TypeRTCPFBTransportCC},
		{Type: pion.TypeRTCPFBCCM, Parameter: "fir"},
		{Type: pion.TypeRTCPFBNACK},
		{Type: pion.TypeRTCPFBNACK, Parameter: "pli"},
	}
	// The payload types are ours only as long as none was offered: the answer has the offer's.
	next := pion.PayloadType(96)
	video := func(mime, fmtp string) error {
		for _, c := range []pion.RTPCodecCapability{
			{MimeType: mime, ClockRate: 90000, SDPFmtpLine: fmtp, RTCPFeedback: feedback},
			{MimeType: pion.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: fmt.Sprintf("apt=%d", next)},
		} {
			p := pion.RTPCodecParameters{RTPCodecCapability: c, PayloadType: next}
			if err := m.RegisterCodec(p, pion.RTPCodecTypeVideo); err != nil {
				return err
			}
			next++
		}
		return nil
	}
	if err := video(pion.MimeTypeVP8, ""); err != nil {
		return nil, err
	}
	for _, format := range h264 {
		if err := video(pion.MimeTypeH264, "level-asymmetry-allowed=1;"+format); err != nil {
			return nil, err
		}
	}
	if err := m.RegisterCodec(pion.RTPCodecParameters{
		RTPCodecCapability: pion.RTPCodecCapability{
			MimeType: pion.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1",
			RTCPFeedback: []pion.RTCPFeedback{{Type: pion.TypeRTCPFBTransportCC}},
		},
		PayloadType: 111,
	}, pion.RTPCodecTypeAudio); err != nil {
		return nil, err
	}
	for _, kind := range []pion.RTPCodecType{pion.RTPCodecTypeVideo, pion.RTPCodecTypeAudio} {
		for _, uri := range extensions(kind.String()) {
			e := pion.RTPHeaderExtensionCapability{URI: uri}
			if err := m.RegisterHeaderExtension(e, kind); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// extensions returns the RTP header extensions that are taken of a kind of media.
func extensions(kind string) []string {
	if kind == "video" {
		return []string{sdp.TransportCCURI, signal.OrientationURI}
	}
	return []string{sdp.TransportCCURI}
}

// interceptors ask for lost packets, report on what came (RFC 3550), and on when it came, for the sender's bandwidth
// estimation.
func interceptors(log logging.LoggerFactory) (*interceptor.Registry, error) {
	generator, err := nack.NewGeneratorInterceptor(nack.WithGeneratorLoggerFactory(log))
	if err != nil {
		return nil, err
	}
	receiver, err := report.NewReceiverInterceptor(report.WithReceiverLoggerFactory(log))
	if err != nil {
		return nil, err
	}
	congestion, err := twcc.NewSenderInterceptor(twcc.WithLoggerFactory(log))
	if err != nil {
		return nil, err
	}
	r := &interceptor.Registry{}
	r.Add(generator)
	r.Add(receiver)
	r.Add(congestion)
	return r, nil
}
