package webrtc

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	pion "github.com/pion/webrtc/v4"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/pipeline"
	"tandem/webrtc/events"
	"tandem/webrtc/peer"
	"tandem/webrtc/receive"
	"tandem/webrtc/signal"
	"tandem/webrtc/whip"
)

const (
	// maxWait is how far one modality may be behind the other before windows do without it.
	maxWait = 300 * time.Millisecond
	// connectTime is how long a client may take from its offer to its first media.
	connectTime = 20 * time.Second
	// reviveTime is how long a failed connection waits for an ICE restart.
	reviveTime = 20 * time.Second
	// channelTime is how long a client may take to open its own channel for events before the server does.
	channelTime = 300 * time.Millisecond
	// endTime bounds the delivery of the end event: a session may end while its channels are being set up, which takes
	// over a second where a packet of that is lost (RFC 9260 section 16: the first timeout is a second).
	endTime = 3 * time.Second
)

// Why sessions end, besides the errors of receive. Clients and logs get their text.
var (
	errDeleted   = errors.New("ended by the client")
	errGone      = errors.New("the client closed the connection")
	errLost      = errors.New("the connection was lost")
	errSilent    = errors.New("no media came")
	errIdle      = errors.New("no media came for too long")
	errTooLong   = errors.New("the longest time for a session is over")
	errShutdown  = errors.New("the server is shutting down")
	errPipelines = errors.New("the analysis failed")
)

// errReplaced ends a track whose kind has a newer one.
var errReplaced = errors.New("a newer track of its kind has come")

// reasons are the labels of the reasons in metrics.
var reasons = []struct {
	err   error
	label string
}{
	{errDeleted, "deleted"},
	{errGone, "closed"},
	{errLost, "lost"},
	{errSilent, "silent"},
	{errIdle, "idle"},
	{errTooLong, "too_long"},
	{errShutdown, "shutdown"},
	{receive.ErrTooLarge, "resolution"},
	{receive.ErrBitrate, "bitrate"},
	{errPipelines, "failed"},
}

func reasonLabel(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.label
		}
	}
	return otherReason
}

const otherReason = "other" // of none of them

// endBound is how long the delivery of the end event may take: only a client that is there can take it. One whose media
// came is, though the connection's state is often told later than its first packets.
func endBound(state peer.State, tracks int) time.Duration {
	if state == peer.Connected || state == peer.Connecting && tracks > 0 {
		return endTime
	}
	return 0
}

// session is one client's media, from offer to end. It is a whip.Session.
type session struct {
	*peer.Peer
	s      *Server
	id     string
	client netip.Addr
	log    *slog.Logger
	opened time.Time

	ctx    context.Context // ends with the reason as its cause
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when all is over, and its place free
	erase  bool          // nothing is to be kept of it; guarded by the server's mutex
	leaves bool          // nothing is to be kept of it if the client goes away

	feed     *capture.Feed
	clock    *receive.Clock
	hub      *events.Hub
	channels *events.Channels
	gender   bool

	reportedDrops  capture.Drops // that the metrics have; run's alone
	reportedMissed int

	states    chan peer.State // capacity 1: the latest
	wg        sync.WaitGroup
	lastMedia instant

	mu            sync.Mutex // guards what follows
	tracks        []*track
	stopTrack     map[pion.RTPCodecType]context.CancelCauseFunc // of the live track of each kind
	channel       bool                                          // there is a channel for events, or will be
	clientChannel bool                                          // it is the client's
	width         int
	height        int
	audio, video  bool // whether the last window had them
	windows       int
	dropped       pipeline.Dropped
	latency       []time.Duration // of the last windows
	finished      time.Time
}

// track is one track of the client.
type track struct {
	*receive.Track
	reported receive.Stats // that the metrics have
}

// keptLatencies are the windows whose latencies a status has the percentiles of: a minute's.
const keptLatencies = 240

