package capture_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/capturetest"
)

// A microphone hears what is played, in time; unplugged, it says so.
func TestMicrophone(t *testing.T) {
	mic := capturetest.NewMicrophone(t)
	src, err := capture.OpenMicrophone("default")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	capturetest.Feed(t, capture.NewPattern(capture.PatternOptions{Live: true, NoVideo: true}), nil, mic)

	var end time.Duration
	var beeps []time.Duration
	was := false
	for end < 5*time.Second {
		m, err := src.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s := m.Samples
		if s.Time < end-time.Millisecond {
			t.Fatalf("sound at %v before %v", s.Time, end)
		}
		if late := time.Since(s.Arrived); late > 2*time.Second {
			t.Fatalf("%v late", late)
		}
		end = s.End()
		is := capturetest.BeepLevel(s.Data) > 0.35
		if is && !was {
			beeps = append(beeps, s.Time)
		}
		was = is
	}
	t.Logf("beeps at %v, dropped %+v", beeps, src.Drops())
	if len(beeps) < 3 {
		t.Fatalf("beeps at %v", beeps)
	}
	for i := 1; i < len(beeps); i++ {
		if d := beeps[i] - beeps[i-1]; d < 900*time.Millisecond || d > 1100*time.Millisecond {
			t.Errorf("beeps at %v", beeps)
			break
		}
	}

	devs, err := capture.Devices()
	if err != nil || len(devs) == 0 {
		t.Errorf("devices %+v, %v", devs, err)
	}
	found := false
	for _, d := range devs {
		found = found || d.Kind == capture.MicrophoneDevice && d.Default
	}
	if !found {
		t.Errorf("no default microphone among %+v", devs)
	}
	if _, err := capture.OpenMicrophone("no such thing"); err == nil ||
		!strings.Contains(err.Error(), "no such thing") || !strings.Contains(err.Error(), "there are") {
		t.Errorf("unknown name: %v", err)
	}

	start := time.Now()
	mic.Unplug()
	for err = nil; err == nil; {
		_, err = src.Read(t.Context())
	}
	t.Log(err)
	if took := time.Since(start); took > 6*time.Second || errors.Is(err, io.EOF) ||
		!strings.Contains(err.Error(), "gone away") {
		t.Errorf("unplugged: %v after %v", err, took)
	}
	start = time.Now()
	src.Close()
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("close took %v", took)
	}
}

// Camera and microphone together: flash and beep come out together.
func TestCameraAndMicrophone(t *testing.T) {
	needCamera(t)
	// A machine that is busy elsewhere holds pictures or sound back now and then; a clock that is off is off each time.
	for attempt := 1; ; attempt++ {
		var flashes, beeps []time.Duration
		skipped := true
		t.Run(fmt.Sprintf("attempt %d", attempt), func(t *testing.T) {
			flashes, beeps = flashesAndBeeps(t)
			skipped = false
		})
		if skipped {
			t.Skip("no stand-in microphone or camera here")
		}
		pairs := 0
		for _, f := range flashes {
			for _, b := range beeps {
				if d := b - f; d > -60*time.Millisecond && d < 60*time.Millisecond {
					pairs++
				}
			}
		}
		if pairs >= 5 {
			return
		}
		if t.Logf("attempt %d: flashes at %v, beeps at %v", attempt, flashes, beeps); attempt == 3 {
			t.Fatal("flashes and beeps are apart")
		}
	}
}

// flashesAndBeeps are the times at which the pattern's flashes and beeps come out in seven seconds.
func flashesAndBeeps(t *testing.T) (flashes, beeps []time.Duration) {
	t.Helper()
	mic, fifo := capturetest.NewMicrophone(t), capturetest.NewCamera(t)
	capturetest.Feed(t, capture.NewPattern(capture.PatternOptions{Width: 320, Height: 240, Live: true}), fifo, mic)
	camera, err := capture.OpenCamera(fifo.Path)
	if err != nil {
		t.Fatal(err)
	}
	sound, err := capture.OpenMicrophone("")
	if err != nil {
		camera.Close()
		t.Fatal(err)
	}
	src := capture.Merge(camera, sound)
	defer src.Close()
	flash, beep := false, false
	for start := time.Now(); time.Since(start) < 7*time.Second; {
		m, err := src.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if f := m.Frame; f != nil {
			is := capturetest.FlashLevel(f) > 0.5
			if is && !flash {
				flashes = append(flashes, f.Time)
			}
			flash = is
			continue
		}
		is := capturetest.BeepLevel(m.Samples.Data) > 0.35
		if is && !beep {
			beeps = append(beeps, m.Samples.Time)
		}
		beep = is
	}
	t.Logf("dropped %+v", src.Drops())
	return flashes, beeps
}

