package plot

import (
	"fmt"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Interval is an estimate with the interval that its true value is expected in. Values that are not finite are not
// drawn.
type Interval struct {
	Name         string
	Mean, Lo, Hi float64
}

// Intervals returns as SVG estimates one below the other, each with its interval, and the numbers beside them; x is the
// label of their axis. A line marks zero where the axis crosses it.
func Intervals(title, x string, rows []Interval) ([]byte, error) {
	p := newPlot(x, "")
	g := grid()
	g.Horizontal.Width = 0
	p.Add(g)
	var names []gonum.Tick
	number := style(textSize, grey)
	var numbers, labels vg.Length // widths
	p.X.Min, p.X.Max = 1, 0       // an empty range, which settle replaces
	first := true
	for i, r := range rows {
		name := clean(r.Name)
		names = append(names, gonum.Tick{Value: float64(len(rows) - 1 - i), Label: name})
		labels = max(labels, number.Width(name))
		numbers = max(numbers, number.Width(r.numbers()))
		for _, v := range []float64{r.Mean, r.Lo, r.Hi} {
			if !finite(v) {
				continue
			}
			if first {
				p.X.Min, p.X.Max, first = v, v, false
			}
			p.X.Min, p.X.Max = min(p.X.Min, v), max(p.X.Max, v)
		}
	}
	settle(&p.X)
	p.Y.Min, p.Y.Max = -0.6, max(float64(len(rows))-0.4, 0.4)
	p.Y.LineStyle.Width, p.Y.Tick.Length, p.Y.Padding = 0, 0, 6
	p.Y.Tick.Marker = gonum.ConstantTicks(names)
	p.Add(intervals(rows))
	w := max(width, labels+numbers+240)
	return render(title, w, vg.Length(max(len(rows), 2))*18+34+2*margin, func(c draw.Canvas) {
		body := draw.Crop(c, 0, -numbers-8, 0, 0)
		if len(rows) == 0 {
			noData(body)
			return
		}
		p.Draw(body)
		number.XAlign, number.YAlign = draw.XRight, draw.YCenter
		data := p.DataCanvas(body)
		_, y := p.Transforms(&data)
		for i, r := range rows {
			c.FillText(number, vg.Point{X: c.Max.X, Y: y(float64(len(rows) - 1 - i))}, r.numbers())
		}
	})
}

// numbers returns the estimate and its interval as text.
func (r *Interval) numbers() string {
	if !finite(r.Mean) {
		return "–"
	}
	if !finite(r.Lo) || !finite(r.Hi) {
		return fmt.Sprintf("%.3f", r.Mean)
	}
	return fmt.Sprintf("%.3f [%.3f, %.3f]", r.Mean, r.Lo, r.Hi)
}

// intervals draws the rows, the first on top.
type intervals []Interval

// Plot implements gonum's Plotter.
func (rows intervals) Plot(c draw.Canvas, p *gonum.Plot) {
	x, y := p.Transforms(&c)
	if p.X.Min < 0 && p.X.Max > 0 {
		c.StrokeLine2(draw.LineStyle{Color: grey, Width: 0.75, Dashes: []vg.Length{3, 3}}, x(0), c.Min.Y, x(0), c.Max.Y)
	}
	for i, r := range rows {
		at := y(float64(len(rows) - 1 - i))
		if finite(r.Lo) && finite(r.Hi) {
			c.StrokeLine2(draw.LineStyle{Color: palette[0], Width: 2}, x(r.Lo), at, x(r.Hi), at)
		}
		if finite(r.Mean) {
			c.DrawGlyph(draw.GlyphStyle{Color: palette[0], Radius: 3.5, Shape: draw.CircleGlyph{}},
				vg.Point{X: x(r.Mean), Y: at})
		}
	}
}
