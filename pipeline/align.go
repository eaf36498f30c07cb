package pipeline

import (
	"context"
	"fmt"
	"math"
	"time"

	"tandem/capture"
)

// How the aligner reads time.
const (
	// HoldAtLeast is how long a picture stands for those that do not follow it: the frame for a tick of the
	// face clock is the latest one with Time <= tick + TickSlack, if it is not older than the larger of
	// HoldAtLeast and Spec.FaceTick.
	HoldAtLeast = 500 * time.Millisecond
	// TickSlack is by how much a picture may follow the tick that it is for. At usual frame rates every fifth
	// tick, or every one, falls on a picture. Without slack, rounding in a container or some milliseconds on a
	// network would decide whether that picture is looked at or the one before, which may be 0.1 s older.
	// Sessions were seen to shift pictures by -5 to 8 ms, and WebM by 7 ms; pictures at 30 a second of which every
	// third is handed out lie 0, 20, 40, … ms after a tick: 15 ms keeps what belongs to -5 to 15 apart from the rest.
	TickSlack = 15 * time.Millisecond
	// SnapAudio is the largest difference between the time of a chunk of sound and the end of the last at which
	// the two are taken to be continuous. Containers round times to a millisecond or so, and clocks of sound
	// cards drift: following every such step would put a click at each. Larger differences are gaps, which
	// are zeros, or overlaps, which are cut.
	SnapAudio = 20 * time.Millisecond
	// MaxBack and MaxGap bound what is still one timeline. A time that is further behind or ahead of what was
	// expected (the end of its own modality, or of the other, plus the wall time that went by with a live source)
	// is a break of the source's clock: the timeline then goes on from where it was.
	MaxBack = time.Second
	MaxGap  = 10 * time.Second
)

// maxTime bounds times from sources, so that sums and differences of them cannot overflow.
const maxTime = time.Duration(1) << 61

// aligner puts sound and pictures on one timeline and hands out what falls due on it: ticks of the face clock with
// their frames, and windows with their sound, which has gone through a capture.HighPass.
//
// The face clock ticks at g_k = k*Spec.FaceTick, k = 0, 1, …; the frame for a tick is the latest one with Time
// <= g_k + TickSlack (sample and hold, see HoldAtLeast). Window n ends at E_n = Window + n*Hop. It takes the samples in
// [E_n-Window, E_n) and the last Spec.VideoFrames ticks <= E_n. It is cut when both modalities have passed E_n: the
// sound when its last sample is at or beyond it, pictures when the window's last tick is decided, that is when
// a frame at or after it has come, and a frame that lasts to E_n. A modality that the source does not have, that has
// ended, or that is more than wait behind the other is not waited for. A window into which no sample and no frame
// falls is left out (after a gap), except that a source with any media at all gives at least one window,
// [0, Window) if it is shorter than that.
//
// For a model that reads windows which begin empty (Spec.Partial) media are not waited for so long: a timeline's first
// windows are those of its growth (see growth), and a source that ends before it fills one gives one more at its end.
//
// Steps are handed out in order: all ticks of a window come before it. The aligner belongs to one goroutine.
// It holds one frame, and the sound of one window plus that which is ahead of the pictures, at most wait.
type aligner struct {
	spec  Spec
	hold  time.Duration
	wait  time.Duration
	info  capture.Info
	grows growth
	out   func(step) error

	video, audio modality
	held         *capture.Frame
	nextTick     int64
	mouths       mouthClock
	ticked       []int64 // ticks that had a frame and may belong to a coming window
	highPass     capture.HighPass
	voice        voiceTrack
	listen       func(start int64, data []float32) error // has voice hear some sound
	chunks       []audioChunk                            // filtered
	nextCut      int64
	lastCut      int64 // the sample at which the last window ended
	cuts         int
	ended        bool

	onFrame   func(*capture.Frame)
	onSamples func(*capture.Samples)
	onDrop    func(DropReason, Dropped)

	late          capture.Drops // came too late, or twice
	breaks        int           // breaks of the source's clock
	offsets       time.Duration // sum over items of the sound's watermark less the pictures'
	offsetN       int
	audioArrivals []arrival
}

// modality is the state of the sound or of the pictures.
type modality struct {
	expected bool // the source has it by its Info, or it came
	seen     bool
	offset   time.Duration // from the source's clock to the timeline
	mark     time.Duration // watermark: everything before it is known
	period   time.Duration // of pictures, nominal, 0 if not known
	arrived  time.Time     // when the last of it came, live
}

// audioChunk is some sound without a gap; start is in samples on the timeline.
type audioChunk struct {
	start int64
	data  []float32
}

func (c audioChunk) end() int64 { return c.start + int64(len(c.data)) }

