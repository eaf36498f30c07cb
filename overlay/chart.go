package main

import (
	"fmt"
	"image"
	"time"

	"tandem/pipeline"
)

// stripTime is how much of the past the strip chart shows.
const stripTime = 10 * time.Second

// strip draws the emotions' probabilities over the last ten seconds before end into r.
func (o *overlay) strip(p *canvas, r image.Rectangle, labels []string, results []*pipeline.WindowEvent, end time.Duration) {
	p.fill(r, ink, 1)
	pad := o.em / 2
	plot := image.Rect(r.Min.X+pad+o.t.width("100 %"), r.Min.Y+pad, r.Max.X-pad, r.Max.Y-o.t.height-pad)
	if plot.Dx() < 2*o.em || plot.Dy() < o.em {
		return
	}
	x := func(t time.Duration) float64 {
		return float64(plot.Max.X) - float64(end-t)/float64(stripTime)*float64(plot.Dx())
	}
	y := func(v float64) float64 { return float64(plot.Max.Y) - v*float64(plot.Dy()) }
	faint := rgb{52, 56, 66}
	for _, v := range []float64{0, 0.5, 1} {
		p.line(float64(plot.Min.X), y(v), float64(plot.Max.X), y(v), 1, faint)
		s := fmt.Sprintf("%.0f %%", 100*v)
		p.text(o.t, plot.Min.X-pad/2-o.t.width(s), int(y(v))+o.t.capital/2, s, grey)
	}
	for s := time.Duration(0); s <= stripTime; s += 2 * time.Second {
		at := x(end - s)
		p.line(at, float64(plot.Min.Y), at, float64(plot.Max.Y), 1, faint)
		word := "now"
		if s > 0 {
			word = fmt.Sprintf("−%d s", int(s.Seconds()))
		}
		left := max(min(int(at)-o.t.width(word)/2, plot.Max.X-o.t.width(word)), plot.Min.X)
		p.text(o.t, left, plot.Max.Y+pad/2+o.t.ascent, word, grey)
	}
	width := max(float64(o.em)/6, 1.5)
	for i, l := range labels {
		var last *pipeline.WindowEvent
		for _, w := range results {
			if w.Emotion == nil {
				last = nil
				continue
			}
			if last != nil && w.T-last.T < holdResult && x(last.T) >= float64(plot.Min.X) {
				p.line(x(last.T), y(last.Emotion.P.P(l)), x(w.T), y(w.Emotion.P.P(l)), width, colorOf(i))
			}
			last = w
		}
	}
}
