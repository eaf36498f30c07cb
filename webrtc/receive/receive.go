// Package receive makes media of a session's RTP packets: it puts them in order, puts pictures together, decodes, and
// gives everything a time on one clock. What comes out goes into a capture.Feed.
package receive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/webrtc/cputime"
)

// What Options mean by default.
const (
	DefaultVideoReorder = 150 * time.Millisecond
	DefaultAudioReorder = 80 * time.Millisecond
)

const (
	// queued is how many packets may wait for the decoder: half a second of 8 Mbit/s. Beyond it they are lost.
	queued = 512
	// maxLag is how far decoding may be behind before pictures are given up.
	maxLag = 500 * time.Millisecond
	// keyFrameInterval is the least time between two requests for a key frame.
	keyFrameInterval = 500 * time.Millisecond
	// opusDelay is by how much libopus, which browsers use as well, gives sound later than it was fed it: what a file
	// calls pre-skip (RFC 7845 section 4.2), and RTP does not name. Without it sound would be late against the
	// pictures.
	opusDelay        = 6500 * time.Microsecond
	opusDelaySamples = int(opusDelay * capture.SampleRate / time.Second)
	// rateTime is the time over which the bitrate is measured.
	rateTime = 5 * time.Second
)

// Why a Track ends its Run, and with it the session.
var (
	ErrTooLarge = errors.New("the pictures are too large: send smaller ones")
	ErrBitrate  = errors.New("the bitrate is too high: send less")
)

// Options of a Track. Codec, Clock and Feed are needed.
type Options struct {
	Codec av.Codec
	// Codecs are those that the sender may change to, by RTP payload type (RFC 8829 section 5.3.1: it may at any time);
	// payload types that are not there go on as what came before.
	Codecs map[uint8]av.Codec
	// Orientation is the id of the header extension by which the sender says how pictures have to be turned, CVO (3GPP
	// TS 26.114 section 7.4.5), of one byte: its last two bits are quarters clockwise. Those for a back camera and for
	// a mirrored picture change nothing here. 0 for none.
	Orientation uint8
	ClockRate   uint32 // of the RTP times in Hz
	Clock       *Clock
	Feed        *capture.Feed
	// MinFrameInterval leaves out pictures nearer than this; they are decoded only if others build on them.
	MinFrameInterval time.Duration
	Reorder          time.Duration // longest wait for a missing packet; 0 for the default of the kind
	MaxPixels        int           // of a picture; 0 for no bound but av.MaxPixels
	MaxBitrate       int           // bit/s; twice as much over 5 s is refused; 0 for no bound
	RequestKeyFrame  func()        // nil: none is asked for. Called at most twice a second, by Run
}

// PacketReader is where a Track reads its packets from, such as a *webrtc.TrackRemote of pion's.
type PacketReader interface {
	ReadRTP() (*rtp.Packet, interceptor.Attributes, error)
}

// Stats count from the start of a track.
type Stats struct {
	Packets, Bytes   int
	Lost             int // packets given up
	Late, Duplicates int // packets that came when they were given up, or twice
	Reordered        int
	Frames           int // pictures or packets of sound decoded
	Corrupt          int // pictures or packets that could not be decoded
	KeyFrameRequests int
	AwaitingKeyFrame time.Duration // for how long pictures could not be decoded, up to the last packet
	DecodeCPU        time.Duration
}

// Track makes media of one track. Make one with New; Run may be called once.
type Track struct {
	o        Options
	timeline *trackTimeline

	order             reorder
	assemble          assembler
	decoder           *av.PacketDecoder
	turn              int // quarters clockwise, by which pictures stand upright
	keyFrameSeen      bool
	awaitingKeyFrame  time.Time // since when pictures can't be decoded; zero: they can
	keyFrameRequested time.Time // when last
	gap               bool      // packets were lost before the next one
	audioEnd          uint32    // RTP time of the end of the last sound
	audioStarted      bool

	mu    sync.Mutex
	codec av.Codec
	stats Stats
}

// Codec returns that of the last packet.
func (t *Track) Codec() av.Codec {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.codec
}

// New makes a Track. Run frees it.
func New(o Options) (*Track, error) {
	audio := o.Codec == av.Opus
	if audio {
		o.Reorder = cmp.Or(o.Reorder, DefaultAudioReorder)
	} else {
		o.Reorder = cmp.Or(o.Reorder, DefaultVideoReorder)
	}
	if o.ClockRate == 0 {
		return nil, errors.New("receive: the clock rate is 0")
	}
	d, err := av.NewPacketDecoder(o.Codec, av.PacketOptions{MinFrameInterval: o.MinFrameInterval})
	if err != nil {
		return nil, err
	}
	return &Track{
		o: o, codec: o.Codec, timeline: o.Clock.addTimeline(audio, o.ClockRate), decoder: d,
		order: reorder{bound: o.Reorder}, assemble: assembler{codec: o.Codec},
	}, nil
}

