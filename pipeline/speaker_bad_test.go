package pipeline

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/capture"
)

// It is counted how often lips could not be read: always at two pictures a second, and hardly ever at 25.
func TestUnreadLipsAreCounted(t *testing.T) {
	for fps, always := range map[int]bool{2: true, 25: false} {
		_, stats := runAll(t, dialogue(6*time.Second, fps), sides{true, true}, newRec(),
			Options{Faces: 2, Speaker: new(brightSpeaker)})
		if stats.Asked < 10 || (stats.Unread == stats.Asked) != always || !always && stats.Unread > 2 {
			t.Errorf("%d pictures a second: asked %d times, of which unread %d", fps, stats.Asked, stats.Unread)
		}
	}
}

// Before the sound begins nobody speaks; from then on the voice is the speaker's, and its slots are not shifted.
func TestSpeakerOfSoundThatBeginsLate(t *testing.T) {
	const begins = 3 * time.Second
	src := dialogue(10*time.Second, 25) // the left one speaks up to 5 s
	src.items = slices.DeleteFunc(src.items, func(m capture.Media) bool {
		return m.Samples != nil && m.Samples.Time < begins
	})
	right := 0
	for _, w := range cutWindows(t, src, sides{true, true}, Options{Faces: 2, Speaker: new(brightSpeaker)}) {
		left := w.Face.X < 20
		switch {
		case w.Speaking == nil:
			t.Errorf("%v: it was not asked", w.End)
		case w.End <= begins && (*w.Speaking > 0 || w.AudioPresent || w.Voice):
			t.Errorf("%v: subject %d speaks with %.2f in silence", w.End, w.Subject, *w.Speaking)
		case w.End > begins+LeastCovered && w.End < 5*time.Second:
			if right++; w.AudioPresent != left || (*w.Speaking > 0.5) != left || !w.Voice {
				t.Errorf("%v: the left one: %v, speaking %.2f, with a voice: %v", w.End, left, *w.Speaking,
					w.AudioPresent)
			}
		case w.AudioPresent && w.Start < begins:
			before := w.Audio[:sampleAt(begins-w.Start)]
			if slices.ContainsFunc(before, func(v float32) bool { return v != 0 }) {
				t.Errorf("%v: there is sound before it begins", w.End)
			}
		}
	}
	if right < 10 {
		t.Errorf("%d windows in which the left one alone speaks", right)
	}
}

// faceless gives the left one of two faces points that are of no use.
type faceless struct {
	sides
	point Point
}

func (f faceless) FindFaces(ctx context.Context, frame *capture.Frame, limit int) ([]Face, error) {
	faces, err := f.sides.FindFaces(ctx, frame, limit)
	if len(faces) > 0 {
		faces[0].Mouth, faces[0].LeftEye, faces[0].RightEye = f.point, f.point, f.point
	}
	return faces, err
}

// A face whose mouth is nowhere breaks nothing: mouths are then cut by its box, and the other is judged as ever.
func TestSpeakerOfAFaceWithoutAMouth(t *testing.T) {
	for _, p := range []Point{{}, {math.NaN(), 1}, {math.Inf(1), 0}, {-1e300, 1e300}, {5000, 5000}} {
		speaker := new(brightSpeaker)
		ws := cutWindows(t, dialogue(8*time.Second, 25), faceless{sides{true, true}, p},
			Options{Faces: 2, Speaker: speaker})
		if speaker.asked == 0 {
			t.Errorf("%v: nobody was asked", p)
		}
		for _, w := range ws {
			if w.Speaking != nil && !(*w.Speaking >= 0 && *w.Speaking <= 1) {
				t.Errorf("%v: speaking is %v", p, *w.Speaking)
			}
			if w.Face != nil && w.Face.X > 20 && w.End > 7*time.Second && !w.AudioPresent {
				t.Errorf("%v: at %v the right one, which speaks, has no voice", p, w.End)
			}
		}
	}
}

// badSpeaker gives an answer whatever it is asked.
type badSpeaker struct {
	odds [][]float64
	err  error
}

func (badSpeaker) Mouths() MouthSpec { return testMouths }

func (b badSpeaker) Speaking(context.Context, []float32, []Lips) ([][]float64, error) {
	return b.odds, b.err
}

// A detector that breaks its contract ends the run with an error that names it, and no answer is made of it.
func TestSpeakerDetectorBreaksItsContract(t *testing.T) {
	row := make([]float64, testMouths.Slots)
	nan := slices.Clone(row)
	nan[7] = math.NaN()
	broken := errors.New("broken")
	for want, b := range map[string]badSpeaker{
		"1 answers for 2 faces":   {odds: [][]float64{row}},
		"39 numbers for 40 slots": {odds: [][]float64{row, row[1:]}},
		"gave NaN: its model may": {odds: [][]float64{row, nan}},
		"who speaks at":           {err: broken},
	} {
		err := Cut(t.Context(), dialogue(4*time.Second, 25), sides{true, true}, testSpec,
			Options{Faces: 2, Speaker: b}, func(*Window) error { return nil })
		if err == nil || !strings.Contains(err.Error(), want) || b.err != nil && !errors.Is(err, broken) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	// What is beyond all bounds is bounded.
	for _, v := range []float64{math.Inf(1), math.Inf(-1), 1e300} {
		for _, p := range SpeakerPosterior([][]float64{{v, v, v}, {0, 0, 0}})[0] {
			if !(p >= 0 && p <= 1) {
				t.Errorf("odds of %v give %v", v, p)
			}
		}
	}
}
