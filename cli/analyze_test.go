package cli

import (
	"bytes"
	"encoding/csv"
	"errors"
	"image"
	"image/png"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gomlx/compute-onnx/support/protos"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
	"tandem/infer/infertest"
	"tandem/overlay"
	"tandem/pipeline"
)

func writePNG(t *testing.T, path string, w, h int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := e.Encode(f, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
}

// silentServer takes connections and never answers.
func silentServer(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	done := make(chan struct{})
	var conns []net.Conn
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, c)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		for _, c := range conns {
			c.Close()
		}
	})
	return "http://" + l.Addr().String() + "/clip.mp4"
}

// inputFiles are files for a command to read, in a folder of their own.
type inputFiles struct {
	*testing.T
	dir string
}

func newInputFiles(t *testing.T) inputFiles { return inputFiles{t, t.TempDir()} }

func (in inputFiles) at(name string) string { return filepath.Join(in.dir, name) }

func (in inputFiles) write(name string, b []byte) {
	in.Helper()
	if err := os.WriteFile(in.at(name), b, 0o644); err != nil {
		in.Fatal(err)
	}
}

// pattern writes the test pattern and returns the file's content.
func (in inputFiles) pattern(name string, o capture.PatternOptions, w av.WriterOptions) []byte {
	in.Helper()
	capturetest.WritePattern(in.T, in.at(name), o, w)
	b, err := os.ReadFile(in.at(name))
	if err != nil {
		in.Fatal(err)
	}
	return b
}

var (
	shortPattern = capture.PatternOptions{Width: 160, Height: 120, Duration: 3 * time.Second}
	onePicture   = capture.PatternOptions{Width: 160, Height: 120, Duration: 40 * time.Millisecond, NoAudio: true}
)

// badInputs are inputs of which some are files that writeBadInputs writes.
var badInputs = []struct {
	input  string
	code   int
	stderr string  // a part of the error
	t      float64 // of the last window, to half a second, if there are some
}{
	{"nosuch.mp4", 1, "no such file or directory", 0},
	{"empty.mp4", 1, "empty", 0},
	{"text.mp4", 1, "text", 0},
	{"random.mp4", 1, "", 0},
	{"head.mp4", 1, "", 0},
	{"cut.mp4", 0, "ended before its end", 2.56},
	{"cut.mkv", 0, "", 2.56},
	{"noface.mp4", 0, "", 3},
	{"one.mp4", 0, "", 2.56},
	{"1x1.png", 0, "", 2.56},
	{"8k.png", 0, "", 2.56},
	{"8khz.wav", 0, "", 3},
	{"192khz.wav", 0, "", 3},
	{"8channels.wav", 0, "", 3},
	{"back.mpg", 0, "", 6},
}

func writeBadInputs(in inputFiles) {
	in.write("empty.mp4", nil)
	in.write("text.mp4", []byte(strings.Repeat("This is no video.\n", 100)))
	in.write("random.mp4", bytes.Repeat([]byte{0x9b, 0x17, 0xe4, 0x02, 0xfd}, 4000))
	whole := in.pattern("whole.mp4", shortPattern, av.WriterOptions{})
	in.write("cut.mp4", whole[:len(whole)/2])
	in.write("head.mp4", whole[:200])
	whole = in.pattern("whole.mkv", shortPattern, av.WriterOptions{})
	in.write("cut.mkv", whole[:len(whole)*2/3])
	blank := shortPattern
	blank.NoFace, blank.NoAudio = true, true
	in.pattern("noface.mp4", blank, av.WriterOptions{})
	in.pattern("one.mp4", onePicture, av.WriterOptions{})
	writePNG(in.T, in.at("1x1.png"), 1, 1)
	writePNG(in.T, in.at("8k.png"), 7680, 4320)
	sound := shortPattern
	sound.NoVideo = true
	in.pattern("8khz.wav", sound, av.WriterOptions{SampleRate: 8000})
	in.pattern("192khz.wav", sound, av.WriterOptions{SampleRate: 192000})
	in.pattern("8channels.wav", sound, av.WriterOptions{SampleRate: 48000, Channels: 8})
	// Two programme streams one after the other: their times go back in the middle.
	whole = in.pattern("back.mpg", shortPattern, av.WriterOptions{})
	in.write("back.mpg", append(whole, whole...))
}

