package av_test

import (
	"os"
	"runtime"
	"testing"

	"tandem/capture/av"
)

func TestLimitHeaps(t *testing.T) {
	t.Setenv("MALLOC_ARENA_MAX", "16")
	if av.LimitHeaps(2) {
		t.Error("the user's own number is overruled")
	}
	os.Unsetenv("MALLOC_ARENA_MAX") // t.Setenv puts back what was
	if done := av.LimitHeaps(2); done != (runtime.GOOS == "linux") {
		t.Errorf("the heaps are limited: %v", done)
	}
}
