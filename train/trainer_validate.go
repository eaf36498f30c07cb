package train

import (
	"context"
	"math"
	"runtime"
	"sync"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/eval"
	"tandem/train/metrics"
	"tandem/train/nn"
	"tandem/train/sample"
)

// validation is what the exported model says of the validation split.
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

// predict fills p for the samples, with one single-threaded session a core: small batches scale better so than by
// splitting each layer.
func (v *validator) predict(ctx context.Context, model []byte, arch nn.Arch, samples []int, p []pipeline.Prediction) error {
	chunk := min(32, max(1, 256/arch.Spec.VideoFrames)) // windows of many frames take much memory
	workers := runtime.GOMAXPROCS(0)
	var wg sync.WaitGroup
	errs := make([]error, workers)
	next := make(chan []int, (len(samples)+chunk-1)/chunk)
	for i := 0; i < len(samples); i += chunk {
		next <- samples[i:min(i+chunk, len(samples))]
	}
	close(next)
	for k := range workers {
		wg.Go(func() {
			rec, err := infer.NewRecognizer(model, infer.Options{Threads: 1})
			if err != nil {
				errs[k] = err
				return
			}
			defer rec.Close()
			for ids := range next {
				ws := make([]*pipeline.Window, len(ids))
				for i, id := range ids {
					ws[i] = v.data.Window(id)
					t := arch.Spec.VideoFrames
					ws[i].VideoMask = ws[i].VideoMask[:t]
					ws[i].Video = ws[i].Video[:t*sample.CropBytes(arch.Spec)]
				}
				out, err := rec.Recognize(ctx, ws)
				if err != nil {
					errs[k] = err
					return
				}
				for i, id := range ids {
					p[id] = out[i]
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// predictFile is what an exported model of all frames says of each sample.
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
