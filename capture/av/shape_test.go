package av_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/image/bmp"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
)

// Any rate and any number of channels come out as the same mono sound at 16 kHz.
func TestRatesAndChannels(t *testing.T) {
	for _, file := range []string{"a.wav", "a.flac"} {
		for _, rate := range []int{8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000} {
			for _, channels := range []int{1, 2, 6, 8} {
				t.Run(fmt.Sprint(file, rate, channels), func(t *testing.T) {
					p := capture.PatternOptions{Duration: 2500 * time.Millisecond, NoVideo: true}
					m := read(t, write(t, file, p, av.WriterOptions{SampleRate: rate, Channels: channels}),
						av.Options{})
					m.ordered(t)
					if n := len(m.wave()); n < 39900 || n > 40100 {
						t.Errorf("%d samples, want 40000", n)
					}
					beeps := m.beeps()
					if len(beeps) != 2 || !near(beeps[0], time.Second, 5*time.Millisecond) ||
						!near(beeps[1], 2*time.Second, 5*time.Millisecond) {
						t.Fatalf("beeps at %v", beeps)
					}
					at := int(beeps[0].Seconds()*av.SampleRate) + 160
					if level := capturetest.BeepLevel(m.wave()[at : at+480]); level < 0.75 || level > 0.85 {
						t.Errorf("level %.3f, want 0.8", level)
					}
				})
			}
		}
	}
}

// testImage has a red, a green, a blue and a white quarter.
func testImage(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := [4]color.RGBA{
				{255, 0, 0, 255},
				{0, 255, 0, 255},
				{0, 0, 255, 255},
				{255, 255, 255, 255},
			}[2*(2*y/h)+2*x/w]
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

// Still pictures of any size come out exactly, or nearly where the format is lossy.
func TestStill(t *testing.T) {
	stills(t, []string{"png", "bmp", "jpg"}, [][2]int{{1, 1}, {2, 2}, {3, 5}, {17, 1}, {101, 67}, {640, 480}})
}

func TestLongStillOf8K(t *testing.T) { stills(t, []string{"png", "jpg"}, [][2]int{{7680, 4320}}) }

func stills(t *testing.T, formats []string, sizes [][2]int) {
	encode := map[string]func(image.Image) []byte{
		"png": func(i image.Image) []byte { var b bytes.Buffer; png.Encode(&b, i); return b.Bytes() },
		"bmp": func(i image.Image) []byte { var b bytes.Buffer; bmp.Encode(&b, i); return b.Bytes() },
		"jpg": func(i image.Image) []byte {
			var b bytes.Buffer
			jpeg.Encode(&b, i, &jpeg.Options{Quality: 95})
			return b.Bytes()
		},
	}
	for _, ext := range formats {
		enc := encode[ext]
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s %dx%d", ext, size[0], size[1]), func(t *testing.T) {
				w, h := size[0], size[1]
				// A percent sign in the name is not a pattern.
				m := read(t, save(t, "a%03d."+ext, enc(testImage(w, h))), av.Options{})
				if m.err != nil || len(m.frames) != 1 || len(m.sound) != 0 {
					t.Fatalf("%d pictures, %v", len(m.frames), m.err)
				}
				if i := m.info; !i.Still || i.HasAudio || i.Width != w || i.Height != h || i.Duration != 0 {
					t.Errorf("info %+v", i)
				}
				checkImage(t, m.frames[0], w, h, ext == "jpg")
			})
		}
	}
}

