package plot

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strconv"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Axis is one of parallel coordinates: numbers, on a logarithmic scale if asked for, or named values in equal steps.
type Axis struct {
	Name   string
	Log    bool
	Values []string // none: numbers
}

// scale places the axis's values: 0 is its lower end, 1 its upper one.
type scale struct {
	Axis
	lo, hi float64
}

// position returns where on the axis a value is; ok is false for one that it can't hold.
func (s *scale) position(value string) (share float64, ok bool) {
	if len(s.Values) > 0 {
		i := slices.Index(s.Values, value)
		return (float64(i) + 0.5) / float64(len(s.Values)), i >= 0
	}
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || !finite(v) || s.Log && v <= 0 {
		return 0, false
	}
	v = s.of(v)
	if s.hi == s.lo {
		return 0.5, true
	}
	return (v - s.lo) / (s.hi - s.lo), true
}

// of returns a number as the scale has it.
func (s *scale) of(v float64) float64 {
	if s.Log {
		return math.Log(v)
	}
	return v
}

// ticks returns the labels of the axis and where they stand.
func (s *scale) ticks() (all []gonum.Tick) {
	if len(s.Values) > 0 {
		for _, v := range s.Values {
			at, _ := s.position(v)
			all = append(all, gonum.Tick{Value: at, Label: v})
		}
		return all
	}
	if s.hi == s.lo {
		v := s.lo
		if s.Log {
			v = math.Exp(v)
		}
		return []gonum.Tick{{Value: 0.5, Label: fmt.Sprintf("%.3g", v)}}
	}
	if !s.Log {
		for _, t := range ticks(s.lo, s.hi) {
			all = append(all, gonum.Tick{Value: (t.Value - s.lo) / (s.hi - s.lo), Label: t.Label})
		}
		return all
	}
	for i := range 5 {
		share := float64(i) / 4
		all = append(all, gonum.Tick{
			Value: share, Label: fmt.Sprintf("%.2g", math.Exp(s.lo+share*(s.hi-s.lo))),
		})
	}
	return all
}

// newScale returns the axis with the range of its column.
func newScale(a Axis, lines [][]string, column int) scale {
	s := scale{Axis: a, lo: math.Inf(1), hi: math.Inf(-1)}
	for _, l := range lines {
		v, err := strconv.ParseFloat(l[column], 64)
		if err == nil && finite(v) && !(a.Log && v <= 0) {
			s.lo, s.hi = min(s.lo, s.of(v)), max(s.hi, s.of(v))
		}
	}
	if s.lo > s.hi {
		s.lo, s.hi = 0, 1
	}
	return s
}

// Parallel returns as SVG parallel coordinates (Inselberg 1985): an axis a column, and a line for each row of values,
// drawn in their order. The last axis has numbers, by which lines are coloured: light for its lower end, dark for its
// upper one. A line breaks where its axis can't hold a value. The error is that a row has not a value for each axis.
func Parallel(title string, axes []Axis, lines [][]string) ([]byte, error) {
	for i, l := range lines {
		if len(l) != len(axes) {
			return nil, fmt.Errorf("plot: line %d has %d values, for %d axes", i, len(l), len(axes))
		}
	}
	scales := make([]scale, len(axes))
	for i, a := range axes {
		scales[i] = newScale(a, lines, i)
	}
	wide := max(width, vg.Length(len(axes))*110)
	return render(title, wide, height, func(c draw.Canvas) {
		if len(lines) == 0 || len(axes) == 0 {
			noData(c)
			return
		}
		c = draw.Crop(c, 44, -44, 8, -18)
		x := func(i int) vg.Length {
			return c.Min.X + c.Size().X*vg.Length(i)/vg.Length(max(len(axes)-1, 1))
		}
		y := func(share float64) vg.Length { return c.Min.Y + c.Size().Y*vg.Length(share) }
		for _, l := range lines {
			shade, ok := scales[len(axes)-1].position(l[len(axes)-1])
			if !ok {
				continue
			}
			c.SetLineStyle(draw.LineStyle{Color: sequential(shade), Width: vg.Length(0.75 + 0.75*shade)})
			var last *vg.Point
			for i, v := range l {
				at, ok := scales[i].position(v)
				if !ok {
					last = nil
					continue
				}
				p := vg.Point{X: x(i), Y: y(at)}
				if last != nil {
					var path vg.Path
					path.Move(*last)
					path.Line(p)
					c.Stroke(path)
				}
				last = &p
			}
		}
		for i := range axes {
			scales[i].draw(c, x(i), y)
		}
	})
}

// draw draws the axis, its name above it, and its labels on its left, the last axis's colours not hidden by them.
func (s *scale) draw(c draw.Canvas, x vg.Length, y func(float64) vg.Length) {
	c.StrokeLine2(draw.LineStyle{Color: grey, Width: 0.75}, x, y(0), x, y(1))
	name := centred(textSize, ink)
	name.YAlign = draw.YBottom
	c.FillText(name, vg.Point{X: x, Y: y(1) + 5}, clean(s.Name))
	label := style(textSize-1, grey)
	label.XAlign, label.YAlign = draw.XRight, draw.YCenter
	for _, t := range s.ticks() {
		c.StrokeLine2(draw.LineStyle{Color: grey, Width: 0.75}, x-3, y(t.Value), x, y(t.Value))
		c.FillText(label, vg.Point{X: x - 4, Y: y(t.Value)}, clean(t.Label))
	}
}

// sequential returns the colour of a share from 0 to 1: from a light to a dark blue, by lightness alone, which any
// vision can follow.
func sequential(share float64) color.Color {
	from, to := [3]float64{0xc6, 0xdb, 0xef}, [3]float64{0x08, 0x30, 0x6b}
	var mixed [3]uint8
	for i := range mixed {
		mixed[i] = uint8(math.Round(from[i] + share*(to[i]-from[i])))
	}
	return color.NRGBA{mixed[0], mixed[1], mixed[2], 0xff}
}
