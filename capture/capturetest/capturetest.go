// Package capturetest gives tests a camera and a microphone on machines that have none: a FIFO of raw video that
// capture.OpenCamera opens by its path, and a private PulseAudio whose virtual microphone is the system's default. It
// also reads sources to their end, writes the test pattern to media files, and measures the skew of what plays it.
package capturetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tandem/capture"
)

// Camera is a stand-in camera.
type Camera struct {
	Path string // for capture.OpenCamera

	t    testing.TB
	file *os.File
	yuv  []byte
}

// NewCamera makes the FIFO. Whoever opens Path waits until the first picture is written.
func NewCamera(t testing.TB) *Camera {
	t.Helper()
	path := filepath.Join(t.TempDir(), "camera.y4m")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("SKIPPED: no FIFOs here: ", err)
	}
	c := &Camera{Path: path, t: t}
	t.Cleanup(func() { c.Close() })
	return c
}

// Write shows a picture of even width and height, at 25 frames a second nominally. The first waits for a reader. It
// fails when the reader has gone.
func (c *Camera) Write(f *capture.Frame) error {
	w, h := f.Width, f.Height
	if c.file == nil {
		file, err := os.OpenFile(c.Path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		c.file = file
		if _, err := fmt.Fprintf(file, "YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C420jpeg\n", w, h); err != nil {
			return err
		}
	}
	c.yuv = append(c.yuv[:0], "FRAME\n"...)
	luma, u, v := make([]byte, w*h), make([]byte, w*h/4), make([]byte, w*h/4)
	for y := range h {
		for x := range w {
			p := f.Pix[3*(y*w+x):]
			r, g, b := int(p[0]), int(p[1]), int(p[2])
			luma[y*w+x] = byte((299*r + 587*g + 114*b) / 1000)
			if x%2 == 0 && y%2 == 0 {
				i := y/2*(w/2) + x/2
				u[i] = byte(max(min(128+(-169*r-331*g+500*b)/1000, 255), 0))
				v[i] = byte(max(min(128+(500*r-419*g-81*b)/1000, 255), 0))
			}
		}
	}
	c.yuv = append(append(append(c.yuv, luma...), u...), v...)
	_, err := c.file.Write(c.yuv)
	return err
}

// Close unplugs the camera.
func (c *Camera) Close() error {
	if c.file == nil {
		return nil
	}
	err := c.file.Close()
	c.file = nil
	return err
}

// Microphone is a stand-in microphone, the default one of this process and its children as long as the test runs.
type Microphone struct {
	t      testing.TB
	server *exec.Cmd
	in     *os.File
	once   sync.Once
}

// NewMicrophone starts the private PulseAudio. It skips the test, saying so, where there is none. The test cannot be
// parallel.
func NewMicrophone(t testing.TB) *Microphone {
	t.Helper()
	for _, program := range []string{"pulseaudio", "pactl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: no stand-in microphone without %s "+
				"(Debian: pulseaudio, pulseaudio-utils, libasound2-plugins)", program)
		}
	}
	dir, err := os.MkdirTemp("", "mic") // t.TempDir is too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	alsa := filepath.Join(dir, "asound.conf")
	conf := "</usr/share/alsa/alsa.conf>\npcm.!default { type pulse }\nctl.!default { type pulse }\n"
	if err := os.WriteFile(alsa, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	socket, fifo := filepath.Join(dir, "native"), filepath.Join(dir, "sound")
	for name, value := range map[string]string{
		"HOME": dir, "XDG_RUNTIME_DIR": dir, "PULSE_RUNTIME_PATH": dir,
		"PULSE_SERVER": "unix:" + socket, "ALSA_CONFIG_PATH": alsa,
	} {
		t.Setenv(name, value)
	}
	m := &Microphone{t: t}
	m.server = exec.Command("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
		"--log-level=error",
		"-L", "module-native-protocol-unix auth-anonymous=1 socket="+socket,
		"-L", "module-pipe-source source_name=mic file="+fifo+" format=float32le rate=16000 channels=1")
	var log bytes.Buffer
	m.server.Stderr = &log
	if err := m.server.Start(); err != nil {
		t.Skip("SKIPPED: pulseaudio does not start: ", err)
	}
	t.Cleanup(m.Unplug)
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		out, err := exec.Command("pactl", "set-default-source", "mic").CombinedOutput()
		if err == nil {
			break
		}
		if time.Since(start) > 10*time.Second {
			t.Skipf("SKIPPED: pulseaudio does not answer: %v: %s %s", err, out, log.String())
		}
	}
	if m.in, err = os.OpenFile(fifo, os.O_WRONLY, 0); err != nil {
		t.Fatal(err)
	}
	return m
}

// Write gives the microphone mono sound at capture.SampleRate. It has none, as if it were gone, while
// nothing is written: the caller paces it.
func (m *Microphone) Write(data []float32) error {
	var b bytes.Buffer
	binary.Write(&b, binary.LittleEndian, data)
	_, err := m.in.Write(b.Bytes())
	return err
}

// Unplug ends the sound system under the microphone.
func (m *Microphone) Unplug() {
	m.once.Do(func() {
		m.server.Process.Kill()
		m.server.Wait()
		if m.in != nil {
			m.in.Close()
		}
	})
}

// Feed plays a live source, such as capture.NewPattern makes, to a camera and a microphone, either of which may be
// nil, until it ends, the camera's reader goes or the test ends. The two run in step. It closes the camera.
func Feed(t testing.TB, src capture.Source, camera *Camera, mic *Microphone) {
	var wg sync.WaitGroup
	// A FIFO without a reader blocks, which must not hold up the sound.
	frames := make(chan *capture.Frame, 1)
	wg.Go(func() {
		if camera == nil {
			for range frames {
			}
			return
		}
		defer camera.Close()
		for f := range frames {
			if err := camera.Write(f); err != nil {
				if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, os.ErrClosed) {
					t.Error("stand-in camera: ", err)
				}
				for range frames {
				}
			}
		}
	})
	wg.Go(func() {
		defer close(frames)
		for {
			m, err := src.Read(t.Context())
			if err != nil {
				return
			}
			if m.Frame != nil {
				select {
				case frames <- m.Frame:
				default: // no reader yet
				}
			} else if mic != nil {
				if err := mic.Write(m.Samples.Data); err != nil && !strings.Contains(err.Error(), "closed") &&
					!errors.Is(err, syscall.EPIPE) {
					t.Error("stand-in microphone: ", err)
				}
			}
		}
	})
	t.Cleanup(func() {
		src.Close()
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		for {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
			// Opening lets a Write go that waits for a reader, and closing one that waits for room.
			if camera != nil {
				if r, err := os.OpenFile(camera.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0); err == nil {
					r.Close()
				}
			}
		}
	})
}