// newSession answers an offer. Its run must be called if there is no error.
func (s *Server) newSession(ctx context.Context, r whip.Request) (*session, error) {
	x := &session{
		s: s, id: s.newID(), client: r.Remote, opened: time.Now(),
		done: make(chan struct{}), states: make(chan peer.State, 1),
		stopTrack: map[pion.RTPCodecType]context.CancelCauseFunc{},
		clock:     receive.NewClock(), hub: events.NewHub(s.o.Pipeline.Raw),
		gender: !s.o.Pipeline.NoGender && r.Query.Get("gender") != "0", leaves: r.Query.Get("erase") == "1",
	}
	x.log = s.o.Log.With("session", x.id)
	x.ctx, x.cancel = context.WithCancelCause(context.Background())
	x.channels = events.NewChannels(x.hub)
	x.feed = capture.NewFeed(capture.Info{
		Name: "whip", HasVideo: len(r.Offer.Video) > 0, HasAudio: len(r.Offer.Audio) > 0,
	})
	var err error
	if x.Peer, err = s.network.Answer(ctx, r.Offer, x.log); err != nil {
		x.cancel(err)
		x.feed.Close()
		return nil, err
	}
	x.Begin(peer.Handler{OnTrack: x.onTrack, OnChannel: x.onChannel, OnState: x.onState})
	return x, nil
}

// ID returns the session's id.
func (x *session) ID() string { return x.id }

// AddCandidates adds candidates of the client, as whip.Session wants it.
func (x *session) AddCandidates(ctx context.Context, f signal.Fragment) error {
	return refusal(x.Peer.AddCandidates(ctx, f))
}

// Restart restarts ICE, as whip.Session wants it.
func (x *session) Restart(ctx context.Context, f signal.Fragment) (signal.Fragment, string, error) {
	answer, etag, err := x.Peer.Restart(ctx, f)
	return answer, etag, refusal(err)
}

// end ends the session; the first reason counts.
func (x *session) end(why error) { x.cancel(why) }

// run runs the session until its end.
func (x *session) run() {
	x.log.Info("session opened", "codecs", strings.Join(x.Codecs(), ","))

	piped := make(chan struct{})
	var stats pipeline.Stats
	go func() {
		defer close(piped)
		var err error
		if stats, err = x.analyse(); err != nil && x.ctx.Err() == nil {
			x.log.Error("the analysis failed", "cause", err)
			x.end(errPipelines)
		}
	}()
	sending, stopSending := context.WithCancel(context.Background())
	if x.HasData() {
		x.wg.Go(func() { x.channels.Run(sending) })
	}
	why := x.watch()
	if x.HasData() {
		x.openChannels() // or the client would not hear why a short session ended
	}
	x.feed.End(nil) // the pipeline still emits what it has, and its end event
	<-piped
	x.mu.Lock()
	x.finished = time.Now()
	x.mu.Unlock()
	x.hub.Close()
	x.mu.Lock()
	tracks := len(x.tracks)
	x.mu.Unlock()
	timer := time.AfterFunc(endBound(x.State(), tracks), stopSending)
	x.wg.Wait()
	timer.Stop()
	stopSending()
	if err := x.Close(); err != nil {
		x.log.Debug("closing the connection", "cause", err)
	}
	x.reportMetrics()
	x.s.metrics.ended.WithLabelValues(reasonLabel(why)).Inc()
	x.log.Info("session ended", "reason", why, "seconds", time.Since(x.opened).Round(time.Millisecond).Seconds(),
		"windows", stats.Windows, "dropped_windows", stats.Dropped.Windows, "dropped_frames", stats.Dropped.Frames,
		"dropped_samples", stats.Dropped.Samples)
}

