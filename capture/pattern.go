package capture

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"sync/atomic"
	"time"
)

// The pattern's marks. In every second k = 1, 2, 3, ... of media time, from k s to k s + PatternMark, the top eighth
// of the picture is white (dark at all other times) and the sound is a tone of PatternBeep Hz at 0.8 of full scale.
// In the 100 ms before and the 200 ms from its start there is no speech. FlashLevel and BeepLevel of capturetest find
// the marks.
const (
	PatternMark = 80 * time.Millisecond
	PatternBeep = 2000
)

// SkewStep makes the pattern's sound late.
type SkewStep struct {
	From  time.Duration // media time of the sound from which on
	Delay time.Duration // it is this late against the picture; negative: early
}

// PatternOptions for NewPattern. The zero value is 640 x 480 at 25 frames a second, one face at rest that speaks,
// for ten seconds, as fast as it is read.
type PatternOptions struct {
	Width, Height int           // pixels; 640 x 480 if 0
	FPS           float64       // 25 if 0
	Duration      time.Duration // ten seconds if 0, endless if 0 and Live
	Faces         int           // one if 0, at most two: the second, on the right, listens
	NoFace        bool          // only the background
	Move          bool          // the heads sway by 5 % of the picture's width, once in four seconds
	Skew          []SkewStep    // in order of From
	Live          bool          // paced by the wall clock; Info.Live is set and a slow reader loses media
	NoVideo       bool
	NoAudio       bool
}

// NewPattern makes the test source: a drawn face that opens its mouth in step with a speech-like buzz, and a flash
// and a beep together every second. The same options give the same media, to the bit.
func NewPattern(o PatternOptions) Source {
	if o.Width <= 0 || o.Height <= 0 {
		o.Width, o.Height = 640, 480
	}
	if o.FPS <= 0 {
		o.FPS = 25
	}
	if o.Duration <= 0 && !o.Live {
		o.Duration = 10 * time.Second
	}
	o.Faces = min(max(o.Faces, 1), 2)
	if o.NoFace {
		o.Faces = 0
	}
	p := &pattern{o: o, info: Info{
		Name: "pattern:", HasVideo: !o.NoVideo, HasAudio: !o.NoAudio, Duration: o.Duration,
	}}
	if !o.NoVideo {
		p.info.Width, p.info.Height, p.info.FPS = o.Width, o.Height, o.FPS
		p.scene = newScene(o)
	}
	if !o.Live {
		return p
	}
	return newLive(p.info, time.Now(), func(ctx context.Context, l *live) error {
		for {
			m, at, ok := p.next()
			if !ok {
				return nil
			}
			if err := sleepUntil(ctx, l.start.Add(at)); err != nil {
				return err
			}
			l.put(m.arrived(time.Now()))
		}
	})
}

// pattern is the source that is not live.
type pattern struct {
	o       PatternOptions
	info    Info
	scene   *scene
	frames  int // handed out
	samples int // samples handed out
	closed  atomic.Bool
}

func (p *pattern) Info() Info   { return p.info }
func (p *pattern) Drops() Drops { return Drops{} }

func (p *pattern) Close() error {
	p.closed.Store(true)
	return nil
}

func (p *pattern) Read(ctx context.Context) (Media, error) {
	if err := context.Cause(ctx); err != nil {
		return Media{}, err
	}
	if p.closed.Load() {
		return Media{}, fmt.Errorf("%s: %w", p.info.Name, os.ErrClosed)
	}
	m, _, ok := p.next()
	if !ok {
		return Media{}, io.EOF
	}
	return m, nil
}

