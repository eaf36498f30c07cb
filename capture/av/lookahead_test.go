package av

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// What is left out is never due, whatever the order of decoding; of pictures that come as they are shown it
// keeps those only that are due.
func TestLookahead(t *testing.T) {
	for name, order := range map[string][]int{
		"as shown":         {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
		"three B pictures": {0, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11},
	} {
		for _, milliseconds := range []time.Duration{0, 30, 80, 320} {
			interval := milliseconds * time.Millisecond
			var want []time.Duration
			f := frameConverter{interval: interval}
			for i := range order {
				if at := time.Duration(i) * 33 * time.Millisecond; f.due(at) {
					f.shown, f.last = true, at
					want = append(want, at)
				}
			}
			c := frameConverter{interval: interval}
			var kept []time.Duration
			shown := 0
			for n, i := range order {
				if at := time.Duration(i) * 33 * time.Millisecond; c.needed(at) {
					kept = append(kept, at)
				}
				for slices.Contains(order[:n+1], shown) {
					at := time.Duration(shown) * 33 * time.Millisecond
					if slices.Contains(kept, at) && c.due(at) {
						c.shown, c.last = true, at
					}
					shown++
				}
			}
			slices.Sort(kept)
			if name == "as shown" && !slices.Equal(kept, want) {
				t.Errorf("%s, %v: kept %v, due are %v", name, interval, kept, want)
			}
			for _, at := range want {
				if !slices.Contains(kept, at) {
					t.Errorf("%s, %v: %v is due and left out", name, interval, at)
				}
			}
		}
	}
	c := frameConverter{interval: time.Second}
	for i := range 3 * maxComing {
		if !c.needed(time.Duration(-i) * time.Second) {
			t.Fatalf("the %dth picture of a clock that runs backwards is left out", i)
		}
	}
}

// Pictures that are not due and that no other needs are not decoded, and those that are handed out are the same.
func TestLeavesOutUnreferenced(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("skipped: no ffmpeg here")
	}
	path := filepath.Join(t.TempDir(), "b.mp4")
	b, err := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-f", "lavfi", "-i",
		"testsrc2=s=320x240:r=30:d=4", "-c:v", "libx264", "-bf", "3", "-pix_fmt", "yuv420p", path).CombinedOutput()
	if err != nil {
		t.Skipf("skipped: ffmpeg makes no H.264 here: %v %s", err, b)
	}
	all, decoded := pictures(t, path, 0)
	if decoded != len(all) || len(all) != 120 {
		t.Fatalf("%d of %d pictures of 120", len(all), decoded)
	}
	for _, interval := range []time.Duration{80 * time.Millisecond, 320 * time.Millisecond} {
		f := frameConverter{interval: interval}
		all := slices.DeleteFunc(slices.Clone(all), func(p *Frame) bool {
			due := f.due(p.Time)
			if due {
				f.shown, f.last = true, p.Time
			}
			return !due
		})
		few, decoded := pictures(t, path, interval)
		if len(few) != len(all) {
			t.Fatalf("every %v: %d pictures, want %d", interval, len(few), len(all))
		}
		for i, p := range few {
			if p.Time != all[i].Time || !bytes.Equal(p.Pix, all[i].Pix) {
				t.Fatalf("every %v: picture %d at %v differs from that at %v", interval, i, p.Time, all[i].Time)
			}
		}
		if decoded > 85 {
			t.Errorf("every %v: %d of 120 pictures were decoded", interval, decoded)
		}
		t.Logf("every %v: %d of 120 pictures decoded, %d handed out", interval, decoded, len(few))
	}
}

// pictures returns the pictures of a file, at least so far from each other, and how many were decoded.
func pictures(t *testing.T, path string, interval time.Duration) (out []*Frame, decoded int) {
	t.Helper()
	in, err := Open(t.Context(), path, Options{MinFrameInterval: interval})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for {
		m, err := in.Read(t.Context())
		if errors.Is(err, io.EOF) {
			return out, in.frames.decoded
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m.Frame)
	}
}
