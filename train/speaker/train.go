package speaker

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"tandem/infer"
	"tandem/internal/atomicfile"
	"tandem/pipeline"
	"tandem/train"
	"tandem/train/dataset"
	"tandem/train/nn"
)

// RunOptions of Run.
type RunOptions struct {
	Data    []string // NAME=PATH, see dataset.Load
	SplitBy string   // see dataset.Divide
	Recipe  Recipe
	Out     string // model file to write
	Dir     string // the run's folder: recipe.json, log.csv, report.json
	Cache   string // folder of cut clips, "" for none
	Workers int
	Version string // of tandem, for the contract
	Backend string // as train.NewBackend takes it, "" is train.DefaultBackend
	// Progress, unless nil, is told where the run is, and Log gets a line of text now and then.
	Progress func(train.Progress)
	Log      func(line string)
}

// Result describes what a run has made.
type Result struct {
	Parameters int
	Bytes      int
	Scores     []Score
	Skipped    []string // clips that were left out, and why
}

// logEvery is how many steps a row of the log is about.
const logEvery = 50

// evaluationScenes is how many scenes of each kind judge a trained model.
const evaluationScenes = 40

// Run trains a network by a recipe, calibrates it and measures it by the tracks of the validation split, and writes its
// ONNX file and the run's folder. Runs of the same recipe and data end with the same network, but for the rounding of
// the backend. There is no resuming: it is an hour's work at most. The error is that of the data, of the backend,
// ErrDiverged, or ctx's cause.
func Run(ctx context.Context, o RunOptions) (*Result, error) {
	if err := o.Recipe.Check(); err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	report := func(p train.Progress) {
		if o.Progress != nil {
			o.Progress(p)
		}
	}
	all, err := dataset.LoadAll(dataset.Options{Data: o.Data, SplitBy: o.SplitBy})
	if err != nil {
		return nil, err
	}
	clips := Talking(all.Clips)
	if o.Log != nil {
		o.Log(fmt.Sprintf("%d of %d clips are videos", len(clips), len(all.Clips)))
	}
	tracks, skipped, err := Prepare(ctx, clips, Options{
		Mouths: o.Recipe.Arch.Mouths, CacheDir: o.Cache, Workers: o.Workers,
		Finder:   func() (pipeline.FaceFinder, error) { return infer.NewBlazeFace() },
		Progress: func(done, total int) { report(train.Progress{Stage: "cut", Done: done, Total: total}) },
	})
	if err != nil {
		return nil, err
	}
	recipe, err := json.MarshalIndent(o.Recipe, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := atomicfile.WriteBytes(filepath.Join(o.Dir, "recipe.json"), append(recipe, '\n')); err != nil {
		return nil, err
	}
	weights, err := o.fit(ctx, tracks, report)
	if err != nil {
		return nil, err
	}
	r := &Result{Parameters: weights.Count(), Skipped: skipped}
	c := infer.SpeakerContract{
		Gain: 1, Metrics: json.RawMessage("{}"), Created: time.Now().UTC().Truncate(time.Second),
		TandemVersion: o.Version, Data: trainedOn(clips),
	}
	model, err := o.finish(ctx, tracks, weights, c, r)
	if err != nil {
		return nil, err
	}
	r.Bytes = len(model)
	return r, atomicfile.WriteBytes(o.Out, model)
}

// trainedOn names the data sets of some clips.
func trainedOn(clips []dataset.Clip) (sets []infer.DataSet) {
	for _, group := range dataset.GroupByDataset(clips) {
		own := make([]dataset.Clip, len(group))
		for i, c := range group {
			own[i] = clips[c]
		}
		name := own[0].Dataset
		sets = append(sets, infer.DataSet{Name: name, Split: dataset.SplitHash(own), Licence: dataset.Licence(name)})
	}
	return sets
}

// fit trains the network and writes the log.
func (o *RunOptions) fit(ctx context.Context, tracks []*Track, report func(train.Progress)) (nn.Weights, error) {
	r := o.Recipe
	batches, err := newBatcher(tracks, r)
	if err != nil {
		return nil, err
	}
	backend, err := train.NewBackend(cmp.Or(o.Backend, train.DefaultBackend))
	if err != nil {
		return nil, err
	}
	net, err := newNetwork(r, backend)
	if err != nil {
		return nil, err
	}
	next := make(chan *batch, 2)
	var wg sync.WaitGroup
	defer wg.Wait()
	making, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() {
		defer close(next)
		for step := range r.Steps {
			select {
			case next <- batches.batch(step):
			case <-making.Done():
				return
			}
		}
	})
	log := [][]string{{"step", "seconds", "learning_rate", "loss", "right", "gradient_norm"}}
	began := time.Now()
	var sum stepResult
	for step := range r.Steps {
		b, ok := <-next
		if !ok || ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		s, err := net.train(b, r.rate(step))
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", step+1, err)
		}
		sum.loss, sum.right, sum.norm = sum.loss+s.loss, sum.right+s.right, sum.norm+s.norm
		took := time.Since(began)
		report(train.Progress{
			Stage: "train", Done: step + 1, Total: r.Steps, Text: fmt.Sprintf("loss %.3f", s.loss),
			Left: took / time.Duration(step+1) * time.Duration(r.Steps-step-1),
		})
		if n := step%logEvery + 1; n == logEvery || step+1 == r.Steps {
			row := []string{strconv.Itoa(step + 1), strconv.Itoa(int(took.Seconds()))}
			of := float64(n)
			for _, v := range []float64{r.rate(step), sum.loss / of, sum.right / of, sum.norm / of} {
				row = append(row, strconv.FormatFloat(v, 'g', 5, 64))
			}
			log, sum = append(log, row), stepResult{}
			if err := atomicfile.Write(filepath.Join(o.Dir, "log.csv"), func(f *os.File) error {
				return csv.NewWriter(f).WriteAll(log)
			}); err != nil {
				return nil, err
			}
		}
	}
	return net.weights(), nil
}

