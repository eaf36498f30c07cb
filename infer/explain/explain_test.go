package explain

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/gonum/dsp/fourier"

	"tandem/capture"
	"tandem/pipeline"
)

var spec = pipeline.Spec{
	Window: 2560 * time.Millisecond, Hop: 250 * time.Millisecond, VideoFrames: 2, CropSize: 48, Channels: 1,
	CropMargin: 2.6,
}

// bright is where a knower looks in a crop, and tone what it listens for: 1500 Hz from 1.0 to 1.2 s.
const (
	brightX, brightY, brightSide = 20, 36, 8
	toneHz, toneFrom, toneTo     = 1500, 1.0, 1.2
)

// knower is a network of which it is known what its answers rest on: the more of a bright square, the more happy, and
// the more of a tone, the more female.
type knower struct{ asked int }

func (k *knower) Spec() pipeline.Spec { return spec }

func (k *knower) Labels() pipeline.Labels {
	return pipeline.Labels{Emotions: []string{"neutral", "happy"}, Genders: []string{"male", "female"}}
}

func (k *knower) Recognize(_ context.Context, ws []*pipeline.Window) (p []pipeline.Prediction, _ error) {
	k.asked += len(ws)
	for _, w := range ws {
		happy := 0.05
		for y := range brightSide {
			for x := range brightSide {
				if w.VideoMask[0] && w.Video[(brightY+y)*spec.CropSize+brightX+x] > 200 {
					happy += 0.9 / brightSide / brightSide
				}
			}
		}
		re, im := 0.0, 0.0 // the tone's part of the sound
		for i := range w.Audio {
			s, c := math.Sincos(2 * math.Pi * toneHz * float64(i) / capture.SampleRate)
			re, im = re+c*float64(w.Audio[i]), im+s*float64(w.Audio[i])
		}
		female := 0.05 + 0.9*min(math.Hypot(re, im)/(0.5*0.3*(toneTo-toneFrom)*capture.SampleRate), 1)
		p = append(p, pipeline.Prediction{
			Emotion: []float32{float32(1 - happy), float32(happy)},
			Gender:  []float32{float32(1 - female), float32(female)},
		})
	}
	return p, nil
}

// known is a window that has the bright square and the tone.
func known() *pipeline.Window {
	w := &pipeline.Window{
		Start: 10 * time.Second, End: 10*time.Second + spec.Window, Subject: 1,
		Audio: make([]float32, spec.AudioSamples()), AudioPresent: true,
		Video: make([]byte, 2*48*48), VideoMask: []bool{true, false},
	}
	for y := range brightSide {
		for x := range brightSide {
			w.Video[(brightY+y)*48+brightX+x] = 250
		}
	}
	for i := range w.Audio {
		t := float64(i) / capture.SampleRate
		w.Audio[i] = float32(0.05 * math.Sin(2*math.Pi*300*t)) // what it does not listen to
		if t >= toneFrom && t < toneTo {
			w.Audio[i] += float32(0.3 * math.Sin(2*math.Pi*toneHz*t))
		}
	}
	return w
}

