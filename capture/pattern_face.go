package capture

import (
	"math"
	"time"
)

// The drawn face, in units of half its height: the middle of the face is (0, 0), the chin (0, 1). What it takes for
// a face detector to see a face in it is shading, dark eye sockets with whites, brows, a nose and a mouth.

type rgb struct{ r, g, b float64 }

func (c rgb) mul(k float64) rgb { return rgb{c.r * k, c.g * k, c.b * k} }

// mix is c with share k of d over it.
func (c rgb) mix(d rgb, k float64) rgb {
	return rgb{c.r + (d.r-c.r)*k, c.g + (d.g-c.g)*k, c.b + (d.b-c.b)*k}
}

// person is how one face looks.
type person struct{ skin, hair, iris, shirt rgb }

var people = [2]person{
	{skin: rgb{226, 176, 146}, hair: rgb{62, 42, 30}, iris: rgb{86, 62, 40}, shirt: rgb{52, 84, 130}},
	{skin: rgb{198, 140, 108}, hair: rgb{30, 26, 26}, iris: rgb{48, 36, 30}, shirt: rgb{140, 62, 58}},
}

// scene draws the pattern's pictures.
type scene struct {
	o      PatternOptions
	back   []byte // the background, with the heads if they rest
	heads  []*head
	places [][2]float64 // of their middles, in pixels
}

// head is a person drawn at one size, with the mouth left out.
type head struct {
	person
	unit   float64 // pixels
	x0, y0 int     // of the picture's corner, from the middle of the face
	w, h   int
	pix    []byte // RGB
	alpha  []byte
}

func newScene(o PatternOptions) *scene {
	s := &scene{o: o, back: make([]byte, 3*o.Width*o.Height)}
	for y := range o.Height {
		for x := range o.Width {
			k := 0.85 + 0.15*float64(x)/float64(o.Width) - 0.2*float64(y)/float64(o.Height)
			c := rgb{120, 134, 140}.mul(k)
			if y < o.Height/8 {
				c = rgb{24, 24, 24}
			}
			put(s.back[3*(y*o.Width+x):], c)
		}
	}
	w, h := float64(o.Width), float64(o.Height)
	for i := range o.Faces {
		x, unit := 0.5, min(0.27*h, 0.3*w)
		if o.Faces == 2 {
			x, unit = 0.27+0.46*float64(i), min(0.25*h, 0.16*w)
		}
		s.heads = append(s.heads, newHead(people[i], unit))
		s.places = append(s.places, [2]float64{x * w, 0.57 * h})
		if !o.Move {
			s.heads[i].draw(s.back, o.Width, o.Height, int(s.places[i][0]), int(s.places[i][1]))
		}
	}
	return s
}

// draw makes the picture at t.
func (s *scene) draw(t time.Duration) []byte {
	w, h := s.o.Width, s.o.Height
	pix := append([]byte(nil), s.back...)
	if isMarked(t) {
		flash := pix[:3*w*max(h/8, 1)]
		for i := range flash {
			flash[i] = 255
		}
	}
	for i, head := range s.heads {
		x, y := s.places[i][0], s.places[i][1]
		if s.o.Move {
			a := 2*math.Pi*t.Seconds()/4 + float64(i)
			x += 0.05 * float64(w) * math.Sin(a)
			y += 0.01 * float64(h) * math.Sin(2*a)
			head.draw(pix, w, h, int(x), int(y))
		}
		open := 0.0
		if i == 0 {
			open = mouthOpen(t)
		}
		head.drawMouth(pix, w, h, int(x), int(y), open)
	}
	return pix
}

func newHead(p person, unit float64) *head {
	h := &head{person: p, unit: unit}
	h.x0, h.y0 = int(-1.6*unit), int(-1.4*unit)
	h.w, h.h = int(3.2*unit)+1, int(3.6*unit)+1
	h.pix, h.alpha = make([]byte, 3*h.w*h.h), make([]byte, h.w*h.h)
	for y := range h.h {
		for x := range h.w {
			c, a := h.shade(float64(x+h.x0)/unit, float64(y+h.y0)/unit)
			put(h.pix[3*(y*h.w+x):], c)
			h.alpha[y*h.w+x] = byte(255*a + 0.5)
		}
	}
	return h
}

// draw blends the head into a picture with the middle of its face at (cx, cy).
func (h *head) draw(pix []byte, w, hh, cx, cy int) {
	for y := max(0, -h.y0-cy); y < min(h.h, hh-h.y0-cy); y++ {
		for x := max(0, -h.x0-cx); x < min(h.w, w-h.x0-cx); x++ {
			a := int(h.alpha[y*h.w+x])
			if a == 0 {
				continue
			}
			from := h.pix[3*(y*h.w+x):]
			to := pix[3*((y+h.y0+cy)*w+x+h.x0+cx):]
			for i := range 3 {
				to[i] = byte((int(from[i])*a + int(to[i])*(255-a)) / 255)
			}
		}
	}
}

