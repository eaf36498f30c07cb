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

// ReadPretrained reads a model (ONNX) that tandem train has written, or a checkpoint of a run.
//
// A model has weight standardization folded into its convolutions. That loses nothing that matters: standardizing a
// standardized filter gives it back but for its size, and the size is what the gain is for. A network that begins with
// a model answers as the model does, to rounding; what is lost is the optimizer's memory, which a fine-tuning begins
// anew anyway.
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
	averages := map[string]variable{}
	for _, v := range c.vars {
		if name, ok := strings.CutPrefix(v.path, "/"+optim.EMAScope+"/net."); ok {
			averages[name] = v
		}
	}
	for _, v := range c.vars {
		name, ok := strings.CutPrefix(v.path, "/net/")
		if !ok || optim.IsOptimizerState(v.path) || v.shape.DType != dtypes.Float32 {
			continue
		}
		if a, ok := averages[strings.ReplaceAll(name, "/", ".")]; ok {
			v = a
		}
		in.Params[name] = nn.Weight{Dims: v.shape.Dimensions, Data: nn.FloatsOf(v.data)}
	}
	return in, nil
}

// begin gives a network that has no parameters yet those of in. The outputs of labels that both know are taken over
// too; those of others begin as in a new network. It returns what there is to say about that.
func (n *network) begin(in *nn.Pretrained, labels pipeline.Labels) (notes []string, err error) {
	l := nn.LayoutOf(n.arch)
	for _, name := range l.Names {
		dims := l.Shapes[name]
		old := in.Params[name]
		values := slices.Clone(old.Data)
		if was, is := headLabels(name, in.Labels), headLabels(name, labels); is != nil {
			values = slices.Clone(l.Inits[name].Values(name, n.recipe.Seed, dims))
			for k, label := range is {
				j := slices.Index(was, label)
				for i := 0; j >= 0 && i < dims[0]; i++ {
					values[i*dims[1]+k] = old.Data[i*old.Dims[1]+j]
				}
			}
		} else if !slices.Equal(old.Dims, dims) {
			return nil, fmt.Errorf("--init %s: %w: its parameter %s has the shape %v, but the network of this run %v",
				in.Name, nn.ErrPretrained, name, old.Dims, dims)
		}
		if _, err := n.store.CreateVariable("/net/"+name,
			tensors.FromFlatDataAndDimensions(values, dims...)); err != nil {
			return nil, fmt.Errorf("--init %s: %w", in.Name, err)
		}
	}
	for _, task := range []struct {
		name    string
		was, is []string
	}{{"emotion", in.Labels.Emotions, labels.Emotions}, {"gender", in.Labels.Genders, labels.Genders}} {
		var kept, fresh []string
		for _, label := range task.is {
			if slices.Contains(task.was, label) {
				kept = append(kept, label)
			} else {
				fresh = append(fresh, label)
			}
		}
		if len(fresh) > 0 {
			note := fmt.Sprintf("%s: the outputs of %s are new", task.name, strings.Join(fresh, ", "))
			if len(kept) > 0 {
				note += fmt.Sprintf(", those of %s are the model's", strings.Join(kept, ", "))
			}
			notes = append(notes, note)
		}
	}
	return notes, nil
}

// headLabels are the labels of the output layer that a parameter belongs to, nil if it belongs to none.
func headLabels(name string, labels pipeline.Labels) []string {
	switch nn.PartOf(name) {
	case "emotion":
		return labels.Emotions
	case "gender":
		return labels.Genders
	}
	return nil
}
