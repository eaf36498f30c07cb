package compare

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/infer"
	"tandem/train"
	"tandem/train/nn"
	"tandem/train/sample"
	"tandem/train/sample/sampletest"
	"tandem/train/traintest"
)

// quickCompare are two weightings in one mode by two seeds, and their data.
func quickCompare(dir string) (Options, *sample.Prepared) {
	o := train.Options{
		Recipe: train.DefaultRecipe(), Version: "test", Log: func(string) {},
		Progress: func(train.Progress) {},
	}
	r := &o.Recipe
	r.Arch.FaceWidths, r.Arch.FaceDim = []int{8, 12, 16, 16}, 16
	r.Arch.SoundWidths, r.Arch.SoundDim, r.Arch.FuseDim, r.Arch.MelBands = []int{8, 12, 16}, 16, 16, 32
	r.Epochs, r.StepsPerEpoch, r.WarmupSteps = 2, 4, 5
	r.Stills, r.Voices, r.Talking, r.Pairs = 8, 4, 2, 2
	data := sampletest.Split(sampletest.Synthetic(nn.DefaultSpec, 24, 8, 4))
	return Options{
		Options: o, Weightings: []string{"softmax"}, StaticGrid: []float64{0.3}, Modes: []string{"multi"},
		Seeds: 2, Dir: dir, Jobs: 1,
	}, data
}

func needRuntime(t *testing.T) {
	t.Helper()
	if _, err := infer.FindRuntime(); err != nil {
		t.Skip("no ONNX Runtime here: ", err)
	}
}

func compareNow(t *testing.T, ctx context.Context, o Options, data *sample.Prepared) (*Comparison, error) {
	t.Helper()
	cells, err := o.cells()
	if err != nil {
		t.Fatal(err)
	}
	sums, err := train.NewData(ctx, data, "")
	if err != nil {
		return nil, err
	}
	return o.compare(ctx, cells, sums)
}

func models(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "runs", "*", "model.onnx"))
	all := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(filepath.Dir(f))] = b
	}
	return all
}

func TestCompareGoesOnAfterAnInterruption(t *testing.T) {
	needRuntime(t)
	dir := t.TempDir()
	o, data := quickCompare(dir)
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	o.Progress = func(p train.Progress) {
		if p.Total != 4*2*4 {
			t.Errorf("of %d steps, want four runs of eight", p.Total)
		}
		if p.Done == 8+6 { // within the second run's second epoch
			cancel(stopped)
		}
	}
	if _, err := compareNow(t, ctx, o, data); !errors.Is(err, stopped) {
		t.Fatalf("%v, want that it was stopped", err)
	}
	before := models(t, dir)
	if len(before) != 1 {
		t.Fatalf("%d models before the interruption, want 1", len(before))
	}
	var lines []string
	o.Progress, o.Log = func(train.Progress) {}, func(s string) { lines = append(lines, s) }
	c, err := compareNow(t, t.Context(), o, data)
	if err != nil {
		t.Fatal(err)
	}
	after := models(t, dir)
	for name, b := range before {
		if !bytes.Equal(after[name], b) {
			t.Errorf("%s was finished, and is another model now", name)
		}
		if strings.Contains(strings.Join(lines, "\n"), name+":") {
			t.Errorf("%s was trained again", name)
		}
	}
	if want := "static-0.3-0.7-multi-1: going on after step 6"; !strings.Contains(strings.Join(lines, "\n"), want) {
		t.Errorf("the log lacks %q:\n%s", want, strings.Join(lines, "\n"))
	}
	if len(after) != 4 || len(c.Cells) != 4 || len(c.Rows) != 2 {
		t.Fatalf("%d models, %d cells, %d rows; want 4, 4 and 2", len(after), len(c.Cells), len(c.Rows))
	}
	checkRows(t, c)
	checkPairs(t, dir)
	checkFiles(t, c, dir)

	// What was compared stands: another recipe or other data would make rows that are no pairs.
	other := o
	other.Recipe.LearningRate /= 2
	if _, err := compareNow(t, t.Context(), other, data); !errors.Is(err, train.ErrRunOther) {
		t.Errorf("another recipe: %v", err)
	}
	less := *data
	less.Samples = data.Samples[:len(data.Samples)-1]
	if _, err := compareNow(t, t.Context(), o, &less); !errors.Is(err, train.ErrRunOther) {
		t.Errorf("other data: %v", err)
	}
}

