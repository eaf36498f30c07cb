package main

import (
	"fmt"
	"image"
	"math"
	"time"

	"tandem/pipeline"
)

var (
	white = rgb{255, 255, 255}
	grey  = rgb{190, 194, 202}
	ink   = rgb{16, 18, 24}
	// palette colours labels by their place, told apart by people with the common colour blindnesses as far as
	// seven can be (after Okabe and Ito, 2008).
	palette = []rgb{{187, 187, 187}, {240, 228, 66}, {86, 180, 233}, {230, 80, 60}, {204, 121, 167}, {0, 190, 140}, {255, 165, 40}}
)

func colorOf(i int) rgb { return palette[i%len(palette)] }

// overlay draws what is known onto pictures of one size. It is for one goroutine.
type overlay struct {
	w, h int
	t    *typeface
	em   int // the size of the letters, and the measure of all else
}

func newOverlay(w, h int) *overlay {
	size := math.Round(min(max(0.028*float64(min(w, h)), 9), 40))
	return &overlay{w: w, h: h, t: newTypeface(size), em: int(size)}
}

// draw draws a scene: boxes with their subjects' numbers and labels, and for each subject a panel of bars where there
// is room.
func (o *overlay) draw(p *canvas, s scene, t time.Duration) {
	var taken []image.Rectangle
	for _, v := range s.subjects {
		if v.box != nil {
			taken = append(taken, o.box(p, v, s))
		}
	}
	for _, v := range s.subjects {
		if at, ok := o.place(s, v, taken); ok {
			o.panel(p, at, v, s)
			taken = append(taken, image.Rectangle{at, at.Add(o.panelSize(s))})
		}
	}
	if len(s.subjects) == 0 {
		o.chip(p, o.em/2, o.em/2, "nobody yet", grey)
	}
	clock := fmt.Sprintf("%d:%04.1f", int(t.Minutes()), t.Seconds()-60*math.Floor(t.Minutes()))
	w := o.t.width(clock) + o.em
	o.chip(p, o.w-w-o.em/2, o.h-o.t.height-o.em, clock, white)
}

// chip is a word on a dark ground; x, y is the top left corner.
func (o *overlay) chip(p *canvas, x, y int, s string, c rgb) {
	p.fill(image.Rect(x, y, x+o.t.width(s)+o.em, y+o.t.height+o.em/4), ink, 0.75)
	p.text(o.t, x+o.em/2, y+o.t.ascent+o.em/8, s, c)
}

// box draws a subject's face and returns what the box and its tag cover.
func (o *overlay) box(p *canvas, v subjectView, s scene) image.Rectangle {
	b := v.box
	r := image.Rect(int(math.Round(b.X)), int(math.Round(b.Y)), int(math.Round(b.X+b.W)), int(math.Round(b.Y+b.H)))
	c := white
	tag := fmt.Sprint(v.subject)
	if v.result != nil && v.result.Emotion != nil {
		e := v.result.Emotion
		c = o.labelColor(s.emotions, e.Label)
		tag += fmt.Sprintf("  %s %.0f %%", e.Label, 100*e.P.P(e.Label))
		if g := v.result.Gender; g != nil {
			tag += ", " + g.Label
		}
	}
	thick := max(o.em/7, 1)
	p.outline(r.Inset(-1), thick+2, ink, 0.5)
	p.outline(r, thick, c, 1)

	w, h := o.t.width(tag)+o.em, o.t.height+o.em/4
	x := max(min(r.Min.X, o.w-w), 0)
	y := r.Min.Y - h
	if y < 0 {
		y = min(r.Max.Y, o.h-h)
	}
	label := image.Rect(x, y, x+w, y+h)
	p.fill(label, c, 0.9)
	p.text(o.t, x+o.em/2, y+o.t.ascent+o.em/8, tag, ink)
	return r.Union(label)
}

func (o *overlay) labelColor(labels []string, label string) rgb {
	for i, l := range labels {
		if l == label {
			return colorOf(i)
		}
	}
	return white
}

// panelSize is that of a panel of bars.
func (o *overlay) panelSize(s scene) image.Point {
	name := 0
	for _, l := range append(append([]string{}, s.emotions...), s.genders...) {
		name = max(name, o.t.width(l))
	}
	rows := 1 + len(s.emotions) + len(s.genders)
	return image.Pt(name+5*o.em+o.t.width("100")+2*o.em, rows*o.rowHeight()+o.em+o.em/2)
}

