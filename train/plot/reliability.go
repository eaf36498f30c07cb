package plot

import (
	"fmt"
	"math"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Bin is the items of about the same confidence: their mean confidence and the share of them that is right, both 0 to
// 1, and their number.
type Bin struct {
	Confidence, Accuracy float64
	N                    int
}

// Reliability returns a reliability diagram as SVG: accuracy by confidence against the diagonal on which a calibrated
// model lies, and below, in grey, how many items have that confidence. A bin without items is left out.
func Reliability(title string, bins []Bin) ([]byte, error) {
	p := newPlot("confidence", "accuracy")
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
	p.Add(grid())
	var there reliability
	for _, b := range bins {
		if b.N > 0 && b.Confidence >= 0 && b.Confidence <= 1 && b.Accuracy >= 0 && b.Accuracy <= 1 {
			there = append(there, b)
		}
	}
	p.Add(there)
	return render(title, 250, 250, func(c draw.Canvas) {
		p.Draw(c)
		if len(there) == 0 {
			noData(c)
		}
	})
}

// reliability draws the bins.
type reliability []Bin

// Plot implements gonum's Plotter.
func (bins reliability) Plot(c draw.Canvas, p *gonum.Plot) {
	x, y := p.Transforms(&c)
	at := func(cx, cy float64) vg.Point { return vg.Point{X: x(cx), Y: y(cy)} }
	most, all := 1, 0
	for _, b := range bins {
		most, all = max(most, b.N), all+b.N
	}
	for _, b := range bins {
		tall := 0.2 * float64(b.N) / float64(most)
		c.StrokeLine2(draw.LineStyle{Color: rule, Width: 8}, x(b.Confidence), y(0), x(b.Confidence), y(tall))
	}
	c.StrokeLines(draw.LineStyle{Color: grey, Width: 0.75, Dashes: []vg.Length{3, 3}}, []vg.Point{at(0, 0), at(1, 1)})
	var line []vg.Point
	for _, b := range bins {
		line = append(line, at(b.Confidence, b.Accuracy))
		c.StrokeLines(draw.LineStyle{Color: palette[1], Width: 1.5}, []vg.Point{
			at(b.Confidence, b.Confidence),
			at(b.Confidence, b.Accuracy),
		})
	}
	if len(line) > 1 {
		c.StrokeLines(draw.LineStyle{Color: palette[0], Width: 1}, line)
	}
	for i, b := range bins {
		r := 2 + 4*math.Sqrt(float64(b.N)/float64(most))
		c.DrawGlyph(draw.GlyphStyle{Color: palette[0], Radius: vg.Length(r), Shape: draw.CircleGlyph{}}, line[i])
	}
	if all > 0 {
		note := style(textSize, grey)
		note.YAlign = draw.YTop
		c.FillText(note, vg.Point{X: x(0) + 5, Y: y(1) - 4}, fmt.Sprintf("n = %d", all))
	}
}