func checkImage(t *testing.T, f *av.Frame, w, h int, lossy bool) {
	t.Helper()
	if f.Time != 0 || f.Width != w || f.Height != h || len(f.Pix) != 3*w*h {
		t.Fatalf("%d x %d at %v, %d bytes", f.Width, f.Height, f.Time, len(f.Pix))
	}
	slack := 1.0
	if lossy {
		slack = 12
	}
	want := testImage(w, h)
	for _, at := range [][2]int{{0, 0}, {w - 1, 0}, {0, h - 1}, {w - 1, h - 1}} {
		if lossy && (w < 8 || h < 8) && w != 1 { // its colours are coarser than the picture
			continue
		}
		c := want.RGBAAt(at[0], at[1])
		got := f.Pix[3*(at[1]*w+at[0]):][:3]
		for i, v := range []byte{c.R, c.G, c.B} {
			if math.Abs(float64(got[i])-float64(v)) > slack {
				t.Errorf("pixel %v is %v, want %v", at, got, c)
				break
			}
		}
	}
}

// Video of odd and extreme sizes.
func TestVideoSizes(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {2, 2}, {33, 17}, {1920, 1080}} {
		for _, file := range []string{"a.mp4", "a.webm", "a.avi"} {
			t.Run(fmt.Sprintf("%s %dx%d", file, size[0], size[1]), func(t *testing.T) {
				p := capture.PatternOptions{
					Width: size[0], Height: size[1], Duration: 200 * time.Millisecond,
					NoAudio: true,
				}
				m := read(t, write(t, file, p, av.WriterOptions{}), av.Options{Threads: 2})
				if m.err != nil || len(m.frames) != 5 {
					t.Fatalf("%d pictures, %v", len(m.frames), m.err)
				}
				if f := m.frames[4]; f.Width != (size[0]+1)&^1 || f.Height != (size[1]+1)&^1 {
					t.Errorf("%d x %d", f.Width, f.Height)
				}
			})
		}
	}
}

// A phone's video that is stored on its side comes out upright.
func TestRotation(t *testing.T) {
	b := load(t,
		write(t, "a.mp4",
			capture.PatternOptions{
				Width: 160, Height: 96, Duration: 400 * time.Millisecond,
				NoAudio: true,
			}, av.WriterOptions{}))
	at := bytes.Index(b, []byte("tkhd")) + 4 + 40 // ISO/IEC 14496-12, 8.3.2: the matrix, in 16.16
	copy(b[at:], []byte{
		0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0,
		0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	})
	m := read(t, save(t, "side.mp4", b), av.Options{})
	if m.info.Width != 96 || m.info.Height != 160 || len(m.frames) != 10 {
		t.Fatalf("%+v, %d pictures", m.info, len(m.frames))
	}
	f := m.frames[0]
	if f.Width != 96 || f.Height != 160 {
		t.Fatalf("%d x %d", f.Width, f.Height)
	}
	// The pattern's dark strip, on top as stored, is on the right now.
	left, right := f.Pix[3*(80*96+8)+1], f.Pix[3*(80*96+92)+1]
	if left < 60 || right > 50 {
		t.Errorf("left %d, right %d", left, right)
	}
}

// Times that start again in the middle of a file, as when two are put together, go on without a break.
func TestJoined(t *testing.T) {
	b := load(t,
		write(t, "a.mpg", capture.PatternOptions{Width: 160, Height: 120, Duration: 3 * time.Second},
			av.WriterOptions{}))
	m := read(t, save(t, "twice.mpg", append(b[:len(b):len(b)], b...)), av.Options{})
	if m.err != nil {
		t.Fatal(m.err)
	}
	m.ordered(t)
	if m.stats.Retimed == 0 {
		t.Error("nothing retimed")
	}
	flashes, beeps := m.flashes(), m.beeps()
	if len(flashes) != 4 || len(beeps) != 4 {
		t.Fatalf("flashes at %v, beeps at %v", flashes, beeps)
	}
	for i := range flashes {
		if !near(flashes[i], beeps[i], 40*time.Millisecond) {
			t.Errorf("flash at %v, beep at %v", flashes[i], beeps[i])
		}
	}
	if !near(flashes[2], 4*time.Second, 200*time.Millisecond) {
		t.Errorf("the second part's flash at %v", flashes[2])
	}
}

