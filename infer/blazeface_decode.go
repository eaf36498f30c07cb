package infer

import (
	"cmp"
	"math"
	"slices"

	"tandem/pipeline"
)

const (
	// minFaceLogit is the least answer for a detection: a score of 0.5 after the sigmoid.
	minFaceLogit = 0
	// sameDetection is the overlap (intersection over union) from which on two detections are of one face.
	sameDetection = 0.3

	regressors   = 16 // box centre and size, then six points
	pointsInFace = 4  // of the six; the ears are left out
)

// grid is one of the two sets of anchors: perCell on each of side x side cells. An anchor is a cell's centre; all
// have the same size.
type grid struct{ side, perCell int }

// grids are the fine and the coarse one, 896 anchors in all.
var grids = [2]grid{{16, 2}, {8, 6}}

func (g grid) anchors() int { return g.side * g.side * g.perCell }

// detection is one face on the canvas, in shares of its side: centre and size of the box, then x and y of the
// left eye as the viewer sees it, the right eye, the nose and the mouth.
type detection struct {
	score float64
	place [4 + 2*pointsInFace]float64
}

// anchorValues are a network's answers for the anchors of one grid.
type anchorValues struct {
	logits  []float32 // one an anchor
	regress []float32 // regressors an anchor
}

// decode appends the detections of one grid with a logit of at least least. Regressors are offsets from the anchor in
// pixels of the canvas, but for the size of the box.
func decode(found []detection, g grid, side float64, least float32, v anchorValues) []detection {
	for a, logit := range v.logits {
		if !(logit >= least) {
			continue
		}
		cell := a / g.perCell
		anchor := [2]float64{
			(float64(cell%g.side) + 0.5) / float64(g.side),
			(float64(cell/g.side) + 0.5) / float64(g.side),
		}
		d := detection{score: 1 / (1 + math.Exp(-float64(logit)))}
		for i := range d.place {
			d.place[i] = float64(v.regress[a*regressors+i]) / side
			if i != 2 && i != 3 {
				d.place[i] += anchor[i%2]
			}
		}
		found = append(found, d)
	}
	return found
}

// merge joins detections of the same face, best first: their mean, weighted by score, under the best score. (The
// BlazeFace paper's blending, which it found to jitter less than taking the best alone.)
func merge(found []detection, v view, side float64) []pipeline.Face {
	slices.SortFunc(found, func(a, b detection) int { return cmp.Compare(b.score, a.score) })
	var faces []pipeline.Face
	for len(found) > 0 {
		best := found[0]
		mean := detection{score: best.score}
		var weight float64
		found = slices.DeleteFunc(found, func(d detection) bool {
			if d.place != best.place && overlap(d, best) < sameDetection {
				return false
			}
			for i, p := range d.place {
				mean.place[i] += p * d.score
			}
			weight += d.score
			return true
		})
		for i := range mean.place {
			mean.place[i] /= weight
		}
		if f, ok := mean.face(v, side); ok {
			faces = append(faces, f)
		}
	}
	return faces
}

// overlap is the intersection of two boxes over their union.
func overlap(a, b detection) float64 {
	side := func(i int) float64 {
		lo := max(a.place[i]-a.place[i+2]/2, b.place[i]-b.place[i+2]/2)
		hi := min(a.place[i]+a.place[i+2]/2, b.place[i]+b.place[i+2]/2)
		return max(hi-lo, 0)
	}
	both := side(0) * side(1)
	return both / (a.place[2]*a.place[3] + b.place[2]*b.place[3] - both)
}

// face moves a detection from the canvas to the picture. It is not ok if the network gave no sensible box.
func (d detection) face(v view, side float64) (pipeline.Face, bool) {
	x := func(i int) float64 {
		at := d.place[i] * side
		if v.mirrored {
			at = side - at
		}
		return (at - v.dx) / v.scale
	}
	y := func(i int) float64 { return (d.place[i]*side - v.dy) / v.scale }
	f := pipeline.Face{
		Score:    d.score,
		W:        d.place[2] * side / v.scale,
		H:        d.place[3] * side / v.scale,
		LeftEye:  pipeline.Point{X: x(4), Y: y(5)},
		RightEye: pipeline.Point{X: x(6), Y: y(7)},
		Nose:     pipeline.Point{X: x(8), Y: y(9)},
		Mouth:    pipeline.Point{X: x(10), Y: y(11)},
	}
	f.X, f.Y = x(0)-f.W/2, y(1)-f.H/2
	if f.LeftEye.X > f.RightEye.X { // an upside-down or mirrored face
		f.LeftEye, f.RightEye = f.RightEye, f.LeftEye
	}
	return f, f.W > 0 && f.H > 0 && !math.IsInf(f.X+f.Y+f.W+f.H, 0)
}
