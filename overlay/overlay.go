// Package overlay draws the faces and results of a run onto its pictures, as boxes, labels, bars and a chart of the
// last seconds, and writes such pictures to a video.
package overlay

import (
	"fmt"
	"image"
	"math"
	"slices"
	"strings"
	"time"

	"tandem/pipeline"
)

var (
	white = RGB{255, 255, 255}
	grey  = RGB{190, 194, 202}
	// Ink is the colour of dark grounds.
	Ink = RGB{16, 18, 24}
	// palette has the colours of labels by their place, told apart by people with the common colour blindnesses as far
	// as seven can be (after Okabe and Ito, 2008).
	palette = []RGB{
		{187, 187, 187}, {240, 228, 66}, {86, 180, 233}, {230, 80, 60}, {204, 121, 167}, {0, 190, 140}, {255, 165, 40},
	}
)

// ColorOf returns the colour of the emotion with index i.
func ColorOf(i int) RGB { return palette[i%len(palette)] }

// Overlay draws scenes onto pictures of one size. It is for one goroutine.
type Overlay struct {
	w, h  int
	t     *typeface
	em    int      // the size of the letters, and the measure of all else
	small *Overlay // for panels where there is little room; nil if the letters are as small as can be read
}

// leastLetters is the size of the smallest letters, in pixels.
const leastLetters = 9

// New returns an overlay for pictures of w by h pixels.
func New(w, h int) *Overlay {
	size := math.Round(min(max(0.028*float64(min(w, h)), leastLetters), 40))
	o := &Overlay{w: w, h: h, t: newTypeface(size), em: int(size)}
	if small := max(math.Round(0.6*size), leastLetters); small < size {
		o.small = &Overlay{w: w, h: h, t: newTypeface(small), em: int(small)}
	}
	return o
}

// Draw draws a scene of the media time t: boxes with their subjects' numbers and labels, and for each subject a panel
// of bars where there is room beside all faces, in smaller letters where there is little.
func (o *Overlay) Draw(p *Canvas, s Scene, t time.Duration) {
	var taken []image.Rectangle
	for _, v := range s.Subjects {
		if v.Box != nil {
			taken = append(taken, o.box(p, v, s))
		}
	}
	for _, v := range s.Subjects {
		for _, by := range []*Overlay{o, o.small} {
			if by == nil {
				continue
			}
			if at, ok := by.place(s, v, taken); ok {
				by.panel(p, at, v, s)
				taken = append(taken, image.Rectangle{at, at.Add(by.panelSize(s))})
				break
			}
		}
	}
	if len(s.Subjects) == 0 {
		o.chip(p, o.em/2, o.em/2, "nobody yet", grey)
	}
	clock := fmt.Sprintf("%d:%04.1f", int(t.Minutes()), t.Seconds()-60*math.Floor(t.Minutes()))
	w := o.t.width(clock) + o.em
	o.chip(p, o.w-w-o.em/2, o.h-o.t.height-o.em, clock, white)
}

// chip draws a word on a dark ground; x, y is the top left corner.
func (o *Overlay) chip(p *Canvas, x, y int, s string, c RGB) {
	p.fill(image.Rect(x, y, x+o.t.width(s)+o.em, y+o.t.height+o.em/4), Ink, 0.75)
	p.text(o.t, x+o.em/2, y+o.t.ascent+o.em/8, s, c)
}

// box draws a subject's face and returns what the box and its tag cover.
func (o *Overlay) box(p *Canvas, v SubjectView, s Scene) image.Rectangle {
	b := v.Box
	r := rectOf(b)
	own := speakerColor(v.Subject)
	number, said := fmt.Sprint(v.Subject), []string{}
	shown := own // of the emotion
	if v.Result != nil && v.Result.Emotion != nil {
		e := v.Result.Emotion
		shown = o.labelColor(s.Emotions, e.Label)
		said = append(said, fmt.Sprintf("%s %.0f %%", e.Label, 100*e.P.P(e.Label)))
		if g := v.Result.Gender; g != nil {
			said = append(said, g.Label)
		}
	}
	if v.Speaks {
		said = append(said, "speaks")
	}
	tag := strings.Join(said, ", ")
	thick := max(o.em/7, 1)
	p.outline(r.Inset(-1), thick+2, Ink, 0.5)
	p.outline(r, thick, own, 1)
	if v.Speaks { // a second frame
		p.outline(r.Inset(-2*thick-1), thick+1, white, 1)
	}

	key := 0 // the width of the emotion's colour
	if shown != own {
		key = o.em
	}
	w, h := o.t.width(number+" "+tag)+key+o.em, o.t.height+o.em/4
	x := max(min(r.Min.X, o.w-w), 0)
	y := r.Min.Y - h
	if y < 0 {
		y = min(r.Max.Y, o.h-h)
	}
	label := image.Rect(x, y, x+w, y+h)
	p.fill(label, own, 0.9)
	base := y + o.t.ascent + o.em/8
	pen := p.text(o.t, x+o.em/2, base, number+" ", Ink)
	if key > 0 {
		p.fill(image.Rect(pen, base-o.t.capital, pen+o.t.capital, base), Ink, 1)
		p.fill(image.Rect(pen+1, base-o.t.capital+1, pen+o.t.capital-1, base-1), shown, 1)
	}
	p.text(o.t, pen+key, base, tag, Ink)
	return r.Union(label)
}

