package pipeline

import (
	"context"
	"math"
	"testing"
	"time"

	"tandem/capture"
)

// constantOdds are odds that are the same in all slots of a part, by face.
func constantOdds(slots int, parts ...[]float64) [][]float64 {
	odds := make([][]float64, len(parts[0]))
	for i := range odds {
		for t := range slots {
			odds[i] = append(odds[i], parts[t*len(parts)/slots][i])
		}
	}
	return odds
}

func TestSpeakerPosterior(t *testing.T) {
	const slots = 40
	for name, c := range map[string]struct {
		odds  [][]float64
		first int // who speaks at the beginning, -1: no one alone
		last  int
	}{
		"one of two":           {constantOdds(slots, []float64{0.5, -0.5}), 0, 0},
		"the other":            {constantOdds(slots, []float64{-0.5, 0.5}), 1, 1},
		"neither":              {constantOdds(slots, []float64{-0.5, -0.5}), -1, -1},
		"nobody can tell":      {constantOdds(slots, []float64{0, 0}), -1, -1},
		"both alike":           {constantOdds(slots, []float64{0.6, 0.6}), -1, -1},
		"a change of turn":     {constantOdds(slots, []float64{0.7, -0.7}, []float64{-0.7, 0.7}), 0, 1},
		"one, then one unseen": {constantOdds(slots, []float64{0.7, -0.7}, []float64{-0.7, -0.7}), 0, -1},
		"the third of three":   {constantOdds(slots, []float64{-0.5, -0.5, 0.5}), 2, 2},
		"alone and speaking":   {constantOdds(slots, []float64{0.5}), 0, 0},
		"alone and silent":     {constantOdds(slots, []float64{-0.5}), -1, -1},
		"twenty faces": {
			constantOdds(slots, append([]float64{1}, make([]float64, 19)...)), 0, 0,
		},
		"odds out of reason": {constantOdds(slots, []float64{1e9, -1e9}), 0, 0},
	} {
		p := SpeakerPosterior(c.odds)
		if len(p) != len(c.odds) {
			t.Fatalf("%s: %d answers", name, len(p))
		}
		who := func(slot int) int {
			sum, found := 0.0, -1
			for i := range p {
				if v := p[i][slot]; !(v >= 0 && v <= 1) {
					t.Errorf("%s: a probability of %v", name, v)
				} else if v >= SpeakerCertain {
					found = i
				}
				sum += p[i][slot]
			}
			if sum > 1+1e-9 {
				t.Errorf("%s: probabilities sum to %v", name, sum)
			}
			return found
		}
		if first, last := who(2), who(slots-3); first != c.first || last != c.last {
			t.Errorf("%s: %d at the beginning and %d at the end, want %d and %d", name, first, last, c.first, c.last)
		}
	}
	if SpeakerPosterior(nil) != nil {
		t.Error("an answer for no face")
	}
}

// One slot that says the contrary does not end a turn.
func TestSpeakerPosteriorBridgesASlot(t *testing.T) {
	odds := constantOdds(40, []float64{0.8, -0.8})
	odds[0][20], odds[1][20] = -2, 2
	if p := SpeakerPosterior(odds); p[0][20] < SpeakerCertain {
		t.Errorf("the speaker has %.2f in the slot that contradicts", p[0][20])
	}
}

var testMouths = MouthSpec{Every: 64 * time.Millisecond, Size: 8, Margin: 1.6, Slots: 40}

// brightSpeaker takes a face for the speaker where its mouth is brighter than grey.
type brightSpeaker struct {
	asked, faces int
	read, again  int // mouths that it read, and that it knew from windows before
}

func (*brightSpeaker) Mouths() MouthSpec { return testMouths }

func (b *brightSpeaker) Speaking(_ context.Context, sound []float32, faces []Lips) ([][]float64, error) {
	b.asked++
	b.faces = len(faces)
	if len(sound) != testMouths.Slots*1024 {
		return nil, context.Canceled
	}
	out := make([][]float64, len(faces))
	for i, f := range faces {
		out[i] = make([]float64, testMouths.Slots)
		for t, there := range f.There {
			if there {
				if f.Caches[t].Load() == nil {
					f.Caches[t].Store(b.asked)
					b.read++
				} else {
					b.again++
				}
			}
			switch bright := f.Pixels[t*64+36] > 128; {
			case there && bright:
				out[i][t] = 1
			case there:
				out[i][t] = -1
			}
		}
	}
	return out, nil
}

// sides finds a face in the left half of each picture, one in the right half, or both.
type sides struct{ left, right bool }

func (s sides) FindFaces(context.Context, *capture.Frame, int) (faces []Face, err error) {
	face := func(x float64) Face {
		return Face{
			X: x, Y: 4, W: 24, H: 24, Score: 0.9, LeftEye: Point{x + 6, 12}, RightEye: Point{x + 18, 12},
			Nose: Point{x + 12, 16}, Mouth: Point{x + 12, 22},
		}
	}
	if s.left {
		faces = append(faces, face(4))
	}
	if s.right {
		faces = append(faces, face(36))
	}
	return faces, nil
}

