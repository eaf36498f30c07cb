package infer_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"tandem/capture"
	"tandem/infer"
	"tandem/pipeline"
)

// player is somebody in a made scene: the pictures of the head in a clip, one a tick of the face clock, and where the
// face is in them.
type player struct {
	pictures []*capture.Frame
	middle   pipeline.Point
	size     float64
}

// leftOut are people of the data whom neither the default model nor package appearance has learned from.
var leftOut = []string{
	"java-sed/video/04-*.mp4", "ravdess-warp/Actor_17/*.mp4", "ravdess-warp/Actor_18/*.mp4",
	"java-sed/video/09-*.mp4", "ravdess-warp/Actor_19/*.mp4", "ravdess-warp/Actor_20/*.mp4",
}

// players returns one for each of takes clips of each of leftOut.
func players(t *testing.T, f *infer.BlazeFace, takes int) [][]player {
	t.Helper()
	var all [][]player
	for _, pattern := range leftOut {
		var one []player
		for _, file := range samples(t, pattern, takes) {
			fs := frames(t, file, 10, faceSpec.FaceTick())
			found, err := f.FindFaces(t.Context(), fs[0], 1)
			if err != nil || len(found) != 1 {
				t.Fatalf("%s: %v, %v", file, found, err)
			}
			p := player{size: found[0].W}
			m := middleOf(found[0])
			x, y := max(0, int(m.X-p.size)), max(0, int(m.Y-p.size))
			w, h := min(fs[0].Width-x, int(2*p.size)), min(fs[0].Height-y, int(2*p.size))
			p.middle = pipeline.Point{X: m.X - float64(x), Y: m.Y - float64(y)}
			for _, frame := range fs {
				p.pictures = append(p.pictures, part(frame, x, y, w, h))
			}
			one = append(one, p)
		}
		all = append(all, one)
	}
	return all
}

// in shows the player's tick-th picture, so that the face is as placed.
func (p *player) in(frame *capture.Frame, tick int, at placed) {
	at.into(frame, p.pictures[tick%len(p.pictures)], p.size, p.middle)
}

// numberAt returns the number of the face whose middle is nearest to (x, y), within half a size; -1 without one.
func numberAt(faces []pipeline.Tracked, at placed) int {
	number, best := -1, at.size/2
	for _, face := range faces {
		m := middleOf(face.Face)
		if d := math.Hypot(m.X-at.x, m.Y-at.y); d < best {
			number, best = face.Subject, d
		}
	}
	return number
}

// crossing is a scene in which two meet: they come from the sides, the one in front hides the other for a while, and
// they go on, or back to where they came from.
type crossing struct {
	front, back   *player
	size, smaller float64 // of the faces
	speed         float64 // sizes a tick
	together      int     // ticks
	turn          bool
}

const crossingWay = 2.4 // sizes from the middle at the beginning

// at says where the faces are at a tick, and whether the scene is over.
func (c *crossing) at(tick int) (front, back placed, over bool) {
	come := int(math.Ceil(crossingWay / c.speed))
	tick -= 3 // they stand first
	from := crossingWay
	switch {
	case tick < 0:
	case tick < come:
		from = crossingWay - c.speed*float64(tick)
	case tick < come+c.together:
		from = 0
	default:
		from = min(crossingWay, c.speed*float64(tick-come-c.together))
		if !c.turn {
			from = -from
		}
	}
	return placed{320 - from*c.size, 240, c.size}, placed{320 + from*c.size, 245, c.smaller},
		tick >= 2*come+c.together+8
}

// crossings plays n scenes and counts in how many a face ends with the other's number, and in how many with a new one.
func crossings(t *testing.T, n int) (swapped, renamed int) {
	f := newFaceFinder(t)
	cast := players(t, f, 2)
	r := rand.New(rand.NewPCG(21, 3))
	wall := room(rand.New(rand.NewPCG(4, 4)), 640, 480)
	for i := range n {
		a := r.IntN(len(cast))
		b := (a + 1 + r.IntN(len(cast)-1)) % len(cast)
		size := 40 + 60*r.Float64()
		c := crossing{
			front: &cast[a][r.IntN(2)], back: &cast[b][r.IntN(2)], size: size, smaller: size * (0.6 + 0.4*r.Float64()),
			speed: 0.15 + 0.6*r.Float64(), together: r.IntN(6), turn: r.IntN(2) == 0,
		}
		ticks := 1
		for ; ; ticks++ {
			if _, _, over := c.at(ticks); over {
				break
			}
		}
		all := followed(t, f, &clip{width: 640, height: 480, n: ticks, picture: func(tick int) *capture.Frame {
			frame := copied(wall)
			front, back, _ := c.at(tick)
			c.back.in(frame, tick, back)
			c.front.in(frame, tick, front)
			return frame
		}}, 2)
		front, back, _ := c.at(2)
		was := [2]int{numberAt(all[2], front), numberAt(all[2], back)}
		front, back, _ = c.at(ticks - 1)
		last := all[len(all)-1]
		is := [2]int{numberAt(last, front), numberAt(last, back)}
		what := fmt.Sprintf("crossing %d of %s by %s, %.0f and %.0f pixels, %.2f sizes a tick, %d ticks together, "+
			"turning %v: %v, then %v", i, leftOut[b], leftOut[a], c.size, c.smaller, c.speed, c.together, c.turn,
			was, is)
		switch {
		case was[0] < 0 || was[1] < 0 || was[0] == was[1]:
			t.Errorf("%s: not two faces at first", what)
		case is[0] >= 0 && is[0] == was[1] || is[1] >= 0 && is[1] == was[0]:
			swapped++
			t.Log("swapped: " + what)
		case is != was:
			renamed++
			t.Log("renamed or lost: " + what)
		}
	}
	t.Logf("%d crossings: in %d numbers are swapped, in %d a face has another at the end, or none", n, swapped, renamed)
	return swapped, renamed
}

// Two faces that cross, one of which hides the other, keep their numbers.
func TestCrossingFacesKeepTheirNumbers(t *testing.T) {
	if swapped, renamed := crossings(t, 5); swapped > 0 || renamed > 0 {
		t.Errorf("%d swapped, %d renamed or lost", swapped, renamed)
	}
}

func TestLongCrossingFacesKeepTheirNumbers(t *testing.T) {
	// Of ten seeds eight have none that are swapped, and two have one.
	if swapped, renamed := crossings(t, 100); swapped > 1 || renamed > 5 {
		t.Errorf("%d swapped, %d renamed or lost", swapped, renamed)
	}
}
