package pipeline

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const faceTick = 320 * time.Millisecond

func subjects(ts []Tracked) []int {
	var s []int
	for _, t := range ts {
		s = append(s, t.Subject)
	}
	return s
}

func newTracker(max int) *tracker { return &tracker{max: max, lostAfter: DefaultLostAfter} }

func TestTrackOneMovingFast(t *testing.T) {
	tr := newTracker(1)
	for k := range 30 {
		// A face of 100 pixels moves by 0.8 of its size a tick.
		got := tr.update(time.Duration(k)*faceTick, nil, []Face{faceAt(100+80*float64(k), 200, 100)})
		if !slices.Equal(subjects(got), []int{0}) {
			t.Fatalf("tick %d: subjects %v", k, subjects(got))
		}
	}
}

func TestTrackCrossing(t *testing.T) {
	tr := newTracker(2)
	var left, right int
	for k := range 21 {
		a := faceAt(100+40*float64(k), 200, 100) // to the right
		b := faceAt(920-40*float64(k), 230, 100) // to the left
		found := []Face{a, b}
		if k%2 == 1 {
			found = []Face{b, a} // the finder's order says nothing
		}
		if k == 10 {
			found = []Face{a} // one hides the other
		}
		got := tr.update(time.Duration(k)*faceTick, nil, found)
		at := func(f Face) int {
			i := slices.IndexFunc(got, func(g Tracked) bool { return g.Face == f })
			if i < 0 {
				return -1
			}
			return got[i].Subject
		}
		switch {
		case k == 0:
			left, right = at(a), at(b)
			if left == right || left < 0 || right < 0 {
				t.Fatalf("subjects %d and %d", left, right)
			}
		case k != 10 && (at(a) != left || at(b) != right):
			t.Fatalf("tick %d: the faces are subjects %d and %d, were %d and %d", k, at(a), at(b), left, right)
		}
	}
}

func TestTrackShortAndLongLoss(t *testing.T) {
	for _, c := range []struct {
		away time.Duration
		want int
	}{{time.Second, 0}, {1900 * time.Millisecond, 0}, {4 * time.Second, 1}} {
		tr := newTracker(1)
		now := time.Duration(0)
		for range 5 {
			tr.update(now, nil, []Face{faceAt(300, 200, 100)})
			now += faceTick
		}
		back := now - faceTick + c.away
		for ; now < back; now += faceTick {
			if got := tr.update(now, nil, nil); len(got) != 0 {
				t.Fatalf("a face that was not found: %v", got)
			}
		}
		got := tr.update(back, nil, []Face{faceAt(320, 210, 104)})
		if !slices.Equal(subjects(got), []int{c.want}) {
			t.Errorf("after %v: subjects %v, want %d", c.away, subjects(got), c.want)
		}
	}
}

func TestTrackAnotherPersonIsAnotherSubject(t *testing.T) {
	tr := newTracker(1)
	tr.update(0, nil, []Face{faceAt(100, 200, 100)})
	// Far away in the picture: not the same face, and the place is not free yet.
	if got := tr.update(faceTick, nil, []Face{faceAt(900, 200, 100)}); len(got) != 0 {
		t.Errorf("followed %v", got)
	}
	var got []Tracked
	for k := 2; k < 12; k++ {
		got = tr.update(time.Duration(k)*faceTick, nil, []Face{faceAt(900, 200, 100)})
	}
	if !slices.Equal(subjects(got), []int{1}) {
		t.Errorf("subjects %v, want 1", subjects(got))
	}
}

func TestTrackWeakFaceNeedsTwoLooks(t *testing.T) {
	weak := faceAt(300, 200, 100)
	weak.Score = 0.6
	tr := newTracker(1)
	if got := tr.update(0, nil, []Face{weak}); len(got) != 0 {
		t.Errorf("followed at once: %v", got)
	}
	if got := tr.update(faceTick, nil, []Face{weak}); !slices.Equal(subjects(got), []int{0}) {
		t.Errorf("not followed at the second look: %v", got)
	}
	tr = newTracker(1)
	for k := range 10 {
		var found []Face
		if k%2 == 0 {
			found = []Face{weak}
		}
		if got := tr.update(time.Duration(k)*faceTick, nil, found); len(got) != 0 {
			t.Errorf("a flicker was followed: %v", got)
		}
	}
}

func TestTrackLargestWinsAndTakesOver(t *testing.T) {
	poster, person := faceAt(100, 100, 60), faceAt(500, 250, 200)
	tr := newTracker(1)
	if got := tr.update(0, nil, []Face{poster, person}); got[0].Face != person {
		t.Errorf("followed %v", got)
	}
	tr = newTracker(1)
	tr.update(0, nil, []Face{poster})
	var took time.Duration
	for k := 1; k < 15; k++ {
		now := time.Duration(k) * faceTick
		got := tr.update(now, nil, []Face{poster, person})
		if len(got) != 1 {
			t.Fatalf("followed %v", got)
		}
		if got[0].Face == person && took == 0 {
			took = now
			if got[0].Subject != 1 {
				t.Errorf("the person is subject %d", got[0].Subject)
			}
		}
	}
	if took < takeOverAfter || took > takeOverAfter+2*faceTick {
		t.Errorf("taken over at %v", took)
	}
}

func TestTrackIgnoresNonsense(t *testing.T) {
	tr := newTracker(2)
	nan, flat := faceAt(math.NaN(), 0, 10), faceAt(5, 5, 10)
	flat.W = 0
	if got := tr.update(0, nil, []Face{nan, flat, faceAt(math.Inf(1), 0, 1)}); len(got) != 0 {
		t.Errorf("followed %v", got)
	}
}

// assign is held to trying every assignment.
func TestAssign(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		rows, cols := r.IntN(5), r.IntN(5)
		costs := make([][]float64, rows)
		for i := range costs {
			costs[i] = make([]float64, cols)
			for j := range costs[i] {
				costs[i][j] = r.Float64() * 3
				if r.IntN(3) == 0 {
					costs[i][j] = math.Inf(1)
				}
			}
		}
		var best func(i int, used []bool) (n int, sum float64)
		best = func(i int, used []bool) (int, float64) {
			if i == rows {
				return 0, 0
			}
			n, sum := best(i+1, used)
			for j := range cols {
				if used[j] || math.IsInf(costs[i][j], 1) {
					continue
				}
				used[j] = true
				m, s := best(i+1, used)
				used[j] = false
				if m, s = m+1, s+costs[i][j]; m > n || m == n && s < sum {
					n, sum = m, s
				}
			}
			return n, sum
		}
		wantN, want := best(0, make([]bool, cols))
		n, sum := 0, 0.0
		taken := map[int]bool{}
		for i, j := range assign(costs) {
			if j >= 0 {
				if taken[j] {
					t.Fatalf("column %d twice", j)
				}
				taken[j] = true
				n++
				sum += costs[i][j]
			}
		}
		if n != wantN || math.Abs(sum-want) > 1e-9 {
			t.Fatalf("%v: %d pairs for %v, want %d for %v", costs, n, sum, wantN, want)
		}
	}
}