// Every bad input gives one clear error that names it, or a clean result where that is right.
func TestBadInputs(t *testing.T) {
	model := testModel(t)
	in := newInputFiles(t)
	writeBadInputs(in)
	for _, tt := range badInputs {
		t.Run(tt.input, func(t *testing.T) {
			code, stdout, stderr := runTandem(t, "analyze", "--model", model, in.at(tt.input))
			if code != tt.code || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("exit code %d, want %d; stderr, want %q:\n%s", code, tt.code, tt.stderr, stderr)
			}
			if code != 0 {
				if n := strings.Count(stderr, "\n"); n != 1 || !strings.Contains(stderr, in.at(tt.input)) {
					t.Errorf("%d lines of error, want one that names the file:\n%s", n, stderr)
				}
				return
			}
			events, err := pipeline.ReadAll(strings.NewReader(stdout))
			if err != nil || len(events) < 3 {
				t.Fatalf("%v; events %s", err, stdout)
			}
			if last := events[len(events)-2].Window.T.Seconds(); math.Abs(last-tt.t) > 0.5 {
				t.Errorf("the last window is at %v s, want about %v", last, tt.t)
			}
		})
	}
}

func TestURLThatHangs(t *testing.T) {
	model := testModel(t)
	url := silentServer(t)
	began := time.Now()
	code, _, stderr := runTandem(t, "analyze", "--model", model, "--timeout", "1", url)
	if code != 1 || !strings.Contains(stderr, url) || !strings.Contains(stderr, "timed out") ||
		time.Since(began) > 5*time.Second {
		t.Errorf("exit code %d after %v: %s", code, time.Since(began), stderr)
	}
}

func TestBadModels(t *testing.T) {
	testModel(t) // skips where nothing can run
	in := newInputFiles(t)
	in.pattern("one.mp4", onePicture, av.WriterOptions{})
	for name, spoil := range map[string]struct {
		how  func(*protos.ModelProto)
		want string
	}{
		"key.onnx": {func(m *protos.ModelProto) {
			m.MetadataProps = m.MetadataProps[1:]
		}, "tandem.audio_norm"},
		"shape.onnx": {func(m *protos.ModelProto) {
			m.Graph.Input[0] = infertest.Value("audio", protos.TensorProto_FLOAT, 17)
		}, `"audio"`},
		"external.onnx": {func(m *protos.ModelProto) {
			m.Graph.Initializer[0].DataLocation = protos.TensorProto_EXTERNAL
		}, "another file"},
	} {
		t.Run(name, func(t *testing.T) {
			m := infertest.Proto(infertest.Contract())
			spoil.how(m)
			b, err := proto.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			in.write(name, b)
			code, _, stderr := runTandem(t, "analyze", "--model", in.at(name), in.at("one.mp4"))
			if code != 1 || !strings.Contains(stderr, in.at(name)) || !strings.Contains(stderr, spoil.want) {
				t.Errorf("exit code %d, want 1 and %q: %s", code, spoil.want, stderr)
			}
		})
	}
}

