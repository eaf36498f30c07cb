package webrtctest

import (
	"testing"

	"tandem/pipeline"
)

func TestOtherLabel(t *testing.T) {
	want := &pipeline.Scores{P: pipeline.Classes{{Label: "a", P: 0.45}, {Label: "b", P: 0.44}, {Label: "c", P: 0.11}}}
	for label, other := range map[string]bool{"a": false, "b": false, "c": true, "d": true} {
		if OtherLabel(label, want) != other {
			t.Errorf("%s is another label: %v", label, !other)
		}
	}
}