// analyse runs the pipeline until the feed ends.
func (x *session) analyse() (pipeline.Stats, error) {
	if x.s.o.ReceiveOnly {
		for {
			if _, err := x.feed.Read(context.Background()); err != nil {
				return pipeline.Stats{}, nil
			}
			x.lastMedia.mark(time.Now())
		}
	}
	o := x.s.o.Pipeline
	o.NoGender = !x.gender
	o.OnSamples = func(*capture.Samples) { x.lastMedia.mark(time.Now()) }
	o.OnFrame = func(f *capture.Frame) {
		x.lastMedia.mark(time.Now())
		x.mu.Lock()
		x.width, x.height = f.Width, f.Height
		x.mu.Unlock()
	}
	o.OnDrop = func(why pipeline.DropReason, d pipeline.Dropped) {
		x.s.metrics.drop(string(why), d)
		x.mu.Lock()
		defer x.mu.Unlock()
		x.dropped.Frames += d.Frames
		x.dropped.Samples += d.Samples
		x.dropped.Windows += d.Windows
	}
	if o.Voice != nil {
		o.Voice = timedVoice{o.Voice, x.s.metrics}
	}
	var faces pipeline.FaceFinder
	if x.s.o.Faces != nil {
		faces = timedFinder(x.s.o.Faces, x.s.metrics)
	}
	return pipeline.Run(context.Background(), x.feed, faces, x.s.batch.Stream(), o, x.event)
}

// event takes the pipeline's next event.
func (x *session) event(e pipeline.Event) error {
	if w := e.Window; w != nil {
		x.mu.Lock()
		x.windows++
		x.audio, x.video = w.Audio, w.Video
		if w.Latency != nil {
			x.s.metrics.latency.Observe(w.Latency.Seconds())
			x.latency = append(x.latency[max(0, len(x.latency)-keptLatencies+1):], *w.Latency)
		}
		x.mu.Unlock()
		x.s.metrics.windows.Inc()
	}
	return x.hub.Emit(e)
}

// watch waits for the session's end and returns the reason.
func (x *session) watch() error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	state, since := peer.Connecting, time.Now()
	over := time.NewTimer(x.s.o.MaxTime)
	defer over.Stop()
	var channels <-chan time.Time // when to open the server's own
	asked := !x.HasData()
	for {
		select {
		case <-x.ctx.Done():
			return context.Cause(x.ctx)
		case <-over.C:
			x.end(errTooLong)
		case state = <-x.states:
			since = time.Now()
			x.log.Debug("connection", "state", state)
			switch {
			case state == peer.Closed:
				x.end(errGone)
			case state == peer.Connected && !asked:
				asked, channels = true, time.After(channelTime)
			}
		case <-channels:
			x.openChannels()
		case now := <-tick.C:
			x.reportMetrics()
			silent, came := x.lastMedia.ago(now)
			if !came && now.Sub(x.opened) > connectTime {
				x.end(errSilent)
			}
			if err := overdue(state, now.Sub(since), silent, x.s.o.Idle); err != nil {
				x.end(err)
			}
		}
	}
}

// onState is peer.Handler's.
func (x *session) onState(s peer.State) {
	for {
		select {
		case x.states <- s:
			return
		default:
		}
		select { // replace an older one
		case <-x.states:
		default:
		}
	}
}

// codecOf is the decoder's name of an RTP codec.
func codecOf(mimeType string) (av.Codec, bool) {
	switch {
	case strings.EqualFold(mimeType, pion.MimeTypeVP8):
		return av.VP8, true
	case strings.EqualFold(mimeType, pion.MimeTypeH264):
		return av.H264, true
	case strings.EqualFold(mimeType, pion.MimeTypeOpus):
		return av.Opus, true
	}
	return 0, false
}