func TestBadData(t *testing.T) {
	model := testModel(t)
	in := newInputFiles(t)
	in.pattern("one.mp4", onePicture, av.WriterOptions{})
	in.write("column.csv", []byte("video,audio\none.mp4,\n"))
	in.write("missing.csv", []byte(manifestHeader+"nosuch.mp4,,made,1,female,happy,val\n"))
	os.Mkdir(in.at("emptydir"), 0o755)
	for _, tt := range []struct{ data, want string }{
		{"manifest=" + in.at("column.csv"), "column"},
		{"manifest=" + in.at("missing.csv"), "nosuch.mp4"},
		{"ravdess=" + in.at("emptydir"), "emptydir"},
		{"emodb=" + in.at("emptydir"), "emptydir"},
		{"utkface=" + in.at("emptydir"), "emptydir"},
		{"fer2013=" + in.at("emptydir"), "emptydir"},
	} {
		t.Run(filepath.Base(tt.data), func(t *testing.T) {
			for _, args := range [][]string{
				{"eval", "--model", model},
				{"train", "--out", in.at("out.onnx"), "--run", in.at("run")},
			} {
				args = append(args, "--cache", in.at("cache"), "--data", tt.data)
				code, stdout, stderr := runTandem(t, args...)
				if code != 1 || !strings.Contains(stderr, tt.want) || stdout != "" {
					t.Errorf("%s: exit code %d, want 1 and %q: %s", args[0], code, tt.want, stderr)
				}
			}
		})
	}
}

// What --annotate writes has the input's pictures and sound, with something drawn on them, and the same results
// come out as without it.
func TestAnnotate(t *testing.T) {
	model := testModel(t)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.mp4"), filepath.Join(dir, "out.mp4")
	capturetest.WritePattern(t, in, capture.PatternOptions{Width: 640, Height: 480, Duration: 3 * time.Second},
		av.WriterOptions{})
	_, plain, _ := runTandem(t, "analyze", "--model", model, in)
	code, annotated, stderr := runTandem(t, "analyze", "--model", model, "--annotate", out, in)
	if code != 0 || plain != annotated {
		t.Fatalf("exit code %d, or other results: %s\n%s\n%s", code, stderr, plain, annotated)
	}
	inFrames, inSamples := readAll(t, in)
	outFrames, outSamples := readAll(t, out)
	if len(inFrames) != len(outFrames) || math.Abs(float64(inSamples-outSamples)) > 4096 {
		t.Fatalf("%d pictures and %d samples became %d and %d", len(inFrames), inSamples, len(outFrames), outSamples)
	}
	// The panel is in one of the corners: there the pictures differ, in the middle of the face they do not.
	f, g := inFrames[60], outFrames[60]
	if d := difference(f, g, image.Rect(20, 80, 120, 180)); d < 20 {
		t.Errorf("where the panel should be, the pictures differ by %.1f a byte", d)
	}
	if d := difference(f, g, image.Rect(280, 240, 340, 280)); d > 20 {
		t.Errorf("in the face, the pictures differ by %.1f a byte", d)
	}

	voice := filepath.Join(dir, "voice.wav")
	capturetest.WritePattern(t, voice, capture.PatternOptions{NoVideo: true, Duration: 3 * time.Second},
		av.WriterOptions{})
	if code, _, stderr := runTandem(t, "analyze", "--model", model, "--annotate", out, voice); code != 0 {
		t.Fatalf("sound alone: exit code %d: %s", code, stderr)
	}
	if frames, samples := readAll(t, out); len(frames) < 70 || samples < 40000 ||
		frames[0].Width != overlay.PlainWidth {
		t.Errorf("sound alone: %d pictures, %d samples", len(frames), samples)
	}

	live := filepath.Join(dir, "live.mp4")
	if code, _, stderr := runTandem(t, "analyze", "--model", model, "--realtime", "--annotate", live, in); code != 0 {
		t.Fatalf("paced: exit code %d: %s", code, stderr)
	}
	if frames, _ := readAll(t, live); len(frames) < 30 {
		t.Errorf("paced: %d pictures", len(frames))
	}
}