// arrival notes when a live source got the sound up to a sample.
type arrival struct {
	end int64
	at  time.Time
}

func newAligner(ctx context.Context, spec Spec, info capture.Info, o Options, out func(step) error) *aligner {
	a := &aligner{
		spec:      spec,
		hold:      max(spec.FaceTick(), HoldAtLeast),
		wait:      o.MaxAhead,
		info:      info,
		grows:     newGrowth(spec, info, o.FirstAfter),
		out:       out,
		video:     modality{expected: info.HasVideo},
		audio:     modality{expected: info.HasAudio},
		onFrame:   o.OnFrame,
		onSamples: o.OnSamples,
		onDrop:    o.drop,
	}
	a.nextCut = -a.grows.windows
	a.mouths.every = o.mouthSpec().Every
	a.listen = func(start int64, data []float32) error { return a.voice.add(ctx, start, data) }
	if o.Voice != nil {
		a.voice.stream = o.Voice.NewVoiceStream()
	}
	if info.Live {
		a.wait = o.MaxWait
	}
	if info.Still {
		// A still has no time: it stands for as long as anything lasts, so its crop fills every slot of the
		// window.
		a.hold = math.MaxInt64
	}
	if info.FPS > 0 {
		a.video.period = min(time.Duration(float64(time.Second)/info.FPS), time.Second)
	}
	return a
}

// sampleAt is the index of the sample nearest to a time, rounding half up.
func sampleAt(t time.Duration) int64 {
	s, r := int64(t/time.Second), int64(t%time.Second)
	if r < 0 {
		s, r = s-1, r+int64(time.Second)
	}
	return s*capture.SampleRate + (r*capture.SampleRate+int64(time.Second)/2)/int64(time.Second)
}

// timeOf is the time of a sample.
func timeOf(sample int64) time.Duration {
	return time.Duration(sample) * (time.Second / capture.SampleRate)
}

// windowEnd is when a window ends; those that grow come before window 0.
func (a *aligner) windowEnd(n int64) time.Duration {
	if n < 0 {
		return a.grows.from + time.Duration(n+a.grows.windows)*a.spec.Hop
	}
	return a.spec.Window + time.Duration(n)*a.spec.Hop
}

// span is the samples of a window that ends at end, half-open.
func (a *aligner) span(end time.Duration) (from, to int64) {
	from = sampleAt(end - a.spec.Window)
	return from, from + int64(a.spec.AudioSamples())
}

// lastTick is the last tick of a window that ends at end.
func (a *aligner) lastTick(end time.Duration) int64 { return int64(end / a.spec.FaceTick()) }

// add takes the next item of the source.
func (a *aligner) add(m capture.Media) error {
	switch {
	case m.Frame != nil && m.Samples != nil:
		return fmt.Errorf("pipeline: the source gave one item with both a picture and sound")
	case m.Frame != nil:
		return a.addFrame(m.Frame)
	case m.Samples != nil:
		return a.addSamples(m.Samples)
	}
	return nil
}

// toTimeline maps a time of the source to the timeline, and notices breaks of the source's clock. Each modality has its
// own offset, since each may break for itself; but of its own, the other's and none, the one is taken that fits
// what was expected best, so that modalities that break together stay in step, and one stray time does not outlast
// itself.
func (a *aligner) toTimeline(s, other *modality, t time.Duration, arrived time.Time) time.Duration {
	t = min(max(t, -maxTime), maxTime)
	want := s.next(arrived)
	low, high := s.mark, want
	if other.seen {
		if !s.seen {
			want = other.next(arrived)
		}
		low, high = min(low, other.mark), max(high, other.next(arrived))
	}
	found, best := false, time.Duration(0)
	for _, offset := range []time.Duration{s.offset, other.offset, 0} {
		at := t + offset
		if at < low-MaxBack || at > high+MaxGap && !a.info.Timed {
			continue
		}
		if !found || (at-want).Abs() < (best-want).Abs() {
			found, best = true, at
		}
	}
	if !found {
		best = want
		a.breaks++
	}
	s.offset = best - t
	return best
}

// next is when the next of a modality is expected: right after the last, but for the wall time that went by since
// with a live source.
func (s *modality) next(now time.Time) time.Duration {
	if !s.seen {
		return s.mark
	}
	return s.mark + max(s.period, s.elapsed(now))
}

// elapsed is the wall time since the last of a live modality.
func (s *modality) elapsed(now time.Time) time.Duration {
	if now.IsZero() || s.arrived.IsZero() {
		return 0
	}
	return max(0, now.Sub(s.arrived))
}