// ellipse is an upright one about (x, y) with two radii.
type ellipse struct{ x, y, rx, ry float64 }

// inside returns 1 within an ellipse and 0 outside; its edge is soft by one pixel or by blur.
func (h *head) inside(x, y float64, e ellipse, blur float64) float64 {
	dx, dy := (x-e.x)/e.rx, (y-e.y)/e.ry
	d := (math.Sqrt(dx*dx+dy*dy) - 1) * min(e.rx, e.ry)
	return clamp(0.5 - d/max(blur, 1/h.unit))
}

// onBothSides is inside for an ellipse and its mirror image, left and right of the face's middle.
func (h *head) onBothSides(x, y float64, right ellipse, blur float64) float64 {
	left := right
	left.x = -right.x
	return h.inside(x, y, left, blur) + h.inside(x, y, right, blur)
}

// glow is a soft spot, 1 in its middle. Where it is less than 1e-17 it is 0: nothing that it is added to would change.
func glow(x, y, cx, cy, rx, ry float64) float64 {
	dx, dy := (x-cx)/rx, (y-cy)/ry
	d := dx*dx + dy*dy
	if d > 40 {
		return 0
	}
	return math.Exp(-d)
}

// faceWidth is half the width of the face at y: a jaw narrower than the cheeks.
func faceWidth(y float64) float64 {
	if y > 0 {
		return 0.74 - 0.10*y*y
	}
	return 0.74
}

// shade is the colour and the opacity of a head at (x, y).
func (h *head) shade(x, y float64) (rgb, float64) {
	side := math.Abs(x)
	if side > 1 && y < 1.1 { // beside the hair and above the shoulders
		return rgb{}, 0
	}
	var c rgb
	a := 0.0
	over := func(d rgb, k float64) { // d with opacity k above what is there
		if k <= 0 {
			return
		}
		c = c.mix(d, k/max(k+a*(1-k), 1e-9))
		a += k * (1 - a)
	}
	// hair behind the head, shoulders, neck
	over(h.hair.mul(0.8), h.inside(x, y, ellipse{0, -0.22, 0.92, 1.02}, 0.04))
	over(h.shirt.mul(1-0.25*side), h.inside(x, y, ellipse{0, 2.35, 1.5, 1.05}, 0.04))
	neck := 0.62 - 0.3*clamp(1.35-y)
	over(h.skin.mul(neck*(1-0.4*side)), clamp((0.4-side)*h.unit)*clamp((1.62-0.5*x*x-y)*h.unit)*clamp((y-0.4)*h.unit))
	if y > 1.1 { // below the chin
		return c, a
	}
	// ears
	over(h.skin.mul(0.72), h.onBothSides(x, y, ellipse{0.75, 0.0, 0.10, 0.2}, 0.03))
	// the face: an ellipsoid lit from above left
	rx := faceWidth(y)
	if k := h.inside(x, y, ellipse{0, 0, rx, 1}, 0.03); k > 0 {
		nx, ny := x/rx, y
		nz := math.Sqrt(max(0, 1-nx*nx-ny*ny))
		light := 0.58 + 0.45*clamp(-0.3*nx-0.35*ny+0.88*nz)
		light -= 0.22 * (glow(x, y, -0.31, -0.15, 0.2, 0.12) + glow(x, y, 0.31, -0.15, 0.2, 0.12)) // sockets
		light += 0.12 * glow(x, y, -0.01, 0.02, 0.06, 0.28)                                        // ridge of the nose
		light -= 0.13 * glow(x, y, 0.11, 0.1, 0.06, 0.2)                                           // its shaded side
		light += 0.10 * glow(x, y, -0.01, 0.23, 0.08, 0.07)                                        // its tip
		light -= 0.22 * glow(x, y, 0, 0.34, 0.17, 0.045)                                           // its shadow
		light -= 0.10 * glow(x, y, 0, 0.70, 0.2, 0.06)                                             // below the lip
		light += 0.06 * (glow(x, y, -0.4, 0.2, 0.18, 0.14) + glow(x, y, 0.4, 0.2, 0.18, 0.14))     // cheeks
		light -= 0.10 * (glow(x, y, -0.3, 0.4, 0.06, 0.15) + glow(x, y, 0.3, 0.4, 0.06, 0.15))     // folds at the mouth
		skin := h.skin.mul(light)
		skin = skin.mix(rgb{214, 110, 96}, 0.15*(glow(x, y, -0.42, 0.22, 0.2, 0.14)+glow(x, y, 0.42, 0.22, 0.2, 0.14)))
		over(skin, k)
		over(h.skin.mul(0.35), 0.8*h.onBothSides(x, y, ellipse{0.075, 0.29, 0.035, 0.022}, 0.02)) // nostrils
	}
	for _, cx := range []float64{-0.31, 0.31} {
		h.eye(x, y, cx, over)
	}
	// hair over the forehead
	fringe := -0.60 - 0.10*math.Cos(3*x) + 0.25*x*x
	if k := clamp((fringe-y)*h.unit/2 + 0.5); k > 0 {
		light := 0.85 + 0.3*glow(x, y, -0.25, -0.85, 0.3, 0.2)
		over(h.hair.mul(light), h.inside(x, y, ellipse{0, -0.2, 0.86, 0.98}, 0.03)*k)
	}
	return c, a
}