// A recording that was paused for half a minute, and a time-lapse, keep their time in the events, and in what
// --annotate writes.
func TestAnnotateKeepsPauses(t *testing.T) {
	model := testModel(t)
	dir := t.TempDir()
	clip := filepath.Join(dir, "clip.mkv")
	capturetest.WritePattern(t, clip, capture.PatternOptions{Width: 160, Height: 120, Duration: 4 * time.Second},
		av.WriterOptions{})
	const late = `PTS+if(gte(T\,2)\,30/TB\,0)`
	paused, lapse := filepath.Join(dir, "paused.mp4"), filepath.Join(dir, "lapse.mp4")
	ffmpeg(t, "-i", clip, "-vf", "setpts="+late, "-af", "asetpts="+late, "-fps_mode", "vfr", "-c:v", "libx264",
		"-preset", "ultrafast", paused)
	ffmpeg(t, "-i", clip, "-an", "-vf", "fps=1,setpts=N*15/TB", "-fps_mode", "vfr", "-c:v", "libx264", lapse)
	for in, last := range map[string]string{paused: `"end":33`, lapse: `"end":45`} {
		out := in + ".annotated.mkv"
		code, stdout, stderr := runTandem(t, "analyze", "--format", "jsonl", "--model", model, "--annotate", out, in)
		if code != 0 || !strings.Contains(stdout, last) || strings.Contains(stderr, "not believed") {
			t.Errorf("exit code %d, want windows with %s: %s\n%s", code, last, stderr, stdout)
		}
		before, _ := readAll(t, in)
		after, _ := readAll(t, out)
		if len(before) != len(after) {
			t.Fatalf("%d pictures became %d", len(before), len(after))
		}
		for i, f := range before {
			if d := after[i].Time - f.Time; d.Abs() > 50*time.Millisecond {
				t.Fatalf("picture %d at %v is at %v", i, f.Time, after[i].Time)
			}
		}
	}
}

func readAll(t *testing.T, path string) (frames []*capture.Frame, samples int) {
	t.Helper()
	src, err := capture.Open(t.Context(), path, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for {
		m, err := src.Read(t.Context())
		switch {
		case errors.Is(err, io.EOF):
			return frames, samples
		case err != nil:
			t.Fatal(err)
		case m.Frame != nil:
			frames = append(frames, m.Frame)
		default:
			samples += len(m.Samples.Data)
		}
	}
}

func difference(f, g *capture.Frame, r image.Rectangle) float64 {
	sum, n := 0.0, 0
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := 3 * r.Min.X; x < 3*r.Max.X; x++ {
			sum += math.Abs(float64(f.Pix[3*y*f.Width+x]) - float64(g.Pix[3*y*g.Width+x]))
			n++
		}
	}
	return sum / float64(n)
}

// The same clip as a file and paced as if it were live gives the same results, but for windows at its end.
func TestFileAndRealtimeAgree(t *testing.T) {
	model := testModel(t)
	in := filepath.Join(t.TempDir(), "in.mp4")
	capturetest.WritePattern(t, in, capture.PatternOptions{Width: 320, Height: 240, Duration: 4 * time.Second},
		av.WriterOptions{})
	results := func(args ...string) [][]string {
		code, stdout, stderr := runTandem(t,
			append([]string{"analyze", "--format", "csv", "--model", model}, append(args, in)...)...)
		if code != 0 {
			t.Fatal(stderr)
		}
		rows, err := csv.NewReader(strings.NewReader(stdout)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	file, live := results(), results("--realtime")
	byTime := map[string][]string{}
	for _, r := range live {
		byTime[r[1]] = r
	}
	common := 0
	for _, r := range file[1:] {
		l := byTime[r[1]]
		if l == nil {
			continue // dropped on a busy machine
		}
		common++
		latency := slices.Index(file[0], "latency_ms") // only a live source has it
		r[latency], l[latency] = "", ""
		if a, b := strings.Join(r, ","), strings.Join(l, ","); a != b {
			t.Errorf("file %s\nlive %s", a, b)
		}
	}
	if common < 2 {
		t.Errorf("only %d windows of %d came live", common, len(file)-1)
	}
}
