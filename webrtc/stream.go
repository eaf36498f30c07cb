package webrtc

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	pion "github.com/pion/webrtc/v4"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/pipeline"
	"tandem/webrtc/events"
	"tandem/webrtc/receive"
	"tandem/webrtc/signal"
	"tandem/webrtc/tracing"
)

// StreamOptions of a Stream. ID is needed.
type StreamOptions struct {
	ID       string // for the log
	Source   string // the source that the start event names
	HasVideo bool   // pictures are expected
	HasAudio bool
	NoGender bool // leave gender out, as Options.Pipeline may for all
}

// Stream is one person's media on its way from tracks to events, wherever the tracks come from: a session's
// connection, or a room. All streams of a Server share its recognizer and its metrics.
type Stream struct {
	s      *Server
	id     string
	log    *slog.Logger
	opened time.Time

	ctx    context.Context // ends with the reason as its cause
	cancel context.CancelCauseFunc

	feed   *capture.Feed
	clock  *receive.Clock
	hub    *events.Hub
	gender bool
	spans  *tracing.Session // nil: it has none
	missed func() int       // windows that readers beside the hub's have lost; nil for none

	reportedDrops  capture.Drops // that the metrics have; reportMetrics' alone
	reportedMissed int

	lastMedia instant

	mu           sync.Mutex // guards what follows
	tracks       []*Track
	lost         int                          // packets of tracks that were replaced
	latest       map[pion.RTPCodecType]*Track // of each kind
	width        int
	height       int
	audio, video bool // whether the last window had them
	windows      int
	dropped      pipeline.Dropped
	latency      []time.Duration // of the last windows
	finished     time.Time
}

// keptLatencies are the windows whose latencies a status has the percentiles of: a minute's.
const keptLatencies = 240

// NewStream makes a stream whose tracks come from elsewhere than the server's own connections. Its Run must be called,
// and must have returned before the server is closed.
func (s *Server) NewStream(o StreamOptions) *Stream { return s.newStream(o) }

func (s *Server) newStream(o StreamOptions) *Stream {
	x := &Stream{
		s: s, id: o.ID, opened: time.Now(), log: s.o.Log.With("session", o.ID),
		latest: map[pion.RTPCodecType]*Track{},
		clock:  receive.NewClock(), hub: events.NewHub(s.o.Pipeline.Raw),
		gender: !s.o.Pipeline.NoGender && !o.NoGender,
		feed:   capture.NewFeed(capture.Info{Name: o.Source, HasVideo: o.HasVideo, HasAudio: o.HasAudio}),
	}
	x.ctx, x.cancel = context.WithCancelCause(context.Background())
	return x
}

// ID returns the stream's id.
func (x *Stream) ID() string { return x.id }

// Events adds a reader of the stream's events, which the caller closes.
func (x *Stream) Events() *events.Reader { return x.hub.Read() }

// Err returns why the stream has ended; nil while it has not.
func (x *Stream) Err() error { return context.Cause(x.ctx) }

// End ends the stream; the first reason counts.
func (x *Stream) End(why error) { x.end(why) }

func (x *Stream) end(why error) { x.cancel(why) }

// Run analyses what the tracks bring until End is called or a bound of Options is broken, and returns why it ended.
// Readers of events have the end event then, or it is queued for them.
func (x *Stream) Run() error {
	x.s.metrics.sessions.Inc()
	defer x.s.metrics.sessions.Dec()
	x.log.Info("session opened")
	analysed := x.begin()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for x.ctx.Err() == nil {
		select {
		case <-x.ctx.Done():
		case <-tick.C:
			x.reportMetrics()
		}
	}
	why := context.Cause(x.ctx)
	x.feed.End(nil) // the pipeline still emits what it has, and its end event
	x.over(why, analysed())
	return why
}

// begin starts the analysis. The function that it returns waits for its end, which the feed's end brings.
func (x *Stream) begin() (wait func() pipeline.Stats) {
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
	return func() pipeline.Stats {
		<-piped
		x.mu.Lock()
		x.finished = time.Now()
		x.mu.Unlock()
		x.hub.Close()
		return stats
	}
}

