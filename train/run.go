package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tandem/infer"
	"tandem/internal/atomicfile"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/eval"
	"tandem/train/metrics"
	"tandem/train/nn"
)

// state is where a run is. It stands in each checkpoint, with the variables.
type state struct {
	Step      int       `json:"step"`  // that are done
	Epoch     int       `json:"epoch"` // that are whole: trained, judged and logged
	Best      int       `json:"best"`  // the epoch, from 1, whose network is kept; 0: none yet
	BestScore float64   `json:"best_score"`
	Seconds   float64   `json:"seconds"` // of training, over all processes
	Sums      epochSums `json:"sums"`    // of the epoch that is under way
}

// check returns an error for a state that no run could have left.
func (s state) check() error {
	if s.Step < 0 || s.Epoch < 0 || s.Best < 0 || s.Best > s.Epoch || s.Sums.Steps < 0 || s.Sums.Steps > s.Step {
		return fmt.Errorf("its state is impossible: %+v", s)
	}
	return nil
}

// epochSums add up what the steps of an epoch report.
type epochSums struct {
	Steps    int        `json:"steps"`
	Joint    float64    `json:"joint"`
	Emotion  float64    `json:"emotion"`
	Gender   float64    `json:"gender"`
	GradNorm float64    `json:"gradient_norm"`
	Weights  [2]float64 `json:"weights"` // the last step's
	Waited   float64    `json:"waited"`  // seconds spent waiting for batches
	Samples  int        `json:"samples"` // rows of the batches
	Seconds  float64    `json:"seconds"` // of all that the epoch took so far
	// Sets are the losses by data set.
	Sets map[string]setLoss `json:"sets,omitempty"`
}

// setLoss sums the losses of a data set's rows, in nats and not weighted, by task: emotion, gender.
type setLoss struct {
	Sum  [2]float64 `json:"sum"`
	Rows [2]int     `json:"rows"` // whose label is known
}

func (s setLoss) plus(o setLoss) setLoss {
	for k := range s.Sum {
		s.Sum[k] += o.Sum[k]
		s.Rows[k] += o.Rows[k]
	}
	return s
}

func (s *epochSums) add(r stepResult) {
	s.Steps++
	s.Joint += r.Joint
	s.Emotion += r.Emotion
	s.Gender += r.Gender
	s.GradNorm += r.GradNorm
	s.Weights = r.Weights
	sets := maps.Clone(s.Sets) // a checkpoint may hold the former
	if sets == nil {
		sets = map[string]setLoss{}
	}
	for name, l := range r.Sets {
		sets[name] = sets[name].plus(l)
	}
	s.Sets = sets
}

// mean returns the average of the epoch's steps so far, with the weights of the last.
func (s *epochSums) mean() stepResult {
	n := math.Max(float64(s.Steps), 1)
	return stepResult{
		Joint: s.Joint / n, Emotion: s.Emotion / n, Gender: s.Gender / n, GradNorm: s.GradNorm / n,
		Weights: s.Weights, Sets: s.Sets,
	}
}

// run is a training run under way.
type run struct {
	*Options
	net       *network
	batches   *batcher
	validator *validator
	test      *validator // of the test split, by which nothing is chosen
	contract  infer.Contract
	data      *Data
	backend   string // the name of what computes the steps
	network   string // see describeNetwork
	saved     checkpoints
	log       *epochLog
	steps     *stepLog
	events    *eventFile // nil without TensorBoard
	plain     *validator // of some training clips, see plainly
	st        state
	lastSaved time.Time
	clock     time.Time // when st.Seconds was last brought up to date
	pace      pace
}

// networkName is the JSON that describeNetwork writes.
type networkName struct {
	Arch   nn.Arch         `json:"arch"`
	Spec   pipeline.Spec   `json:"windows"`
	Labels pipeline.Labels `json:"labels"`
	Modal  string          `json:"senses,omitempty"` // Arch.Modal
}

// describeNetwork returns the name, in checkpoints and run.json, of the network that variables belong to.
func describeNetwork(a nn.Arch, labels pipeline.Labels) string {
	b, err := json.Marshal(networkName{a, a.Spec, labels, a.Modal})
	if err != nil {
		panic(err) // plain fields
	}
	return string(b)
}

