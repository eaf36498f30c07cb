package overlay

import (
	"fmt"
	"image"
	"time"

	"tandem/pipeline"
)

// ChartTime is how much of the past the chart shows.
const ChartTime = 10 * time.Second

// gridColor is that of the lines behind the curves.
var gridColor = RGB{52, 56, 66}

// chart is the place of a chart on a canvas: time from left to right, probabilities from bottom to top.
type chart struct {
	plot image.Rectangle
	end  time.Duration // at the right edge
}

func (c chart) x(t time.Duration) float64 {
	return float64(c.plot.Max.X) - float64(c.end-t)/float64(ChartTime)*float64(c.plot.Dx())
}

func (c chart) y(probability float64) float64 {
	return float64(c.plot.Max.Y) - probability*float64(c.plot.Dy())
}

// Chart draws the emotions' probabilities over the ChartTime before end into r.
func (o *Overlay) Chart(
	p *Canvas, r image.Rectangle, labels []string, results []*pipeline.WindowEvent, end time.Duration,
) {
	p.fill(r, Ink, 1)
	c := o.chartIn(r, end)
	if c.plot.Dx() < 2*o.em || c.plot.Dy() < o.em {
		return
	}
	o.grid(p, c)
	width := max(float64(o.em)/6, 1.5)
	for i, l := range labels {
		var last *pipeline.WindowEvent
		for _, w := range results {
			if w.Emotion == nil {
				last = nil
				continue
			}
			if last != nil && w.T-last.T < HoldResult && c.x(last.T) >= float64(c.plot.Min.X) {
				p.line(c.x(last.T), c.y(last.Emotion.P.P(l)), c.x(w.T), c.y(w.Emotion.P.P(l)), width, ColorOf(i))
			}
			last = w
		}
	}
}

// chartIn returns the place of a chart in r.
func (o *Overlay) chartIn(r image.Rectangle, end time.Duration) chart {
	pad := o.em / 2
	return chart{end: end, plot: image.Rect(
		r.Min.X+pad+o.t.width("100 %"), r.Min.Y+pad,
		r.Max.X-pad, r.Max.Y-o.t.height-pad,
	)}
}

// grid draws the lines behind a chart's curves and what they stand for.
func (o *Overlay) grid(p *Canvas, c chart) {
	pad, plot := o.em/2, c.plot
	for _, v := range []float64{0, 0.5, 1} {
		p.line(float64(plot.Min.X), c.y(v), float64(plot.Max.X), c.y(v), 1, gridColor)
		s := fmt.Sprintf("%.0f %%", 100*v)
		p.text(o.t, plot.Min.X-pad/2-o.t.width(s), int(c.y(v))+o.t.capital/2, s, grey)
	}
	for s := time.Duration(0); s <= ChartTime; s += 2 * time.Second {
		at := c.x(c.end - s)
		p.line(at, float64(plot.Min.Y), at, float64(plot.Max.Y), 1, gridColor)
		word := "now"
		if s > 0 {
			word = fmt.Sprintf("−%d s", int(s.Seconds()))
		}
		left := max(min(int(at)-o.t.width(word)/2, plot.Max.X-o.t.width(word)), plot.Min.X)
		p.text(o.t, left, plot.Max.Y+pad/2+o.t.ascent, word, grey)
	}
}
