//go:build linux

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
	"tandem/infer"
)

// BenchmarkConversation tells the CPU time of a second of 640x480 at 30 a second as a process of its own, with one, two
// and four faces that are all followed, recognised and asked who speaks; in turns. What a process costs at its start is
// left out, as in BenchmarkLength.
func BenchmarkConversation(b *testing.B) {
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	if err := infer.Init(); err != nil {
		b.Skip(err)
	}
	instant := benchInstant(b)
	model := filepath.Join(b.TempDir(), "model.onnx")
	if err := os.WriteFile(model, infer.DefaultModel(), 0o600); err != nil {
		b.Fatal(err)
	}
	faces := []int{1, 2, 4}
	var scenes []string
	for _, n := range faces {
		scenes = append(scenes, benchScene(b, n))
	}
	s := samples{}
	for b.Loop() {
		for range rounds {
			start := runProcess(b, model, instant)
			for i, n := range faces {
				p := runProcess(b, model, scenes[i], "--faces", strconv.Itoa(n))
				s.cpu(fmt.Sprintf("%d-faces", n), p.cpu-start.cpu, analyzeSeconds)
			}
			off := runProcess(b, model, scenes[1], "--faces", "2", "--speaker", "off")
			s.cpu("2-faces-unasked", off.cpu-start.cpu, analyzeSeconds)
		}
	}
	for _, n := range faces[1:] {
		s.add(fmt.Sprintf("%d/1-faces", n), s.median(fmt.Sprintf("%d-faces-cpu-ms/s", n))/s.median("1-faces-cpu-ms/s"))
	}
	s.report(b)
}

// benchScene is the clip of benchClip with 1, 2 or 4 faces.
func benchScene(b *testing.B, faces int) string {
	b.Helper()
	if faces == 1 {
		return benchClip(b, analyzeSeconds)
	}
	pattern := capture.PatternOptions{
		FPS: 30, Move: true, Faces: faces, Duration: analyzeSeconds * time.Second,
	}
	if faces == 2 {
		return benchFile(b, "2faces.webm", func(path string) error {
			capturetest.WritePattern(b, path, pattern, av.WriterOptions{SampleRate: 48000})
			return nil
		})
	}
	two := benchScene(b, 2)
	return benchFile(b, "4faces.webm", func(path string) error {
		// Two rows of two faces: those of the second look the other way.
		return benchFFmpeg(b, "-i", two, "-filter_complex",
			"[0:v]crop=640:240:0:120,split[a][b];[b]hflip[c];[a][c]vstack[v]", "-map", "[v]", "-map", "0:a",
			"-c:a", "copy", "-c:v", "libvpx", "-deadline", "realtime", "-b:v", "1M", path)
	})
}
