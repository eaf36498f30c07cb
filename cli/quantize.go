package cli

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"tandem/infer"
	"tandem/internal/atomicfile"
	"tandem/train"
	"tandem/train/dataset"
	"tandem/train/sample"
)

var quantizeCommand = &command{
	name: "quantize", maxArgs: 0,
	about: "Teach a model to run in 8 bits",
	long: `A run in 8 bits (--precision int8 of the other commands) needs to know what range a network's
tensors take. This runs --model on clips of the data's training split, and writes it to --out with
the ranges in its metadata; its weights stay as they are. Models of tandem train know theirs already.

  tandem quantize --model model.onnx --data manifest=clips.csv --out model.onnx`,
	options: func() options { return &quantizeOptions{} },
}

type quantizeOptions struct {
	modelFlag
	dataFlags
	logFlags
	out string
}

func (o *quantizeOptions) bind(f *pflag.FlagSet) {
	o.modelFlag.bind(f)
	o.dataFlags.bind(f)
	f.StringVar(&o.out, "out", "model.onnx", "model `FILE` to write")
	o.logFlags.bind(f)
}

func (o *quantizeOptions) check(*pflag.FlagSet) error {
	return cmp.Or(o.logFlags.check(), o.dataFlags.check())
}

func (o *quantizeOptions) run(ctx context.Context, c *console) error {
	m, err := readModel(o.model)
	if err != nil {
		return err
	}
	contract, err := infer.LoadModel(m.bytes)
	if err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	cache, err := o.cacheDir()
	if err != nil {
		return err
	}
	sets, err := dataset.LoadAll(dataset.Options{
		Data: o.data, Labels: contract.Labels(), Names: o.names,
		SplitBy: o.splitBy, AllowSpeakerOverlap: o.allowOverlap,
		Log: func(line string) { c.log.Info(line) },
	})
	if err != nil {
		return err
	}
	bar := loggedProgress(c)
	defer bar.close()
	b, err := train.Quantize(ctx, m.bytes, sets.Clips, sample.Options{
		Finder: newFaceFinder, Voice: voiceDetectors(contract), CacheDir: cache, Workers: orCores(o.workers),
		Progress: func(done, total int) { bar.set("clips", "", done, total) },
	})
	if err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	if err := atomicfile.WriteBytes(o.out, b); err != nil {
		return bare(o.out, err)
	}
	bar.close()
	c.say("%s runs in 8 bits with --precision int8", o.out)
	return nil
}
