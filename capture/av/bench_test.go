package av_test

import (
	"io"
	"syscall"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
)

// cpu returns the CPU time that this process has used so far.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDecode tells the CPU time that a second of 640 x 480 at 30 frames a second costs.
func BenchmarkDecode(b *testing.B) {
	const d = 5 * time.Second
	for _, file := range []string{"a.webm", "a.mp4"} {
		path := write(b, file, capture.PatternOptions{FPS: 30, Duration: d, Move: true}, av.WriterOptions{})
		for _, every := range []time.Duration{0, 160 * time.Millisecond} {
			b.Run(file+" every "+every.String(), func(b *testing.B) {
				start := cpu()
				for b.Loop() {
					in, err := av.Open(b.Context(), path, av.Options{MinFrameInterval: every})
					if err != nil {
						b.Fatal(err)
					}
					for err == nil {
						_, err = in.Read(b.Context())
					}
					in.Close()
					if err != io.EOF {
						b.Fatal(err)
					}
				}
				used := cpu() - start
				b.ReportMetric(used.Seconds()*1000/float64(b.N)/d.Seconds(), "cpu-ms/s")
			})
		}
	}
}