func TestMinFrameInterval(t *testing.T) {
	path := write(t, "a.webm",
		capture.PatternOptions{
			Width: 64, Height: 48, FPS: 30, Duration: 2 * time.Second,
			NoAudio: true,
		}, av.WriterOptions{})
	for every, want := range map[time.Duration]int{
		0: 60, 33 * time.Millisecond: 60, 40 * time.Millisecond: 30,
		160 * time.Millisecond: 12,
	} {
		m := read(t, path, av.Options{MinFrameInterval: every})
		if len(m.frames) != want {
			t.Errorf("every %v: %d pictures, want %d", every, len(m.frames), want)
		}
	}
}

func TestOneSense(t *testing.T) {
	path := write(t, "a.mp4", capture.PatternOptions{Width: 64, Height: 48, Duration: time.Second}, av.WriterOptions{})
	if m := read(t, path, av.Options{NoVideo: true}); len(m.frames) != 0 || len(m.sound) == 0 || m.info.HasVideo {
		t.Errorf("NoVideo: %d pictures, %d of sound", len(m.frames), len(m.sound))
	}
	if m := read(t, path, av.Options{NoAudio: true}); len(m.frames) != 25 || len(m.sound) != 0 || m.info.HasAudio {
		t.Errorf("NoAudio: %d pictures, %d of sound", len(m.frames), len(m.sound))
	}
}

// Files that other programs write.
func TestForeign(t *testing.T) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("SKIPPED: no ffmpeg program to make files with")
	}
	src := write(t, "a.mkv", capture.PatternOptions{Width: 320, Height: 240, Duration: 2500 * time.Millisecond},
		av.WriterOptions{})
	tests := []struct {
		name   string
		args   []string
		w, h   int
		frames int
		late   time.Duration
	}{
		{
			"mp3.avi",
			[]string{"-c:v", "mpeg4", "-c:a", "libmp3lame", "-ar", "44100"},
			320, 240, 62,
			80 * time.Millisecond,
		},
		{"wide.mp4", []string{"-vf", "setsar=4/3"}, 427, 240, 62, 0},
		{"late.ts", []string{"-output_ts_offset", "5000"}, 320, 240, 62, 0},
		{"surround.mkv", []string{"-c:v", "copy", "-c:a", "ac3", "-ac", "6", "-ar", "48000"}, 320, 240, 62, 0},
		{"deep.mkv", []string{"-c:v", "ffv1", "-pix_fmt", "yuv422p10le", "-c:a", "pcm_f32le"}, 320, 240, 62, 0},
		{"a.webp", []string{"-frames:v", "1"}, 320, 240, 1, 0},
		{"a.gif", []string{"-an"}, 320, 240, 62, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), tt.name)
			args := append([]string{"-v", "error", "-i", src}, tt.args...)
			if out, err := exec.CommandContext(t.Context(), ffmpeg,
				append(args, path)...).CombinedOutput(); err != nil {
				t.Skipf("SKIPPED: this ffmpeg cannot make it: %v %s", err, out)
			}
			m := read(t, path, av.Options{})
			m.ordered(t)
			if m.err != nil || m.stats.Retimed != 0 || m.info.Width != tt.w || m.info.Height != tt.h {
				t.Errorf("%+v %+v %v", m.info, m.stats, m.err)
			}
			if n := len(m.frames); n < tt.frames || n > tt.frames+2 || m.frames[n-1].Width != tt.w {
				t.Errorf("%d pictures, want %d", n, tt.frames)
			}
			if tt.frames == 1 {
				if !m.info.Still {
					t.Error("not a still picture")
				}
				return
			}
			flashes, beeps := m.flashes(), m.beeps()
			if len(flashes) != 2 || m.info.HasAudio && len(beeps) != 2 {
				t.Fatalf("flashes at %v, beeps at %v", flashes, beeps)
			}
			for i, at := range beeps {
				if !near(at, flashes[i], max(40*time.Millisecond, tt.late)) {
					t.Errorf("flash at %v, beep at %v", flashes[i], at)
				}
			}
		})
	}
}
