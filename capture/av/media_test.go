package av_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write makes a file of the test pattern and returns its path.
func write(t testing.TB, name string, p capture.PatternOptions, o av.WriterOptions) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	capturetest.WritePattern(t, path, p, o)
	return path
}

// media is all of an input.
type media struct {
	info   av.Info
	stats  av.Stats
	frames []*av.Frame
	sound  []*av.Samples
	err    error // why it ended, nil for io.EOF
}

func read(t testing.TB, path string, o av.Options) media {
	t.Helper()
	in, err := av.Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	return readAll(t.Context(), in)
}

func readAll(ctx context.Context, in *av.Input) media {
	m := media{info: in.Info()}
	for {
		item, err := in.Read(ctx)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				m.err = err
			}
			m.stats = in.Stats()
			return m
		}
		if item.Frame != nil {
			m.frames = append(m.frames, item.Frame)
		} else {
			m.sound = append(m.sound, item.Samples)
		}
	}
}

// wave lays the sound out from media time 0.
func (m media) wave() []float32 {
	var out []float32
	for _, s := range m.sound {
		at := int((s.Time*av.SampleRate + time.Second/2) / time.Second)
		for len(out) < at+len(s.Data) {
			out = append(out, 0)
		}
		copy(out[at:], s.Data)
	}
	return out
}

// ordered fails the test unless time never goes back and sound does not overlap.
func (m media) ordered(t *testing.T) {
	t.Helper()
	for i := 1; i < len(m.frames); i++ {
		if m.frames[i].Time < m.frames[i-1].Time {
			t.Fatalf("picture %d is at %v, after %v", i, m.frames[i].Time, m.frames[i-1].Time)
		}
	}
	for i := 1; i < len(m.sound); i++ {
		end := m.sound[i-1].Time + time.Duration(len(m.sound[i-1].Data))*time.Second/av.SampleRate
		if m.sound[i].Time < end-time.Second/av.SampleRate {
			t.Fatalf("sound %d is at %v, before the end of the last at %v", i, m.sound[i].Time, end)
		}
	}
}

// flashes are the times of the first picture of each flash.
func (m media) flashes() []time.Duration {
	var out []time.Duration
	was := false
	for _, f := range m.frames {
		is := capturetest.FlashLevel(&capture.Frame{Width: f.Width, Height: f.Height, Pix: f.Pix}) > 0.5
		if is && !was {
			out = append(out, f.Time)
		}
		was = is
	}
	return out
}

// beeps are the times at which beeps start, to about 2 ms.
func (m media) beeps() []time.Duration {
	const window, hop = 80, 8
	var levels []float64
	wave := m.wave()
	for i := 0; i+window <= len(wave); i += hop {
		levels = append(levels, capturetest.BeepLevel(wave[i:i+window]))
	}
	if len(levels) == 0 {
		return nil
	}
	loud := slices.Max(levels)
	var out []time.Duration
	was := false
	for i, level := range levels {
		is := loud > 0.1 && level > 0.45*loud
		if is && !was {
			out = append(out, time.Duration(i*hop+window/2)*time.Second/av.SampleRate)
		}
		was = is
	}
	return out
}

func near(a, b, within time.Duration) bool { return max(a-b, b-a) <= within }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
