package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"tandem/infer"
	"tandem/internal/atomicfile"
	"tandem/train"
	"tandem/train/card"
	"tandem/train/eval"
)

var cardCommand = &command{
	name: "card", args: "[MODEL]", maxArgs: 1,
	about: "Write a model card for the Hugging Face Hub",
	long: `The card is Markdown with metadata in YAML: what the model is, what it was trained on and under what
terms, its figures with intervals, its calibration, and what it must not be used for. It is made of the
model's own metadata and of --report, a report.json that tandem eval --report wrote of this very
file; what neither says is named as missing. Without MODEL it is of the embedded one. See docs/models.md.

  tandem eval --model model.onnx --data manifest=clips.csv --report report
  tandem card model.onnx --report report/report.json --out README.md`,
	options: func() options { return &cardOptions{} },
}

type cardOptions struct {
	logFlags
	report, trained, title, licence, out string
	file                                 string // the argument
}

func (o *cardOptions) bind(f *pflag.FlagSet) {
	f.StringVar(&o.report, "report", "", "`FILE` of the model's evaluation, report.json of tandem eval")
	ownEnv(f, "report")
	f.StringVar(&o.trained, "run", "", "`DIR` of the training's run, whose recipe the card gets (default: beside "+
		"the model, NAME.run, if it is there)")
	ownEnv(f, "run")
	f.StringVar(&o.title, "name", "", "`NAME` of the model (default: the file's)")
	f.StringVar(&o.licence, "licence", "", "the model's licence, an `ID` of the Hub such as cc-by-nc-4.0 (default: "+
		"other, as the data's terms allow)")
	f.StringVar(&o.out, "out", "", "`FILE` to write (default: standard output)")
	ownEnv(f, "out")
	o.logFlags.bind(f)
}

func (o *cardOptions) check(f *pflag.FlagSet) error {
	o.file = f.Arg(0)
	if f.Changed("licence") {
		if err := card.CheckLicence(o.licence); err != nil {
			return fmt.Errorf("--%w", err)
		}
	}
	return o.logFlags.check()
}

// write returns the card.
func (o *cardOptions) write(c *console) ([]byte, error) {
	m, err := readModel(o.file)
	if err != nil {
		return nil, err
	}
	of := card.Options{SHA256: m.sha256, Bytes: len(m.bytes), Licence: o.licence}
	if of.Contract, err = infer.LoadModel(m.bytes); err != nil {
		return nil, fmt.Errorf("%s: %w", m.name, err)
	}
	name := strings.TrimSuffix(filepath.Base(m.name), ".onnx")
	of.Name = cmp.Or(o.title, name)
	if of.Recipe, err = o.recipe(); err != nil {
		return nil, err
	}
	if o.report != "" {
		b, err := readLimited(o.report, 256<<20)
		if err != nil {
			return nil, err
		}
		of.Report = &eval.Report{}
		if err := json.Unmarshal(b, of.Report); err != nil {
			return nil, fmt.Errorf("%s: not a report.json of tandem eval: %w", o.report, err)
		}
	} else {
		c.say("without --report the card has no intervals; make one by tandem eval --report DIR")
	}
	b, err := card.Write(of)
	if errors.Is(err, card.ErrOtherModel) {
		return nil, fmt.Errorf("%s: %w", o.report, err)
	}
	return b, err
}

// recipe returns that of the training's run, "" if it is not there and was not asked for.
func (o *cardOptions) recipe() (string, error) {
	run := cmp.Or(o.trained, strings.TrimSuffix(o.file, filepath.Ext(o.file))+".run")
	b, err := os.ReadFile(train.RecipeOf(run))
	if errors.Is(err, fs.ErrNotExist) && o.trained == "" {
		return "", nil
	}
	if err != nil {
		return "", bare(train.RecipeOf(run), err)
	}
	return strings.TrimSpace(string(b)), nil
}

func (o *cardOptions) run(_ context.Context, c *console) error {
	b, err := o.write(c)
	if err != nil {
		return err
	}
	if o.out == "" {
		_, err = c.out.Write(b)
		return err
	}
	if err := atomicfile.WriteBytes(o.out, b); err != nil {
		return fmt.Errorf("card: %w", err)
	}
	return nil
}
