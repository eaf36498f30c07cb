package train

import (
	"context"
	"math"
	"runtime"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/eval"
	"tandem/train/metrics"
	"tandem/train/nn"
	"tandem/train/sample"
)

// validation holds the scores of the exported model on the validation split.
type validation struct {
	sets  map[string]eval.SetReport
	all   eval.SetReport // the clips of all sets together
	score float64        // mean over sets and tasks of (accuracy + UAR) / 2: what early stopping looks at
}

// validator runs exported networks on the validation split, through the runtime that will run them. A still, and a
// voice without a face, go through a network of one frame: its answer is the same, since a face that does not
// change brings no motion, at an eighth of the work.
type validator struct {
	arch   nn.Arch
	labels pipeline.Labels
	data   *sample.Prepared
	one    []int // samples that one frame tells
	many   []int
}

func newValidator(arch nn.Arch, labels pipeline.Labels, data *sample.Prepared) *validator {
	v := &validator{arch: arch, labels: labels, data: data}
	for i, s := range data.Samples {
		if arch.Kind != nn.KindPaper && (s.Still || s.Video == nil) {
			v.one = append(v.one, i)
		} else {
			v.many = append(v.many, i)
		}
	}
	return v
}

func (v *validator) run(ctx context.Context, w nn.Weights, c infer.Contract) (*validation, error) {
	p := make([]pipeline.Prediction, len(v.data.Samples))
	single := v.arch
	single.Spec.VideoFrames = 1
	for _, part := range []struct {
		arch    nn.Arch
		samples []int
	}{{single, v.one}, {v.arch, v.many}} {
		if len(part.samples) == 0 {
			continue
		}
		model, err := nn.Export(part.arch, w, c)
		if err != nil {
			return nil, err
		}
		if err := v.predict(ctx, model, part.arch, part.samples, p); err != nil {
			return nil, err
		}
	}
	return v.judge(p), nil
}

// predict fills p for the samples by one session that all cores share, each with calls of its own: small batches scale
// better so than by splitting each layer.
func (v *validator) predict(
	ctx context.Context,
	model []byte,
	arch nn.Arch,
	samples []int,
	p []pipeline.Prediction,
) error {
	rec, err := infer.NewRecognizer(model, infer.Options{Threads: 1})
	if err != nil {
		return err
	}
	defer rec.Close()
	t := arch.Spec.VideoFrames
	chunks := eval.Chunks{
		Items: len(samples), Size: min(32, max(1, 256/t)), // windows of many frames take much memory
		Parallel: runtime.GOMAXPROCS(0),
	}
	_, err = eval.RecognizeAll(ctx, rec, chunks, func(item int) []eval.Question {
		w := v.data.Window(samples[item])
		w.VideoMask, w.Video = w.VideoMask[:t], w.Video[:t*sample.CropBytes(arch.Spec)]
		return []eval.Question{{Window: w, Answer: &p[samples[item]]}}
	}, nil)
	return err
}

// predictFile returns the predictions of an exported model of all frames for each sample.
func (v *validator) predictFile(ctx context.Context, model []byte) ([]pipeline.Prediction, error) {
	p := make([]pipeline.Prediction, len(v.data.Samples))
	return p, v.predict(ctx, model, v.arch, append(append([]int{}, v.one...), v.many...), p)
}

// judge averages each clip's windows and scores each data set, as an evaluation does.
func (v *validator) judge(p []pipeline.Prediction) *validation {
	out := &validation{sets: map[string]eval.SetReport{}}
	sums := make([]eval.ClipSum, len(v.data.Clips))
	for i, s := range v.data.Samples {
		sums[s.Clip].Add(p[i])
	}
	n := 0
	var all eval.TaskItems
	for _, group := range dataset.GroupByDataset(v.data.Clips) {
		var items eval.TaskItems
		for _, c := range group {
			if sums[c].Windows > 0 {
				items.Add(&v.data.Clips[c], &sums[c])
				all.Add(&v.data.Clips[c], &sums[c])
			}
		}
		set := items.Report(v.labels)
		if set == (eval.SetReport{}) {
			continue
		}
		out.sets[v.data.Clips[group[0]].Dataset] = set
		for _, s := range []*metrics.Scores{set.Emotion, set.Gender} {
			if s != nil {
				out.score += (s.Accuracy + s.UAR) / 2
				n++
			}
		}
	}
	out.all = all.Report(v.labels)
	out.score /= math.Max(float64(n), 1)
	return out
}
