package overlay

import (
	"image"
	"math"
	"sync"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomedium"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// RGB is a colour.
type RGB [3]uint8

// Canvas is a picture that is drawn on: packed RGB, row-major, as in a capture.Frame. Whatever lies outside is cut
// off. Opacities are 0 to 1.
type Canvas struct {
	Pix  []byte // 3*W*H bytes
	W, H int    // in pixels
}

// NewCanvas returns a canvas of w by h pixels, all of colour c.
func NewCanvas(w, h int, c RGB) *Canvas {
	p := &Canvas{make([]byte, 3*w*h), w, h}
	p.fill(image.Rect(0, 0, w, h), c, 1)
	return p
}

// blend mixes c over the pixel at x, y, which must be inside.
func (p *Canvas) blend(x, y int, c RGB, alpha uint32) {
	at := p.Pix[3*(y*p.W+x):][:3]
	for i, v := range c {
		at[i] = uint8((uint32(at[i])*(255-alpha) + uint32(v)*alpha + 127) / 255)
	}
}

func (p *Canvas) fill(r image.Rectangle, c RGB, opacity float64) {
	r = r.Intersect(image.Rect(0, 0, p.W, p.H))
	alpha := uint32(math.Round(255 * opacity))
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			p.blend(x, y, c, alpha)
		}
	}
}

// outline draws the border of r, thick pixels wide, inside it.
func (p *Canvas) outline(r image.Rectangle, thick int, c RGB, opacity float64) {
	in := r.Inset(thick)
	if in.Empty() {
		p.fill(r, c, opacity)
		return
	}
	for _, side := range []image.Rectangle{
		{r.Min, image.Pt(r.Max.X, in.Min.Y)},
		{image.Pt(r.Min.X, in.Max.Y), r.Max},
		{image.Pt(r.Min.X, in.Min.Y), image.Pt(in.Min.X, in.Max.Y)},
		{image.Pt(in.Max.X, in.Min.Y), image.Pt(r.Max.X, in.Max.Y)},
	} {
		p.fill(side, c, opacity)
	}
}

// line draws a smooth line of a width. Each column or row of pixels, whichever the line is steeper against, is
// covered by how much of each pixel lies within the width.
func (p *Canvas) line(x0, y0, x1, y1, width float64, c RGB) {
	steep := math.Abs(y1-y0) > math.Abs(x1-x0)
	if steep {
		x0, y0, x1, y1 = y0, x0, y1, x1
	}
	if x0 > x1 {
		x0, y0, x1, y1 = x1, y1, x0, y0
	}
	across, along := p.H, p.W
	if steep {
		across, along = p.W, p.H
	}
	slope := 0.0
	if x1 > x0 {
		slope = (y1 - y0) / (x1 - x0)
	}
	half := width / 2 * math.Sqrt(1+slope*slope)
	for x := max(int(x0), 0); x <= min(int(x1), along-1); x++ {
		mid := y0 + slope*(min(max(float64(x)+0.5, x0), x1)-x0)
		for y := max(int(mid-half), 0); y <= min(int(mid+half), across-1); y++ {
			cover := min(float64(y+1), mid+half) - max(float64(y), mid-half)
			if cover <= 0 {
				continue
			}
			alpha := uint32(255 * min(cover, 1))
			if steep {
				p.blend(y, x, c, alpha)
			} else {
				p.blend(x, y, c, alpha)
			}
		}
	}
}

// CopyFrom draws a picture of w by h pixels at the top left corner, magnified by the whole number times.
func (p *Canvas) CopyFrom(pix []byte, w, h, times int) {
	for y := range min(h*times, p.H) {
		row := pix[3*w*(y/times):][:3*w]
		out := p.Pix[3*y*p.W:]
		if times == 1 {
			copy(out[:3*min(w, p.W)], row)
			continue
		}
		for x := range min(w*times, p.W) {
			copy(out[3*x:3*x+3], row[3*(x/times):])
		}
	}
}

// typeface is Go's font at one size, with the glyphs used so far. It is for one goroutine.
type typeface struct {
	face    font.Face
	glyphs  map[rune]*glyph
	ascent  int // pixels above the baseline
	height  int // from one line to the next
	capital int // height of a capital letter
}

type glyph struct {
	mask    *image.Alpha
	at      image.Point // of the mask from the pen
	advance fixed.Int26_6
}

var parseFont = sync.OnceValue(func() *opentype.Font {
	f, err := opentype.Parse(gomedium.TTF)
	if err != nil {
		panic(err) // the font is part of the module
	}
	return f
})

func newTypeface(pixels float64) *typeface {
	f, err := opentype.NewFace(parseFont(), &opentype.FaceOptions{Size: pixels, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic(err) // only for options out of range
	}
	m := f.Metrics()
	return &typeface{
		face: f, glyphs: map[rune]*glyph{},
		ascent: m.Ascent.Ceil(), height: m.Height.Ceil(), capital: m.CapHeight.Ceil(),
	}
}

func (t *typeface) glyph(r rune) *glyph {
	if g := t.glyphs[r]; g != nil {
		return g
	}
	g := &glyph{}
	bounds, mask, at, advance, ok := t.face.Glyph(fixed.Point26_6{}, r)
	if g.advance = advance; ok && !bounds.Empty() {
		g.at, g.mask = bounds.Min, image.NewAlpha(image.Rect(0, 0, bounds.Dx(), bounds.Dy()))
		for y := range bounds.Dy() {
			for x := range bounds.Dx() {
				_, _, _, a := mask.At(at.X+x, at.Y+y).RGBA()
				g.mask.Pix[g.mask.PixOffset(x, y)] = uint8(a >> 8)
			}
		}
	}
	t.glyphs[r] = g
	return g
}

// width returns how far s reaches, in pixels.
func (t *typeface) width(s string) int {
	var w fixed.Int26_6
	for _, r := range s {
		w += t.glyph(r).advance
	}
	return w.Ceil()
}

// text writes s with its baseline's left end at x, y and returns where the pen is then.
func (p *Canvas) text(t *typeface, x, y int, s string, c RGB) int {
	pen := fixed.I(x)
	for _, r := range s {
		g := t.glyph(r)
		if g.mask != nil {
			x0, y0 := pen.Round()+g.at.X, y+g.at.Y
			for gy := max(-y0, 0); gy < min(g.mask.Rect.Dy(), p.H-y0); gy++ {
				for gx := max(-x0, 0); gx < min(g.mask.Rect.Dx(), p.W-x0); gx++ {
					if a := g.mask.Pix[g.mask.PixOffset(gx, gy)]; a > 0 {
						p.blend(x0+gx, y0+gy, c, uint32(a))
					}
				}
			}
		}
		pen += g.advance
	}
	return pen.Ceil()
}
