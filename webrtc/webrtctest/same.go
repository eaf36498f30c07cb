package webrtctest

import "tandem/pipeline"

// Tolerance bounds by how much the probabilities of a stream may differ from those of the same media as a file.
// docs/whip.md states it.
const Tolerance = 0.01

// OtherLabel reports whether a label is another than that of want, and not for a tie: of two labels as near to each
// other as twice the Tolerance either may come first.
func OtherLabel(label string, want *pipeline.Scores) bool {
	var its, first float64
	for _, c := range want.P {
		first = max(first, c.P)
		if c.Label == label {
			its = c.P
		}
	}
	return first-its > 2*Tolerance
}