func (a *aligner) addFrame(f *capture.Frame) error {
	if f.Width < 1 || f.Height < 1 || len(f.Pix) != 3*f.Width*f.Height {
		return fmt.Errorf("pipeline: the source gave a picture of %dx%d with %d bytes", f.Width, f.Height, len(f.Pix))
	}
	t := a.toTimeline(&a.video, &a.audio, f.Time, f.Arrived)
	if t != f.Time {
		moved := *f
		moved.Time = t
		f = &moved
	}
	a.video.expected = true
	if t < 0 || a.video.seen && t <= a.video.mark {
		a.dropLate(capture.Drops{Frames: 1})
		return nil
	}
	if a.onFrame != nil {
		a.onFrame(f)
	}
	if a.video.seen && a.video.period == 0 {
		a.video.period = min(t-a.video.mark, time.Second)
	}
	if err := a.tickTo(t - TickSlack - 1); err != nil {
		return err
	}
	a.video.seen, a.video.mark, a.video.arrived = true, t, f.Arrived
	if a.nextTick > 0 && t <= a.tickTime(a.nextTick-1) {
		a.dropLate(capture.Drops{Frames: 1}) // its tick was decided without it
		a.recordOffset()
		return nil
	}
	a.held = f
	if err := a.tickTo(t); err != nil {
		return err
	}
	a.recordOffset()
	return a.cutDue()
}

func (a *aligner) tickTime(k int64) time.Duration { return time.Duration(k) * a.spec.FaceTick() }

// tickTo decides all ticks up to and with t: their frame is the one that is held, if it is fresh enough.
func (a *aligner) tickTo(t time.Duration) error {
	a.mouths.to(t, a.held, a.info.Still)
	for a.tickTime(a.nextTick) <= t {
		g := a.tickTime(a.nextTick)
		if a.held == nil || g-a.held.Time > a.hold {
			a.nextTick = a.lastTick(t) + 1 // nothing to see until t
			a.mouths.take(t)
			return nil
		}
		k := a.nextTick
		a.nextTick++
		a.ticked = append(a.ticked, k)
		next := &tick{k: k, time: g, frame: a.held, mouths: a.mouths.take(g)}
		if err := a.out(step{tick: next, due: time.Now()}); err != nil {
			return err
		}
	}
	return nil
}

// dropLate counts what came too late to be used.
func (a *aligner) dropLate(d capture.Drops) {
	a.late.Frames += d.Frames
	a.late.Samples += d.Samples
	a.onDrop(DropLate, Dropped{Frames: d.Frames, Samples: d.Samples})
}

func (a *aligner) addSamples(s *capture.Samples) error {
	if len(s.Data) == 0 {
		return nil
	}
	zeroNonFinite(s.Data)
	t := a.toTimeline(&a.audio, &a.video, s.Time, s.Arrived)
	chunk := audioChunk{sampleAt(t), s.Data}
	watermark := sampleAt(a.audio.mark)
	if d := chunk.start - watermark; a.audio.seen && max(d, -d) <= sampleAt(SnapAudio) {
		chunk.start = watermark
	}
	a.audio.expected = true
	// Sound that came before is cut off, and so is any that lies before the next window and came after the last.
	next, _ := a.span(a.windowEnd(a.nextCut))
	if n := min(max(watermark, min(next, a.lastCut))-chunk.start, int64(len(chunk.data))); n > 0 {
		a.dropLate(capture.Drops{Samples: int(n)})
		chunk.start, chunk.data = chunk.start+n, chunk.data[n:]
	}
	if len(chunk.data) == 0 {
		return nil
	}
	if a.onSamples != nil {
		a.onSamples(&capture.Samples{Time: timeOf(chunk.start), Data: chunk.data, Arrived: s.Arrived})
	}
	if chunk.start != watermark {
		a.highPass.Reset() // what came before the hole does not lead up to this
	}
	filtered := make([]float32, len(chunk.data)) // what OnSamples was given is shared
	a.highPass.Filter(filtered, chunk.data)
	chunk.data = filtered
	if err := a.listen(chunk.start, chunk.data); err != nil {
		return err
	}
	a.chunks = append(a.chunks, chunk)
	if !s.Arrived.IsZero() {
		a.audioArrivals = append(a.audioArrivals, arrival{chunk.end(), s.Arrived})
	}
	a.audio.seen, a.audio.mark, a.audio.arrived = true, timeOf(chunk.end()), s.Arrived
	a.recordOffset()
	return a.cutDue()
}

// recordOffset keeps the running statistic of which watermark is ahead.
func (a *aligner) recordOffset() {
	if a.audio.seen && a.video.seen {
		a.offsets += a.audio.mark - a.video.mark
		a.offsetN++
	}
}