func (h *head) eye(x, y, cx float64, over func(rgb, float64)) {
	if math.Abs(x-cx) > 0.3 || y < -0.5 || y > 0.1 {
		return
	}
	const cy = -0.13
	dx := (x - cx) / 0.16
	lid := 0.075 * max(0, 1-dx*dx) // half the eye's opening at x
	open := clamp((lid-math.Abs(y-cy))*h.unit+0.5) * clamp((1-math.Abs(dx))*8)
	over(rgb{232, 228, 222}, open)
	over(h.iris, open*h.inside(x, y, ellipse{cx, cy, 0.072, 0.072}, 0.01))
	over(rgb{12, 10, 10}, open*h.inside(x, y, ellipse{cx, cy, 0.034, 0.034}, 0.01))
	over(rgb{255, 255, 255}, open*h.inside(x, y, ellipse{cx - 0.025, cy - 0.025, 0.014, 0.014}, 0.01))
	if math.Abs(dx) < 1 { // lashes, the lower lid, the fold above
		over(rgb{30, 20, 18}, 0.85*glow(0, y, 0, cy-lid, 1, 0.016))
		over(h.skin.mul(0.5), 0.5*glow(0, y, 0, cy+lid, 1, 0.012))
		over(h.skin.mul(0.55), 0.5*glow(0, y, 0, cy-lid-0.055, 1, 0.014))
	}
	// brow
	bx := (x - cx) / 0.21
	by := -0.335 + 0.06*bx*bx - 0.02*math.Copysign(bx, cx*bx)
	thick := 0.042 * (1 - 0.6*math.Abs(bx))
	if math.Abs(bx) < 1.1 {
		over(h.hair.mul(0.9), 0.9*clamp((thick-math.Abs(y-by))*h.unit/1.5+0.5)*clamp((1.05-math.Abs(bx))*8))
	}
}

// drawMouth draws the mouth, open by 0..1, into a picture with the middle of the face at (cx, cy).
func (h *head) drawMouth(pix []byte, w, hh, cx, cy int, open float64) {
	const my, half = 0.53, 0.27
	gap := 0.15 * open // half the opening
	top, bottom := int((my-0.3)*h.unit), int((my+0.4)*h.unit)
	wide := int((half + 0.05) * h.unit)
	for py := max(top+cy, 0); py < min(bottom+cy+1, hh); py++ {
		for px := max(cx-wide, 0); px < min(cx+wide+1, w); px++ {
			x, y := float64(px-cx)/h.unit, float64(py-cy)/h.unit-my-0.3*gap
			dx := x / (half - 0.04*open)
			arch := max(0, 1-dx*dx)
			if arch == 0 {
				continue
			}
			corner := clamp(6 * arch) // the lips end softly
			upper := gap*math.Sqrt(arch)*0.8 + 0.055*arch*(1-0.35*glow(x, 0, 0, 0, 0.05, 1))
			lower := gap*math.Sqrt(arch)*1.2 + 0.085*arch
			inner := gap * math.Sqrt(arch)
			to := pix[3*(py*w+px):]
			c := rgb{float64(to[0]), float64(to[1]), float64(to[2])}
			lip := rgb{178, 84, 82}
			if y < 0 {
				lip = lip.mul(0.8)
			} else {
				lip = lip.mul(0.95 + 0.25*glow(x, y, -0.03, inner*1.2+0.04, 0.1, 0.03))
			}
			c = c.mix(lip, corner*clamp((upper+y)*h.unit+0.5)*clamp((lower-y)*h.unit+0.5))
			// the line between the lips, or what is behind them
			line := max(inner, 0.010*arch)
			hole := corner * clamp((0.8*line+y)*h.unit+0.5) * clamp((1.2*line-y)*h.unit+0.5)
			dark := rgb{58, 18, 20}
			if open > 0.15 && y < -0.8*inner+0.05 && math.Abs(x) < 0.17 {
				dark = rgb{214, 208, 196} // teeth
			}
			c = c.mix(dark, hole)
			put(to, c)
		}
	}
}

func put(to []byte, c rgb) {
	to[0], to[1], to[2] = level(c.r), level(c.g), level(c.b)
}

func level(v float64) byte { return byte(min(max(v, 0), 255) + 0.5) }

func clamp(v float64) float64 { return min(max(v, 0), 1) }
