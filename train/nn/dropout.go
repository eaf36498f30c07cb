package nn

// DropoutLayer is a dropout layer, whose masks training draws outside of the graph: they are [Rows(counts), Width].
type DropoutLayer struct {
	Name  string
	Width int
	Rows  func(n BatchCounts) int
}

// BatchCounts are the rows of a batch, and how many crops and windows of audio its encoders read.
type BatchCounts struct{ Rows, Crops, Windows int }

// DropoutLayers returns the dropout layers of an architecture; training draws their masks in this order.
func DropoutLayers(a Arch) []DropoutLayer {
	if a.Kind == KindPaper {
		return []DropoutLayer{{"fuse", a.scaled(paperHidden, 8), func(n BatchCounts) int { return n.Rows }}}
	}
	side := a.Spec.CropSize / 16
	var layers []DropoutLayer
	for k := range a.FaceNets {
		layers = append(layers, DropoutLayer{
			faceNet(k), side * side * a.FaceWidths[3],
			func(n BatchCounts) int { return n.Crops },
		})
	}
	return append(layers,
		DropoutLayer{"fuse", a.FuseDim, func(n BatchCounts) int { return n.Rows }},
		DropoutLayer{"sound", a.MelBands / 8 * a.SoundWidths[2], func(n BatchCounts) int {
			return n.Windows * (a.Spec.AudioSamples() / soundHop / 8)
		}},
	)
}
