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

// int8Windows is how many windows the ranges of a model's tensors are found by.
const int8Windows = 512

// withInt8Ranges returns a model with what it needs to run in 8 bits: the ranges that its tensors take on samples of p,
// which are to be of the training split and cut to the model's windows. Silent sides of windows count too, as they will
// be met.
func withInt8Ranges(ctx context.Context, model []byte, p *sample.Prepared) ([]byte, error) {
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

// Quantize returns a model with its Int8Ranges (see withInt8Ranges), found on some clips of the training split, as many
// of each data set, which it cuts into the model's windows by how; the spec of how is not used. Clips of which none is
// of the training split are an error.
func Quantize(ctx context.Context, model []byte, clips []dataset.Clip, how sample.Options) ([]byte, error) {
	contract, err := infer.LoadModel(model)
	if err != nil {
		return nil, err
	}
	var chosen []dataset.Clip
	for _, group := range dataset.GroupByDataset(clips) { // the same number of each set, however large it is
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
	how.Spec = contract.Spec()
	p, err := sample.Prepare(ctx, chosen, how)
	if err != nil {
		return nil, err
	}
	return withInt8Ranges(ctx, model, p)
}
