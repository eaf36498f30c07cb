package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/capture"
	"tandem/infer"
	"tandem/infer/infertest"
	"tandem/pipeline"
	"tandem/train/nn"
)

// python is an interpreter that has numpy; the test is skipped where there is none. Where it has no onnxruntime, a
// module in its place asks this test's own process: all else is the script's.
func python(t *testing.T) (interpreter string, env []string) {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import numpy").Run() == nil {
			interpreter = name
			break
		}
	}
	if interpreter == "" {
		t.Skip("skipped: no Python with numpy here (Debian's package is python3-numpy)")
	}
	if exec.Command(interpreter, "-c", "import onnxruntime").Run() == nil {
		return interpreter, nil
	}
	t.Log("no onnxruntime for Python here: the runtime of this process stands in for it")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "onnxruntime.py"), []byte(standIn), 0o644); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return interpreter, []string{"PYTHONPATH=" + dir, "STAND_IN=" + exe}
}

// standIn has what recognise.py uses of onnxruntime. Its logits are the logarithms of the probabilities at the
// temperature softest, times that, which differ from the network's by a constant only.
const standIn = `
import json, os, subprocess
import numpy as np

class InferenceSession:
    def __init__(self, path, providers):
        self.path = path
        self.about = json.load(open(path + ".json"))
        for i in self.about["inputs"]:  # numbers, and a name for what is not fixed
            i["shape"] = [int(n) if n.isdigit() else n for n in i["shape"]]
    def ask(self, question):
        question["model"] = self.path
        env = dict(os.environ, ` + standInVariable + `="1")
        done = subprocess.run([os.environ["STAND_IN"]], input=json.dumps(question), capture_output=True, text=True,
                              env=env)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)
    def get_modelmeta(self):
        return type("Meta", (), {"custom_metadata_map": self.about["metadata"]})
    def get_inputs(self):
        return [type("Input", (), i) for i in self.about["inputs"]]
    def run(self, names, feeds):
        for i in self.about["inputs"]:
            assert feeds[i["name"]].dtype == (np.uint8 if i["type"] == "tensor(uint8)" else np.float32), i
            assert list(feeds[i["name"]].shape[1:]) == i["shape"][1:], i
        answer = self.ask({k: v.ravel().tolist() for k, v in feeds.items()})
        return [np.array([answer[n]], np.float32) for n in names]
`

// softest is the highest temperature that a contract may have: no probability is as good as 0 then.
const softest = 100

const standInVariable = "TANDEM_TEST_STAND_IN"

// answerPython is the process that standIn asks.
func answerPython(in io.Reader, out io.Writer) error {
	var q struct {
		Model     string    `json:"model"`
		Audio     []float32 `json:"audio"`
		Video     []float64 `json:"video"`
		AudioMask []float32 `json:"audio_mask"`
		VideoMask []float32 `json:"video_mask"`
		Covered   []float32 `json:"audio_covered"`
	}
	if err := json.NewDecoder(in).Decode(&q); err != nil {
		return err
	}
	b, err := os.ReadFile(q.Model)
	if err != nil {
		return err
	}
	c, err := infer.LoadModel(b)
	if err != nil {
		return err
	}
	c.AudioNorm = 0 // the script has done it
	c.EmotionTemperature, c.GenderTemperature = softest, softest
	c.EmotionAlone, c.GenderAlone = infer.ModalityTemperatures{}, infer.ModalityTemperatures{}
	if b, err = nn.WithContract(b, c); err != nil {
		return err
	}
	rec, err := infer.NewRecognizer(b, infer.Options{Threads: 1})
	if err != nil {
		return err
	}
	defer rec.Close()
	w := &pipeline.Window{
		Audio: q.Audio, AudioPresent: q.AudioMask[0] > 0,
	}
	if c.Covered {
		w.Covered = time.Duration(float64(q.Covered[0]) * float64(c.Window))
	}
	for _, p := range q.Video {
		if c.FloatVideo { // which the recognizer scales
			p = (p - c.PixelScale[0]) / (c.PixelScale[1] - c.PixelScale[0]) * 255
		}
		w.Video = append(w.Video, byte(math.Round(min(max(p, 0), 255))))
	}
	for _, m := range q.VideoMask {
		w.VideoMask = append(w.VideoMask, m > 0)
	}
	p, err := rec.Recognize(context.Background(), []*pipeline.Window{w})
	if err != nil {
		return err
	}
	logits := map[string][]float64{}
	for task, probabilities := range map[string][]float32{"emotion": p[0].Emotion, "gender": p[0].Gender} {
		for _, v := range probabilities {
			logits[task] = append(logits[task], softest*math.Log(float64(v)))
		}
	}
	return json.NewEncoder(out).Encode(logits)
}

