package plot

import (
	"fmt"
	"image/color"
	"math"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Series is one line of Lines: the points (X[i], Y[i]) and, if Lo and Hi are there, a band from Lo[i] to Hi[i] around
// them.
type Series struct {
	Name   string
	X, Y   []float64
	Lo, Hi []float64
}

// check returns an error unless there is a value of each kind for each X.
func (s *Series) check() error {
	if len(s.X) != len(s.Y) || len(s.Lo) != len(s.Hi) || len(s.Lo) != 0 && len(s.Lo) != len(s.X) {
		return fmt.Errorf("plot: series %q has %d X and %d Y, %d Lo and %d Hi", s.Name, len(s.X), len(s.Y), len(s.Lo),
			len(s.Hi))
	}
	return nil
}

// Lines returns as SVG series over a common x, and their legend unless no series has a name. A line is broken where a
// value is missing. The error is that a series has not as many values of each kind.
func Lines(title, x, y string, series []Series) ([]byte, error) {
	p := newPlot(x, y)
	p.Add(grid())
	legend := gonum.NewLegend()
	legend.TextStyle = with(legend.TextStyle, style(textSize, grey))
	legend.Top, legend.Left = true, true
	legend.Padding = 3
	legend.ThumbnailWidth = 16
	named, empty := false, true
	for i := range series {
		s := &series[i]
		if err := s.check(); err != nil {
			return nil, err
		}
		colour := palette[i%len(palette)]
		stroke := draw.LineStyle{Color: colour, Width: 1.5, Dashes: dashes[i/len(palette)%len(dashes)]}
		drawn, err := s.draw(p, stroke)
		if err != nil {
			return nil, fmt.Errorf("plot: series %q: %w", s.Name, err)
		}
		empty = empty && !drawn
		named = named || s.Name != ""
		legend.Add(clean(s.Name), &plotter.Line{LineStyle: stroke})
	}
	settle(&p.X)
	settle(&p.Y)
	var beside vg.Length
	if named {
		for i := range series {
			beside = max(beside, legend.TextStyle.Width(clean(series[i].Name)))
		}
		beside += legend.ThumbnailWidth + 14
	}
	tall := max(height, vg.Length(len(series))*13+30)
	return render(title, width+beside, tall, func(c draw.Canvas) {
		if named {
			legend.Draw(draw.Crop(c, c.Size().X-beside+10, 0, 0, 0))
		}
		c = draw.Crop(c, 0, -beside, 0, 0)
		p.Draw(c)
		if empty {
			noData(c)
		}
	})
}

// draw adds the series to a plot, and reports whether it has any point.
func (s *Series) draw(p *gonum.Plot, stroke draw.LineStyle) (drawn bool, err error) {
	if s.Lo != nil {
		for _, segment := range segments(s.X, s.Lo, s.Hi) {
			band, err := s.band(segment)
			if err != nil {
				return false, err
			}
			band.LineStyle.Width = 0
			band.Color = faint(stroke.Color)
			p.Add(band)
		}
	}
	for _, segment := range segments(s.X, s.Y) {
		drawn = true
		points := make(plotter.XYs, 0, segment[1]-segment[0])
		for k := segment[0]; k < segment[1]; k++ {
			points = append(points, plotter.XY{X: s.X[k], Y: s.Y[k]})
		}
		if len(points) == 1 { // no line, but not to be hidden
			dot, err := plotter.NewScatter(points)
			if err != nil {
				return false, err
			}
			dot.GlyphStyle = draw.GlyphStyle{Color: stroke.Color, Radius: 2, Shape: draw.CircleGlyph{}}
			p.Add(dot)
			continue
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return false, err
		}
		line.LineStyle = stroke
		p.Add(line)
	}
	return drawn, nil
}

// segments returns the longest [from, to) in which x and all of ys are finite.
func segments(x []float64, ys ...[]float64) [][2]int {
	var all [][2]int
	from := -1
	for i := range len(x) + 1 {
		whole := i < len(x) && finite(x[i])
		for _, y := range ys {
			whole = whole && finite(y[i])
		}
		switch {
		case whole && from < 0:
			from = i
		case !whole && from >= 0:
			all, from = append(all, [2]int{from, i}), -1
		}
	}
	return all
}

// band returns the area between Lo and Hi: along its upper edge and back along its lower.
func (s *Series) band(segment [2]int) (*plotter.Polygon, error) {
	var edge plotter.XYs
	for k := segment[0]; k < segment[1]; k++ {
		edge = append(edge, plotter.XY{X: s.X[k], Y: math.Max(s.Lo[k], s.Hi[k])})
	}
	for k := segment[1] - 1; k >= segment[0]; k-- {
		edge = append(edge, plotter.XY{X: s.X[k], Y: math.Min(s.Lo[k], s.Hi[k])})
	}
	return plotter.NewPolygon(edge)
}

// faint returns a colour that is nearly transparent.
func faint(c color.Color) color.Color {
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	n.A = 0x38
	return n
}