// checkRows holds the rows of quickCompare to its cells.
func checkRows(t *testing.T, c *Comparison) {
	t.Helper()
	soft, static := c.Rows[0], c.Rows[1]
	if soft.Weighting != "softmax" || static.Weighting != "static:0.3,0.7" || !static.BestStatic ||
		soft.Difference == nil || soft.Difference.N != 2 || soft.Difference.Interval == nil {
		t.Fatalf("rows %+v and %+v", soft, static)
	}
	traintest.Near(t, "the difference", soft.Difference.Difference, soft.Joint.Mean-static.Joint.Mean, 1e-12)
	traintest.Near(t, "the static weight", static.WeightEmotion.Mean, 0.3, 1e-6)
	if a, b := c.Cells[0], c.Cells[2]; a.Seed == b.Seed || a.Joint() == b.Joint() {
		t.Errorf("two seeds give %v and %v", a.Joint(), b.Joint())
	}
}

// checkPairs holds that runs of one seed are pairs: before any step both have the same network and batch, and so,
// rounding aside, the same losses.
func checkPairs(t *testing.T, dir string) {
	t.Helper()
	for seed, want := range map[string]bool{"1": true, "2": false} {
		a, errA := train.ReadSteps(filepath.Join(dir, "runs", "softmax-multi-1", train.StepsFile), 1)
		b, errB := train.ReadSteps(filepath.Join(dir, "runs", "static-0.3-0.7-multi-"+seed, train.StepsFile), 1)
		if errA != nil || errB != nil || len(a) != 1 || len(b) != 1 {
			t.Fatalf("first steps %v, %v, %v, %v", a, b, errA, errB)
		}
		if same := math.Abs(a[0][3]-b[0][3]) < 1e-4 && math.Abs(a[0][4]-b[0][4]) < 1e-4; same != want {
			t.Errorf("softmax of seed 1 begins with %v, static of seed %s with %v", a[0], seed, b[0])
		}
	}
}