// A camera's pictures bear the time of their arrival; when it ends so does the source, and when it stalls it fails.
func TestCamera(t *testing.T) {
	t.Parallel()
	needCamera(t)
	fifo := capturetest.NewCamera(t)
	start := time.Now()
	capturetest.Feed(t,
		capture.NewPattern(capture.PatternOptions{Width: 320, Height: 240, Duration: 3 * time.Second, Live: true}),
		fifo, nil)
	src, err := capture.OpenCamera(fifo.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if i := src.Info(); !i.Live || !i.HasVideo || i.HasAudio || i.Width != 320 || i.Height != 240 {
		t.Errorf("info %+v", i)
	}
	n := 0
	var last time.Duration
	var marks []time.Duration
	was := false
	for {
		m, err := src.Read(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		f := m.Frame
		n++
		if f.Time < last || f.Arrived.Before(start) || f.Width != 320 || len(f.Pix) != 3*320*240 {
			t.Fatalf("picture at %v, arrived %v", f.Time, f.Arrived)
		}
		last = f.Time
		is := capturetest.FlashLevel(f) > 0.5
		if is && !was {
			marks = append(marks, f.Arrived.Sub(start))
		}
		was = is
		// Its background is bluish grey, so red and blue in the wrong order would show.
		if p := f.Pix[3*(320*60+10):]; !is && p[2] < p[0]+5 {
			t.Fatalf("background %v", p[:3])
		}
	}
	if n < 50 || last < 2*time.Second || len(marks) != 2 {
		t.Errorf("%d pictures until %v, flashes %v", n, last, marks)
	}
	for i, at := range marks {
		// The first is late by what opening takes on a busy machine; the next keeps its distance.
		if late := at - time.Duration(i+1)*time.Second; late < 0 || late > 2*time.Second ||
			i > 0 && (at-marks[0]-time.Duration(i)*time.Second).Abs() > 300*time.Millisecond {
			t.Errorf("flash %d arrived at %v, the first at %v", i, at, marks[0])
		}
	}
}

// needCamera skips a test of builds without OpenCV, before anything waits for a reader that never comes.
func needCamera(t *testing.T) {
	t.Helper()
	if _, err := capture.OpenCamera("nothing"); errors.Is(err, capture.ErrNoCamera) {
		t.Skip(err)
	}
}

// twelvePictures is the path of a stand-in camera that shows twelve pictures and then none.
func twelvePictures(t *testing.T) string {
	needCamera(t)
	fifo := capturetest.NewCamera(t)
	frame := &capture.Frame{Width: 64, Height: 48, Pix: make([]byte, 3*64*48)}
	go func() {
		for range 12 {
			fifo.Write(frame)
		}
	}()
	return fifo.Path
}

func TestCameraStalls(t *testing.T) {
	t.Parallel()
	src, err := capture.OpenCamera(twelvePictures(t))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	n := 0
	for err == nil {
		if _, err = src.Read(t.Context()); err == nil {
			n++
		}
	}
	if took := time.Since(start); n == 0 || took > 5*time.Second || errors.Is(err, io.EOF) ||
		!strings.Contains(err.Error(), "no picture for") {
		t.Errorf("%d pictures, then %v after %v", n, err, took)
	}
	src.Close()
}

// Close ends a camera that waits for a picture.
func TestCameraClose(t *testing.T) {
	t.Parallel()
	src, err := capture.OpenCamera(twelvePictures(t))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	time.AfterFunc(100*time.Millisecond, func() { src.Close() })
	for err == nil {
		_, err = src.Read(t.Context())
	}
	if took := time.Since(start); took > time.Second || !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v after %v", err, took)
	}
}

func TestCameraErrors(t *testing.T) {
	needCamera(t)
	text := filepath.Join(t.TempDir(), "text.mp4")
	os.WriteFile(text, []byte("no film"), 0o600)
	for _, tt := range []struct {
		spec, says string
		is         error
	}{
		{"97", "/dev/video97", nil},
		{"/nowhere/video0", "no such file", syscall.ENOENT},
		{t.TempDir(), "directory", nil},
		{text, "cannot be opened", nil},
		{"http://127.0.0.1:1/a.mjpeg", "cannot be opened", nil},
	} {
		start := time.Now()
		_, err := capture.OpenCamera(tt.spec)
		if err == nil || !strings.HasPrefix(err.Error(), "camera "+tt.spec+": ") ||
			!strings.Contains(err.Error(), tt.says) || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: %v", tt.spec, err)
		}
		if took := time.Since(start); took > 12*time.Second {
			t.Errorf("%s took %v", tt.spec, took)
		}
	}
}
