package infer

import (
	"errors"
	"testing"
	"time"

	"tandem/pipeline"
)

// The embedded model is not probed when it is loaded, so it is here.
func TestDefaultModelIsWhole(t *testing.T) {
	r, err := NewRecognizer(DefaultModel(), Options{})
	if errors.Is(err, ErrNoRuntime) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	features := r.features
	if err := r.probe(); err != nil || r.features != features {
		t.Errorf("%v; %d features of a crop, and %d when it was loaded", err, r.features, features)
	}
}

// One run of the paper's network is one window, however many are asked about: 32 took 20 GB.
func TestBatchIsBoundedByMemory(t *testing.T) {
	usual := pipeline.Spec{Window: 2560 * time.Millisecond, VideoFrames: 8, CropSize: 48, Channels: 1}
	paper := pipeline.Spec{Window: 6 * time.Second, VideoFrames: 150, CropSize: 96, Channels: 3}
	for _, c := range []struct {
		spec       pipeline.Spec
		most, want int
	}{{usual, 32, 32}, {usual, 4, 4}, {paper, 32, 1}, {paper, 1, 1}} {
		if got := boundedBatch(c.spec, c.most); got != c.want {
			t.Errorf("%d windows a run, want %d of %+v", got, c.want, c.spec)
		}
	}
}