func rectOf(b *pipeline.FaceBox) image.Rectangle {
	return image.Rect(round(b.X), round(b.Y), round(b.X+b.W), round(b.Y+b.H))
}

func round(v float64) int { return int(math.Round(v)) }

func (o *Overlay) labelColor(labels []string, label string) RGB {
	for i, l := range labels {
		if l == label {
			return ColorOf(i)
		}
	}
	return white
}

// panelSize returns the size of a panel of bars.
func (o *Overlay) panelSize(s Scene) image.Point {
	name := 0
	for _, l := range append(append([]string{}, s.Emotions...), s.Genders...) {
		name = max(name, o.t.width(l))
	}
	rows := 1 + len(s.Emotions) + len(s.Genders)
	return image.Pt(name+5*o.em+o.t.width("100")+2*o.em, rows*o.rowHeight()+o.em+o.em/2)
}

func (o *Overlay) rowHeight() int { return o.t.capital + o.em*2/3 }

// place finds where the panel of subject v covers no face, and least of what else is taken: in a corner or beside its
// face, near it if there are others. ok is false where there is no such place, as in a crowd or close up.
func (o *Overlay) place(s Scene, v SubjectView, taken []image.Rectangle) (at image.Point, ok bool) {
	size, gap := o.panelSize(s), o.em/2
	far := image.Pt(o.w-size.X-gap, o.h-size.Y-gap)
	if far.X < 0 || far.Y < 0 {
		return at, false
	}
	places := []image.Point{{gap, gap}, {far.X, gap}, {gap, far.Y}, far}
	near := image.Pt(0, 0)
	if v.Box != nil && len(s.Subjects) > 1 {
		left, right := int(v.Box.X)-size.X-gap, int(v.Box.X+v.Box.W)+gap
		near = image.Pt(int(v.Box.X+v.Box.W/2), int(v.Box.Y))
		for _, y := range []int{int(v.Box.Y), int(v.Box.Y+v.Box.H) + gap, int(v.Box.Y) - size.Y - gap} {
			for _, x := range []int{right, left, int(v.Box.X)} {
				places = append(places, image.Pt(max(min(x, far.X), gap), max(min(y, far.Y), gap)))
			}
		}
	}
	area := size.X * size.Y
	least, best := math.MaxInt, math.MaxInt
	for _, p := range places {
		panel, covered := image.Rectangle{p, p.Add(size)}, 0
		if slices.ContainsFunc(s.Subjects, func(v SubjectView) bool {
			return v.Box != nil && rectOf(v.Box).Overlaps(panel)
		}) {
			continue
		}
		for _, r := range taken {
			c := r.Intersect(panel)
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
	return at, least <= area/8
}

func abs(i int) int { return max(i, -i) }

// panel draws a subject's bars.
func (o *Overlay) panel(p *Canvas, at image.Point, v SubjectView, s Scene) {
	size := o.panelSize(s)
	p.fill(image.Rectangle{at, at.Add(size)}, Ink, 0.75)
	pad, row := o.em/2, o.rowHeight()
	x, y := at.X+pad, at.Y+pad+o.t.capital
	p.text(o.t, x, y, fmt.Sprintf("subject %d", v.Subject), white)
	p.fill(image.Rect(at.X, at.Y, at.X+size.X, at.Y+max(o.em/5, 2)), speakerColor(v.Subject), 1)
	right := at.X + size.X - pad
	for _, modality := range []struct {
		name    string
		present bool
	}{{"voice", v.Result != nil && v.Result.Audio}, {"face", v.Result != nil && v.Result.Video}} {
		c := RGB{90, 94, 104}
		if modality.present {
			c = RGB{120, 220, 140}
		}
		right -= o.t.width(modality.name)
		p.text(o.t, right, y, modality.name, c)
		right -= o.em / 2
	}
	y += row
	var emotion, gender *pipeline.Scores
	if v.Result != nil {
		emotion, gender = v.Result.Emotion, v.Result.Gender
	}
	y = o.bars(p, bars{at.X, y, size.X, s.Emotions, emotion, ColorOf})
	o.bars(p, bars{at.X, y + o.em/2, size.X, s.Genders, gender, func(int) RGB { return RGB{200, 205, 215} }})
}

// bars are rows of one label each, with a bar for its probability.
type bars struct {
	left, y int // the left end of the first row's baseline
	width   int // of a row
	labels  []string
	scores  *pipeline.Scores // nil: not known
	color   func(i int) RGB  // of the label with index i
}

// bars draws the rows and returns the baseline after them.
func (o *Overlay) bars(p *Canvas, b bars) int {
	pad := o.em / 2
	to := b.left + b.width - pad - o.t.width("100") - pad
	from := to - 5*o.em
	y := b.y
	for i, l := range b.labels {
		c := grey
		if b.scores != nil && b.scores.Label == l {
			c = white
		}
		p.fill(image.Rect(b.left, y-o.t.capital, b.left+max(o.em/4, 2), y), b.color(i), 1)
		p.text(o.t, b.left+pad, y, l, c)
		bar := image.Rect(from, y-o.t.capital, to, y)
		p.fill(bar, white, 0.12)
		if b.scores != nil {
			v := b.scores.P.P(l)
			bar.Max.X = from + round(v*float64(to-from))
			p.fill(bar, b.color(i), 1)
			percent := fmt.Sprint(round(100 * v))
			p.text(o.t, b.left+b.width-pad-o.t.width(percent), y, percent, c)
		}
		y += o.rowHeight()
	}
	return y
}
