package train

import (
	"context"
	"reflect"
	"runtime"
	"testing"
	"time"

	"tandem/train/nn"
	"tandem/train/sample/sampletest"
)

// Several makers return what one does, in order, over more than a pass of the stills.
func TestBatchMakers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(6))
	recipe := tinyRecipe()
	recipe.StillBalance = "none" // dealt: a maker holds the order of a pass
	b, err := newBatcher(recipe, recipe.testArch(nn.DefaultSpec), sampletest.Synthetic(nn.DefaultSpec, 20, 6, 6))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	made := newBatchMakers(ctx, b, 3, 1000)
	for number := 3; number < 24; number++ {
		if got, want := made.next(ctx), b.batch(number); !reflect.DeepEqual(got, want) {
			t.Fatalf("batch %d is another", number)
		}
	}
	cancel()
	ended := make(chan struct{})
	go func() { made.wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("batches are made after the context's end")
	}
}

// With all batches taken nothing is left to wait for.
func TestBatchMakersEnd(t *testing.T) {
	recipe := tinyRecipe()
	b, err := newBatcher(recipe, recipe.testArch(nn.DefaultSpec), sampletest.Synthetic(nn.DefaultSpec, 4, 2, 2))
	if err != nil {
		t.Fatal(err)
	}
	made := newBatchMakers(t.Context(), b, 0, 3)
	for range 3 {
		if made.next(t.Context()) == nil {
			t.Fatal("a batch is missing")
		}
	}
	made.wait()
}
