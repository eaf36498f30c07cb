// Package plot draws the charts of runs and reports as SVG that can stand alone or be put into a page: lines over time,
// confusion matrices, calibration and intervals.
//
// The charts are on white, so that they read on a dark page too, and in the palette of Okabe and Ito (2008), which
// people with any kind of colour vision can tell apart. A value that is not a number, or infinite, is left out.
package plot

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	xfont "golang.org/x/image/font"
	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The palette of Okabe and Ito without its yellow, which is too light for lines on white.
var palette = []color.Color{
	color.NRGBA{0x00, 0x72, 0xb2, 0xff}, // blue
	color.NRGBA{0xd5, 0x5e, 0x00, 0xff}, // vermilion
	color.NRGBA{0x00, 0x9e, 0x73, 0xff}, // green
	color.NRGBA{0xcc, 0x79, 0xa7, 0xff}, // purple
	color.NRGBA{0xe6, 0x9f, 0x00, 0xff}, // orange
	color.NRGBA{0x56, 0xb4, 0xe9, 0xff}, // sky blue
	color.NRGBA{0x33, 0x33, 0x33, 0xff},
}

// dashes distinguish the series beyond the palette's colours from the first.
var dashes = [][]vg.Length{nil, {5, 2.5}, {1.5, 2}}

var (
	ink  = color.NRGBA{0x22, 0x22, 0x22, 0xff} // titles
	grey = color.NRGBA{0x55, 0x55, 0x55, 0xff} // what labels the data
	rule = color.NRGBA{0xe2, 0xe2, 0xe2, 0xff} // what the data is read against
)

// Sizes in points; 3 of them are 4 pixels of a page.
const (
	width     = 420
	height    = 260
	margin    = 8
	titleSize = 11
	textSize  = 9
)

// style returns text of a size in points.
func style(size vg.Length, c color.Color) text.Style {
	return text.Style{
		Color: c, Font: font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, size),
		Handler: gonum.DefaultTextHandler,
	}
}

// centred returns text that is centred on its point.
func centred(size vg.Length, c color.Color) text.Style {
	s := style(size, c)
	s.XAlign, s.YAlign = draw.XCenter, draw.YCenter
	return s
}

// newPlot returns an empty chart in the package's style, with labels for its axes.
func newPlot(x, y string) *gonum.Plot {
	p := gonum.New()
	p.BackgroundColor = nil
	for _, a := range []struct {
		axis  *gonum.Axis
		label string
	}{{&p.X, x}, {&p.Y, y}} {
		a.axis.Label.Text = clean(a.label)
		a.axis.Label.TextStyle = with(a.axis.Label.TextStyle, style(textSize, grey))
		a.axis.Label.Padding = 4
		a.axis.Tick.Label = with(a.axis.Tick.Label, style(textSize, grey))
		a.axis.Tick.LineStyle = draw.LineStyle{Color: rule, Width: 0.75}
		a.axis.Tick.Length = 3
		a.axis.LineStyle = draw.LineStyle{Color: grey, Width: 0.75}
		a.axis.Padding = 0
		a.axis.Tick.Marker = gonum.TickerFunc(ticks)
	}
	return p
}

// with returns s in the font and colour of like.
func with(s, like text.Style) text.Style {
	s.Font, s.Color, s.Handler = like.Font, like.Color, like.Handler
	return s
}

// grid returns lines at the ticks.
func grid() *plotter.Grid {
	g := plotter.NewGrid()
	g.Vertical = draw.LineStyle{Color: rule, Width: 0.5}
	g.Horizontal = g.Vertical
	return g
}

