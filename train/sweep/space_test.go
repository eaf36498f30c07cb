package sweep

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tandem/train"
)

func mustRange(t *testing.T, s string) Dimension {
	t.Helper()
	d, err := ParseRange(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestParseRange(t *testing.T) {
	for s, want := range map[string]Dimension{
		"votes=majority, drawn":     {Field: "votes", Values: []string{"majority", "drawn"}},
		"dropout=0..0.5":            {Field: "dropout", Hi: 0.5},
		"learning_rate=log:1e-4..1": {Field: "learning_rate", Lo: 1e-4, Hi: 1, Log: true},
		"dropout=0..0.5:3":          {Field: "dropout", Hi: 0.5, Values: []string{"0", "0.25", "0.5"}},
		"x=log:1e-4..1e-2:3": {
			Field: "x", Lo: 1e-4, Hi: 1e-2, Log: true, Values: []string{"0.0001", "0.001", "0.01"},
		},
		`weighting=["uw","rlw"]`:     {Field: "weighting", Values: []string{"uw", "rlw"}},
		`arch.face_widths=[[8],[4]]`: {Field: "arch.face_widths", Values: []string{"[8]", "[4]"}},
	} {
		if got, err := ParseRange(s); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", s, got, err)
		}
	}
	for s, want := range map[string]string{
		"dropout":             "want FIELD=VALUES",
		"dropout=":            "want FIELD=VALUES",
		"=1":                  "want FIELD=VALUES",
		"dropout=1..0":        "the lower first",
		"dropout=x..1":        "two numbers",
		"dropout=log:0..1":    "after log: above 0",
		"dropout=log:3":       "log:FROM..TO",
		"dropout=0..1:1":      "how many values",
		"dropout=0..1:x":      "how many values",
		"dropout=0..1:100000": "how many values",
		"dropout=1,1":         "1 is there twice",
		"dropout=1,,2":        "a value is empty",
		"dropout=[":           "no list in JSON",
		"dropout=[]":          "there are no values",
		"dropout=NaN..1":      "two numbers",
		"dropout=-1e308..Inf": "two numbers",
	} {
		if _, err := ParseRange(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", s, err, want)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{
		"dropout=0..1", "x=log:1e-4..1e-2:5", "x=[1,[2],\"a\"]", "votes=a,b", "x=-1e308..1e308:9", "=", "..",
		"x=log:..:",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseRange(s)
		if err != nil {
			return
		}
		for _, p := range draws([]Dimension{d}, 3, 1) {
			if len(d.Values) > 0 {
				if !slices.Contains(d.Values, p[0]) {
					t.Fatalf("%q: %q is none of its values", s, p[0])
				}
				continue
			}
			v, err := strconv.ParseFloat(p[0], 64)
			if slack := 1e-4 * max(math.Abs(d.Lo), math.Abs(d.Hi)); err != nil || v < d.Lo-slack || v > d.Hi+slack {
				t.Fatalf("%q: drew %q", s, p[0])
			}
		}
	})
}

func TestGridHasAllPointsOnce(t *testing.T) {
	points, err := grid([]Dimension{mustRange(t, "a=1,2"), mustRange(t, "b=x,y,z")})
	if err != nil || fmt.Sprint(points) != "[[1 x] [1 y] [1 z] [2 x] [2 y] [2 z]]" {
		t.Errorf("%v, %v", points, err)
	}
	if _, err := grid([]Dimension{mustRange(t, "a=0..1")}); err == nil || !strings.Contains(err.Error(), "0..1:5") {
		t.Errorf("%v", err)
	}
	many := []Dimension{mustRange(t, "a=0..1:1000"), mustRange(t, "b=0..1:1000")}
	if _, err := grid(many); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v", err)
	}
}

