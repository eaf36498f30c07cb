package cli

import (
	"reflect"
	"strings"
	"testing"
)

func TestWeightingsSplitAtCommas(t *testing.T) {
	for in, want := range map[string][]string{
		"softmax,static,uw":      {"softmax", "static", "uw"},
		"static:0.7,0.3,softmax": {"static:0.7,0.3", "softmax"},
		"static:1,2,static:2,1":  {"static:1,2", "static:2,1"},
		"softmax,static:0.7":     {"softmax", "static:0.7"},
		"none":                   nil,
		"":                       nil,
	} {
		if got := list(in); !reflect.DeepEqual(got, want) {
			t.Errorf("%q is split into %q, want %q", in, got, want)
		}
	}
}

func TestCompareRefusesWhatNoComparisonIs(t *testing.T) {
	for says, args := range map[string][]string{
		"nosuch":          {"--weightings", "nosuch"},
		"static:0.7":      {"--weightings", "softmax,static:0.7"},
		"--seeds 0":       {"--seeds", "0"},
		"--jobs 0":        {"--jobs", "0"},
		`--modes "smell"`: {"--modes", "smell"},
		"--static-grid":   {"--static-grid", "much"},
	} {
		args = append([]string{"compare", "--data", "manifest=nosuch.csv", "--out", t.TempDir()}, args...)
		if code, _, errs := runTandem(t, args...); code != exitUsage || !strings.Contains(errs, says) {
			t.Errorf("%v: exit code %d, %s; want %d and %q", args, code, errs, exitUsage, says)
		}
	}
}
