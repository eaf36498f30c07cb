package infer_test

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"tandem/capture"
	"tandem/pipeline"
)

// faceSpec cuts windows as the default model has them.
var faceSpec = pipeline.Spec{
	Window: 2560 * time.Millisecond, Hop: 250 * time.Millisecond, VideoFrames: 8, CropSize: 48, Channels: 1,
	CropMargin: 2.2,
}

// blank returns a grey picture.
func blank(w, h int) *capture.Frame {
	f := &capture.Frame{Width: w, Height: h, Pix: make([]byte, 3*w*h)}
	for i := range f.Pix {
		f.Pix[i] = 110
	}
	return f
}

// copied returns a copy of a picture.
func copied(f *capture.Frame) *capture.Frame {
	g := *f
	g.Pix = append([]byte(nil), f.Pix...)
	return &g
}

// drawnFace is the test pattern's face with its shoulders.
func drawnFace(tb testing.TB) *capture.Frame {
	tb.Helper()
	src := capture.NewPattern(capture.PatternOptions{NoAudio: true})
	defer src.Close()
	m, err := src.Read(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	f := m.Frame
	return part(f, f.Width/5, f.Height/7, 3*f.Width/5, 6*f.Height/7)
}

// part cuts a rectangle out of a picture.
func part(f *capture.Frame, x, y, w, h int) *capture.Frame {
	g := &capture.Frame{Time: f.Time, Width: w, Height: h, Pix: make([]byte, 0, 3*w*h)}
	for j := range h {
		at := 3 * ((y+j)*f.Width + x)
		g.Pix = append(g.Pix, f.Pix[at:at+3*w]...)
	}
	return g
}

// paste scales a picture and puts it into another with its corner at (x, y), as far as it is inside. A pixel is the
// mean of what it covers, or a linear blend where the picture grows.
func paste(to, from *capture.Frame, x, y, scale float64) {
	w, h := int(scale*float64(from.Width)), int(scale*float64(from.Height))
	taps := max(1, int(math.Ceil(1/scale)))
	for j := range h {
		for i := range w {
			px, py := int(x)+i, int(y)+j
			if px < 0 || py < 0 || px >= to.Width || py >= to.Height {
				continue
			}
			var sum [3]float64
			for a := range taps {
				for b := range taps {
					fx := (float64(i)+(float64(a)+0.5)/float64(taps))/scale - 0.5
					fy := (float64(j)+(float64(b)+0.5)/float64(taps))/scale - 0.5
					c := blended(from, fx, fy)
					for k := range c {
						sum[k] += c[k]
					}
				}
			}
			for k, v := range sum {
				to.Pix[3*(py*to.Width+px)+k] = byte(v/float64(taps*taps) + 0.5)
			}
		}
	}
}

// blended reads a picture between its pixels.
func blended(f *capture.Frame, x, y float64) (c [3]float64) {
	x, y = min(max(x, 0), float64(f.Width-1)), min(max(y, 0), float64(f.Height-1))
	i, j := min(int(x), max(f.Width-2, 0)), min(int(y), max(f.Height-2, 0))
	for k := range c {
		at := func(i, j int) float64 {
			return float64(f.Pix[3*(min(j, f.Height-1)*f.Width+min(i, f.Width-1))+k])
		}
		dx, dy := x-float64(i), y-float64(j)
		c[k] = (at(i, j)*(1-dx)+at(i+1, j)*dx)*(1-dy) + (at(i, j+1)*(1-dx)+at(i+1, j+1)*dx)*dy
	}
	return c
}

// noisy adds normal noise to a picture.
func noisy(f *capture.Frame, sigma float64, r *rand.Rand) *capture.Frame {
	g := copied(f)
	for i, p := range g.Pix {
		g.Pix[i] = byte(min(max(float64(p)+sigma*r.NormFloat64(), 0), 255))
	}
	return g
}

// clip is a source of made pictures, one a tick of the face clock.
type clip struct {
	width, height, n, at int
	picture              func(i int) *capture.Frame
}

func (c *clip) Info() capture.Info {
	return capture.Info{Name: "made", HasVideo: true, Width: c.width, Height: c.height, FPS: 3.125}
}
func (c *clip) Drops() capture.Drops { return capture.Drops{} }
func (c *clip) Close() error         { return nil }

func (c *clip) Read(context.Context) (capture.Media, error) {
	if c.at == c.n {
		return capture.Media{}, io.EOF
	}
	f := *c.picture(c.at)
	f.Time = time.Duration(c.at) * faceSpec.FaceTick()
	c.at++
	return capture.Media{Frame: &f}, nil
}

// followed runs a clip through the pipeline and returns the faces at each tick.
func followed(t *testing.T, f pipeline.FaceFinder, c *clip, faces int) [][]pipeline.Tracked {
	t.Helper()
	var all [][]pipeline.Tracked
	o := pipeline.Options{Faces: faces, OnFaces: func(_ time.Duration, fs []pipeline.Tracked) { all = append(all, fs) }}
	if err := pipeline.Cut(t.Context(), c, f, faceSpec, o, func(*pipeline.Window) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// room draws a wall, a floor, furniture with edges and lamps, and a texture: nothing of a face.
func room(r *rand.Rand, w, h int) *capture.Frame {
	f := blank(w, h)
	wall, floor := colour(r), colour(r)
	line := h/3 + r.IntN(h/2)
	for y := range h {
		for x := range w {
			c := wall
			if y > line {
				c = floor
			}
			put(f, x, y, c, 0.8+0.4*float64(x)/float64(w)-0.3*float64(y)/float64(h))
		}
	}
	for range 3 + r.IntN(9) {
		x, y, bw, bh := r.IntN(w), r.IntN(h), 10+r.IntN(w/3), 10+r.IntN(h/2)
		c, round, shade := colour(r), r.IntN(3) == 0, r.Float64()
		for j := range bh {
			for i := range bw {
				u, v := 2*float64(i)/float64(bw)-1, 2*float64(j)/float64(bh)-1
				if !round || u*u+v*v < 1 {
					put(f, x+i, y+j, c, 1+0.5*shade*(u-v))
				}
			}
		}
	}
	return noisy(f, 1+8*r.Float64(), r)
}

// texture draws waves, checks, spots in rows (eyes and mouths alike), or noise of several sizes.
func texture(r *rand.Rand, w, h int) *capture.Frame {
	f := blank(w, h)
	a, b := colour(r), colour(r)
	kind, period, turn := r.IntN(4), 4+60*r.Float64(), 3*r.Float64()
	var grain [64][64]float64
	for i := range grain {
		for j := range grain[i] {
			grain[i][j] = r.Float64()
		}
	}
	for y := range h {
		for x := range w {
			u := (float64(x)*math.Cos(turn) + float64(y)*math.Sin(turn)) / period
			v := (float64(y)*math.Cos(turn) - float64(x)*math.Sin(turn)) / period
			var k float64
			switch kind {
			case 0:
				k = 0.5 + 0.5*math.Sin(2*math.Pi*u+math.Sin(v))
			case 1:
				k = float64((int(math.Floor(u)) + int(math.Floor(v))) & 1)
			case 2:
				du, dv := u-math.Floor(u)-0.5, v-math.Floor(v)-0.5
				k = min(max(4-20*math.Hypot(du, 2*dv), 0), 1)
			case 3:
				for s := 1.0; s <= 8; s *= 2 {
					k += grain[int(math.Abs(u*s*4))&63][int(math.Abs(v*s*4))&63] / (s * 2)
				}
			}
			put(f, x, y, a, 1-k)
			add(f, x, y, b, k)
		}
	}
	return noisy(f, 6*r.Float64(), r)
}

// hand draws a palm with five fingers and nails, in the colours of skin, before a room.
func hand(r *rand.Rand, w, h int) *capture.Frame {
	f := room(r, w, h)
	dark := 0.35 + 0.65*r.Float64()
	skin := [3]float64{226 * dark, 172 * dark, 142 * dark}
	for range 1 + r.IntN(2) {
		unit := float64(h) * (0.05 + 0.25*r.Float64())
		cx, cy, turn := float64(r.IntN(w)), float64(r.IntN(h)), 2*math.Pi*r.Float64()
		part := func(x, y, rx, ry, tilt float64, c [3]float64) {
			oval{
				cx + unit*(x*math.Cos(turn)-y*math.Sin(turn)), cy + unit*(x*math.Sin(turn)+y*math.Cos(turn)),
				unit * rx, unit * ry, turn + tilt,
			}.draw(f, c)
		}
		part(0, 0, 0.62, 0.75, 0, skin)
		for i := range 4 {
			x := -0.45 + 0.3*float64(i)
			part(x, -1.05+0.3*x*x, 0.14, 0.6, 0.25*x, skin)
			part(x*1.1, -1.5+0.35*x*x, 0.09, 0.12, 0.25*x, [3]float64{240 * dark, 200 * dark, 190 * dark})
		}
		part(0.8, -0.1, 0.16, 0.5, 0.7, skin)
		part(0, 1.6, 0.45, 1.1, 0, skin) // the arm
	}
	return f
}

// oval is an ellipse about a place, turned.
type oval struct{ x, y, rx, ry, turn float64 }

// draw draws the oval, shaded.
func (o oval) draw(f *capture.Frame, c [3]float64) {
	reach := int(max(o.rx, o.ry)) + 1
	for j := -reach; j <= reach; j++ {
		for i := -reach; i <= reach; i++ {
			u := (float64(i)*math.Cos(o.turn) + float64(j)*math.Sin(o.turn)) / o.rx
			v := (float64(j)*math.Cos(o.turn) - float64(i)*math.Sin(o.turn)) / o.ry
			if d := u*u + v*v; d < 1 {
				put(f, int(o.x)+i, int(o.y)+j, c, (0.75+0.25*math.Sqrt(1-d))*(1-0.1*u))
			}
		}
	}
}

func colour(r *rand.Rand) [3]float64 {
	v := 20 + 220*r.Float64()
	return [3]float64{v * (0.6 + 0.4*r.Float64()), v * (0.6 + 0.4*r.Float64()), v * (0.6 + 0.4*r.Float64())}
}

func put(f *capture.Frame, x, y int, c [3]float64, k float64) {
	if x < 0 || y < 0 || x >= f.Width || y >= f.Height {
		return
	}
	for i, v := range c {
		f.Pix[3*(y*f.Width+x)+i] = byte(min(max(v*k, 0), 255))
	}
}

func add(f *capture.Frame, x, y int, c [3]float64, k float64) {
	for i, v := range c {
		p := &f.Pix[3*(y*f.Width+x)+i]
		*p = byte(min(max(float64(*p)+v*k, 0), 255))
	}
}