// The maps find the parts of which it is known that the answers rest on them, and nothing elsewhere.
func TestMapsFindWhatAnAnswerRestsOn(t *testing.T) {
	k := &knower{}
	w := known()
	before := copyOf(w)
	e, err := Window(t.Context(), k, w)
	if err != nil {
		t.Fatal(err)
	}
	if e.LabelOf(0) != "happy" || e.LabelOf(1) != "female" || e.Answer.Probability[0] < 0.9 {
		t.Fatalf("answer %+v", e.Answer)
	}
	part := e.MostOfFace[0]
	if x, y := part.X0*48, part.Y0*48; part.Lost < 0.85 || x > brightX || part.X1*48 < brightX+brightSide ||
		y > brightY || part.Y1*48 < brightY+brightSide {
		t.Errorf("most of the face: %+v", part)
	}
	at := func(m *Map, task, x, y int) float64 { return m.Lost[task][y*m.Width+x] }
	if in, out := at(e.Face, 0, brightX+4, brightY+4), at(e.Face, 0, 8, 8); in < 0.4 || math.Abs(out) > 0.01 {
		t.Errorf("happy rests %.3f on the square, %.3f elsewhere", in, out)
	}
	if v := at(e.Face, 1, brightX+4, brightY+4); math.Abs(v) > 0.01 {
		t.Errorf("female rests %.3f on the face", v)
	}
	part = e.MostOfSound[1]
	from, to := e.Time(part.X0)-w.Start, e.Time(part.X1)-w.Start
	if part.Lost < 0.7 || from.Seconds() > toneFrom+0.05 || to.Seconds() < toneTo-0.05 ||
		part.Y0*8000 > toneHz || part.Y1*8000 < toneHz {
		t.Errorf("most of the sound: %+v, %v to %v", part, from, to)
	}
	frame, bin := frames(len(w.Audio))*43/100, toneHz*soundFrame/capture.SampleRate
	in, below, late := at(e.Sound, 1, frame, bin), at(e.Sound, 1, frame, 9), at(e.Sound, 1, 2*frame, bin)
	if in < 0.3 || math.Abs(below) > 0.02 || math.Abs(late) > 0.02 {
		t.Errorf("female rests %.3f on the tone, %.3f on what is below it, %.3f on what is later", in, below, late)
	}
	if e.FaceAlone[0] < 0.9 || e.SoundAlone[0] > 0.1 || e.SoundAlone[1] < 0.9 || e.FaceAlone[1] > 0.1 {
		t.Errorf("face alone %v, sound alone %v", *e.FaceAlone, *e.SoundAlone)
	}
	lines := strings.Join(append(e.Lines(0), e.Lines(1)...), "\n")
	for _, want := range []string{"hiding the mouth costs most", "sound: no part by itself matters", "face: no part"} {
		if !strings.Contains(lines, want) {
			t.Errorf("not said: %q in\n%s", want, lines)
		}
	}
	if !bytes.Equal(before.Video, w.Video) || before.Audio[20000] != w.Audio[20000] {
		t.Error("the window itself was changed")
	}
	if k.asked > 400 {
		t.Errorf("it took %d variants", k.asked)
	}

	var page bytes.Buffer
	if err := Write(&page, "a <clip>", "m", []*Explanation{e}); err != nil {
		t.Fatal(err)
	}
	s := page.String()
	// The face and the spectrogram, plain and by each task.
	if n := strings.Count(s, "data:image/png"); n != 6 || strings.Contains(s, "a <clip>") ||
		!strings.Contains(s, "10.00 to 12.56 s, subject 1") || !strings.Contains(s, "female 95 %") {
		t.Errorf("%d pictures on the page:\n%.3000s", n, s)
	}
}

// A sense that is not there is not explained, and a window without any is an error.
func TestWindowsOfOneSense(t *testing.T) {
	w := known()
	w.AudioPresent = false
	e, err := Window(t.Context(), &knower{}, w)
	if err != nil || e.Sound != nil || e.FaceAlone != nil || e.Face == nil {
		t.Errorf("a face alone: %+v, %v", e, err)
	}
	w = known()
	clear(w.VideoMask)
	w.Covered = 800 * time.Millisecond
	e, err = Window(t.Context(), &knower{}, w)
	if err != nil || e.Face != nil || e.Sound == nil {
		t.Errorf("sound alone: %+v, %v", e, err)
	}
	// Nothing is hidden before the part of the window that is covered.
	for x := range e.Sound.Width / 2 {
		if e.Sound.Lost[1][40*e.Sound.Width+x] != 0 {
			t.Errorf("frame %d, before the sound began, has a value", x)
			break
		}
	}
	var page bytes.Buffer
	if err := Write(&page, "clip", "m", []*Explanation{e}); err != nil {
		t.Fatal(err)
	}
	w.AudioPresent = false
	if _, err := Window(t.Context(), &knower{}, w); err == nil || !strings.Contains(err.Error(), "neither") {
		t.Error(err)
	}
}