// writeAbout writes a model's metadata and inputs beside it, for standIn.
func writeAbout(path string, model []byte) error {
	c, err := infer.LoadModel(model)
	if err != nil {
		return err
	}
	var all []map[string]any
	for _, i := range inputs(c) {
		kind := strings.TrimSuffix(i.Type, "32") // onnxruntime's names: float, uint8
		all = append(all, map[string]any{"name": i.Name, "type": "tensor(" + kind + ")", "shape": i.Shape})
	}
	b, err := json.Marshal(map[string]any{"metadata": c.Metadata(), "inputs": all})
	if err != nil {
		return err
	}
	return os.WriteFile(path+".json", b, 0o644)
}

// The example in Python answers as tandem does, of sound, of faces and of both: what it has of capture/highpass.go and
// pipeline/crop.go in its own words gives the same windows. So it does by a model that is another in all that a
// contract leaves open: in colour, of scaled pixels, of sound brought to one level.
func TestPythonExampleAnswersAsTandem(t *testing.T) {
	if err := infer.Init(); err != nil {
		t.Skipf("skipped: %v", err)
	}
	interpreter, env := python(t)
	dir := t.TempDir()
	sound, frame := patternOf(t, 3*time.Second)
	wav, short := filepath.Join(dir, "sound.wav"), filepath.Join(dir, "short.wav")
	for path, samples := range map[string][]int16{wav: sound, short: sound[len(sound)-16000:]} {
		if err := os.WriteFile(path, wavOf(samples), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	points, face := faceOf(t, frame, filepath.Join(dir, "face.ppm"))
	made := infertest.Contract()
	made.EmotionTemperature, made.GenderTemperature, made.FloatVideo = softest, softest, true
	for _, tc := range []struct {
		name  string
		model []byte
		args  [][]string
	}{
		{"default", infer.DefaultModel(), [][]string{{wav}, {points}, {short, points}}},
		{"made", infertest.Model(made), [][]string{{wav, points}}},
	} {
		model := filepath.Join(dir, tc.name+".onnx")
		if err := errors.Join(os.WriteFile(model, tc.model, 0o644), writeAbout(model, tc.model)); err != nil {
			t.Fatal(err)
		}
		ask := func(args []string) (out []byte, stderr string) {
			cmd := exec.CommandContext(t.Context(), interpreter,
				append([]string{"../examples/python/recognise.py", model}, args...)...)
			cmd.Env = append(os.Environ(), env...)
			out, err := cmd.Output()
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				return nil, string(exit.Stderr)
			}
			return out, ""
		}
		rec, err := infer.NewRecognizer(tc.model, infer.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer rec.Close()
		for _, args := range tc.args {
			heard := sound
			if args[0] == short {
				heard = sound[len(sound)-16000:]
			}
			w := windowOf(rec.Spec(), heard, frame, face, args[0] != points, slices.Contains(args, points))
			want, err := rec.Recognize(t.Context(), []*pipeline.Window{w})
			if err != nil {
				t.Fatal(err)
			}
			out, stderr := ask(args)
			var got struct{ Emotion, Gender map[string]float64 }
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatalf("%s, %v: %v\n%s", tc.name, args, err, stderr)
			}
			agree(t, tc.name, rec.Labels().Emotions, got.Emotion, want[0].Emotion)
			agree(t, tc.name, rec.Labels().Genders, got.Gender, want[0].Gender)
		}
		if tc.name == "made" {
			if _, stderr := ask([]string{short}); !strings.Contains(stderr, "takes no less than 2.56 s") {
				t.Errorf("sound shorter than a window: %s", stderr)
			}
		}
	}
}

// windowOf is the window at the end of the sound, with the face all the time.
func windowOf(
	spec pipeline.Spec, sound []int16, frame *capture.Frame, face pipeline.Face, hears, sees bool,
) *pipeline.Window {
	crop := pipeline.Crop(frame, face, spec)
	w := &pipeline.Window{
		Audio: make([]float32, spec.AudioSamples()), VideoMask: make([]bool, spec.VideoFrames),
		Video: make([]byte, spec.VideoFrames*len(crop)),
	}
	if hears {
		filtered := make([]float32, len(sound))
		for i, v := range sound {
			filtered[i] = float32(v) / 32768
		}
		new(capture.HighPass).Filter(filtered, filtered)
		n := min(len(filtered), len(w.Audio))
		copy(w.Audio[len(w.Audio)-n:], filtered[len(filtered)-n:])
		w.AudioPresent = true
		w.Covered = time.Duration(float64(n) / float64(len(w.Audio)) * float64(spec.Window))
	}
	for i := range w.VideoMask {
		if w.VideoMask[i] = sees; sees {
			copy(w.Video[i*len(crop):], crop)
		}
	}
	return w
}

// agree fails the test unless the probabilities are alike.
func agree(t *testing.T, name string, labels []string, got map[string]float64, want []float32) {
	t.Helper()
	for i, l := range labels {
		if d := math.Abs(got[l] - float64(want[i])); !(d < 0.01) {
			t.Errorf("%s: %s is %.4f in Python, %.4f here", name, l, got[l], want[i])
		}
	}
}

// faceOf writes the picture, and returns it with its face's points as recognise.py takes them, and the face.
func faceOf(t *testing.T, frame *capture.Frame, picture string) (points string, face pipeline.Face) {
	t.Helper()
	ppm := fmt.Appendf(nil, "P6\n%d %d\n255\n", frame.Width, frame.Height)
	if err := os.WriteFile(picture, append(ppm, frame.Pix...), 0o644); err != nil {
		t.Fatal(err)
	}
	finder, err := infer.NewBlazeFace()
	if err != nil {
		t.Fatal(err)
	}
	defer finder.Close()
	faces, err := finder.FindFaces(t.Context(), frame, 1)
	if err != nil || len(faces) == 0 {
		t.Fatalf("%d faces in the pattern, %v", len(faces), err)
	}
	f := faces[0]
	points = fmt.Sprintf("%s:%g,%g,%g,%g,%g,%g", picture, f.LeftEye.X, f.LeftEye.Y, f.RightEye.X, f.RightEye.Y,
		f.Mouth.X, f.Mouth.Y)
	return points, f
}

// patternOf returns the test pattern's sound as 16 bits, and its last picture.
func patternOf(t *testing.T, d time.Duration) (sound []int16, last *capture.Frame) {
	t.Helper()
	src := capture.NewPattern(capture.PatternOptions{Duration: d})
	defer src.Close()
	for {
		m, err := src.Read(t.Context())
		if errors.Is(err, io.EOF) {
			return sound, last
		}
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case m.Frame != nil:
			last = m.Frame
		case m.Samples != nil:
			for _, v := range m.Samples.Data {
				sound = append(sound, int16(math.Round(float64(min(max(v, -1), 1))*math.MaxInt16)))
			}
		}
	}
}

// wavOf returns sound of 16 bits at the pipeline's rate as a WAV file.
func wavOf(sound []int16) []byte {
	var b bytes.Buffer
	size := uint32(2 * len(sound))
	for _, v := range []any{
		[]byte("RIFF"), 36 + size, []byte("WAVEfmt "), uint32(16), uint16(1), uint16(1), uint32(capture.SampleRate),
		uint32(2 * capture.SampleRate), uint16(2), uint16(16), []byte("data"), size, sound,
	} {
		_ = binary.Write(&b, binary.LittleEndian, v) // a buffer takes all
	}
	return b.Bytes()
}
