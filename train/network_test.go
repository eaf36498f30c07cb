package train

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"tandem/pipeline"
	"tandem/train/nn"
)

// logits runs the trained graph as it stands, without dropout, on windows: [window][emotions..., genders...]. All else
// runs the exported file.
func (n *network) logits(ws []*pipeline.Window) ([][]float32, error) {
	s := n.arch.Spec
	var crops []uint8
	var audio, covered, cropIndex, audioIndex []float32
	for i, w := range ws {
		covered = append(covered, 1)
		if w.Covered > 0 {
			covered[i] = float32(w.Covered.Seconds() / s.Window.Seconds())
		}
		crops, audio = append(crops, w.Video...), append(audio, w.Audio...)
		for t, seen := range w.VideoMask {
			if seen {
				cropIndex = append(cropIndex, float32(i*s.VideoFrames+t))
			} else {
				cropIndex = append(cropIndex, -1)
			}
		}
		if w.AudioPresent {
			audioIndex = append(audioIndex, float32(i))
		} else {
			audioIndex = append(audioIndex, -1)
		}
	}
	exec, err := model.NewExec(n.backend, n.store, func(root *model.Scope, in []*graph.Node) []*graph.Node {
		o := &nn.GraphOps{Scope: root.At(netScope), Graph: in[0].Graph(), Seed: n.recipe.Seed}
		return []*graph.Node{graph.Concatenate(n.forward(o, in), 1)}
	})
	if err != nil {
		return nil, err
	}
	defer exec.Finalize()
	out, err := exec.Call(
		tensors.FromFlatDataAndDimensions(crops, len(ws)*s.VideoFrames, s.CropSize, s.CropSize, s.Channels),
		tensors.FromFlatDataAndDimensions(audio, len(ws), s.AudioSamples()),
		tensors.FromFlatDataAndDimensions(covered, len(ws), 1),
		tensors.FromFlatDataAndDimensions(cropIndex, len(ws), s.VideoFrames),
		tensors.FromFlatDataAndDimensions(audioIndex, len(ws), 1))
	if err != nil {
		return nil, err
	}
	flat := tensors.MustCopyFlatData[float32](out[0])
	rows := make([][]float32, len(ws))
	for i := range rows {
		rows[i] = flat[i*len(flat)/len(ws) : (i+1)*len(flat)/len(ws)]
	}
	return rows, nil
}

// train runs a step of one batch.
func (n *network) train(b *batch) (stepResult, error) { return n.run(n.step, b) }
