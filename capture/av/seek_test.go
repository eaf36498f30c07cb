package av_test

import (
	"bytes"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
)

// Read from a time on, a file gives the same media at the same times as read from its start, and most of what lies
// before is not read.
func TestFrom(t *testing.T) {
	const from = 13 * time.Second
	for _, name := range []string{"a.mp4", "a.mkv", "a.webm", "a.avi", "a.flv", "a.mpg", "a.wav", "a.flac"} {
		t.Run(name, func(t *testing.T) {
			sound := name == "a.wav" || name == "a.flac"
			path := write(t, name,
				capture.PatternOptions{
					Width: 160, Height: 120, Duration: 18 * time.Second,
					NoVideo: sound,
				}, av.WriterOptions{})
			whole, part := read(t, path, av.Options{}), read(t, path, av.Options{From: from})
			part.ordered(t)
			if part.stats.Retimed != whole.stats.Retimed || part.err != nil {
				t.Errorf("%d times not believed, %d in the whole; %v", part.stats.Retimed, whole.stats.Retimed,
					part.err)
			}
			begin := time.Hour
			if !sound {
				begin = part.frames[0].Time
			}
			begin = min(begin, part.sound[0].Time)
			if begin > from || begin < from-4*time.Second {
				t.Errorf("it begins at %v", begin)
			}
			if first := part.sound[0].Time; first > from {
				t.Errorf("sound begins at %v", first)
			}
			i := 0
			for _, f := range whole.frames {
				if f.Time < from {
					continue
				}
				for i < len(part.frames) && part.frames[i].Time < f.Time {
					i++
				}
				if i == len(part.frames) || part.frames[i].Time != f.Time || !bytes.Equal(part.frames[i].Pix, f.Pix) {
					t.Fatalf("the picture at %v differs, or is not there", f.Time)
				}
			}
			// Sound that was followed from the start may lie up to 15 ms off the container's times, see seamless.
			var want, got []time.Duration
			for _, b := range whole.beeps() {
				if b >= from {
					want = append(want, b)
				}
			}
			for _, b := range part.beeps() {
				if b >= from-15*time.Millisecond {
					got = append(got, b)
				}
			}
			if len(got) != len(want) || len(got) < 4 {
				t.Fatalf("beeps at %v, in the whole at %v", got, want)
			}
			for i := range got {
				if !near(got[i], want[i], 16*time.Millisecond) {
					t.Errorf("beep at %v instead of %v", got[i], want[i])
				}
			}
		})
	}
}

// TestFromBehindTheEnd: nothing, or the end, but no error and no hang.
func TestFromBehindTheEnd(t *testing.T) {
	path := write(t, "a.mkv", capture.PatternOptions{Width: 160, Height: 120, Duration: 3 * time.Second},
		av.WriterOptions{})
	in, err := av.Open(t.Context(), path, av.Options{From: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if m := readAll(t.Context(), in); m.err != nil {
		t.Error(m.err)
	}
}