// finish calibrates and measures a trained network by the validation split, where there is one, and returns its file.
func (o *RunOptions) finish(
	ctx context.Context, tracks []*Track, w nn.Weights, c infer.SpeakerContract, r *Result,
) ([]byte, error) {
	judge := func(judge func(*infer.Speaker) error) ([]byte, error) {
		model, err := nn.ExportSpeaker(o.Recipe.Arch, w, c)
		if err != nil {
			return nil, err
		}
		s, err := infer.NewSpeaker(model)
		if err != nil {
			return nil, err
		}
		return model, errors.Join(judge(s), s.Close())
	}
	_, err := judge(func(s *infer.Speaker) (err error) {
		c.Gain, c.Bias, err = Calibrate(ctx, s, tracks, dataset.SplitVal)
		return err
	})
	if errors.Is(err, ErrNoClips) {
		if o.Log != nil {
			o.Log(fmt.Sprintf("not calibrated: %v", err))
		}
	} else if err != nil {
		return nil, err
	}
	if model, err := nn.ExportSpeaker(o.Recipe.Arch, w, c); err != nil {
		return nil, err
	} else if err := atomicfile.WriteBytes(o.Out, model); err != nil { // measuring it takes a while
		return nil, err
	}
	model, err := judge(func(s *infer.Speaker) (err error) {
		r.Scores, err = Evaluate(ctx, s, tracks, dataset.SplitVal, evaluationScenes, 1)
		return err
	})
	if errors.Is(err, ErrNoClips) {
		return model, nil
	} else if err != nil {
		return nil, err
	}
	scores, err := json.MarshalIndent(map[string]any{"v": 1, "split": dataset.SplitVal, "scores": r.Scores}, "", " ")
	if err != nil {
		return nil, err
	}
	if err := atomicfile.WriteBytes(filepath.Join(o.Dir, "report.json"), append(scores, '\n')); err != nil {
		return nil, err
	}
	if c.Metrics, err = json.Marshal(summary(r.Scores)); err != nil {
		return nil, err
	}
	return nn.ExportSpeaker(o.Recipe.Arch, w, c)
}

// summary is the share of windows that are right, by set and scene, of the scenes without further conditions; of those
// in which nobody of the picture is heard it is the share that is given to nobody.
func summary(scores []Score) map[string]map[string]float64 {
	all := map[string]map[string]float64{}
	for _, s := range scores {
		if s.Condition != "" {
			continue
		}
		if all[s.Set] == nil {
			all[s.Set] = map[string]float64{}
		}
		all[s.Set][s.Scene] = s.Good()
	}
	return all
}