// render draws the title and below it, by body, the chart, and returns the SVG. w and h are the size of the chart in
// points without the title.
func render(title string, w, h vg.Length, body func(draw.Canvas)) ([]byte, error) {
	title = clean(title)
	heading := style(titleSize, ink)
	heading.Font.Weight = xfont.WeightBold
	heading.YAlign = draw.YTop
	lines := wrap(heading, title, w-2*margin)
	var above vg.Length
	if title != "" {
		above = heading.Height(lines) + 6
		h += above
	}
	canvas := vgsvg.New(w, h)
	c := draw.New(canvas)
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	c = draw.Crop(c, margin, -margin, margin, -margin)
	if title != "" {
		c.FillText(heading, vg.Point{X: c.Min.X, Y: c.Max.Y}, lines)
	}
	body(draw.Crop(c, 0, 0, 0, -above))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("plot %q: %w", title, err)
	}
	_, inner, ok := bytes.Cut(b.Bytes(), []byte("xlink\">\n"))
	if !ok {
		return nil, fmt.Errorf("plot %q: the drawing does not begin as expected", title)
	}
	// The head is our own: a page scales the chart, and a screen reader reads its title. Liberation Sans has the
	// metrics of Arial and Helvetica.
	head := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.5g %.5g" `+
		`width="%.5gpt" height="%.5gpt" role="img" aria-label="%s" style="max-width:100%%;height:auto">`+"\n",
		w.Points(), h.Points(), w.Points(), h.Points(), html.EscapeString(title))
	inner = bytes.ReplaceAll(inner, []byte("font-family:Liberation Sans;"),
		[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	return append([]byte(head), textElement.ReplaceAllFunc(inner, sized)...), nil
}

var textElement = regexp.MustCompile(`<text ([^>]*)>([^<]*)</text>`)

// sized adds to a text element the width that its text was placed by, so that it fits in whatever font it is shown.
func sized(element []byte) []byte {
	m := textElement.FindSubmatch(element)
	_, after, _ := bytes.Cut(m[1], []byte("font-size:"))
	number, _, _ := bytes.Cut(after, []byte("px"))
	size, err := strconv.ParseFloat(string(number), 64)
	if err != nil {
		return element
	}
	s := style(vg.Length(size), ink)
	if bytes.Contains(m[1], []byte("font-weight:bold")) {
		s.Font.Weight = xfont.WeightBold
	}
	wide := s.Width(html.UnescapeString(string(m[2])))
	return fmt.Appendf(nil, `<text textLength="%.5g" lengthAdjust="spacingAndGlyphs" %s>%s</text>`, wide.Points(), m[1],
		m[2])
}

// wrap breaks a title into lines of at most w points.
func wrap(s text.Style, title string, w vg.Length) string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(title) {
		switch longer := line + " " + word; {
		case line == "":
			line = word
		case s.Width(longer) <= w:
			line = longer
		default:
			lines, line = append(lines, line), word
		}
	}
	return strings.Join(append(lines, line), "\n")
}

// clean replaces characters that XML does not allow by spaces.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar || r >= 0xfffe && r <= 0xffff {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
}

// largest is the largest magnitude that is drawn: ranges of larger ones would overflow.
const largest = 1e150

// finite reports whether a value can be drawn.
func finite(v float64) bool { return math.Abs(v) <= largest }

// settle widens an axis to a range that can be divided, with some air at both ends; one without data is 0 to 1.
func settle(a *gonum.Axis) {
	if a.Min > a.Max {
		a.Min, a.Max = 0, 1
	}
	air := 0.03 * (a.Max - a.Min)
	if least := 1e-9 * max(math.Abs(a.Min), math.Abs(a.Max), 1e-9); air < least {
		air = max(0.03*math.Abs(a.Max), 1e-9) // all of one value
	}
	a.Min -= air
	a.Max += air
}

// ticks returns the multiples of 1, 2 or 5 times a power of ten that divide a range into about five (Heckbert 1990,
// "Nice numbers for graph labels").
func ticks(lo, hi float64) []gonum.Tick {
	rough := (hi - lo) / 5
	power := math.Pow(10, math.Floor(math.Log10(rough)))
	step := 10 * power
	for _, nice := range []float64{1, 2, 5} {
		if nice*power >= 0.85*rough {
			step = nice * power
			break
		}
	}
	var all []gonum.Tick
	for i := range 12 {
		v := (math.Ceil(lo/step) + float64(i)) * step
		if !(v <= hi) {
			break
		}
		all = append(all, gonum.Tick{Value: v, Label: tickLabel(v, step)})
	}
	return all
}

// tickLabel writes a tick to the precision of the step between ticks.
func tickLabel(v, step float64) string {
	if math.Abs(v) < step/2 {
		return "0"
	}
	if math.Abs(v) >= 1e6 || step < 1e-5 {
		return fmt.Sprintf("%.3g", v)
	}
	return fmt.Sprintf("%.*f", max(0, -int(math.Floor(math.Log10(step)+1e-9))), v)
}

// noData writes "no data" into the middle of the chart.
func noData(c draw.Canvas) {
	c.FillText(centred(textSize, grey), c.Center(), "no data")
}