func (o *overlay) rowHeight() int { return o.t.capital + o.em*2/3 }

// place finds where the panel of subject v covers least of what is taken: in a corner or beside its face, near it if
// there are others. ok is false where it would hide too much, as in a crowd.
func (o *overlay) place(s scene, v subjectView, taken []image.Rectangle) (at image.Point, ok bool) {
	size, gap := o.panelSize(s), o.em/2
	far := image.Pt(o.w-size.X-gap, o.h-size.Y-gap)
	places := []image.Point{{gap, gap}, {far.X, gap}, {gap, far.Y}, far}
	near := image.Pt(0, 0)
	if v.box != nil && len(s.subjects) > 1 {
		left, right := int(v.box.X)-size.X-gap, int(v.box.X+v.box.W)+gap
		near = image.Pt(int(v.box.X+v.box.W/2), int(v.box.Y))
		for _, y := range []int{int(v.box.Y), int(v.box.Y+v.box.H) + gap, int(v.box.Y) - size.Y - gap} {
			for _, x := range []int{right, left, int(v.box.X)} {
				places = append(places, image.Pt(max(min(x, far.X), gap), max(min(y, far.Y), gap)))
			}
		}
	}
	area := size.X * size.Y
	least, best := math.MaxInt, math.MaxInt
	for _, p := range places {
		covered := 0
		for _, r := range taken {
			c := r.Intersect(image.Rectangle{p, p.Add(size)})
			covered += c.Dx() * c.Dy()
		}
		score := covered
		if near != (image.Point{}) {
			d := p.Add(image.Pt(size.X/2, 0)).Sub(near)
			score += area * (abs(d.X) + abs(d.Y)) / (4 * (o.w + o.h))
		}
		if score < best {
			at, best, least = p, score, covered
		}
	}
	return at, least <= area/8 || len(s.subjects) == 1
}

func abs(i int) int { return max(i, -i) }

// panel draws a subject's bars.
func (o *overlay) panel(p *canvas, at image.Point, v subjectView, s scene) {
	size := o.panelSize(s)
	p.fill(image.Rectangle{at, at.Add(size)}, ink, 0.75)
	pad, row := o.em/2, o.rowHeight()
	x, y := at.X+pad, at.Y+pad+o.t.capital
	p.text(o.t, x, y, fmt.Sprintf("subject %d", v.subject), white)
	right := at.X + size.X - pad
	for _, sense := range []struct {
		name string
		on   bool
	}{{"voice", v.result != nil && v.result.Audio}, {"face", v.result != nil && v.result.Video}} {
		c := rgb{90, 94, 104}
		if sense.on {
			c = rgb{120, 220, 140}
		}
		right -= o.t.width(sense.name)
		p.text(o.t, right, y, sense.name, c)
		right -= o.em / 2
	}
	y += row
	var emotion, gender *pipeline.Scores
	if v.result != nil {
		emotion, gender = v.result.Emotion, v.result.Gender
	}
	y = o.bars(p, at.X, y, size.X, s.emotions, emotion, colorOf)
	o.bars(p, at.X, y+o.em/2, size.X, s.genders, gender, func(int) rgb { return rgb{200, 205, 215} })
}

// bars draws a row for each label and returns the baseline after them.
func (o *overlay) bars(p *canvas, left, y, width int, labels []string, scores *pipeline.Scores, color func(int) rgb) int {
	pad := o.em / 2
	digits := o.t.width("100")
	from := left + width - pad - digits - pad - 5*o.em
	to := left + width - pad - digits - pad
	for i, l := range labels {
		c := grey
		if scores != nil && scores.Label == l {
			c = white
		}
		p.fill(image.Rect(left, y-o.t.capital, left+max(o.em/4, 2), y), color(i), 1)
		p.text(o.t, left+pad, y, l, c)
		bar := image.Rect(from, y-o.t.capital, to, y)
		p.fill(bar, white, 0.12)
		if scores != nil {
			v := scores.P.P(l)
			bar.Max.X = from + int(math.Round(v*float64(to-from)))
			p.fill(bar, color(i), 1)
			percent := fmt.Sprint(int(math.Round(100 * v)))
			p.text(o.t, left+width-pad-o.t.width(percent), y, percent, c)
		}
		y += o.rowHeight()
	}
	return y
}