// onTrack is peer.Handler's: it reads a track to its end. An offer has one track of a kind, but what comes may be of
// any number of sources: the latest is taken for it, so that each kind has one decoder and one bound on its bitrate.
func (x *session) onTrack(remote *pion.TrackRemote, r *pion.RTPReceiver) {
	codec, ok := codecOf(remote.Codec().MimeType)
	if !ok {
		return
	}
	codecs := map[uint8]av.Codec{uint8(remote.PayloadType()): codec}
	for _, c := range r.GetParameters().Codecs {
		if c2, ok := codecOf(c.MimeType); ok {
			codecs[uint8(c.PayloadType)] = c2
		}
	}
	orientation := uint8(0)
	for _, e := range r.GetParameters().HeaderExtensions {
		if e.URI == signal.OrientationURI {
			orientation = uint8(e.ID)
		}
	}
	t, err := receive.New(receive.Options{
		Codec: codec, Codecs: codecs, Orientation: orientation, ClockRate: remote.Codec().ClockRate,
		Clock: x.clock, Feed: x.feed,
		// Faces are looked for at the ticks of the face clock only.
		MinFrameInterval: x.s.o.Recognizer.Spec().FaceTick() / 4,
		MaxPixels:        x.s.o.MaxPixels, MaxBitrate: x.s.o.MaxBitrate,
		RequestKeyFrame: func() {
			if err := x.RequestKeyFrame(uint32(remote.SSRC())); err != nil {
				x.log.Debug("asking for a key frame", "cause", err)
			}
		},
	})
	if err != nil {
		x.log.Error("the track can't be decoded", "codec", codec, "cause", err)
		x.end(errPipelines)
		return
	}
	ctx, stop := context.WithCancelCause(x.ctx)
	defer stop(nil)
	x.mu.Lock()
	if replaced := x.stopTrack[remote.Kind()]; replaced != nil {
		replaced(errReplaced)
	}
	x.stopTrack[remote.Kind()] = stop
	x.tracks = append(x.tracks, &track{Track: t})
	x.mu.Unlock()
	x.log.Debug("track", "codec", codec)
	var reports sync.WaitGroup
	reports.Go(func() {
		for {
			packets, _, err := r.ReadRTCP()
			if err != nil {
				return // with the receiver
			}
			now := time.Now()
			for _, p := range packets {
				if sr, ok := p.(*rtcp.SenderReport); ok && sr.SSRC == uint32(remote.SSRC()) {
					t.Report(sr, now)
				}
			}
		}
	})
	if err := t.Run(ctx, remote); err != nil && !errors.Is(err, errReplaced) && x.ctx.Err() == nil {
		if reasonLabel(err) == otherReason { // the client is told of no library's inside
			x.log.Error("the track can't be decoded any more", "cause", err)
			err = errPipelines
		}
		x.end(err)
	}
	// ReadRTCP returns when the receiver is stopped, which the connection's end does.
	reports.Wait()
}

// onChannel is peer.Handler's.
func (x *session) onChannel(d *pion.DataChannel) {
	if d.Label() != events.Label {
		return
	}
	x.mu.Lock()
	x.channel, x.clientChannel = true, true
	x.mu.Unlock()
	d.OnOpen(func() {
		if d.Ordered() && d.MaxRetransmits() == nil && d.MaxPacketLifeTime() == nil {
			x.channels.Use(d, d)
			return
		}
		x.openReliable(d, true)
	})
}

// openChannels opens both channels, unless there are some.
func (x *session) openChannels() {
	x.mu.Lock()
	there := x.channel
	x.channel = true
	x.mu.Unlock()
	if there {
		return
	}
	windows, err := x.CreateChannel(events.Label, peer.ChannelOptions{Protocol: events.Protocol, Unreliable: true})
	if err != nil {
		x.log.Debug("opening a channel", "cause", err)
		return
	}
	windows.OnOpen(func() { x.openReliable(windows, false) })
}

// openReliable opens the channel for start and end beside one that may lose messages; own: that is the client's. If the
// client's came while the server's were being opened it stays in use, since the client may read no other.
func (x *session) openReliable(windows *pion.DataChannel, own bool) {
	reliable, err := x.CreateChannel(events.ReliableName, peer.ChannelOptions{Protocol: events.Protocol})
	if err != nil {
		x.log.Debug("opening a channel", "cause", err)
		return
	}
	reliable.OnOpen(func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		if own || !x.clientChannel {
			x.channels.Use(windows, reliable)
		}
	})
}