// Report takes a sender report of this track.
func (t *Track) Report(sr *rtcp.SenderReport, arrived time.Time) { t.timeline.report(sr, arrived) }

// Stats returns those up to now.
func (t *Track) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stats
}

// Run reads until the reader ends, which is not an error, or a bound is broken, or ctx ends, whose cause it returns.
// The goroutine that reads ends with the reader: whoever ends ctx must end that too.
func (t *Track) Run(ctx context.Context, r PacketReader) error {
	defer func() { t.decoder.Close() }()
	packets := make(chan packet, queued)
	ended := make(chan error, 1)
	go func() {
		err := t.read(r, packets)
		close(packets)
		ended <- err
	}()
	err := t.work(ctx, packets)
	if err != nil {
		// Let the reader's goroutine run on until its owner ends it; it never waits.
		return err
	}
	if err := <-ended; !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// read stamps packets as they come. If the decoder is behind, the packet is lost.
func (t *Track) read(r PacketReader, packets chan<- packet) error {
	since, bits := time.Now(), 0
	for {
		p, _, err := r.ReadRTP()
		if err != nil {
			return io.EOF // however a connection ends, the track has
		}
		now := time.Now()
		n := p.MarshalSize()
		t.mu.Lock()
		t.stats.Packets++
		t.stats.Bytes += n
		t.mu.Unlock()
		if bits += 8 * n; now.Sub(since) >= rateTime {
			if t.o.MaxBitrate > 0 && float64(bits)/now.Sub(since).Seconds() > 2*float64(t.o.MaxBitrate) {
				return ErrBitrate
			}
			since, bits = now, 0
		}
		if len(p.Payload) > 0 {
			t.timeline.arrive(p.Timestamp, now)
		}
		select {
		case packets <- packet{p, now}:
		default: // it shows as a gap in the order
		}
	}
}

// work puts packets in order and decodes them.
func (t *Track) work(ctx context.Context, packets <-chan packet) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		due := time.Hour
		if at, ok := t.order.waiting(); ok {
			due = max(time.Until(at), time.Millisecond)
		}
		timer.Reset(due)
		select {
		case p, ok := <-packets:
			if !ok {
				return nil
			}
			t.order.push(p)
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for {
			p, lost, ok := t.order.pop(time.Now())
			if !ok {
				break
			}
			if err := t.process(p, lost); err != nil {
				return err
			}
		}
		t.mu.Lock()
		t.stats.Late, t.stats.Duplicates, t.stats.Reordered = t.order.late, t.order.duplicates, t.order.reordered
		t.mu.Unlock()
	}
}

// process takes the next packet in order; lost are missing before it.
func (t *Track) process(p packet, lost int) error {
	if lost > 0 {
		t.mu.Lock()
		t.stats.Lost += lost
		t.mu.Unlock()
	}
	if t.o.Codec == av.Opus {
		return t.decodeAudio(p, lost > 0)
	}
	if c, ok := t.o.Codecs[p.PayloadType]; ok && c != t.assemble.codec {
		if err := t.changeCodec(c); err != nil {
			return err
		}
	}
	if lost > 0 {
		t.assemble.reset()
		t.markLost(p.arrived)
	}
	if o := p.GetExtension(t.o.Orientation); t.o.Orientation != 0 && len(o) == 1 {
		t.turn = int(o[0] & 3) // the last packet of a picture has it: it holds for that one and those after it
	}
	frame, ok, broken := t.assemble.push(p.Packet)
	if broken {
		t.markLost(p.arrived)
	}
	if !ok {
		return nil
	}
	return t.decodeFrame(frame, p.arrived)
}

// changeCodec goes on with another codec of pictures, from its next key frame on.
func (t *Track) changeCodec(c av.Codec) error {
	d, err := av.NewPacketDecoder(c, av.PacketOptions{MinFrameInterval: t.o.MinFrameInterval})
	if err != nil {
		return err
	}
	t.decoder.Close()
	t.decoder, t.assemble, t.keyFrameSeen = d, assembler{codec: c}, false
	t.mu.Lock()
	t.codec = c
	t.mu.Unlock()
	return nil
}

