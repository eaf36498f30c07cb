package nn

import (
	"slices"
	"testing"
)

func TestEveryParameterIsOfAPart(t *testing.T) {
	a := gradientArch()
	count := map[string]int{}
	for _, param := range Parameters(a) {
		name, p := param.Name, PartOf(param.Name)
		if !slices.Contains(Parts, p) {
			t.Errorf("%s is of %q, which is no part", name, p)
		}
		count[p]++
	}
	for _, p := range Parts {
		if count[p] == 0 {
			t.Errorf("no parameter is of the part %s", p)
		}
	}
	if count["emotion"] != 6 || count["gender"] != 6 {
		t.Errorf("the output layers have %d and %d parameters, want a weight and a bias of each of three",
			count["emotion"], count["gender"])
	}
}

func TestCheckFreeze(t *testing.T) {
	for _, c := range []struct {
		freeze []string
		ok     bool
	}{
		{nil, true},
		{[]string{"face", "sound"}, true},
		{[]string{"faces"}, false},
		{[]string{"face", "face"}, false},
		{[]string{""}, false},
		{Parts, false},
		{Parts[1:], true},
	} {
		if err := CheckFreeze(c.freeze); (err == nil) != c.ok {
			t.Errorf("freeze %v: %v", c.freeze, err)
		}
	}
}