// cutDue cuts all windows that are due.
func (a *aligner) cutDue() error {
	for {
		end := a.windowEnd(a.nextCut)
		videoKnown := a.video.seen && a.nextTick > a.lastTick(end) && end <= a.videoEnd()
		_, last := a.span(end)
		audioKnown := a.audio.seen && sampleAt(a.audio.mark) >= last
		excused := func(s, other *modality) bool { return !s.expected || other.mark-s.mark > a.wait }
		videoDone := videoKnown || excused(&a.video, &a.audio)
		audioDone := audioKnown || excused(&a.audio, &a.video)
		if !videoDone || !audioDone || !videoKnown && !audioKnown {
			return nil
		}
		if err := a.cut(end, false); err != nil {
			return err
		}
	}
}

// rounding is that of times in containers.
const rounding = time.Millisecond

// videoEnd is when the last picture's time is over.
func (a *aligner) videoEnd() time.Duration { return a.video.mark + a.video.period + rounding }

// finish ends the timeline and cuts the windows that are left.
func (a *aligner) finish() error {
	if a.ended || !a.video.seen && !a.audio.seen {
		return nil
	}
	a.ended = true
	end := a.audio.mark
	if a.video.seen {
		end = max(end, a.videoEnd())
	}
	for a.windowEnd(a.nextCut) <= end {
		if err := a.cut(a.windowEnd(a.nextCut), false); err != nil {
			return err
		}
	}
	if a.spec.Partial && !a.info.Still {
		return a.cutLast()
	}
	if a.cuts == 0 {
		return a.cut(a.windowEnd(max(a.nextCut, 0)), true)
	}
	return nil
}

// cut hands out the next window, unless it is empty and need not be.
func (a *aligner) cut(end time.Duration, always bool) error {
	if err := a.tickTo(end); err != nil {
		return err
	}
	c := &cut{start: end - a.spec.Window, end: end, last: a.lastTick(end)}
	c.first = c.last - int64(a.spec.VideoFrames) + 1
	from, to := a.span(end)
	a.discardBefore(from, c.first)

	some := always || len(a.ticked) > 0 && a.ticked[0] <= c.last
	for _, r := range a.chunks {
		some = some || r.start < to
	}
	a.nextCut++
	a.lastCut = to
	if !some {
		a.grows.lost = a.grows.from > 0
		return nil
	}
	c.start = max(c.start, a.begun())
	if !always && end-c.start < a.grows.from {
		return nil
	}
	c.audio = make([]float32, a.spec.AudioSamples())
	for _, r := range a.chunks {
		if r.start >= to {
			break
		}
		if r.start >= from {
			copy(c.audio[r.start-from:], r.data)
		} else {
			copy(c.audio, r.data[from-r.start:])
		}
	}
	c.voice = a.voice.heard(from, to)
	c.voiceNow = c.voice && len(a.voice.pieces(to-sampleAt(a.spec.Hop), to)) > 0
	if a.mouths.every > 0 && c.voice {
		for _, end := range a.voice.pieces(from, to) {
			c.pieces = append(c.pieces, end-from)
		}
	}
	c.arrived = a.arrivedBy(to)
	a.cuts++
	return a.out(step{cut: c, due: time.Now()})
}

// arrivedBy is when the last of a window that ends at a sample came: the later of the sound up to that sample
// and the picture that is held.
func (a *aligner) arrivedBy(to int64) time.Time {
	var at time.Time
	if a.held != nil {
		at = a.held.Arrived
	}
	for _, s := range a.audioArrivals {
		if s.at.After(at) {
			at = s.at
		}
		if s.end >= to {
			break
		}
	}
	return at
}

// discardBefore discards what lies before a window, which begins at a sample and a tick.
func (a *aligner) discardBefore(sample, tick int64) {
	i := 0
	for i < len(a.chunks) && a.chunks[i].end() <= sample {
		i++
	}
	a.voice.discardBefore(sample)
	n := copy(a.chunks, a.chunks[i:])
	clear(a.chunks[n:])
	a.chunks = a.chunks[:n]

	for i = 0; i < len(a.audioArrivals) && a.audioArrivals[i].end <= sample; i++ {
	}
	a.audioArrivals = a.audioArrivals[:copy(a.audioArrivals, a.audioArrivals[i:])]

	for i = 0; i < len(a.ticked) && a.ticked[i] < tick; i++ {
	}
	a.ticked = a.ticked[:copy(a.ticked, a.ticked[i:])]
}

// offset is the mean of how far the sound's watermark was ahead of the pictures'.
func (a *aligner) offset() time.Duration {
	if a.offsetN == 0 {
		return 0
	}
	return a.offsets / time.Duration(a.offsetN)
}
