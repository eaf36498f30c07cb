package infer_test

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute-onnx/support/protos"
	"google.golang.org/protobuf/proto"

	"tandem/infer"
	"tandem/infer/infertest"
	"tandem/pipeline"
)

// withRanges is a model with other ranges; none if they are nil.
func withRanges(t *testing.T, model []byte, ranges infer.Int8Ranges) []byte {
	t.Helper()
	var m protos.ModelProto
	if err := proto.Unmarshal(model, &m); err != nil {
		t.Fatal(err)
	}
	const key = "tandem.int8_ranges"
	m.MetadataProps = slices.DeleteFunc(m.MetadataProps,
		func(p *protos.StringStringEntryProto) bool { return p.GetKey() == key })
	if ranges != nil {
		b, err := json.Marshal(ranges)
		if err != nil {
			t.Fatal(err)
		}
		m.MetadataProps = append(m.MetadataProps, &protos.StringStringEntryProto{Key: key, Value: string(b)})
	}
	b, err := proto.Marshal(&m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// In 8 bits the embedded model says nearly the same, whether its crops are remembered or not.
func TestInt8SaysNearlyTheSame(t *testing.T) {
	needRuntime(t)
	whole := newRecognizer(t, infer.DefaultModel(), infer.Options{Threads: 1})
	ws := randomWindows(whole.Spec(), 12)
	ranges, err := infer.FindInt8Ranges(t.Context(), infer.DefaultModel(), ws)
	if err != nil {
		t.Fatal(err)
	}
	if len(ranges) < 10 {
		t.Errorf("ranges of %d tensors only: %v", len(ranges), ranges)
	}
	model := withRanges(t, infer.DefaultModel(), ranges)
	small := newRecognizer(t, model, infer.Options{Threads: 1, Int8: true})
	if !maps.Equal(small.Contract().Int8Ranges, ranges) {
		t.Errorf("ranges %v, want %v", small.Contract().Int8Ranges, ranges)
	}
	want, err := whole.Recognize(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range ws {
		w.FeatureCaches = make([]*pipeline.FeatureCache, len(w.VideoMask))
		for k, there := range w.VideoMask {
			if there {
				w.FeatureCaches[k] = new(pipeline.FeatureCache)
			}
		}
	}
	for _, round := range []string{"new crops", "remembered crops"} {
		got, err := small.Recognize(t.Context(), ws)
		if err != nil {
			t.Fatal(err)
		}
		var most float64
		for i := range got {
			for k, p := range got[i].Emotion {
				most = max(most, math.Abs(float64(p-want[i].Emotion[k])))
			}
			for k, p := range got[i].Gender {
				most = max(most, math.Abs(float64(p-want[i].Gender[k])))
			}
		}
		if most == 0 || most > 0.15 {
			t.Errorf("%s: probabilities differ by up to %g", round, most)
		}
	}
	if other := newRecognizer(t, model, infer.Options{Threads: 1}); other.Contract().Int8Ranges == nil {
		t.Error("a model that knows its ranges forgets them when it runs in float32")
	}
}

func TestInt8Refusals(t *testing.T) {
	needRuntime(t)
	in8 := infer.Options{Int8: true}
	_, err := infer.NewRecognizer(withRanges(t, infer.DefaultModel(), nil), in8)
	if !errors.Is(err, infer.ErrNoRanges) || !strings.Contains(err.Error(), "tandem quantize") {
		t.Errorf("without ranges: %v", err)
	}
	_, err = infer.NewRecognizer(withRanges(t, infer.DefaultModel(), infer.Int8Ranges{"other": {0, 1}}), in8)
	refused(t, err, "lack")
	plain := infertest.Model(infertest.Contract())
	if _, err := infer.NewRecognizer(withRanges(t, plain, infer.Int8Ranges{"a": {0, 1}}), in8); err == nil ||
		!strings.Contains(err.Error(), "no convolutions") {
		t.Errorf("without convolutions: %v", err)
	}
	if _, err := infer.FindInt8Ranges(t.Context(), plain, randomWindows(infertest.Contract().Spec(), 1)); err == nil ||
		!strings.Contains(err.Error(), "no convolutions") {
		t.Errorf("ranges without convolutions: %v", err)
	}
	if _, err := infer.FindInt8Ranges(t.Context(), infer.DefaultModel(), nil); err == nil ||
		!strings.Contains(err.Error(), "no windows") {
		t.Errorf("ranges without windows: %v", err)
	}
	m := infertest.Contract().Metadata()
	m["tandem.int8_ranges"] = "[1]"
	_, err = infer.ParseContract(m)
	refused(t, err, "tandem.int8_ranges")
}

// 8 bits by themselves are for models that know their ranges, on processors that have instructions for it.
func TestInt8IfFaster(t *testing.T) {
	auto := infer.Options{Threads: 1, Int8IfFaster: true}
	want := "fp32"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil &&
		regexp.MustCompile(`\b(avx512_vnni|avx_vnni|asimddp)\b`).Match(info) {
		want = "int8"
	}
	if got := newRecognizer(t, infer.DefaultModel(), auto).Precision(); got != want {
		t.Errorf("the embedded model is run in %s, want %s", got, want)
	}
	if got := newRecognizer(t, infer.DefaultModel(), infer.Options{Threads: 1}).Precision(); got != "fp32" {
		t.Errorf("the embedded model is run in %s unasked", got)
	}
	if got := newRecognizer(t, infertest.Model(infertest.Contract()), auto).Precision(); got != "fp32" {
		t.Errorf("a model that does not know its ranges is run in %s", got)
	}
}

// --precision int8 is promised for the embedded model: after it was replaced, run `tandem quantize` on it if this
// fails.
func TestDefaultModelRunsInInt8(t *testing.T) {
	newRecognizer(t, infer.DefaultModel(), infer.Options{Int8: true})
}
