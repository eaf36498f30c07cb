package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// words returns the text of a chart, one string an element. It fails the test if the chart is not one valid SVG element
// that can be put into a page.
func words(t *testing.T, svg []byte, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(svg, []byte("<svg ")) {
		t.Fatalf("the chart begins %.40q", svg)
	}
	for _, no := range []string{"NaN", "Inf", "<?xml", "<script", "href"} {
		if bytes.Contains(svg, []byte(no)) {
			t.Errorf("the chart contains %q", no)
		}
	}
	var said []string
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		if s, ok := token.(xml.CharData); ok && strings.TrimSpace(string(s)) != "" {
			said = append(said, strings.TrimSpace(string(s)))
		}
	}
	if dir := os.Getenv("PLOT_DIR"); dir != "" { // to look at
		name := strings.ReplaceAll(t.Name(), "/", "-")
		if err := os.WriteFile(filepath.Join(dir, name+".svg"), svg, 0o644); err != nil {
			t.Error(err)
		}
	}
	return said
}

func mustSay(t *testing.T, said []string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !slices.Contains(said, w) {
			t.Errorf("the chart does not say %q, but %q", w, said)
		}
	}
}

func TestTitleIsEscapedAndWrapped(t *testing.T) {
	long := strings.Repeat("a title of <many> words & signs ", 6) + "\x00\xff end"
	svg, err := Lines(long, "<x>", "y & \x01", nil)
	said := words(t, svg, err)
	mustSay(t, said, "<x>", "y &", "no data")
	if n := strings.Count(strings.Join(said, "\n"), "<many>"); n != 6 {
		t.Errorf("the title is there %d times of 6: %q", n, said)
	}
	if slices.ContainsFunc(said, func(s string) bool { return len(s) > 120 }) {
		t.Errorf("the title is in one line: %q", said)
	}
}

func TestTicks(t *testing.T) {
	for _, tc := range []struct {
		lo, hi float64
		want   string
	}{
		{0, 1, "0.0 0.2 0.4 0.6 0.8 1.0"},
		{-0.03, 1.03, "0 0.2 0.4 0.6 0.8 1.0"},
		{1, 17, "5 10 15"},
		{0, 5000, "0 1000 2000 3000 4000 5000"},
		{0.0011, 0.0019, "0.0012 0.0014 0.0016 0.0018"},
		{2e7, 4e7, "2e+07 2.5e+07 3e+07 3.5e+07 4e+07"},
		{-1e-9, 1e-9, "-1e-09 -5e-10 0 5e-10 1e-09"},
	} {
		var got []string
		for _, tick := range ticks(tc.lo, tc.hi) {
			got = append(got, tick.Label)
		}
		if s := strings.Join(got, " "); strings.Replace(s, "0 ", "0.0 ", 1) != tc.want && s != tc.want {
			t.Errorf("%g to %g: %s, want %s", tc.lo, tc.hi, s, tc.want)
		}
	}
}

func TestParallelCoordinates(t *testing.T) {
	axes := []Axis{
		{Name: "learning_rate", Log: true}, {Name: "votes", Values: []string{"majority", "drawn"}}, {Name: "score"},
	}
	svg, err := Parallel("a line a trial", axes, [][]string{
		{"0.0001", "majority", "0.5"}, {"0.01", "drawn", "0.75"}, {"0.001", "drawn", "0.6"},
	})
	mustSay(t, words(t, svg, err), "a line a trial", "learning_rate", "votes", "score", "majority", "drawn", "0.0001",
		"0.001", "0.01", "0.60")
	// Between three axes each line has two segments; the best trial's is the darkest.
	if n := bytes.Count(svg, []byte("#08306B")); n != 2 {
		t.Errorf("%d strokes in the darkest colour, want 2\n%s", n, svg)
	}
	if _, err := Parallel("", axes, [][]string{{"1"}}); err == nil {
		t.Error("a line of one value for three axes is drawn")
	}
	svg, err = Parallel("none", axes, nil)
	mustSay(t, words(t, svg, err), "no data")
}

// FuzzCharts draws whatever numbers there are.
func FuzzCharts(f *testing.F) {
	for _, v := range [][3]float64{
		{0, 1, 2},
		{math.NaN(), math.Inf(1), math.Inf(-1)},
		{math.MaxFloat64, -math.MaxFloat64, 0},
		{1e149, -1e149, 1},
		{1e17, 1e17 + 16, 1e17},
		{5e-324, 0, 0},
		{1e-300, 2e-300, 3e-300},
		{7, 7, 7},
		{0.1, 0.1 + 1e-17, 0.1},
	} {
		f.Add(v[0], v[1], v[2], 3, "name")
	}
	f.Add(0., 0., 0., -1, "")
	f.Fuzz(func(t *testing.T, a, b, c float64, n int, name string) {
		v := []float64{a, b, c}
		svg, err := Lines(name, name, name, []Series{
			{name, v, v, v, []float64{b, c, a}},
			{Name: name, X: v[:1], Y: v[1:2]},
		})
		words(t, svg, err)
		svg, err = Reliability(name, []Bin{{a, b, n}, {b, c, 2}})
		words(t, svg, err)
		svg, err = Intervals(name, name, []Interval{{name, a, b, c}, {name, b, a, a}})
		words(t, svg, err)
		number := strconv.FormatFloat(a, 'g', -1, 64)
		svg, err = Parallel(name, []Axis{{Name: name, Log: true}, {Name: name, Values: []string{name}}, {}},
			[][]string{{number, name, number}, {name, number, strconv.FormatFloat(b, 'g', -1, 64)}})
		words(t, svg, err)
		svg, err = Confusion(name, []string{name, "b"}, [][]int{{n, 1}, {0, 0}})
		words(t, svg, err)
	})
}
