package train

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	onnx "github.com/gomlx/compute-onnx/support/protos"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"google.golang.org/protobuf/proto"

	"tandem/pipeline"
	"tandem/train/nn"
	"tandem/train/optim"
)

// ReadPretrained reads a model (ONNX) that tandem train has written, or a checkpoint of a run; b is the file and name
// how errors and run.json call it. Errors wrap nn.ErrPretrained.
//
// A model has weight standardization folded into its convolutions. That loses nothing that matters: standardizing a
// standardized filter gives it back but for its size, and the size is the gain's part. A network that begins with a
// model answers as the model does, to rounding; only the optimizer's memory is lost, which a fine-tuning begins anew
// anyway.
func ReadPretrained(name string, b []byte) (*nn.Pretrained, error) {
	var m onnx.ModelProto
	err := proto.Unmarshal(b, &m)
	in := &nn.Pretrained{}
	if err == nil {
		if isCheckpoint(&m) {
			in, err = fromCheckpoint(b)
		} else {
			in, err = nn.FromModel(b, &m)
		}
	}
	if err == nil {
		err = in.Check()
	}
	if err != nil {
		return nil, fmt.Errorf("--init %s: %w: %w", name, nn.ErrPretrained, err)
	}
	sum := sha256.Sum256(b)
	in.Name, in.SHA256 = name, hex.EncodeToString(sum[:])
	return in, nil
}

func isCheckpoint(m *onnx.ModelProto) bool {
	return slices.ContainsFunc(m.MetadataProps,
		func(p *onnx.StringStringEntryProto) bool { return p.Key == checkpointKey+"network" })
}

// fromCheckpoint reads the network of a run's checkpoint: its averaged parameters where it has them.
func fromCheckpoint(b []byte) (*nn.Pretrained, error) {
	c, err := parseCheckpoint(b)
	if err != nil {
		return nil, err
	}
	var n networkName
	if err := json.Unmarshal([]byte(c.Network), &n); err != nil {
		return nil, fmt.Errorf("what it says of its network: %w", err)
	}
	in := &nn.Pretrained{Arch: n.Arch, Labels: n.Labels, Params: nn.Weights{}}
	in.Arch.Spec, in.Arch.Emotions, in.Arch.Genders = n.Spec, len(n.Labels.Emotions), len(n.Labels.Genders)
	in.Arch.FaceNets = max(1, in.Arch.FaceNets) // older checkpoints don't name it
	byPath := map[string]variable{}
	for _, v := range c.vars {
		byPath[v.path] = v
	}
	for _, v := range c.vars {
		name, ok := strings.CutPrefix(v.path, "/net/")
		if !ok || optim.IsState(v.path) || v.shape.DType != dtypes.Float32 {
			continue
		}
		if a, ok := byPath[optim.AveragePath(v.path)]; ok {
			v = a
		}
		in.Params[name] = nn.Weight{Dims: v.shape.Dimensions, Data: nn.Float32s(v.data)}
	}
	return in, nil
}

// begin sets the parameters of a network that has none yet to those of in, which it copies. The outputs of labels that
// both know are taken over too; those of others begin as in a new network. It returns lines that say which those are.
func (n *network) begin(in *nn.Pretrained, labels pipeline.Labels) (notes []string, err error) {
	for _, p := range nn.Parameters(n.arch) {
		old := in.Params[p.Name]
		values := slices.Clone(old.Data)
		if was, is := headLabels(p.Name, in.Labels), headLabels(p.Name, labels); is != nil {
			values = slices.Clone(p.Initial(n.recipe.Seed))
			rows, columns := p.Dims[0], p.Dims[1]
			for k, label := range is {
				j := slices.Index(was, label)
				for i := 0; j >= 0 && i < rows; i++ {
					values[i*columns+k] = old.Data[i*old.Dims[1]+j]
				}
			}
		} else if !slices.Equal(old.Dims, p.Dims) {
			return nil, fmt.Errorf("--init %s: %w: its parameter %s has the shape %v, but the network of this run %v",
				in.Name, nn.ErrPretrained, p.Name, old.Dims, p.Dims)
		}
		t := tensors.FromFlatDataAndDimensions(values, p.Dims...)
		if _, err := n.store.CreateVariable("/"+netScope+"/"+p.Name, t); err != nil {
			return nil, fmt.Errorf("--init %s: %w", in.Name, err)
		}
	}
	notes = append(notes, newOutputs("emotion", in.Labels.Emotions, labels.Emotions)...)
	return append(notes, newOutputs("gender", in.Labels.Genders, labels.Genders)...), nil
}

// newOutputs returns a line that says which of a task's labels are not among those before, none if all are.
func newOutputs(task string, was, is []string) []string {
	var kept, fresh []string
	for _, label := range is {
		if slices.Contains(was, label) {
			kept = append(kept, label)
		} else {
			fresh = append(fresh, label)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	note := fmt.Sprintf("%s: the outputs of %s are new", task, strings.Join(fresh, ", "))
	if len(kept) > 0 {
		note += fmt.Sprintf(", those of %s are the model's", strings.Join(kept, ", "))
	}
	return []string{note}
}

// headLabels returns the labels of the output layer that a parameter belongs to, nil if it belongs to none.
func headLabels(name string, labels pipeline.Labels) []string {
	switch nn.PartOf(name) {
	case "emotion":
		return labels.Emotions
	case "gender":
		return labels.Genders
	}
	return nil
}