// open prepares the run's folder, and where there is a checkpoint goes on from it.
func (r *run) open() error {
	if err := os.MkdirAll(r.Run, 0o755); err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	if err := r.CheckFolder(); err != nil {
		return err
	}
	r.saved.sweep()
	last, err := r.saved.last(func(err error) { r.Log(fmt.Sprintf("passed over: %v", err)) })
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	before := 0 // epochs, if a run that goes on was to have others
	if last != nil {
		if last.Network != r.network {
			return fmt.Errorf("%s: %w: it is of %s, this run's is %s; resume with the recipe and labels that it was "+
				"made with, or choose another --run",
				r.saved.path(last.State.Step), ErrOtherNetwork, last.Network, r.network)
		}
		if err := last.restore(r.net.store); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
		r.st = last.State
		if before, err = r.lengthen(); err != nil {
			return err
		}
		r.Log(fmt.Sprintf("going on after step %d (epoch %d)", r.st.Step, r.st.Epoch))
	} else if err := r.begin(); err != nil {
		return err
	}
	if err := r.describeRun(before); err != nil {
		return err
	}
	recipe, err := json.MarshalIndent(r.Recipe, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(r.Run, recipeFile), append(recipe, '\n')); err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	if r.log, err = openLog(filepath.Join(r.Run, logFile), r.st.Epoch); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	if r.steps, err = openSteps(filepath.Join(r.Run, StepsFile), r.st.Step); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	if err := r.openEvents(); err != nil {
		return err
	}
	r.clock, r.lastSaved = time.Now(), time.Now()
	return nil
}

// begin sets the first parameters of a run that has no checkpoint yet, where they come from another network.
func (r *run) begin() error {
	if r.Init == nil {
		if a, err := r.readAbout(); r.Resume && err == nil && a.Init != nil {
			return fmt.Errorf("run folder %s: the run began with --init %s and has no checkpoint yet: give that again",
				r.Run, a.Init.Name)
		}
		return nil
	}
	notes, err := r.net.begin(r.Init, r.Recipe.Labels())
	if err != nil {
		return err
	}
	r.Log(fmt.Sprintf("beginning with the network of %s", r.Init.Name))
	for _, n := range notes {
		r.Log(n)
	}
	return nil
}

// epoch runs what is left of an epoch's steps, judges the network and logs both.
func (r *run) epoch(ctx context.Context) error {
	if err := r.trainSteps(ctx); err != nil {
		return err
	}
	r.Progress(Progress{Stage: "judge", Done: 0, Total: 1})
	rate := round4(float64(r.st.Sums.Samples) / math.Max(r.st.Sums.Seconds, 1e-9))
	w := r.net.weights()
	v, err := r.validator.run(ctx, w, r.contract)
	if err != nil {
		return fmt.Errorf("validation: %w", err)
	}
	next := r.st
	next.Epoch++
	mean := next.Sums.mean()
	score := stopMetrics[r.Recipe.StopMetric](v)
	// Without early stopping the last epoch is kept: the learning rate has come to zero there, and a choice among
	// epochs by the validation split would flatter what is measured on it.
	if r.Recipe.Patience == 0 || next.Best == 0 || score > next.BestScore {
		next.Best, next.BestScore = next.Epoch, score
		r.contract.TaskWeights = infer.TaskWeights{Emotion: mean.Weights[0], Gender: mean.Weights[1]}
		b, err := nn.Export(r.net.arch, w, r.contract)
		if err == nil {
			err = atomicfile.WriteBytes(filepath.Join(r.Run, bestFile), b)
		}
		if err != nil {
			return err
		}
	}
	losses, err := r.comparable(ctx, w, r.contract, v)
	if err != nil {
		return fmt.Errorf("training clips as they are: %w", err)
	}
	r.tick()
	next.Seconds, next.Sums.Seconds = r.st.Seconds, r.st.Sums.Seconds
	row := r.columns(next, v, append(losses, column{"samples_per_second", rate}))
	if err := errors.Join(r.log.add(row), r.events.scalars(next.Step, epochScalars(row))); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	next.Sums = epochSums{}
	r.st = next
	if err := r.save(); err != nil {
		return err
	}
	r.reportRun(&validated{
		what: fmt.Sprintf("epoch %d", next.Epoch), labels: r.contract.Labels(), sets: v.sets,
		all: v.all,
	}, false)
	r.Log(fmt.Sprintf("epoch %d/%d: emotion %.4f + gender %.4f = %.4f (weights %.3f, %.3f), "+
		"validation %.4f, kept %.4f of epoch %d",
		next.Epoch, r.Recipe.Epochs, mean.Emotion, mean.Gender, mean.Emotion+mean.Gender, mean.Weights[0],
		mean.Weights[1], score, next.BestScore, next.Best))
	return nil
}

