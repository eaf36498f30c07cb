package infer_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"tandem/capture"
	"tandem/pipeline"
)

// BenchmarkFaces measures finding and following faces, and cutting their crops, on one thread for a second of video of
// 640x480: with nobody in it, one near face, one far, and four of which all are followed.
func BenchmarkFaces(b *testing.B) {
	f := newFaceFinder(b)
	drawn := drawnFace(b)
	found, err := f.FindFaces(b.Context(), drawn, 1)
	if err != nil || len(found) != 1 {
		b.Fatal(found, err)
	}
	scene := func(places ...placed) []*capture.Frame {
		wall := room(rand.New(rand.NewPCG(4, 4)), 640, 480)
		var frames []*capture.Frame
		for i := range 8 {
			frame := copied(wall)
			for _, p := range places {
				p.x += 0.1 * p.size * math.Sin(2*math.Pi*float64(i)/8)
				p.into(frame, drawn, found[0].W, middleOf(found[0]))
			}
			frames = append(frames, frame)
		}
		return frames
	}
	for _, c := range []struct {
		name   string
		faces  int // to follow
		places []placed
	}{
		{"none", 1, nil},
		{"one near", 1, []placed{{320, 240, 200}}},
		{"one far", 1, []placed{{320, 200, 26}}},
		{"one of two", 2, []placed{{320, 240, 200}}},
		{"four", 4, []placed{{120, 240, 110}, {300, 120, 34}, {420, 330, 60}, {560, 130, 26}}},
	} {
		frames := scene(c.places...)
		b.Run(c.name, func(b *testing.B) {
			const ticks = 94 // 30 s
			for b.Loop() {
				src := &clip{width: 640, height: 480, n: ticks, picture: func(i int) *capture.Frame {
					return frames[i%len(frames)]
				}}
				err := pipeline.Cut(b.Context(), src, f, faceSpec, pipeline.Options{Faces: c.faces},
					func(*pipeline.Window) error { return nil })
				if err != nil {
					b.Fatal(err)
				}
			}
			seconds := float64(b.N) * ticks * faceSpec.FaceTick().Seconds()
			b.ReportMetric(b.Elapsed().Seconds()*1000/seconds, "ms/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkFollowFaces is one look at a face that is followed, near and far.
func BenchmarkFollowFaces(b *testing.B) {
	f := newFaceFinder(b)
	frame := room(rand.New(rand.NewPCG(4, 4)), 640, 480)
	for _, size := range []float64{200, 26} {
		expected := []pipeline.Face{{X: 320 - size/2, Y: 240 - size/2, W: size, H: size}}
		b.Run(fmt.Sprintf("%.0f_pixels", size), func(b *testing.B) {
			for b.Loop() {
				if _, err := f.FollowFaces(b.Context(), frame, expected); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
