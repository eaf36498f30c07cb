package pipeline

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tandem/capture"
	"tandem/pipeline/appearance"
)

// drawnPerson is a pattern of edges that stands for a face: 24 x 24 grey values.
type drawnPerson [24 * 24]float64

func newPerson(seed uint64) *drawnPerson {
	r := rand.New(rand.NewPCG(seed, 5))
	var p drawnPerson
	for range 12 { // bars of random place, direction and brightness
		x, y, a, v := 24*r.Float64(), 24*r.Float64(), math.Pi*r.Float64(), 200*r.Float64()-100
		for i := range p {
			dx, dy := float64(i%24)-x, float64(i/24)-y
			if math.Abs(dx*math.Sin(a)-dy*math.Cos(a)) < 2 && math.Hypot(dx, dy) < 9 {
				p[i] += v
			}
		}
	}
	return &p
}

// scene is a picture into which persons are drawn where their faces are found.
type scene struct {
	frame *capture.Frame
	faces []Face
	noise *rand.Rand
}

func newScene(seed uint64) *scene {
	f := &capture.Frame{Width: 640, Height: 360, Pix: make([]byte, 3*640*360)}
	for i := range f.Pix {
		f.Pix[i] = 128
	}
	return &scene{frame: f, noise: rand.New(rand.NewPCG(seed, 6))}
}

func (s *scene) draw(p *drawnPerson, x, y, size float64) {
	f := faceAt(x, y, size)
	s.faces = append(s.faces, f)
	side := appearance.Margin * size / 2 // of what is looked at: the eyes are half a size apart
	left, top := x-side/2, f.LeftEye.Y-CropEyeY*side
	for j := max(0, int(top)); j < min(360, int(top+side)); j++ {
		for i := max(0, int(left)); i < min(640, int(left+side)); i++ {
			u, v := int(24*(float64(i)-left)/side), int(24*(float64(j)-top)/side)
			value := 128 + p[min(max(v, 0), 23)*24+min(max(u, 0), 23)] + 6*s.noise.NormFloat64()
			for c := range 3 {
				s.frame.Pix[3*(j*640+i)+c] = byte(min(max(value, 0), 255))
			}
		}
	}
}

// stage runs a tracker over scenes, one a tick.
type stage struct {
	tracker *tracker
	now     time.Duration
	ticks   uint64
}

func (s *stage) tick(draw func(*scene)) []Tracked {
	sc := newScene(s.ticks)
	draw(sc)
	got := s.tracker.update(s.now, sc.frame, sc.faces)
	s.now += faceTick
	s.ticks++
	return got
}

// wait lets time go by in which nobody is seen.
func (s *stage) wait(d time.Duration) {
	for end := s.now + d; s.now < end; {
		s.tick(func(*scene) {})
	}
}

func TestReturningFaceKeepsItsNumber(t *testing.T) {
	a, b := newPerson(1), newPerson(2)
	for name, c := range map[string]struct {
		away time.Duration
		who  *drawnPerson
		x    float64
		want int
	}{
		"at once":                        {1500 * time.Millisecond, a, 200, 0},
		"after 10 s, elsewhere":          {10 * time.Second, a, 500, 0},
		"after 55 s":                     {55 * time.Second, a, 240, 0},
		"after more than a minute":       {62 * time.Second, a, 200, 1},
		"another, soon, in its place":    {1500 * time.Millisecond, b, 200, 1},
		"another, after 10 s, elsewhere": {10 * time.Second, b, 500, 1},
	} {
		s := stage{tracker: newTracker(1)}
		for range 6 {
			s.tick(func(sc *scene) { sc.draw(a, 200, 180, 90) })
		}
		s.wait(c.away)
		var got []Tracked
		for range 10 {
			got = s.tick(func(sc *scene) { sc.draw(c.who, c.x, 170, 80) })
		}
		if !slices.Equal(subjects(got), []int{c.want}) {
			t.Errorf("%s: subjects %v, want %d", name, subjects(got), c.want)
		}
	}
}

