package av_test

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
)

// resident is the memory of this process in bytes.
func resident(t testing.TB) int {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc here")
	}
	pages, _ := strconv.Atoi(strings.Fields(string(b))[1])
	return pages * os.Getpagesize()
}

// Opening, reading in part and closing leaves neither memory nor descriptors behind, for good input and bad.
func TestLeaks(t *testing.T) {
	good := write(t, "a.mp4", capture.PatternOptions{Width: 160, Height: 120, Duration: time.Second},
		av.WriterOptions{})
	whole := load(t, good)
	inputs := []string{good, save(t, "cut.mp4", whole[:len(whole)/2]), save(t, "zeros.mp4", make([]byte, 4096))}
	packets := packets(t, good)[av.H264]
	out := filepath.Join(t.TempDir(), "out.webm")
	round := func() {
		for _, path := range inputs {
			in, err := av.Open(t.Context(), path, av.Options{})
			if err != nil {
				continue
			}
			for range 12 {
				in.Read(t.Context())
			}
			in.Close()
		}
		d, err := av.NewPacketDecoder(av.H264, av.PacketOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range packets[:min(4, len(packets))] {
			d.Decode(p.Payload, p.Time)
		}
		d.Close()
	}
	write := func() {
		w, err := av.Create(out, av.WriterOptions{Width: 64, Height: 48, Audio: true})
		if err != nil {
			t.Fatal(err)
		}
		w.WriteFrame(&av.Frame{Width: 64, Height: 48, Pix: make([]byte, 3*64*48)})
		w.WriteSamples(&av.Samples{Data: make([]float32, 5000)})
		w.Abort()
	}
	count := func() int {
		fds, _ := os.ReadDir("/proc/self/fd")
		return len(fds)
	}
	for range 50 {
		round()
		write()
	}
	debug.FreeOSMemory()
	before, fds := resident(t), count()
	for i := range 200 {
		round()
		if i%4 == 0 {
			write()
		}
	}
	debug.FreeOSMemory()
	after := resident(t)
	t.Logf("%d KB before, %d KB after", before>>10, after>>10)
	if grown := after - before; grown > 8<<20 { // 200 leaked decoders of this size would be some 100 MB
		t.Errorf("grew by %d KB", grown>>10)
	}
	if now := count(); now > fds {
		t.Errorf("%d descriptors, %d before", now, fds)
	}
}
