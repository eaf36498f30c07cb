package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"tandem/capture"
	"tandem/infer/infertest"
	"tandem/pipeline"
)

// parse reads a command line and the environment.
func parse[O options](c *command, args ...string) (o O, err error) {
	parsed, err := c.parse(args)
	if err != nil {
		return o, err
	}
	return parsed.(O), nil
}

func TestEnvironment(t *testing.T) {
	t.Setenv("TANDEM_FACES", "3")
	t.Setenv("TANDEM_NO_GENDER", "true")
	t.Setenv("TANDEM_SMOOTH", "2.5")
	o, err := parse[*analyzeOptions](analyzeCommand, "--smooth", "0", "x")
	if err != nil {
		t.Fatal(err)
	}
	if o.faces != 3 || !o.noGender || o.smooth != 0 {
		t.Errorf("faces %d, no gender %v, smooth %v; want 3 and true from the environment, 0 from the command line",
			o.faces, o.noGender, o.smooth)
	}
	t.Setenv("TANDEM_FACES", "many")
	if _, err := analyzeCommand.parse([]string{"x"}); err == nil || !strings.Contains(err.Error(), "TANDEM_FACES") {
		t.Errorf("error %v, want it to name TANDEM_FACES", err)
	}
	t.Setenv("TANDEM_DATA", "ravdess=a,emodb=b")
	if o, err := parse[*trainOptions](trainCommand); err != nil || len(o.data) != 2 {
		t.Errorf("data %v, error %v; want two from the environment", o, err)
	}
}

// sameMeaning are the usages that differ between commands and still mean one thing, by the start of each.
var sameMeaning = map[string][]string{
	"TANDEM_FACES":    {"follow up to `N` faces"},
	"TANDEM_THREADS":  {"threads `N` for the network", "threads `N` for one batch through the network"},
	"TANDEM_SEED":     {"seed `N` of all that is random", "first seed, `N`"},
	"TANDEM_RECIPE":   {"recipe `FILE` (JSON"},
	"TANDEM_EMOTIONS": {"`LABELS` to tell apart, separated by commas, or manifest"},
	"TANDEM_BACKEND":  {"`WHAT` computes"},
	"TANDEM_JSON":     {"print JSON"},
}

// A variable that is set for one command is read by the others too, so that it must mean the same to all.
func TestEachVariableMeansOneThing(t *testing.T) {
	usages := map[string]string{}
	for _, c := range commands() {
		c.flagSet(c.options()).VisitAll(func(f *pflag.Flag) {
			name := envName(f)
			known := slices.ContainsFunc(sameMeaning[name], func(start string) bool {
				return strings.HasPrefix(f.Usage, start)
			})
			if usage, ok := usages[name]; ok && usage != f.Usage && !known {
				t.Errorf("%s means to one command: %s\nand to %s: %s", name, usage, c.name, f.Usage)
			}
			if _, ok := usages[name]; !ok || !known {
				usages[name] = f.Usage
			}
		})
	}
}

// What eval calls seed and threads are other things than those of training and recognition.
func TestEvalHasItsOwnVariables(t *testing.T) {
	t.Setenv("TANDEM_SEED", "7")
	t.Setenv("TANDEM_THREADS", "5")
	t.Setenv("TANDEM_OUT", "model.onnx")
	eval := func() *evalOptions {
		o, err := parse[*evalOptions](evalCommand, "--data", "ravdess=x")
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	if o := eval(); o.seed != 1 || o.threads != 0 {
		t.Errorf("eval has the seed %d and %d threads of others", o.seed, o.threads)
	}
	t.Setenv("TANDEM_EVAL_SEED", "3")
	t.Setenv("TANDEM_EVAL_THREADS", "2")
	if o := eval(); o.seed != 3 || o.threads != 2 {
		t.Errorf("eval has the seed %d and %d threads, want 3 and 2", o.seed, o.threads)
	}
	if o, err := parse[*trainOptions](trainCommand, "--data", "ravdess=x"); err != nil || o.seed != 7 {
		t.Errorf("train: %v, %v; want the seed 7", o, err)
	}
	if o, err := parse[*serveOptions](serveCommand); err != nil || o.threads != 5 {
		t.Errorf("serve: %v, %v; want 5 threads", o, err)
	}
	if o, err := parse[*compareOptions](compareCommand, "--data", "ravdess=x"); err != nil || o.out != "compare" {
		t.Errorf("compare: %v, %v; want its own folder and no model's file", o, err)
	}
}

// Errors are told from one another by their types and not by what they say: each names the input once.
func TestErrorsNameTheInputOnce(t *testing.T) {
	cause := errors.New("spoilt: clip.mp4.part")
	rows := pipeline.NewCSVWriter(io.Discard, false)
	rows.Write(pipeline.Event{Start: &pipeline.StartEvent{Source: "first.mp4", Emotions: []string{"happy"}}})
	labels := rows.Write(pipeline.Event{Start: &pipeline.StartEvent{Source: "clip.mp4", Emotions: []string{"sad"}}})
	for _, tt := range []struct {
		err  error
		want string
	}{
		{cause, "clip.mp4: spoilt: clip.mp4.part"},
		{
			fmt.Errorf("emitting: %w", labels),
			"emitting: csv: clip.mp4 has other labels than the runs before it: write it to a file of its own",
		},
	} {
		if got := withInput("clip.mp4", tt.err); got.Error() != tt.want || !errors.Is(got, tt.err) {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	if err := withInput("clip.mp4", nil); err != nil {
		t.Errorf("%v of no error", err)
	}
}

// Whatever cannot be read on is named once, and without a password.
func TestReadErrorsNameTheSourceOnce(t *testing.T) {
	clip := filepath.Join(t.TempDir(), "clip.wav")
	if err := os.WriteFile(clip, wavOf(make([]int16, capture.SampleRate)), 0o600); err != nil {
		t.Fatal(err)
	}
	files := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(clip))))
	defer files.Close()
	open := func(input string, realtime bool) capture.Source {
		s, err := capture.Open(t.Context(), input, capture.Options{Realtime: realtime})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	withPassword := func(password string) string {
		return strings.Replace(files.URL, "://", "://user:"+password+"@", 1) + "/clip.wav"
	}
	for _, tt := range []struct {
		source capture.Source
		name   string
	}{
		{open(clip, false), clip},
		{open(withPassword("secret"), false), withPassword("xxxxx")},
		{open("pattern:1s", false), "pattern:"},
		{open("pattern:1s", true), "pattern:"},
		{capture.Merge(open("pattern:1s", true), open("pattern:1s", true)), "pattern: + pattern:"},
		{capture.NewFeed(capture.Info{Name: "feed", HasAudio: true}), "feed"},
	} {
		tt.source.Close()
		err := pipeline.Cut(t.Context(), tt.source, nil, infertest.Contract().Spec(), pipeline.DefaultOptions(),
			func(*pipeline.Window) error { return nil })
		if want := "pipeline: reading " + tt.name + ": file already closed"; err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
