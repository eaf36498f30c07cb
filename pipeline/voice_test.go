package pipeline

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/capture"
)

// fakeVoice hears a voice in pieces by the probabilities that of returns, and notes what it was given.
type fakeVoice struct {
	of     func(piece int) float64
	err    error
	heard  []float32
	resets int
}

func (f *fakeVoice) NewVoiceStream() VoiceStream { return f }
func (f *fakeVoice) Reset()                      { f.resets++ }

func (f *fakeVoice) Voice(_ context.Context, piece []float32) (float64, error) {
	n := len(f.heard) / VoicePiece
	f.heard = append(f.heard, piece...)
	return f.of(n), f.err
}

// voiced returns a fakeVoice that gives each of some probabilities in turn, and 0 after the last.
func voiced(ps ...float64) *fakeVoice {
	return &fakeVoice{of: func(piece int) float64 {
		if piece < len(ps) {
			return ps[piece]
		}
		return 0
	}}
}

func TestSoundWithoutAVoiceIsMasked(t *testing.T) {
	for _, c := range []struct {
		name string
		ps   []float64
		want bool
	}{
		{"none", nil, false},
		{"four pieces", []float64{0.6, 0.6, 0.6, 0.6}, true},
		{"three pieces", []float64{0.6, 0.6, 0.6}, false},
		{"one that fades", []float64{0.5, 0.35, 0.35, 0.35}, true},
		{"one that never begins", []float64{0.49, 0.49, 0.49, 0.49, 0.49}, false},
		{"one that ends too soon", []float64{0.9, 0.9, 0.34, 0.9, 0.9}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := cutAll(t, file(2600*time.Millisecond, false, true), nil, testSpec, Options{Voice: voiced(c.ps...)})[0]
			masked := !slices.ContainsFunc(w.Audio, func(v float32) bool { return v != 0 })
			if w.AudioPresent != c.want || masked == c.want {
				t.Errorf("audio %v, masked %v; want %v", w.AudioPresent, masked, c.want)
			}
		})
	}
}

// A voice counts in the windows that hold enough of it, and in no other; it is heard at the end of those whose last hop
// has some of it.
func TestVoiceCountsInItsWindows(t *testing.T) {
	// Pieces 100 to 111 are a voice: the samples from 51200 to 57344, 3.2 s to 3.584 s.
	voice := &fakeVoice{of: func(piece int) float64 {
		if piece >= 100 && piece < 112 {
			return 1
		}
		return 0
	}}
	ws := cutAll(t, file(7*time.Second, false, true), nil, testSpec, Options{Voice: voice})
	for _, w := range ws {
		want := w.Start <= 3456*time.Millisecond && w.End >= 3328*time.Millisecond
		if w.AudioPresent != want {
			t.Errorf("window %v to %v: audio %v, want %v", w.Start, w.End, w.AudioPresent, want)
		}
		if want = w.End == 3560*time.Millisecond; w.Voice != want {
			t.Errorf("window %v to %v: a voice at its end %v, want %v", w.Start, w.End, w.Voice, want)
		}
	}
	if len(ws) != 18 {
		t.Errorf("%d windows, want 18", len(ws))
	}
}

// Each sample is listened to once, filtered, in order; a hole in time begins anew, without the piece that it broke off.
func TestVoiceHearsEachSampleOnce(t *testing.T) {
	voice := voiced()
	items := []capture.Media{
		sound(0, 1300), sound(timeOf(1300), 10), sound(timeOf(1310), 20000), sound(3*time.Second, 60000),
	}
	cuts := 0
	for _, w := range cutAll(t, &fakeSource{info: fileInfo(false, true), items: items}, nil, testSpec,
		Options{Voice: voice}) {
		cuts++
		if w.AudioPresent {
			t.Errorf("window %v has a voice", w.End)
		}
	}
	before := highPassed(sound(0, 21310))[:21310/VoicePiece*VoicePiece]
	after := highPassed(sound(3*time.Second, 60000))[:60000/VoicePiece*VoicePiece]
	if !slices.Equal(voice.heard, slices.Concat(before, after)) {
		t.Errorf("it heard %d samples, want %d, or others", len(voice.heard), len(before)+len(after))
	}
	if voice.resets != 1 || cuts == 0 {
		t.Errorf("%d resets in %d windows, want 1", voice.resets, cuts)
	}
}

func TestVoiceDetectorFails(t *testing.T) {
	broken := errors.New("broken")
	voice := voiced()
	voice.err = broken
	err := Cut(t.Context(), file(3*time.Second, false, true), nil, testSpec, Options{Voice: voice},
		func(*Window) error { return nil })
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "listening for voices") {
		t.Errorf("error %v", err)
	}
}
