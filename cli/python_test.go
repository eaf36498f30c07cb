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
	"testing"
	"time"

	"tandem/capture"
	"tandem/infer"
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

// standIn has what recognise.py uses of onnxruntime. Its logits are the logarithms of the probabilities at temperature
// 1, which differ from the network's by a constant only.
const standIn = `
import json, os, subprocess
import numpy as np

class InferenceSession:
    def __init__(self, path, providers):
        self.path = path
        self.about = self.ask({})
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
        return [type("Input", (), {"name": n}) for n in self.about["inputs"]]
    def run(self, names, feeds):
        assert feeds["video"].dtype == np.uint8 and feeds["audio"].dtype == np.float32
        answer = self.ask({k: v.ravel().tolist() for k, v in feeds.items()})
        return [np.array([answer[n]], np.float32) for n in names]
`

const standInVariable = "TANDEM_TEST_STAND_IN"

// answerPython is the process that standIn asks.
func answerPython(in io.Reader, out io.Writer) error {
	var q struct {
		Model     string    `json:"model"`
		Audio     []float32 `json:"audio"`
		Video     []int     `json:"video"`
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
	if q.Audio == nil {
		names := []string{}
		for _, i := range inputs(c) {
			names = append(names, i.Name)
		}
		return json.NewEncoder(out).Encode(map[string]any{"metadata": c.Metadata(), "inputs": names})
	}
	c.EmotionTemperature, c.GenderTemperature = 1, 1
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
		Covered: time.Duration(float64(q.Covered[0]) * float64(c.Window)),
	}
	for _, p := range q.Video {
		w.Video = append(w.Video, byte(p))
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
			logits[task] = append(logits[task], math.Log(float64(v)))
		}
	}
	return json.NewEncoder(out).Encode(logits)
}

// The example in Python answers as tandem does, of sound, of faces and of both: what it has of capture/highpass.go and
// pipeline/crop.go in its own words gives the same windows.
func TestPythonExampleAnswersAsTandem(t *testing.T) {
	if err := infer.Init(); err != nil {
		t.Skipf("skipped: %v", err)
	}
	interpreter, env := python(t)
	dir := t.TempDir()
	model := filepath.Join(dir, "default.onnx")
	if err := os.WriteFile(model, infer.DefaultModel(), 0o644); err != nil {
		t.Fatal(err)
	}
	rec, err := infer.NewRecognizer(infer.DefaultModel(), infer.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	spec := rec.Spec()

	sound, frame := patternOf(t, 3*time.Second)
	wav := filepath.Join(dir, "sound.wav")
	if err := os.WriteFile(wav, wavOf(sound), 0o644); err != nil {
		t.Fatal(err)
	}
	filtered := make([]float32, len(sound))
	for i, v := range sound {
		filtered[i] = float32(v) / 32768
	}
	new(capture.HighPass).Filter(filtered, filtered)

	points, crop := faceOf(t, frame, filepath.Join(dir, "face.ppm"), spec)
	for name, args := range map[string][]string{"sound": {wav}, "face": {points}, "both": {wav, points}} {
		w := &pipeline.Window{
			Audio: make([]float32, spec.AudioSamples()), VideoMask: make([]bool, spec.VideoFrames),
			Video: make([]byte, spec.VideoFrames*len(crop)),
		}
		if name != "face" {
			copy(w.Audio, filtered[len(filtered)-len(w.Audio):])
			w.AudioPresent = true
		}
		if name != "sound" {
			for i := range w.VideoMask {
				w.VideoMask[i] = true
				copy(w.Video[i*len(crop):], crop)
			}
		}
		want, err := rec.Recognize(t.Context(), []*pipeline.Window{w})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), interpreter, append([]string{"../examples/python/recognise.py", model},
			args...)...)
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.Output()
		if err != nil {
			var exit *exec.ExitError
			errors.As(err, &exit)
			t.Fatalf("%s: %v\n%s", name, err, exit.Stderr)
		}
		var got struct{ Emotion, Gender map[string]float64 }
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		labels := rec.Labels()
		agree(t, name, labels.Emotions, got.Emotion, want[0].Emotion)
		agree(t, name, labels.Genders, got.Gender, want[0].Gender)
	}
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

// faceOf writes the picture, and returns it with its face's points as recognise.py takes them, and the face's crop.
func faceOf(t *testing.T, frame *capture.Frame, picture string, spec pipeline.Spec) (points string, crop []byte) {
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
	return points, pipeline.Crop(frame, f, spec)
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