// trainSteps makes the steps that the epoch under way still lacks.
func (r *run) trainSteps(ctx context.Context) error {
	end := (r.st.Epoch + 1) * r.Recipe.StepsPerEpoch
	ctx, cancel := context.WithCancel(ctx)
	made := newBatchMakers(ctx, r.batches, r.st.Step*r.Recipe.Accumulate, end*r.Recipe.Accumulate)
	defer func() { cancel(); made.wait() }()
	for r.st.Step < end {
		asked := time.Now()
		batches := make([]*batch, r.Recipe.Accumulate)
		for i := range batches {
			batches[i] = made.next(ctx)
		}
		if ctx.Err() != nil { // between steps, never within one
			return context.Cause(ctx)
		}
		r.st.Sums.Waited += time.Since(asked).Seconds()
		result, err := r.net.trainAll(batches)
		if err != nil {
			return fmt.Errorf("epoch %d, step %d: %w", r.st.Epoch+1, r.st.Step+1, err)
		}
		r.st.Step++
		r.st.Sums.add(result)
		row := []float64{
			float64(r.st.Step), r.Recipe.rate(r.st.Step - 1), result.Joint, result.Emotion, result.Gender,
			result.Weights[0], result.Weights[1], result.GradNorm,
		}
		samples := len(batches) * batches[0].samples
		r.st.Sums.Samples += samples
		if err := errors.Join(r.steps.add(row), r.events.scalars(r.st.Step, stepScalars(row))); err != nil {
			return fmt.Errorf("run: %w", err)
		}
		r.tick()
		r.reportStep(result, samples)
		// At an epoch's end the checkpoint waits for its validation.
		due := r.CheckpointSteps > 0 && r.st.Step%r.CheckpointSteps == 0 ||
			r.CheckpointEvery > 0 && time.Since(r.lastSaved) >= r.CheckpointEvery
		if due && r.st.Step < end {
			if err := r.save(); err != nil {
				return err
			}
		}
	}
	return nil
}

// tick counts the time since the last tick.
func (r *run) tick() {
	now := time.Now()
	since := now.Sub(r.clock).Seconds()
	r.clock = now
	r.st.Seconds += since
	r.st.Sums.Seconds += since
}

// save writes a checkpoint of where the run is.
func (r *run) save() error {
	c := &checkpoint{Network: r.network, State: r.st}
	// The steps' log comes first: it may be ahead of a checkpoint, but not behind.
	err := errors.Join(r.steps.w.Flush(), c.capture(r.net.store))
	if err == nil {
		err = r.saved.save(c)
	}
	if err != nil {
		return fmt.Errorf("checkpoint of step %d: %w", r.st.Step, err)
	}
	r.lastSaved = time.Now()
	return nil
}

// ended returns an error that ended a run together with what it leaves behind; where the run was only interrupted it
// saves a checkpoint first.
func (r *run) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		if r.st.Step == 0 {
			return err
		}
		if e := r.save(); e != nil {
			return errors.Join(err, e)
		}
		r.Log(fmt.Sprintf("interrupted at step %d, which a checkpoint holds; --resume goes on from there", r.st.Step))
		return err
	}
	good := "there is no checkpoint yet"
	if steps := r.saved.steps(); len(steps) > 0 {
		good = fmt.Sprintf("the last good checkpoint is of step %d", steps[len(steps)-1])
	}
	if errors.Is(err, ErrDiverged) {
		return fmt.Errorf("%w (%s; look at these clips, or lower the recipe's learning_rate)", err, good)
	}
	return fmt.Errorf("%w (%s; when the cause is gone, --resume goes on from there)", err, good)
}

// columns returns the log's row of an epoch.
func (r *run) columns(st state, v *validation, losses []column) []column {
	mean := st.Sums.mean()
	cols := []column{
		{"epoch", float64(st.Epoch)},
		{"step", float64(st.Step)},
		{"seconds", math.Round(st.Seconds)},
		{"learning_rate", r.Recipe.rate(st.Step - 1)},
		{"joint", mean.Joint},
		{"emotion", mean.Emotion},
		{"gender", mean.Gender},
		{"unweighted_sum", mean.Emotion + mean.Gender},
		{"weight_emotion", mean.Weights[0]},
		{"weight_gender", mean.Weights[1]},
		{"gradient_norm", mean.GradNorm},
		{"waiting", round4(st.Sums.Waited / math.Max(st.Sums.Seconds, 1e-9))}, // share of the epoch's time, for batches
		{"memory_mb", math.Round(residentMB())},
		{"val_score", v.score},
	}
	cols = append(cols, losses...)
	for _, set := range r.batches.sets {
		for k, task := range []string{"emotion", "gender"} {
			l := st.Sums.Sets[set]
			if r.batches.knows(set, k) {
				cols = append(cols, column{"train_" + set + "_" + task, l.Sum[k] / math.Max(float64(l.Rows[k]), 1)})
			}
		}
	}
	for _, set := range slices.Sorted(maps.Keys(v.sets)) {
		for _, t := range []struct {
			name string
			s    *metrics.Scores
		}{{"emotion", v.sets[set].Emotion}, {"gender", v.sets[set].Gender}} {
			if t.s != nil {
				at := "val_" + set + "_" + t.name
				cols = append(cols, column{at + "_accuracy", t.s.Accuracy}, column{at + "_uar", t.s.UAR},
					column{at + "_nll", t.s.NLL})
			}
		}
	}
	return cols
}

