package sweep

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"tandem/pipeline"
	"tandem/train"
)

// Dimension is a field of the recipe and what it may be: some values, or all between two.
type Dimension struct {
	Field  string   `json:"field"`            // as train.Recipe.Set takes it
	Values []string `json:"values,omitempty"` // as train.Recipe.Set takes them; none: from Lo to Hi
	Lo     float64  `json:"lo,omitempty"`
	Hi     float64  `json:"hi,omitempty"`
	Log    bool     `json:"log,omitempty"` // even in the logarithm
}

// maxTrials bounds a grid and a random search: a mistyped range is no reason to fill a disk with folders.
const maxTrials = 10000

// ParseRange reads a dimension: "votes=majority,drawn" has values, separated by commas or, where they hold commas
// themselves, in a JSON list; "dropout=0.1..0.5" all numbers between two, "learning_rate=log:1e-4..1e-2" even in the
// logarithm, and "log:1e-4..1e-2:5" five of them, the ends among these. The error says what is wrong with it.
func ParseRange(s string) (Dimension, error) {
	field, values, ok := strings.Cut(s, "=")
	d := Dimension{Field: field}
	if !ok || field == "" || values == "" {
		return d, fmt.Errorf("%q: want FIELD=VALUES, such as dropout=0.1,0.3 or learning_rate=log:1e-4..1e-2", s)
	}
	if strings.HasPrefix(values, "[") {
		var list []any
		if err := json.Unmarshal([]byte(values), &list); err != nil {
			return d, fmt.Errorf("%s: %q is no list in JSON: %w", field, values, err)
		}
		for _, v := range list {
			text, ok := v.(string)
			if !ok {
				b, err := json.Marshal(v)
				if err != nil {
					return d, fmt.Errorf("%s: %w", field, err)
				}
				text = string(b)
			}
			d.Values = append(d.Values, text)
		}
		return d, d.check()
	}
	numbers, logarithm := strings.CutPrefix(values, "log:")
	lo, hi, between := strings.Cut(numbers, "..")
	if !between {
		if logarithm {
			return d, fmt.Errorf("%s: %q: want log:FROM..TO, such as log:1e-4..1e-2", field, values)
		}
		for _, v := range strings.Split(values, ",") {
			d.Values = append(d.Values, strings.TrimSpace(v))
		}
		return d, d.check()
	}
	d.Log = logarithm
	hi, count, counted := strings.Cut(hi, ":")
	var wrong [2]error
	d.Lo, wrong[0] = strconv.ParseFloat(lo, 64)
	d.Hi, wrong[1] = strconv.ParseFloat(hi, 64)
	if err := errors.Join(wrong[:]...); err != nil || !(d.Lo < d.Hi) || math.IsInf(d.Hi-d.Lo, 0) ||
		d.Log && d.Lo <= 0 {
		return d, fmt.Errorf("%s: %q: want FROM..TO, two numbers, the lower first, after log: above 0", field, values)
	}
	if !counted {
		return d, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 2 || n > maxTrials {
		return d, fmt.Errorf("%s: %q: how many values? want 2 to %d behind the last colon", field, values, maxTrials)
	}
	for i := range n {
		d.Values = append(d.Values, number(d.at(float64(i)/float64(n-1))))
	}
	return d, d.check()
}

// check returns an error if values are missing or there twice.
func (d *Dimension) check() error {
	if len(d.Values) == 0 {
		return fmt.Errorf("%s: there are no values", d.Field)
	}
	for i, v := range d.Values {
		if v == "" {
			return fmt.Errorf("%s: a value is empty", d.Field)
		}
		if slices.Contains(d.Values[:i], v) {
			return fmt.Errorf("%s: %s is there twice", d.Field, v)
		}
	}
	return nil
}

// at returns the number at a share, 0 to 1, of the way from Lo to Hi.
func (d *Dimension) at(share float64) float64 {
	switch {
	case share <= 0:
		return d.Lo
	case share >= 1:
		return d.Hi
	case d.Log:
		return math.Exp(math.Log(d.Lo) + share*(math.Log(d.Hi)-math.Log(d.Lo)))
	}
	return d.Lo + share*(d.Hi-d.Lo)
}

// number writes a number to five digits, which is more than a search can tell apart and less than a table can't show.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 5, 64) }

// draw returns a value at random.
func (d *Dimension) draw(rng *rand.Rand) string {
	if len(d.Values) > 0 {
		return d.Values[rng.IntN(len(d.Values))]
	}
	return number(d.at(rng.Float64()))
}

// fixed are the fields that a sweep can't change, with why.
var fixed = map[string]string{
	"epochs":          "trials get as many as the budget says",
	"steps_per_epoch": "the budget is in epochs, which would no longer be alike",
	"stop_metric":     "it is the score by which trials are told apart",
	"emotions":        "scores over other labels can't be compared",
	"genders":         "scores over other labels can't be compared",
	"hears":           "all trials share one cut of the data",
	"modal":           "all trials share one cut of the data",
}

// set returns the base recipe with a trial's values, in the order of the dimensions. A number that was drawn for a
// field of whole numbers is rounded.
func set(base train.Recipe, space []Dimension, values []string) (train.Recipe, error) {
	r := base
	for i, d := range space {
		err := r.Set(d.Field + "=" + values[i])
		if err != nil && len(d.Values) == 0 {
			if v, e := strconv.ParseFloat(values[i], 64); e == nil {
				if e := r.Set(fmt.Sprintf("%s=%.0f", d.Field, v)); e == nil {
					values[i], err = fmt.Sprintf("%.0f", v), nil
				}
			}
		}
		if err != nil {
			return r, err
		}
	}
	if err := r.Check(); err != nil {
		return r, err
	}
	if before, after := base.Arch.WindowSpec(), r.Arch.WindowSpec(); before != after {
		return r, fmt.Errorf("the windows would be %s instead of %s, and all trials share one cut of the data",
			windows(after), windows(before))
	}
	return r, nil
}

func windows(s pipeline.Spec) string { return fmt.Sprintf("%+v", s) }

// checkSpace returns an error if there is no space, or a dimension can't be searched.
func checkSpace(space []Dimension) error {
	if len(space) == 0 {
		return errors.New("nothing to search: give --range FIELD=VALUES")
	}
	for i, d := range space {
		if why, ok := fixed[d.Field]; ok {
			return fmt.Errorf("--range %s: a sweep can't change it: %s", d.Field, why)
		}
		for _, other := range space[:i] {
			if other.Field == d.Field {
				return fmt.Errorf("--range %s: given twice", d.Field)
			}
		}
	}
	return nil
}

// size returns how many points the space has, 0 for more than can be counted or maxTrials.
func size(space []Dimension) int {
	n := 1
	for _, d := range space {
		if n *= len(d.Values); n == 0 || n > maxTrials {
			return 0
		}
	}
	return n
}

// grid returns all points of a space, the last dimension changing fastest.
func grid(space []Dimension) ([][]string, error) {
	for _, d := range space {
		if len(d.Values) == 0 {
			return nil, fmt.Errorf("--range %s: a grid needs to know how many values from %g to %g: write %g..%g:5 "+
				"for five, or search at random", d.Field, d.Lo, d.Hi, d.Lo, d.Hi)
		}
	}
	n := size(space)
	if n == 0 {
		return nil, fmt.Errorf("the grid has more than %d points: give fewer values, or search at random", maxTrials)
	}
	points := make([][]string, n)
	for i := range points {
		at, point := i, make([]string, len(space))
		for k := len(space) - 1; k >= 0; k-- {
			values := space[k].Values
			point[k] = values[at%len(values)]
			at /= len(values)
		}
		points[i] = point
	}
	return points, nil
}

// draws returns n different points at random, or all of a space that has no more. The first n of more draws by the same
// seed are the same.
func draws(space []Dimension, n int, seed uint64) [][]string {
	if all := size(space); all > 0 {
		n = min(n, all)
	}
	rng := rand.New(rand.NewPCG(seed, 0x5eed))
	var points [][]string
	seen := map[string]bool{}
	for tries := 0; len(points) < n && tries < 1000*n; tries++ {
		point := make([]string, len(space))
		for k := range space {
			point[k] = space[k].draw(rng)
		}
		if key := strings.Join(point, "\x00"); !seen[key] {
			seen[key] = true
			points = append(points, point)
		}
	}
	return points
}
