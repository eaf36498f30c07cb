package train

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestStepLogGoesOnAtACheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "steps.csv")
	l, err := openSteps(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	for step := range 5 {
		if err := l.add([]float64{float64(step + 1), 0.1, 2, 1.5, 0.5, 0.6, 0.4, 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Killed while it wrote the fifth row; the checkpoint is of step 3.
	if err := os.WriteFile(path, b[:len(b)-9], 0o644); err != nil {
		t.Fatal(err)
	}
	if l, err = openSteps(path, 3); err != nil {
		t.Fatal(err)
	}
	for step := 4; step <= 5; step++ {
		if err := l.add([]float64{float64(step), 0.1, 2, 1.5, 0.5, 0.6, 0.4, 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(path); err != nil || string(again) != string(b) {
		t.Errorf("the log is\n%s%v, want\n%s", again, err, b)
	}
	if x, y := l.rows.Series("weight_emotion"); !reflect.DeepEqual(x, []float64{1, 2, 3, 4, 5}) || y[0] != 0.6 {
		t.Errorf("weights by step: %v, %v", x, y)
	}
	if err := os.WriteFile(path, []byte("a,b\n1,2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openSteps(path, 3); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("another file: %v, want an error that names it", err)
	}
}

func TestStepLogThinsItsCharts(t *testing.T) {
	l := &stepLog{}
	for step := range 1000 {
		l.rows = append(l.rows, []float64{float64(step + 1), 0, 0, float64(step % 3), 0, 0, 0, 0})
	}
	x, y := l.rows.Series("emotion")
	if len(x) != 334 || x[0] != 3 || x[333] != 1000 || y[0] != 1 {
		t.Errorf("%d points from %v to %v, the first %v; want 334 means of three steps", len(x), x[0], x[len(x)-1],
			y[0])
	}
}