// decodeAudio decodes an Opus packet. Lost ones leave a gap: what was said is not guessed.
func (t *Track) decodeAudio(p packet, gap bool) error {
	if len(p.Payload) == 0 {
		return nil
	}
	t.gap = t.gap || gap
	if t.gap && t.audioStarted {
		if missing := int32(p.Timestamp - t.audioEnd); missing > 0 && missing < int32(t.o.ClockRate)*10 {
			t.o.Feed.AddDrops(capture.Drops{Samples: int(int64(missing) * capture.SampleRate / int64(t.o.ClockRate))})
		}
	}
	t.gap = false
	media, err := t.decode(p.Payload, p.Timestamp)
	if err != nil {
		return err
	}
	n := 0
	for _, m := range media {
		if m.Samples == nil {
			continue
		}
		s := &capture.Samples{Time: m.Samples.Time - opusDelay, Data: m.Samples.Data, Arrived: p.arrived}
		if !t.audioStarted && n < opusDelaySamples { // the encoder's own beginning, which was never heard
			cut := min(opusDelaySamples-n, len(s.Data))
			s.Time += time.Duration(cut) * time.Second / capture.SampleRate
			s.Data = s.Data[cut:]
		}
		n += len(m.Samples.Data)
		if len(s.Data) > 0 {
			t.o.Feed.Put(capture.Media{Samples: s})
		}
	}
	t.audioStarted, t.audioEnd = true, p.Timestamp+uint32(int64(n)*int64(t.o.ClockRate)/capture.SampleRate)
	return nil
}

// markLost notes that pictures can't be decoded until the next key frame.
func (t *Track) markLost(now time.Time) {
	if t.awaitingKeyFrame.IsZero() {
		t.awaitingKeyFrame = now
	}
	t.requestKeyFrame()
}

// requestKeyFrame asks for a key frame, at most twice a second.
func (t *Track) requestKeyFrame() {
	now := time.Now()
	if t.o.RequestKeyFrame == nil || now.Sub(t.keyFrameRequested) < keyFrameInterval {
		return
	}
	t.keyFrameRequested = now
	t.mu.Lock()
	t.stats.KeyFrameRequests++
	t.mu.Unlock()
	t.o.RequestKeyFrame()
}

// decodeFrame decodes a coded picture, unless it rests on one that was lost.
func (t *Track) decodeFrame(f codedFrame, arrived time.Time) error {
	if w, h := 0, 0; t.assemble.codec == av.VP8 {
		if w, h = vp8Size(f.data); t.o.MaxPixels > 0 && w*h > t.o.MaxPixels {
			return fmt.Errorf("%w: %d×%d", ErrTooLarge, w, h)
		}
	}
	behind := time.Since(arrived) > maxLag+t.o.Reorder
	if !f.key && (!t.keyFrameSeen || !t.awaitingKeyFrame.IsZero() || behind) {
		t.markLost(arrived)
		t.o.Feed.AddDrops(capture.Drops{Frames: 1})
		return nil
	}
	if !t.awaitingKeyFrame.IsZero() {
		t.mu.Lock()
		t.stats.AwaitingKeyFrame += max(arrived.Sub(t.awaitingKeyFrame), 0)
		t.mu.Unlock()
		t.awaitingKeyFrame = time.Time{}
	}
	t.keyFrameSeen = true
	t.decoder.Turn(t.turn)
	media, err := t.decode(f.data, f.ts)
	if err != nil {
		return err
	}
	if media == nil && !t.awaitingKeyFrame.IsZero() {
		t.o.Feed.AddDrops(capture.Drops{Frames: 1})
	}
	for _, m := range media {
		if m.Frame == nil {
			continue
		}
		if w, h := m.Frame.Width, m.Frame.Height; t.o.MaxPixels > 0 && w*h > t.o.MaxPixels {
			return fmt.Errorf("%w: %d×%d", ErrTooLarge, w, h)
		}
		t.o.Feed.Put(capture.Media{Frame: &capture.Frame{
			Time: m.Frame.Time, Width: m.Frame.Width, Height: m.Frame.Height, Pix: m.Frame.Pix, Arrived: arrived,
		}})
	}
	return nil
}

// decode decodes a payload at the media time of its RTP time. One that can't be decoded is counted, and pictures then
// wait for a key frame.
func (t *Track) decode(data []byte, ts uint32) (media []av.Media, err error) {
	at := t.timeline.time(ts)
	cpu := cputime.Of(func() { media, err = t.decoder.Decode(data, at) })
	t.mu.Lock()
	t.stats.DecodeCPU += cpu
	t.stats.Frames++
	if err != nil {
		t.stats.Corrupt++
	}
	t.mu.Unlock()
	switch {
	case errors.Is(err, av.ErrTooLarge):
		return nil, ErrTooLarge
	case err != nil && t.o.Codec != av.Opus:
		t.markLost(time.Now())
		return nil, nil
	case err != nil:
		return nil, nil
	}
	return media, nil
}