// next returns the next item and when it is there: a picture at its time, sound at its end.
func (p *pattern) next() (Media, time.Duration, bool) {
	const chunk = SampleRate / 50
	frameAt := time.Duration(math.Round(float64(p.frames) / p.o.FPS * 1e9))
	end := p.samples + chunk
	if p.o.Duration > 0 {
		end = min(end, int(p.o.Duration*SampleRate/time.Second))
	}
	audioAt := time.Duration(end) * time.Second / SampleRate
	hasFrame := !p.o.NoVideo && (p.o.Duration <= 0 || frameAt < p.o.Duration)
	hasAudio := !p.o.NoAudio && end > p.samples
	switch {
	case hasFrame && (!hasAudio || frameAt < audioAt):
		p.frames++
		return Media{Frame: &Frame{Time: frameAt, Width: p.o.Width, Height: p.o.Height, Pix: p.scene.draw(frameAt)}},
			frameAt, true
	case hasAudio:
		s := &Samples{Time: time.Duration(p.samples) * time.Second / SampleRate, Data: make([]float32, end-p.samples)}
		for i := range s.Data {
			s.Data[i] = p.audioAt(time.Duration(p.samples+i) * time.Second / SampleRate)
		}
		p.samples = end
		return Media{Samples: s}, audioAt, true
	}
	return Media{}, 0, false
}

// audioAt returns the sound at time t.
func (p *pattern) audioAt(t time.Duration) float32 {
	var skew time.Duration
	for _, s := range p.o.Skew {
		if t >= s.From {
			skew = s.Delay
		}
	}
	t -= skew
	if isMarked(t) {
		return float32(0.8 * math.Sin(2*math.Pi*PatternBeep*t.Seconds()))
	}
	open := mouthOpen(t)
	if open == 0 {
		return 0
	}
	x, syllable := speech(t)
	// The pitch falls from 150 to 110 Hz in a phrase, as in speech: a tone that stays is no voice to a detector.
	cycles := (speechTo - speechFrom) * (150*x - 20*x*x)
	vowel := vowels[syllable%uint64(len(vowels))]
	return float32(0.4 * open * vowel[int((cycles-math.Floor(cycles))*float64(len(vowel)))])
}

// isMarked reports whether there is a flash and a beep at t.
func isMarked(t time.Duration) bool {
	return t >= time.Second && t%time.Second < PatternMark
}

// Each second has a phrase of three syllables between these times, in seconds.
const speechFrom, speechTo = 0.2, 0.9

// speech returns where t is in the phrase of its second, from 0 to 1 if it is within, and which syllable of all it is.
func speech(t time.Duration) (x float64, syllable uint64) {
	x = ((t % time.Second).Seconds() - speechFrom) / (speechTo - speechFrom)
	return x, uint64(t/time.Second)*3 + uint64(max(0, 3*x))
}

// mouthOpen is how far the mouth is open at t, 0..1: three syllables a second, no two seconds alike.
func mouthOpen(t time.Duration) float64 {
	if t < 0 {
		return 0
	}
	x, syllable := speech(t)
	if x < 0 || x >= 1 {
		return 0
	}
	loud := 0.6 + 0.4*float64(syllable*2654435761>>8&255)/255
	return loud * math.Abs(math.Sin(3*math.Pi*x))
}

// formant is a resonance of the vocal tract.
type formant struct{ hz, width, gain float64 }

// vowels are those of "father", "see" and "go", by their formants (Peterson and Barney 1952, table II, men).
var vowels = [][]float64{
	period([]formant{{730, 130, 1}, {1090, 150, 0.6}, {2440, 250, 0.25}}),
	period([]formant{{270, 80, 1}, {2290, 200, 0.4}, {3010, 250, 0.3}}),
	period([]formant{{570, 110, 1}, {840, 120, 0.6}, {2410, 250, 0.2}}),
}

// period is one period of a voice of about 125 Hz, its peak at 1: its harmonics, strongest near the formants.
func period(formants []formant) []float64 {
	const pitch = 125
	out := make([]float64, SampleRate/pitch)
	peak := 0.0
	for i := range out {
		for h := 1; h <= 28; h++ {
			f := float64(h * pitch)
			amp := 0.15 / float64(h)
			for _, r := range formants {
				amp += r.gain * math.Exp(-math.Pow((f-r.hz)/r.width, 2)/2)
			}
			out[i] += amp * math.Sin(2*math.Pi*float64(h*i)/float64(len(out)))
		}
		peak = max(peak, math.Abs(out[i]))
	}
	for i := range out {
		out[i] /= peak
	}
	return out
}