func TestDrawsAreEvenAndOfTheSeed(t *testing.T) {
	space := []Dimension{mustRange(t, "a=log:1e-4..1"), mustRange(t, "b=x,y"), mustRange(t, "c=2..4")}
	points := draws(space, 2000, 7)
	if !reflect.DeepEqual(points[:10], draws(space, 10, 7)) {
		t.Error("fewer draws of one seed are others")
	}
	if reflect.DeepEqual(points[:10], draws(space, 10, 8)) {
		t.Error("another seed draws the same")
	}
	below, xs, c := 0, 0, 0.0
	for _, p := range points {
		v, err := strconv.ParseFloat(p[0], 64)
		if err != nil || v < 1e-4 || v > 1 {
			t.Fatalf("drew %q", p[0])
		}
		if v < 1e-2 { // half of the way, in the logarithm
			below++
		}
		if p[1] == "x" {
			xs++
		}
		v, _ = strconv.ParseFloat(p[2], 64)
		c += v / 2000
	}
	// Four standard deviations of 2000 draws.
	if math.Abs(float64(below)-1000) > 90 || math.Abs(float64(xs)-1000) > 90 || math.Abs(c-3) > 0.052 {
		t.Errorf("%d of 2000 below the middle, %d x, mean %g", below, xs, c)
	}
	if all := draws([]Dimension{mustRange(t, "b=x,y,z")}, 50, 1); len(all) != 3 {
		t.Errorf("%d draws of three values", len(all))
	}
}

func TestSpacesThatCantBeSearched(t *testing.T) {
	for s, want := range map[string]string{
		"epochs=1,2":             "as many as the budget says",
		"stop_metric=loss,joint": "told apart",
		"no_such=1,2":            `no field "no_such"`,
		"learning_rate=-1,1":     "learning_rate",
		"dropout=a,b":            "is not a number",
		"arch.window=1000,2000":  "arch.window",
	} {
		o := Options{Space: []Dimension{mustRange(t, s)}, Halving: 3, FirstEpochs: 1}
		o.Recipe = train.DefaultRecipe()
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", s, err, want)
		}
	}
	var o Options
	o.Recipe = train.DefaultRecipe()
	for _, c := range []struct {
		change func()
		want   string
	}{
		{func() {}, "nothing to search"},
		{func() { o.Space = []Dimension{mustRange(t, "dropout=0,0.1"), mustRange(t, "dropout=0,0.1")} }, "given twice"},
		{func() { o.Space = o.Space[:1]; o.Halving = 1 }, "--halving 1"},
		{func() { o.Halving = 3 }, "--first-epochs 0"},
		{func() { o.FirstEpochs = 1; o.Random = true }, "needs --budget"},
		{func() { o.Budget = 1 }, "one trial alone takes"},
		{func() { o.Random = false }, "the grid's 2 points take"},
	} {
		c.change()
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", o.Space, err, c.want)
		}
	}
}

// A field of whole numbers takes what is drawn between two, rounded.
func TestWholeNumbersAreRounded(t *testing.T) {
	values := []string{"12.7"}
	r, err := set(train.DefaultRecipe(), []Dimension{mustRange(t, "voices=4..20")}, values)
	if err != nil || r.Voices != 13 || values[0] != "13" {
		t.Errorf("%d, %v, %v", r.Voices, values, err)
	}
}

func TestRounds(t *testing.T) {
	for _, c := range []struct {
		n, epochs, first, eta int
		want                  string
		cost                  int
	}{
		{9, 9, 1, 3, "[{9 1} {3 3} {1 9}]", 9 + 3*2 + 6},
		{10, 9, 1, 3, "[{10 1} {3 3} {1 9}]", 10 + 3*2 + 6},
		{9, 9, 3, 3, "[{9 3} {3 9}]", 27 + 3*6},
		{2, 9, 1, 3, "[{2 9}]", 18},
		{4, 10, 1, 2, "[{4 3} {2 5} {1 10}]", 12 + 2*2 + 5},
		{5, 7, 1, 0, "[{5 7}]", 35},
		{1, 1, 1, 3, "[{1 1}]", 1},
		{27, 2, 1, 3, "[{27 2}]", 54},
	} {
		all := rounds(c.n, c.epochs, c.first, c.eta)
		if fmt.Sprint(all) != c.want || cost(all) != c.cost {
			t.Errorf("%d trials of %d epochs: %v, cost %d; want %s, %d", c.n, c.epochs, all, cost(all), c.want, c.cost)
		}
	}
	for _, c := range []struct{ budget, epochs, eta int }{{60, 9, 3}, {9, 9, 3}, {200, 27, 2}, {100, 10, 0}} {
		n, err := affordable(c.budget, c.epochs, 1, c.eta)
		if err != nil || cost(rounds(n, c.epochs, 1, c.eta)) > c.budget ||
			cost(rounds(n+1, c.epochs, 1, c.eta)) <= c.budget {
			t.Errorf("%+v affords %d trials, %v", c, n, err)
		}
	}
}