// reportRun writes the run's report; one that can't be written ends no run.
func (r *run) reportRun(j *validated, done bool) {
	if err := r.writeReport(j, done); err != nil {
		r.Log(fmt.Sprintf("the run's report was not written: %v", err))
	}
}

// finish calibrates the kept epoch's network on the validation split and writes it to r.Out.
func (r *run) finish(ctx context.Context) (*Result, error) {
	file := filepath.Join(r.Run, bestFile)
	best, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("kept model of the run: %w", err)
	}
	contract, err := infer.LoadModel(best)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	p, err := r.validator.predictFile(ctx, best)
	if err != nil {
		return nil, err
	}
	before := r.validator.judge(p).all
	eval.Calibrate(&contract, r.validator.data, p)
	for _, line := range calibrationLines(contract) {
		r.Log(line)
	}
	// Temperatures change a clip's mean over its windows, and so, now and then, its label.
	v := r.validator.judge(eval.WithTemperatures(contract, r.validator.data, p))
	test, err := r.judgeTest(ctx, best, contract)
	if err != nil {
		return nil, err
	}
	reported := v
	if contract.MetricsSplit = dataset.SplitVal; test != nil {
		contract.MetricsSplit, reported = dataset.SplitTest, test
	}
	scores := map[string]map[string]map[string]float64{}
	for set, s := range reported.sets {
		scores[set] = map[string]map[string]float64{}
		for task, t := range map[string]*metrics.Scores{"emotion": s.Emotion, "gender": s.Gender} {
			if t != nil {
				scores[set][task] = map[string]float64{
					"accuracy": round4(t.Accuracy), "uar": round4(t.UAR), "f1": round4(t.F1),
				}
			}
		}
	}
	if contract.Metrics, err = json.Marshal(scores); err != nil {
		return nil, err
	}
	contract.Created = time.Now().UTC().Truncate(time.Second)
	b, err := nn.WithContract(best, contract)
	if err != nil {
		return nil, err
	}
	if able, err := withInt8Ranges(ctx, b, r.batches.data); err == nil {
		b = able
	} else if ctx.Err() == nil {
		r.Log(fmt.Sprintf("the model can't run in 8 bits: %v", err))
	}
	if contract, err = infer.LoadModel(b); err != nil {
		return nil, fmt.Errorf("the exported model: %w", err)
	}
	if err := atomicfile.WriteBytes(r.Out, b); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	r.reportRun(&validated{
		what: fmt.Sprintf("epoch %d, which is kept, calibrated", r.st.Best), labels: contract.Labels(), sets: v.sets,
		all: v.all, before: &before, calibration: calibrationLines(contract), test: test,
	}, true)
	return &Result{Model: b, Contract: contract, Best: r.st.Best, Parameters: r.net.weights().Count()}, nil
}

// judgeTest judges the network that is kept, under the contract's temperatures, by the test split: once, when all is
// chosen. It is nil where there is no such split.
func (r *run) judgeTest(ctx context.Context, model []byte, c infer.Contract) (*validation, error) {
	if r.SkipTest || len(r.test.data.Samples) == 0 {
		return nil, nil
	}
	p, err := r.test.predictFile(ctx, model)
	if err != nil {
		return nil, fmt.Errorf("test: %w", err)
	}
	v := r.test.judge(eval.WithTemperatures(c, r.test.data, p))
	for _, t := range []struct {
		name string
		s    *metrics.Scores
	}{{"emotion", v.all.Emotion}, {"gender", v.all.Gender}} {
		if t.s != nil {
			r.Log(fmt.Sprintf("test split, by which nothing was chosen: %s accuracy %.4f, UAR %.4f, NLL %.4f of %d "+
				"clips", t.name, t.s.Accuracy, t.s.UAR, t.s.NLL, t.s.N))
		}
	}
	return v, nil
}

func round4(x float64) float64 { return math.Round(x*1e4) / 1e4 }