// Hiding takes out what is in the tile and leaves the rest as it is.
func TestHideTile(t *testing.T) {
	sound := make([]float32, 16000)
	tone := func(hz float64, i int) float64 { return math.Sin(2 * math.Pi * hz * float64(i) / capture.SampleRate) }
	for i := range sound {
		sound[i] = float32(0.4*tone(500, i) + 0.4*tone(3000, i))
	}
	// All frames, up to 1500 Hz: the lower tone.
	hideTile(fourier.NewFFT(soundFrame), sound, 0, frames(len(sound)), 0, 48)
	for i := soundFrame; i < len(sound)-soundFrame; i++ { // where the sound breaks off it has all frequencies
		if d := float64(sound[i]) - 0.4*tone(3000, i); math.Abs(d) > 0.02 {
			t.Fatalf("sample %d is off by %.3f", i, d)
		}
	}
}

type failing struct {
	knower
	after int
}

func (f *failing) Recognize(ctx context.Context, ws []*pipeline.Window) ([]pipeline.Prediction, error) {
	if f.after--; f.after < 0 {
		return nil, errBroken
	}
	return f.knower.Recognize(ctx, ws)
}

var errBroken = errors.New("broken")

func TestErrorsOfTheNetworkEndIt(t *testing.T) {
	for after := range 8 {
		if _, err := Window(t.Context(), &failing{after: after}, known()); !errors.Is(err, errBroken) {
			t.Errorf("after %d calls: %v", after, err)
		}
	}
}

// Of each subject the surest window is kept, of those that are full and have most senses, or the one nearest to a time.
func TestKeeper(t *testing.T) {
	window := func(subject int, start time.Duration, bright, sound bool) *pipeline.Window {
		w := known()
		w.Subject, w.Start, w.End, w.AudioPresent = subject, start, start+spec.Window, sound
		if !bright {
			clear(w.Video)
		}
		return w
	}
	all := []*pipeline.Window{
		window(1, 0, true, false), window(1, 1*time.Second, false, true), window(2, 1*time.Second, true, true),
		window(1, 2*time.Second, true, true), window(1, 3*time.Second, false, true),
	}
	all[1].Covered = time.Second
	k := NewKeeper(&knower{}, nil)
	if _, err := k.Recognize(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	starts := func(k *Keeper) (s []time.Duration) {
		for _, w := range k.Windows() {
			s = append(s, w.Start)
		}
		return s
	}
	// Without the square it is surer, of "neutral", by 0.95 to 0.95: the first of the two stays.
	if got := starts(k); len(got) != 2 || got[0] != 2*time.Second || got[1] != time.Second {
		t.Errorf("kept %v", got)
	}
	at := 4280 * time.Millisecond // the middle of the last
	k = NewKeeper(&knower{}, &at)
	if _, err := k.Recognize(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	// The second is not there then.
	if got := starts(k); len(got) != 1 || got[0] != 3*time.Second {
		t.Errorf("kept %v", got)
	}
	// Of a clip that never fills a window the fullest is kept, not the surest.
	half, more := window(3, 0, true, true), window(3, time.Second, true, true)
	half.Covered, more.Covered = time.Second, 2*time.Second
	clear(more.Video[:(brightY+brightSide/2)*48]) // it is not sure of this one
	partial := NewKeeper(&knower{}, nil)
	if _, err := partial.Recognize(t.Context(), []*pipeline.Window{more, half}); err != nil {
		t.Fatal(err)
	}
	if got := starts(partial); got[0] != time.Second {
		t.Errorf("kept %v", got)
	}
	clear(all[4].Audio)
	if k.Windows()[0].Audio[100] == 0 {
		t.Error("what is kept shares its sound with the pipeline")
	}
}
