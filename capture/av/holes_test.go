package av_test

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
)

// A pause of half a minute stays one in files whose header says how long they are, in sound as in pictures. Where there
// is no such header, as in a transport stream, or the file comes through a pipe, it is taken for a fault and closed.
func TestHolesStay(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("skipped: no ffmpeg here")
	}
	clip := write(t, "clip.mkv", capture.PatternOptions{Width: 160, Height: 120, Duration: 4 * time.Second},
		av.WriterOptions{})
	const late = `PTS+if(gte(T\,2)\,30/TB\,0)`
	for _, name := range []string{"hole.mp4", "hole.mkv", "hole.webm", "hole.mov", "hole.ts"} {
		path := filepath.Join(t.TempDir(), name)
		args := []string{
			"-v", "error", "-i", clip, "-vf", "setpts=" + late, "-af", "asetpts=" + late, "-fps_mode", "vfr",
		}
		if filepath.Ext(name) != ".webm" {
			args = append(args, "-c:v", "libx264", "-c:a", "aac")
		}
		if b, err := exec.Command("ffmpeg", append(args, path)...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", name, err, b)
		}
		m := read(t, path, av.Options{})
		want := 33 * time.Second
		if name == "hole.ts" {
			want = 3 * time.Second
		}
		if m.info.Timed != (name != "hole.ts") {
			t.Errorf("%s: %+v", name, m.info)
		}
		picture, sound := resumed(m)
		if !near(picture, want, 200*time.Millisecond) || !near(sound, want, 200*time.Millisecond) {
			t.Errorf("%s: pictures go on at %v, sound at %v, want %v", name, picture, sound, want)
		}
		if (m.stats.Retimed > 0) != (name == "hole.ts") {
			t.Errorf("%s: %d times not believed", name, m.stats.Retimed)
		}
	}
}

// A file at a server is as one here if the server has ranges, so that it can be sought in.
func TestHolesStayFromServers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lapse.mkv")
	writeLapse(t, path)
	files := http.FileServer(http.Dir(filepath.Dir(path)))
	for _, ranges := range []bool{true, false} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !ranges {
				r.Header.Del("Range")
				w = noRanges{w}
			}
			files.ServeHTTP(w, r)
		}))
		m := read(t, srv.URL+"/lapse.mkv", av.Options{})
		srv.Close()
		last := m.frames[len(m.frames)-1].Time
		if m.info.Timed != ranges || (last > 100*time.Second) != ranges {
			t.Errorf("ranges %v: the last picture at %v, %+v", ranges, last, m.info)
		}
	}
}

// noRanges hides that there are ranges.
type noRanges struct{ http.ResponseWriter }

func (w noRanges) WriteHeader(status int) {
	w.Header().Del("Accept-Ranges")
	w.ResponseWriter.WriteHeader(status)
}

// resumed returns the times at which three quarters of the pictures, and of the sound, have come.
func resumed(m media) (picture, sound time.Duration) {
	if n := len(m.frames); n > 0 {
		picture = m.frames[n*3/4].Time
	}
	samples := 0
	for _, s := range m.sound {
		samples += len(s.Data)
	}
	left := samples * 3 / 4
	for _, s := range m.sound {
		if left -= len(s.Data); left <= 0 {
			return picture, s.Time
		}
	}
	return picture, sound
}

// A time-lapse of a picture every quarter of a minute is as long as its header says.
func TestTimeLapse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lapse.mp4")
	writeLapse(t, path)
	m := read(t, path, av.Options{})
	if len(m.frames) != 8 || !near(m.frames[7].Time, 105*time.Second, 50*time.Millisecond) {
		t.Errorf("%d pictures, the last at %v", len(m.frames), m.frames[len(m.frames)-1].Time)
	}
}

func writeLapse(t *testing.T, path string) {
	t.Helper()
	w, err := av.Create(path, av.WriterOptions{Width: 64, Height: 48, FPS: 25})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		f := &av.Frame{Time: time.Duration(i) * 15 * time.Second, Width: 64, Height: 48, Pix: make([]byte, 3*64*48)}
		if err := w.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