// checkFiles writes the comparison and holds its three files to it.
func checkFiles(t *testing.T, c *Comparison, dir string) {
	t.Helper()
	if err := c.Write(dir); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "compare.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Task weights: softmax", "static:0.3,0.7 (best static)", "Joint NLL less that of static:0.3,0.7",
		c.Rows[0].Difference.String(), "<th>synthetic<th>all clips together",
	} {
		if !strings.Contains(strings.ReplaceAll(string(page), "&#43;", "+"), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(string(page), "src=") || strings.Contains(string(page), "<script") {
		t.Error("the page would load something")
	}
	table, err := os.Open(filepath.Join(dir, "compare.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	if rows, err := csv.NewReader(table).ReadAll(); err != nil || len(rows) != 5 {
		t.Errorf("compare.csv has %d rows, %v; want a header and four", len(rows), err)
	}
	var back Comparison
	b, err := os.ReadFile(filepath.Join(dir, "compare.json"))
	if err == nil {
		err = json.Unmarshal(b, &back)
	}
	if err != nil || len(back.Cells) != 4 || back.Rows[0].Joint.Mean != c.Rows[0].Joint.Mean {
		t.Errorf("compare.json reads as %+v, %v", back.Rows, err)
	}
}

// Two runs at a time give what one gives. All cells take the fingerprints that the data came with: none hashes its
// windows again.
func TestCompareTwoRunsAtATime(t *testing.T) {
	needRuntime(t)
	one, prepared := quickCompare(t.TempDir())
	two, _ := quickCompare(t.TempDir())
	one.Seeds, two.Seeds, two.Jobs = 1, 1, 2
	one.Recipe.Epochs, two.Recipe.Epochs = 1, 1
	a, err := compareNow(t, t.Context(), one, prepared)
	if err != nil {
		t.Fatal(err)
	}
	data, err := train.NewData(t.Context(), prepared, "")
	if err != nil {
		t.Fatal(err)
	}
	data.Fingerprints[0].SHA256 = "the hash of before"
	var lines []string
	two.Log = func(line string) { lines = append(lines, line) } // which -race watches
	cells, err := two.cells()
	if err != nil {
		t.Fatal(err)
	}
	b, err := two.compare(t.Context(), cells, data)
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) == 0 {
		t.Error("no line of log")
	}
	for i := range a.Cells {
		if a.Cells[i].Joint() != b.Cells[i].Joint() {
			t.Errorf("%s: %v alone and %v beside another", a.Cells[i].Weighting, a.Cells[i].Joint(), b.Cells[i].Joint())
		}
		about, err := os.ReadFile(filepath.Join(two.run(cells[i]).Run, "run.json"))
		if err != nil || !bytes.Contains(about, []byte(data.Fingerprints[0].SHA256)) {
			t.Errorf("%s: run.json has another fingerprint of the data than was given: %v\n%s", cells[i], err, about)
		}
	}
}

// Of a finished run's model only that it is not there, or another, means that the run is to be made again.
func TestUnreadableModelOfAFinishedRun(t *testing.T) {
	o, _ := quickCompare(t.TempDir())
	c := cell{"softmax", "multi", 1}
	r := o.run(c)
	result := scored(c.Weighting, c.Seed, 1, 0.5)
	result.Version, result.Model = compareVersion, hexSum([]byte("model"))
	b, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	traintest.WriteFile(t, filepath.Join(r.Run, cellFile), string(b))
	check := func(what string, want bool, says string) {
		t.Helper()
		got, err := finished(r, c)
		if (got != nil) != want || (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, %v; want a result: %v, an error that says %q", what, got, err, want, says)
		}
	}
	check("no model", false, "")
	traintest.WriteFile(t, r.Out, "model")
	check("its model", true, "")
	traintest.WriteFile(t, r.Out, "another")
	check("another model", false, "")
	// which can't be read, not even by root
	if err := errors.Join(os.Remove(r.Out), os.Mkdir(r.Out, 0o755)); err != nil {
		t.Fatal(err)
	}
	check("a model that can't be read", false, r.Out)
}

func TestCompareRefuses(t *testing.T) {
	for says, change := range map[string]func(o *Options){
		"nosuch":                func(o *Options) { o.Weightings = []string{"nosuch"} },
		"--seeds 0":             func(o *Options) { o.Seeds = 0 },
		"--jobs 0":              func(o *Options) { o.Jobs = 0 },
		"give --modes":          func(o *Options) { o.Modes = nil },
		`--modes "smell"`:       func(o *Options) { o.Modes = []string{"smell"} },
		"names multi twice":     func(o *Options) { o.Modes = []string{"multi", "multi"} },
		"--static-grid 1":       func(o *Options) { o.StaticGrid = []float64{1} },
		"give --weightings":     func(o *Options) { o.Weightings, o.StaticGrid = nil, nil },
		"epochs 0":              func(o *Options) { o.Recipe.Epochs = 0 },
		"no data: give --data ": func(*Options) {},
	} {
		o, _ := quickCompare(t.TempDir())
		change(&o)
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want an error that says %q", err, says)
		}
	}
	o, _ := quickCompare("")
	o.Recipe.WeightFloor = 0.1
	for _, c := range []cell{{"softmax", "multi", 1}, {"static", "multi", 1}} {
		if r := o.run(c).Recipe; r.Check() != nil || (r.WeightFloor == 0.1) != (c.Weighting == "softmax") {
			t.Errorf("%s has the floor %g, %v", c.Weighting, r.WeightFloor, r.Check())
		}
	}
	o.Weightings, o.StaticGrid, o.Seeds = []string{"static"}, []float64{0.5, 0.7}, 1
	if cells, err := o.cells(); err != nil || len(cells) != 2 || cells[0].name() != "static-multi-1" ||
		cells[1].name() != "static-0.7-0.3-multi-1" {
		t.Errorf("cells %v, %v", cells, err)
	}
}

func TestCompareRecipeReads(t *testing.T) {
	r, err := train.ReadRecipe(filepath.Join("..", "recipes", "compare.json"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Patience != 0 || r.Arch.FaceDim >= train.DefaultRecipe().Arch.FaceDim {
		t.Errorf("patience %d, face_dim %d: want one budget for all, and a network smaller than the default's",
			r.Patience, r.Arch.FaceDim)
	}
}