// dialogue is a video of two faces, whose halves are bright while they speak: the left one in the first half of it.
func dialogue(length time.Duration, fps int) *fakeSource {
	src := &fakeSource{info: capture.Info{Name: "dialogue", HasVideo: true, HasAudio: true, FPS: float64(fps)}}
	const samples = capture.SampleRate / 10
	next := 0
	for at := time.Duration(0); at < length; at += 100 * time.Millisecond {
		m := capture.Media{Samples: &capture.Samples{Time: at, Data: make([]float32, samples)}}
		for i := range m.Samples.Data {
			m.Samples.Data[i] = 0.3 * sampleValue(int64(next+i))
		}
		next += samples
		src.items = append(src.items, m)
		for k := range fps {
			t := time.Duration(k) * time.Second / time.Duration(fps)
			if f := at.Truncate(time.Second) + t; f >= at && f < at+100*time.Millisecond {
				pix := make([]byte, 3*64*32)
				for i := range pix {
					if left := i/3%64 < 32; left == (f < length/2) {
						pix[i] = 255
					}
				}
				frame := &capture.Frame{Time: f, Width: 64, Height: 32, Pix: pix}
				src.items = append(src.items, capture.Media{Frame: frame})
			}
		}
	}
	return src
}

// cutWindows returns the windows of a source.
func cutWindows(t *testing.T, src capture.Source, finder FaceFinder, o Options) (ws []*Window) {
	t.Helper()
	err := Cut(t.Context(), src, finder, testSpec, o, func(w *Window) error {
		ws = append(ws, w)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ws
}

// heardShare is which share of a window's second and first half has sound.
func heardShare(w *Window) (first, second float64) {
	half := len(w.Audio) / 2
	share := func(x []float32) float64 {
		n := 0
		for _, v := range x {
			if v != 0 {
				n++
			}
		}
		return float64(n) / float64(len(x))
	}
	return share(w.Audio[:half]), share(w.Audio[half:])
}

func TestVoiceGoesToWhoSpeaks(t *testing.T) {
	speaker := new(brightSpeaker)
	ws := cutWindows(t, dialogue(8*time.Second, 25), sides{true, true}, Options{Faces: 2, Speaker: speaker})
	if speaker.asked == 0 {
		t.Fatal("nobody was asked who speaks")
	}
	// Each mouth is given in about ten windows, with a cache that they share.
	if mouths := 2 * int(8*time.Second/testMouths.Every); speaker.read > mouths || speaker.again < 4*speaker.read {
		t.Errorf("of %d mouths %d were new, and %d known", mouths, speaker.read, speaker.again)
	}
	seen := map[int]bool{}
	for _, w := range ws {
		if w.Speaking == nil {
			t.Fatalf("%v: subject %d has no answer", w.End, w.Subject)
		}
		left := w.Face.X < 20
		speaks := left == (w.End < 4*time.Second)
		if d := (w.End - 4*time.Second).Abs(); d > 700*time.Millisecond && (*w.Speaking > 0.5) != speaks {
			t.Errorf("%v: subject %d speaks with %.2f, and is the left one: %v", w.End, w.Subject, *w.Speaking, left)
		}
		first, second := heardShare(w)
		// Both speak in it, one after the other.
		if w.Start < 3400*time.Millisecond && w.End > 4600*time.Millisecond && w.AudioPresent {
			seen[w.Subject] = true
			if left && first < second-0.05 || !left && second < first-0.05 {
				t.Errorf("%v: subject %d hears %.2f of the first half and %.2f of the second", w.End, w.Subject, first,
					second)
			}
			if first+second > 1.95 {
				t.Errorf("%v: subject %d hears all of a window in which two speak", w.End, w.Subject)
			}
		}
		if w.End < 3*time.Second && w.AudioPresent != left {
			t.Errorf("%v: subject %d has a voice: %v", w.End, w.Subject, w.AudioPresent)
		}
	}
	if len(seen) != 2 {
		t.Errorf("around the change of turn %d subjects had a voice", len(seen))
	}
}

// A face that is not followed may be who speaks.
func TestVoiceOfABystander(t *testing.T) {
	ws := cutWindows(t, dialogue(6*time.Second, 25), sides{true, true}, Options{Speaker: new(brightSpeaker)})
	for _, w := range ws {
		if left := w.Face.X < 20; w.End < 2800*time.Millisecond && w.AudioPresent != left {
			t.Errorf("%v: the face at %v has a voice: %v", w.End, w.Face.X, w.AudioPresent)
		}
	}
}

func TestSpeakerOfOneFace(t *testing.T) {
	for _, c := range []struct {
		always, right bool // the right face speaks in the second half only
	}{{false, false}, {true, false}, {false, true}, {true, true}} {
		speaker := new(brightSpeaker)
		ws := cutWindows(t, dialogue(6*time.Second, 25), sides{!c.right, c.right},
			Options{Speaker: speaker, SpeakerAlways: c.always})
		if (speaker.asked > 0) != c.always {
			t.Errorf("always %v: asked %d times", c.always, speaker.asked)
		}
		if w := ws[0]; w.AudioPresent != (!c.always || !c.right) || (w.Speaking != nil) != c.always {
			t.Errorf("%+v: the first window has a voice: %v, speaking %v", c, w.AudioPresent, w.Speaking)
		}
	}
}

// At two pictures a second there is nothing to read from lips.
func TestSpeakerOfFewPictures(t *testing.T) {
	speaker := new(brightSpeaker)
	ws := cutWindows(t, dialogue(6*time.Second, 2), sides{true, true}, Options{Faces: 2, Speaker: speaker})
	for _, w := range ws {
		if w.Speaking != nil || w.AudioPresent {
			t.Fatalf("%v: subject %d: %v, and a voice: %v", w.End, w.Subject, w.Speaking, w.AudioPresent)
		}
	}
	if speaker.asked > 0 {
		t.Errorf("asked %d times", speaker.asked)
	}
}

// The sound that the network is given is that of its slots.
func TestSlotSound(t *testing.T) {
	audio := make([]float32, 3000)
	for i := range audio {
		audio[i] = float32(i + 1)
	}
	spec := MouthSpec{Every: 64 * time.Millisecond, Size: 8, Margin: 1, Slots: 4}
	for _, c := range []struct {
		from, first int64
		at          int // a sample of the answer
		want        float32
	}{
		{0, 1, 0, 1},
		{0, 1, 2999, 3000},
		{0, 1, 3000, 0},
		{0, 2, 0, 1025},
		{500, 1, 499, 0},
		{500, 1, 500, 1},
		{0, 100, 0, 0},
		{1 << 20, 1, 4095, 0},
	} {
		got := slotSound(audio, c.from, c.first, spec)
		if len(got) != 4096 || got[c.at] != c.want {
			t.Errorf("from %d, slot %d: sample %d is %v, want %v", c.from, c.first, c.at, got[c.at], c.want)
		}
	}
}

func TestCropMouthShowsTheMouth(t *testing.T) {
	const w, h = 200, 200
	pix := make([]byte, 3*w*h)
	for y := 118; y < 126; y++ { // a bright mouth below two eyes
		for x := 85; x < 115; x++ {
			for c := range 3 {
				pix[3*(y*w+x)+c] = 255
			}
		}
	}
	face := Face{
		X: 50, Y: 40, W: 100, H: 100, LeftEye: Point{80, 72}, RightEye: Point{120, 72}, Nose: Point{100, 95},
		Mouth: Point{100, 122},
	}
	spec := MouthSpec{Every: 64 * time.Millisecond, Size: 32, Margin: 1.6, Slots: 40}
	crop := CropMouth(&capture.Frame{Width: w, Height: h, Pix: pix}, face, spec)
	var sum, x, y float64
	for i, v := range crop {
		sum, x, y = sum+float64(v), x+float64(v)*float64(i%32), y+float64(v)*float64(i/32)
	}
	if x, y = x/sum, y/sum; math.Abs(x-15.5) > 0.6 || math.Abs(y-(0.5-mouthBelow)*32+0.5) > 0.6 {
		t.Errorf("the mouth is at %.1f, %.1f of the crop", x, y)
	}
	if CropMouth(&capture.Frame{}, face, spec) == nil || CropMouth(&capture.Frame{}, face, MouthSpec{}) != nil {
		t.Error("a picture without pixels, or a spec that is none")
	}
}

// Between two ticks a face moves evenly.
func TestMouthsFollowAMovingFace(t *testing.T) {
	at := func(x float64) []Tracked {
		return []Tracked{{0, Face{
			X: x, Y: 0, W: 20, H: 20, LeftEye: Point{x + 5, 8}, RightEye: Point{x + 15, 8}, Mouth: Point{x + 10, 16},
		}}}
	}
	// The picture is as bright as its column.
	pix := make([]byte, 3*128*32)
	for i := range pix {
		pix[i] = byte(i / 3 % 128)
	}
	f := &capture.Frame{Width: 128, Height: 32, Pix: pix}
	m := mouthTrack{spec: testMouths}
	m.add(&tick{time: 320 * time.Millisecond, frame: f}, at(10))
	next := &tick{time: 640 * time.Millisecond, frame: f}
	for slot := int64(6); slot <= 10; slot++ {
		next.mouths = append(next.mouths, mouthFrame{slot, f})
	}
	for i, k := range m.add(next, at(60)) {
		mean := 0.0
		for _, v := range k.Pixels {
			mean += float64(v) / float64(len(k.Pixels))
		}
		if want := 10 + 10*float64(i+1) + 10; math.Abs(mean-want) > 1 {
			t.Errorf("slot %d: the mouth is at %.1f, want %.1f", k.Slot, mean, want)
		}
	}
}
