package nn

// DropoutLayer is a dropout layer: its width, and its rows in a batch.
type DropoutLayer struct {
	Name  string
	Width int
	Rows  func(n BatchCounts) int
}

// BatchCounts are the rows of a batch, and the faces and sounds that its encoders read.
type BatchCounts struct{ Rows, Faces, Sounds int }

func DropoutLayers(a Arch) []DropoutLayer {
	if a.Kind == KindPaper {
		return []DropoutLayer{{"fuse", a.scaled(paperHidden, 8), func(n BatchCounts) int { return n.Rows }}}
	}
	side := a.Spec.CropSize / 16
	var layers []DropoutLayer
	for k := range a.FaceNets {
		layers = append(layers, DropoutLayer{
			faceNet(k), side * side * a.FaceWidths[3],
			func(n BatchCounts) int { return n.Faces },
		})
	}
	return append(layers,
		DropoutLayer{"fuse", a.FuseDim, func(n BatchCounts) int { return n.Rows }},
		DropoutLayer{"sound", a.MelBands / 8 * a.SoundWidths[2], func(n BatchCounts) int {
			return n.Sounds * (a.Spec.AudioSamples() / soundHop / 8)
		}},
	)
}
