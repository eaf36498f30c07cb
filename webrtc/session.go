package webrtc

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"time"

	pion "github.com/pion/webrtc/v4"

	"tandem/webrtc/access"
	"tandem/webrtc/events"
	"tandem/webrtc/peer"
	"tandem/webrtc/receive"
	"tandem/webrtc/signal"
	"tandem/webrtc/tracing"
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
	{errOperator, "operator"},
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
// comes is: a connection's state is often told later than its first packets, and than those after an outage or after
// this process was stopped for a while.
func endBound(state peer.State, tracks int, sends bool) time.Duration {
	switch {
	case state == peer.Connected, state == peer.Connecting && tracks > 0, state == peer.Disconnected && sends:
		return endTime
	}
	return 0
}

// session is one client's media, from offer to end. It is a whip.Session.
type session struct {
	*peer.Peer
	*Stream
	client netip.Addr
	name   string // of the token that opened it

	done   chan struct{} // closed when all is over, and its place free
	erase  bool          // nothing is to be kept of it; guarded by the server's mutex
	leaves bool          // nothing is to be kept of it if the client goes away

	channels *events.Channels

	states chan peer.State // capacity 1: the latest
	wg     sync.WaitGroup

	channel       bool // there is a channel for events, or will be; guarded by the stream's mutex, as is clientChannel
	clientChannel bool // it is the client's
}

// newSession answers an offer. Its run must be called if there is no error.
func (s *Server) newSession(ctx context.Context, r whip.Request) (*session, error) {
	x := &session{
		Stream: s.newStream(StreamOptions{
			ID: s.newID(), Source: "whip", HasVideo: len(r.Offer.Video) > 0, HasAudio: len(r.Offer.Audio) > 0,
			NoGender: r.Query.Get("gender") == "0",
		}),
		client: r.Remote, name: access.From(ctx).Name, done: make(chan struct{}), states: make(chan peer.State, 1),
		leaves: r.Query.Get("erase") == "1",
	}
	x.channels = events.NewChannels(x.hub)
	x.missed = x.channels.Missed
	var err error
	if x.Peer, err = s.network.Answer(ctx, r.Offer, x.log); err != nil {
		x.cancel(err)
		x.feed.Close()
		return nil, err
	}
	steps := []tracing.Step{tracing.Connected, tracing.FirstEvent}
	if len(r.Offer.Video) > 0 {
		steps = append(steps, tracing.FirstFrame)
	}
	x.spans = s.o.Tracer.Session(ctx, x.id, x.Codecs(), steps...)
	x.Begin(peer.Handler{OnTrack: x.onTrack, OnChannel: x.onChannel, OnState: x.onState})
	return x, nil
}

// AddCandidates adds candidates of the client, as whip.Session wants it.
func (x *session) AddCandidates(ctx context.Context, f signal.Fragment) error {
	return refusal(x.Peer.AddCandidates(ctx, f))
}

// Restart restarts ICE, as whip.Session wants it.
func (x *session) Restart(ctx context.Context, f signal.Fragment) (signal.Fragment, string, error) {
	answer, etag, err := x.Peer.Restart(ctx, f)
	return answer, etag, refusal(err)
}

// run runs the session until its end.
func (x *session) run() {
	x.log.Info("session opened", "codecs", strings.Join(x.Codecs(), ","))
	x.tellStarted()
	analysed := x.begin()
	sending, stopSending := context.WithCancel(context.Background())
	if x.HasData() {
		x.wg.Go(func() { x.channels.Run(sending) })
	}
	why := x.watch()
	silent, came := x.lastMedia.ago(time.Now())
	if x.HasData() {
		x.openChannels() // or the client would not hear why a short session ended
	}
	x.feed.End(nil) // the pipeline still emits what it has, and its end event
	stats := analysed()
	x.mu.Lock()
	tracks := len(x.tracks)
	x.mu.Unlock()
	timer := time.AfterFunc(endBound(x.State(), tracks, came && silent < time.Second), stopSending)
	x.wg.Wait()
	timer.Stop()
	stopSending()
	if err := x.Close(); err != nil {
		x.log.Debug("closing the connection", "cause", err)
	}
	x.over(why, stats)
	end := x.status()
	x.tellEnded(end)
	x.spans.End(tracing.Outcome{
		Seconds: end.Age, Cause: end.Cause, Failed: errors.Is(why, errPipelines),
		Windows: end.Windows, Dropped: end.Dropped,
	})
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
	if s == peer.Connected {
		x.spans.Reach(tracing.Connected)
	}
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

// onTrack is peer.Handler's: it reads a track to its end.
func (x *session) onTrack(remote *pion.TrackRemote, r *pion.RTPReceiver) {
	t := x.Add(remote, r, x.RequestKeyFrame)
	if t == nil {
		return
	}
	var reports sync.WaitGroup
	reports.Go(func() {
		for {
			packets, _, err := r.ReadRTCP()
			if err != nil {
				return // with the receiver
			}
			for _, p := range packets {
				t.Report(p)
			}
		}
	})
	t.Run()
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