// Two that look the same and are seen at once are two, also when one of them leaves and returns.
func TestMirroredFaceHasItsOwnNumber(t *testing.T) {
	a := newPerson(3)
	s := stage{tracker: newTracker(2)}
	both := func(sc *scene) {
		sc.draw(a, 150, 180, 80)
		sc.draw(a, 450, 180, 80)
	}
	check := func() {
		t.Helper()
		for range 8 {
			if got := s.tick(both); len(got) > 1 && got[0].Subject == got[1].Subject {
				t.Fatalf("one number for two: %v", got)
			}
		}
		if got := subjects(s.tick(both)); !slices.Equal(got, []int{0, 1}) {
			t.Fatalf("subjects %v", got)
		}
	}
	check()
	for range 20 {
		s.tick(func(sc *scene) { sc.draw(a, 150, 180, 80) })
	}
	check()
	s.wait(5 * time.Second)
	check()
}

func TestTwentyFacesReturn(t *testing.T) {
	s := stage{tracker: newTracker(20)}
	all := func(mirrored bool) func(sc *scene) {
		return func(sc *scene) {
			for i := range 20 {
				at := i
				if mirrored { // they come back in each other's places
					at = 19 - i
				}
				sc.draw(newPerson(uint64(100+i)), 60+120*float64(at%5), 50+85*float64(at/5), 40)
			}
		}
	}
	var first, last []Tracked
	for range 5 {
		first = s.tick(all(false))
	}
	s.wait(8 * time.Second)
	for range 6 {
		last = s.tick(all(true))
	}
	if len(first) != 20 || len(last) != 20 {
		t.Fatalf("%d faces, then %d", len(first), len(last))
	}
	for _, f := range first {
		for _, g := range last {
			mirrored := math.Abs(f.Face.X+g.Face.X+40-600) < 5 && math.Abs(f.Face.Y+g.Face.Y+40-355) < 5
			if mirrored && f.Subject != g.Subject {
				t.Errorf("subject %d returns as %d", f.Subject, g.Subject)
			}
		}
	}
}

// A hundred crossings of two who meet, one hiding the other, and go on or back.
func TestHundredCrossings(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for n := range 100 {
		a, b := newPerson(uint64(1000+2*n)), newPerson(uint64(1001+2*n))
		s := stage{tracker: newTracker(2)}
		size, speed, turn := 50+50*r.Float64(), 0.2+0.5*r.Float64(), n%2 == 0
		way := int(math.Ceil(2.2 / speed))
		hidden := 1 + r.IntN(4)
		var last []Tracked
		from := 0.0
		for k := -3; k < 2*way+hidden+4; k++ {
			switch {
			case k < 0:
				from = 2.2
			case k < way:
				from = 2.2 - speed*float64(k)
			case k < way+hidden:
				from = 0
			default:
				from = min(2.2, speed*float64(k-way-hidden+1))
				if !turn {
					from = -from
				}
			}
			last = s.tick(func(sc *scene) {
				if math.Abs(from) > 0.4 {
					sc.draw(b, 320+from*size, 180, size)
				}
				sc.draw(a, 320-from*size, 180, size)
			})
		}
		var left []int // by place
		slices.SortFunc(last, func(f, g Tracked) int { return int(f.Face.X - g.Face.X) })
		left = subjects(last)
		want := []int{1, 0} // the nearer is drawn last, and was found second
		if !turn {
			want = []int{0, 1}
		}
		if !slices.Equal(left, want) {
			t.Errorf("crossing %d, turning %v: from left to right %v, want %v", n, turn, left, want)
		}
	}
}

// What is remembered is bounded, in number and time.
func TestRememberedIsBounded(t *testing.T) {
	tr := newTracker(1)
	sc := newScene(1)
	sc.draw(newPerson(1), 200, 180, 90)
	look := (&looker{frame: sc.frame, found: sc.faces}).at(0)
	if look == nil {
		t.Fatal("a drawn face has no look")
	}
	for i := range 300 {
		k := &track{subject: i, seen: time.Duration(i) * time.Millisecond}
		k.looks.Add(look)
		tr.tracks = append(tr.tracks, k)
	}
	tr.leave(10 * time.Second)
	if len(tr.tracks) != 0 || len(tr.absent) != mostAbsent || tr.absent[0].subject != 300-mostAbsent {
		t.Errorf("%d tracks and %d absent", len(tr.tracks), len(tr.absent))
	}
	tr.leave(time.Minute + time.Second)
	if len(tr.absent) != 0 {
		t.Errorf("%d remembered after a minute", len(tr.absent))
	}
}
