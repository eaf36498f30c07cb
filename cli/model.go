package cli

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"tandem/infer"
)

var modelCommand = &command{
	name: "model", args: "[FILE]", maxArgs: 1,
	about: "Print what a model says of itself",
	long: `FILE is an ONNX file that keeps tandem's contract; without it, it is the one of --model,
or else the embedded one. The contract is checked in full: a file that breaks it is refused
with the key or the tensor that is wrong.`,
	options: func() options { return &modelOptions{} },
}

type modelOptions struct {
	modelFlag
	logFlags
	json bool
	file string // the argument
}

func (o *modelOptions) bind(f *pflag.FlagSet) {
	o.modelFlag.bind(f)
	f.BoolVar(&o.json, "json", false, "print JSON")
	o.logFlags.bind(f)
}

func (o *modelOptions) check(f *pflag.FlagSet) error {
	o.file = f.Arg(0)
	return o.logFlags.check()
}

func (o *modelOptions) run(_ context.Context, c *console) error {
	path := o.model
	if o.file != "" {
		path = o.file
	}
	m, err := readModel(path)
	if err != nil {
		return err
	}
	contract, err := infer.LoadModel(m.bytes)
	if err != nil {
		return fmt.Errorf("%s: %w", m.name, err)
	}
	if o.json {
		return writeJSON(c.out, struct {
			File     string            `json:"file"`
			Bytes    int               `json:"bytes"`
			SHA256   string            `json:"sha256"`
			Metadata map[string]string `json:"metadata"`
			Inputs   []tensorWire      `json:"inputs"`
			Outputs  []tensorWire      `json:"outputs"`
		}{m.name, len(m.bytes), m.sha256, contract.Metadata(), inputs(contract), outputs(contract)})
	}
	b := &bytes.Buffer{}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "file\t%s\nsize\t%d bytes\nsha256\t%s\n", m.name, len(m.bytes), m.sha256)
	metadata := contract.Metadata()
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		key, value := strings.TrimPrefix(k, "tandem."), metadata[k]
		if t := contract.Trained; key == "trained_on" {
			value = fmt.Sprintf("keys of %d clips and %d speakers, and of %d clips that it was chosen by",
				t.Clips.Len(), t.Speakers.Len(), t.Chosen.Len())
			if t.Incomplete {
				value += "; it began with another network, of which they are not known"
			}
		}
		fmt.Fprintf(w, "%s\t%s\n", key, value)
	}
	for _, side := range []struct {
		name    string
		tensors []tensorWire
	}{{"input", inputs(contract)}, {"output", outputs(contract)}} {
		for _, t := range side.tensors {
			fmt.Fprintf(w, "%s\t%s %s [%s]\n", side.name, t.Name, t.Type, strings.Join(t.Shape, ", "))
		}
	}
	w.Flush()
	_, err = c.out.Write(b.Bytes())
	return err
}

// tensorWire is an input or output of a model in JSON; B is the dynamic batch.
type tensorWire struct {
	Name  string   `json:"name"`
	Type  string   `json:"type"`
	Shape []string `json:"shape"`
}

func shape(dims ...int) []string {
	s := []string{"B"}
	for _, d := range dims {
		s = append(s, fmt.Sprint(d))
	}
	return s
}

// inputs returns those that the contract, which has been checked, names.
func inputs(c infer.Contract) []tensorWire {
	pixels := "uint8"
	if c.FloatVideo {
		pixels = "float32"
	}
	in := []tensorWire{
		{"audio", "float32", shape(c.Spec().AudioSamples())},
		{"video", pixels, shape(c.VideoFrames, c.CropSize, c.CropSize, c.Channels)},
		{"audio_mask", "float32", shape(1)},
		{"video_mask", "float32", shape(c.VideoFrames)},
	}
	if c.Covered {
		in = append(in, tensorWire{"audio_covered", "float32", shape(1)})
	}
	return in
}

func outputs(c infer.Contract) []tensorWire {
	return []tensorWire{
		{"emotion", "float32", shape(len(c.Emotions))},
		{"gender", "float32", shape(len(c.Genders))},
	}
}
