package train

import (
	"context"
	"fmt"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/nn"
	"tandem/train/sample"
)

// int8Windows is how many windows tell the ranges of a model's tensors.
const int8Windows = 512

// WithInt8Ranges gives a model what it needs to run in 8 bits: the ranges that its tensors take on samples of p, which
// are to be of the training split. Silent sides of windows count too, as they will be met.
func WithInt8Ranges(ctx context.Context, model []byte, p *sample.Prepared) ([]byte, error) {
	contract, err := infer.LoadModel(model)
	if err != nil {
		return nil, err
	}
	if p.Spec != contract.Spec() {
		return nil, fmt.Errorf("quantize: the data was cut into windows of %+v, the model takes %+v", p.Spec,
			contract.Spec())
	}
	var ws []*pipeline.Window
	n := min(len(p.Samples), int8Windows)
	for i := range n {
		ws = append(ws, p.Window(i*len(p.Samples)/n))
	}
	if contract.Int8Ranges, err = infer.FindInt8Ranges(ctx, model, ws); err != nil {
		return nil, err
	}
	return nn.WithContract(model, contract)
}

// Quantize is WithInt8Ranges on some clips of the training split, cut for the purpose.
func Quantize(ctx context.Context, model []byte, clips []dataset.Clip, finder func() (pipeline.FaceFinder, error),
	cacheDir string, workers int,
	progress func(done, total int),
) ([]byte, error) {
	contract, err := infer.LoadModel(model)
	if err != nil {
		return nil, err
	}
	var chosen []dataset.Clip
	for _, group := range dataset.ByDataset(clips) { // the same number of each set, however large it is
		var of []dataset.Clip
		for _, i := range group {
			if clips[i].Split == dataset.SplitTrain {
				of = append(of, clips[i])
			}
		}
		n := min(len(of), int8Windows/4)
		for i := range n {
			chosen = append(chosen, of[i*len(of)/n])
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("quantize: none of the %d clips is of the split %s, by which ranges are found",
			len(clips), dataset.SplitTrain)
	}
	p, err := sample.Prepare(ctx, chosen,
		sample.Options{Spec: contract.Spec(), Finder: finder, CacheDir: cacheDir, Workers: workers, Progress: progress})
	if err != nil {
		return nil, err
	}
	return WithInt8Ranges(ctx, model, p)
}
