package pipeline

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"tandem/capture"
)

// stream makes a long recording on the fly. All pictures share their pixels.
func stream(length time.Duration, video, audio bool) *fakeSource {
	t, turn := time.Duration(0), 0
	pix := make([]byte, 3*320*240)
	src := &fakeSource{info: fileInfo(video, audio)}
	src.next = func() (capture.Media, bool) {
		for t < length {
			turn++
			if turn%2 == 1 {
				if video {
					return capture.Media{Frame: &capture.Frame{Time: t, Width: 320, Height: 240, Pix: pix}}, true
				}
				continue
			}
			s := sound(t, 640)
			t += 40 * time.Millisecond
			if audio {
				return s, true
			}
		}
		return capture.Media{}, false
	}
	return src
}

// Memory does not grow with the input, whichever modalities it has and announces.
func TestMemoryIsFlat(t *testing.T) {
	for _, has := range [][2]bool{{true, true}, {true, false}, {false, true}} {
		t.Run(fmt.Sprintf("video %v audio %v", has[0], has[1]), func(t *testing.T) {
			src := stream(8*time.Minute, has[0], has[1])
			src.info.HasAudio, src.info.HasVideo = true, true
			// Windows on their way come and go, some megabytes of them, so what counts is the most of several looks;
			// keeping the media would add at least 15 MB between the two halves.
			var early, late uint64
			n := 0
			var m runtime.MemStats
			err := Cut(t.Context(), src, oneFace, testSpec, Options{}, func(w *Window) error {
				if n++; n >= 200 && n%50 == 0 {
					runtime.GC()
					runtime.ReadMemStats(&m)
					if n < 900 {
						early = max(early, m.HeapAlloc)
					} else if n > 1200 {
						late = max(late, m.HeapAlloc)
					}
				}
				return nil
			})
			if err != nil || n != 1+int((8*time.Minute-testSpec.Window)/testSpec.Hop) {
				t.Fatalf("%d windows, %v", n, err)
			}
			if late > early+8<<20 {
				t.Errorf("the heap grew from %d to %d bytes", early, late)
			}
		})
	}
}

func BenchmarkAlignSecond(b *testing.B) {
	a := newAligner(b.Context(), testSpec, fileInfo(true, true), Options{}.filled(testSpec),
		func(step) error { return nil })
	pix := make([]byte, 3*640*480)
	x := make([]float32, 320)
	t := time.Duration(0)
	b.ReportAllocs()
	for b.Loop() {
		for range 50 {
			if t%(40*time.Millisecond) == 0 {
				_ = a.add(capture.Media{Frame: &capture.Frame{Time: t, Width: 640, Height: 480, Pix: pix}})
			}
			_ = a.add(capture.Media{Samples: &capture.Samples{Time: t, Data: x}})
			t += 20 * time.Millisecond
		}
	}
}