// over counts and logs the stream's end.
func (x *Stream) over(why error, stats pipeline.Stats) {
	x.reportMetrics()
	x.s.metrics.ended.WithLabelValues(reasonLabel(why)).Inc()
	x.log.Info("session ended", "reason", why, "seconds", time.Since(x.opened).Round(time.Millisecond).Seconds(),
		"windows", stats.Windows, "dropped_windows", stats.Dropped.Windows, "dropped_frames", stats.Dropped.Frames,
		"dropped_samples", stats.Dropped.Samples)
}

// analyse runs the pipeline until the feed ends.
func (x *Stream) analyse() (pipeline.Stats, error) {
	if x.s.o.ReceiveOnly {
		for {
			if _, err := x.feed.Read(context.Background()); err != nil {
				return pipeline.Stats{}, nil
			}
			x.lastMedia.mark(time.Now())
		}
	}
	o := x.s.o.Pipeline
	m := x.s.model.Load()
	o.Model, o.Precision = m.sha256, m.precision
	o.NoGender = !x.gender
	o.OnSamples = func(*capture.Samples) { x.lastMedia.mark(time.Now()) }
	o.OnFrame = func(f *capture.Frame) {
		x.lastMedia.mark(time.Now())
		x.mu.Lock()
		x.width, x.height = f.Width, f.Height
		x.mu.Unlock()
		x.spans.Reach(tracing.FirstFrame)
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
func (x *Stream) event(e pipeline.Event) error {
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
		x.spans.Reach(tracing.FirstEvent)
	}
	return x.hub.Emit(e)
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

// Track is one track of a stream.
type Track struct {
	*receive.Track
	stream   *Stream
	remote   *pion.TrackRemote
	ctx      context.Context
	stop     context.CancelCauseFunc
	ended    chan struct{} // closed when Run has
	reported receive.Stats // that the metrics have
}

// Add adds a track that has come; nil: it is of no codec that is decoded, or the stream ends since it can't be. There
// is one track of a kind, but what comes may be of any number of sources: the latest is taken for it, so that each kind
// has one decoder and one bound on its bitrate. requestKeyFrame asks the sender of an SSRC for a key frame.
func (x *Stream) Add(remote *pion.TrackRemote, r *pion.RTPReceiver, requestKeyFrame func(ssrc uint32) error) *Track {
	codec, ok := codecOf(remote.Codec().MimeType)
	if !ok {
		return nil
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
			if err := requestKeyFrame(uint32(remote.SSRC())); err != nil {
				x.log.Debug("asking for a key frame", "cause", err)
			}
		},
	})
	if err != nil {
		x.log.Error("the track can't be decoded", "codec", codec, "cause", err)
		x.end(errPipelines)
		return nil
	}
	a := &Track{Track: t, stream: x, remote: remote, ended: make(chan struct{})}
	a.ctx, a.stop = context.WithCancelCause(x.ctx)
	x.mu.Lock()
	defer x.mu.Unlock()
	if replaced := x.latest[remote.Kind()]; replaced != nil {
		replaced.stop(errReplaced)
	}
	x.latest[remote.Kind()] = a
	x.tracks = append(x.tracks, a)
	x.log.Debug("track", "codec", codec)
	return a
}

// dropReplaced forgets the tracks that newer ones have replaced, once the metrics have all of them: of a stream that
// lasts there may be many. reportMetrics calls it.
func (x *Stream) dropReplaced() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tracks = slices.DeleteFunc(slices.Clone(x.tracks), func(t *Track) bool {
		select {
		case <-t.ended:
		default:
			return false
		}
		stats := t.Stats()
		if slices.Contains(slices.Collect(maps.Values(x.latest)), t) || stats != t.reported {
			return false
		}
		x.lost += stats.Lost
		return true
	})
}

// Report takes an RTCP packet that came for the track, now.
func (t *Track) Report(p rtcp.Packet) {
	if sr, ok := p.(*rtcp.SenderReport); ok && sr.SSRC == uint32(t.remote.SSRC()) {
		t.Track.Report(sr, time.Now())
	}
}

// Run reads the track until it, or the stream, ends, or a newer one of its kind has come. One that breaks a bound ends
// the stream.
func (t *Track) Run() {
	defer close(t.ended)
	defer t.stop(nil)
	x := t.stream
	if err := t.Track.Run(t.ctx, t.remote); err != nil && !errors.Is(err, errReplaced) && x.ctx.Err() == nil {
		if reasonLabel(err) == otherReason { // the client is told of no library's inside
			x.log.Error("the track can't be decoded any more", "cause", err)
			err = errPipelines
		}
		x.end(err)
	}
}
