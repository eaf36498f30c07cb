package infer

import (
	"errors"
	"testing"
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
