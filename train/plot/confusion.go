package plot

import (
	"fmt"
	"image/color"
	"math"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Size of a cell of a confusion matrix.
const (
	cellWidth  = 46
	cellHeight = 30
)

// Confusion returns a confusion matrix as SVG: counts[i][j] items of class i were taken for class j. Each cell has the
// count and its share of the row, in percent, and is shaded by the share. The error is that counts are not len(labels)
// rows of len(labels).
func Confusion(title string, labels []string, counts [][]int) ([]byte, error) {
	n := len(labels)
	if len(counts) != n {
		return nil, fmt.Errorf("plot: a confusion matrix of %d rows with %d labels", len(counts), n)
	}
	for i, row := range counts {
		if len(row) != n {
			return nil, fmt.Errorf("plot: row %d of the confusion matrix has %d columns, and there are %d labels", i,
				len(row), n)
		}
	}
	p := newPlot("predicted", "true")
	var xs, ys []gonum.Tick
	name := style(textSize, grey)
	var beside vg.Length
	for i, label := range labels {
		label = clean(label)
		xs = append(xs, gonum.Tick{Value: float64(i), Label: label})
		ys = append(ys, gonum.Tick{Value: float64(n - 1 - i), Label: label})
		beside = max(beside, name.Width(label))
	}
	below := vg.Length(textSize)
	if beside > cellWidth-2 { // names that would run into one another stand upright
		p.X.Tick.Label.Rotation = math.Pi / 2
		p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = draw.XRight, draw.YCenter
		below = beside
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = gonum.ConstantTicks(xs), gonum.ConstantTicks(ys)
	for _, a := range []*gonum.Axis{&p.X, &p.Y} {
		a.Min, a.Max = -0.5, max(float64(n)-0.5, 0.5)
		a.LineStyle.Width, a.Tick.Length, a.Padding = 0, 0, 4
	}
	p.Add(cells(counts))
	w := vg.Length(max(n, 1))*cellWidth + beside + 38 + 2*margin
	h := vg.Length(max(n, 1))*cellHeight + below + 30 + 2*margin
	return render(title, max(w, 160), h, func(c draw.Canvas) {
		if n == 0 {
			noData(c)
			return
		}
		p.Draw(c)
	})
}

// cells draws the matrix, its first row on top.
type cells [][]int

// Plot implements gonum's Plotter.
func (m cells) Plot(c draw.Canvas, p *gonum.Plot) {
	x, y := p.Transforms(&c)
	for i, row := range m {
		total := 0
		for _, n := range row {
			total += n
		}
		for j, n := range row {
			share := 0.0
			if total > 0 {
				share = min(max(float64(n)/float64(total), 0), 1)
			}
			cx, cy := float64(j), float64(len(m)-1-i)
			lo, hi := vg.Point{X: x(cx - 0.5), Y: y(cy - 0.5)}, vg.Point{X: x(cx + 0.5), Y: y(cy + 0.5)}
			square := []vg.Point{lo, {X: hi.X, Y: lo.Y}, hi, {X: lo.X, Y: hi.Y}}
			c.FillPolygon(shade(share), c.ClipPolygonXY(square))
			c.StrokeLines(draw.LineStyle{Color: color.White, Width: 1}, append(square, lo))
			var text color.Color = ink
			if share > 0.55 {
				text = color.White
			}
			mid := vg.Point{X: x(cx), Y: y(cy)}
			c.FillText(centred(textSize, text), vg.Point{X: mid.X, Y: mid.Y + 5}, fmt.Sprint(n))
			c.FillText(centred(7, text), vg.Point{X: mid.X, Y: mid.Y - 6}, fmt.Sprintf("%.0f %%", 100*share))
		}
	}
}

// shade returns a colour from nearly white, for 0, to a dark blue, for 1.
func shade(share float64) color.Color {
	mix := func(from, to float64) uint8 { return uint8(math.Round(from + share*(to-from))) }
	return color.NRGBA{mix(0xf4, 0x08), mix(0xf7, 0x4a), mix(0xfb, 0x8c), 0xff}
}
