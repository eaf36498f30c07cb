package pipeline

import (
	"cmp"
	"math"
	"slices"
	"time"

	"tandem/capture"
	"tandem/pipeline/appearance"
)

// What the tracker goes by. Sizes are the larger side of a face's box.
const (
	sureScore     = 0.75            // a face with less must be seen at two ticks before it is followed
	gateDistance  = 1.0             // a face may be found this many sizes from where it was expected,
	gateGrowth    = 1.0             // and this many more for every second since it was last seen,
	gateSizeRatio = 2.0             // and up to this many times larger or smaller
	coasting      = time.Second     // how long a lost face is expected to go on moving
	takeOverSize  = 1.5             // a face this many times larger than a subject's
	takeOverAfter = 2 * time.Second // for this long takes the subject's place
	bystanderSize = 0.3             // and one so large may be who speaks
	resting       = 0.04            // a face whose points move by less of its size is smoothed,
	freshest      = 0.3             // and one that does not move at all takes this share of a new look
	restless      = 0.1             // a face is expected where it was until it is this many sizes off,
	swollen       = 1.15            // or this many times larger or smaller
)

// Tracked is a face that belongs to a subject.
type Tracked struct {
	Subject int
	Face    Face
}

// tracker gives faces of successive pictures to subjects. Each face is expected to go on at constant velocity;
// found faces go to expected ones so that the sum of the costs is least, the cost being the distance between
// the centres in sizes plus the absolute logarithm of the ratio of the sizes, within a gate.
//
// At most max subjects are followed at a time. A free place goes to the largest face. A face that stays
// clearly larger than a subject's takes its place, so that the one person in front wins over a poster behind.
// A subject's place is given up when its face was away for lostAfter. Its number is its own again if a face that looks
// like it comes within a minute (reunite); no other has it ever.
type tracker struct {
	max       int
	lostAfter time.Duration
	trusting  bool // follow any face at once: there will be no second look
	// bystanding follows faces without a place too, since the voice may be theirs.
	bystanding bool
	tracks     []*track
	next       int // subject
	serial     int // of the last face that was new
	absent     []absent
}

type track struct {
	subject int // -1 until it had a place
	serial  int // of all that were found, from 1
	placed  bool
	sure    bool
	face    Face
	vx, vy  float64 // pixels a second
	size    float64 // smoothed
	seen    time.Duration
	hits    int
	larger  time.Duration // since when it has been clearly larger than a subject; -1: it is not
	stand   Face          // where it was expected last

	since    time.Duration // when it came
	certain  time.Duration // when it was last beyond doubt that its face is the same
	found    int           // which of the faces found when it was seen last it was
	looks    appearance.Mean
	looked   time.Duration // when last
	isNew    bool          // nobody who left
	arriving struct {      // what is known of one of whom that is not known yet
		looks appearance.Mean
		n     int // times seen
	}
}

func (f *Face) center() (x, y float64) { return f.X + f.W/2, f.Y + f.H/2 }
func (f *Face) size() float64          { return max(f.W, f.H) }

// valid reports whether a face can be followed and cropped at all.
func (f *Face) valid() bool {
	for _, v := range []float64{f.X, f.Y, f.W, f.H, f.Score} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return f.W > 0 && f.H > 0
}

// update takes the faces found at a time, which must not go back, in a picture, and returns those that belong to
// subjects, by subject. Without a picture faces are not known by how they look.
func (t *tracker) update(now time.Duration, picture *capture.Frame, found []Face) []Tracked {
	found = slices.DeleteFunc(slices.Clone(found), func(f Face) bool { return !f.valid() })
	if t.trusting { // there is nothing to come back to
		picture = nil
	}
	l := &looker{frame: picture, found: found}
	t.leave(now)

	costs := make([][]float64, len(t.tracks))
	for i, k := range t.tracks {
		costs[i] = make([]float64, len(found))
		for j := range found {
			costs[i][j] = k.cost(now, &found[j])
		}
	}
	places := make([][]float64, len(costs))
	for i, row := range costs {
		places[i] = slices.Clone(row)
	}
	t.compare(now, costs, l)
	taken := make([]bool, len(found))
	for i, j := range assign(costs) {
		if j >= 0 {
			k := t.tracks[i]
			if k.certain == k.seen && (places[i][j] < unexpected || k.looks.Empty()) {
				k.certain = now
			}
			k.matched(now, found[j])
			k.found = j
			taken[j] = true
		}
	}
	// A face that was not sure and did not show a second time was none.
	t.tracks = slices.DeleteFunc(t.tracks, func(k *track) bool { return !k.sure && k.seen != now })
	for j, f := range found {
		if !taken[j] {
			t.serial++
			t.tracks = append(t.tracks, &track{
				subject: -1, serial: t.serial, sure: t.trusting || f.Score >= sureScore,
				face: f, size: f.size(), seen: now, hits: 1, larger: -1, since: now, certain: now, found: j,
			})
		}
	}
	t.reunite(now, l)
	t.assignSubjects(now)
	for _, k := range t.tracks {
		if k.subject >= 0 && k.seen == now {
			k.look(now, k.found, l)
		}
	}

	var out []Tracked
	for _, k := range t.tracks {
		if k.placed && k.seen == now {
			out = append(out, Tracked{k.subject, k.face})
		}
	}
	slices.SortFunc(out, func(a, b Tracked) int { return cmp.Compare(a.Subject, b.Subject) })
	return out
}

// rescale makes the picture so many times as wide and as high, as a sender that adapts to its network does: all faces
// stay where they are in shares of it.
func (t *tracker) rescale(x, y float64) {
	if x == 1 && y == 1 {
		return
	}
	for _, k := range t.tracks {
		k.face, k.stand = k.face.scaled(x, y), k.stand.scaled(x, y)
		k.vx, k.vy = k.vx*x, k.vy*y
		k.size *= math.Sqrt(x * y)
	}
}

// scaled returns the face in a picture so many times as wide and as high.
func (f Face) scaled(x, y float64) Face {
	for _, p := range []*Point{&f.LeftEye, &f.RightEye, &f.Nose, &f.Mouth} {
		p.X, p.Y = p.X*x, p.Y*y
	}
	f.X, f.Y, f.W, f.H = f.X*x, f.Y*y, f.W*x, f.H*y
	return f
}

// expected returns the faces to follow at a time, at most limit, and which they are: those with a place, those that
// were seen but once or are not known yet, and those that may take a place or be who speaks.
func (t *tracker) expected(now time.Duration, limit int) (faces []Face, tracks []*track) {
	for _, k := range t.tracks {
		if k.placed || !k.known() || k.larger >= 0 || t.bystanding {
			tracks = append(tracks, k)
		}
	}
	slices.SortStableFunc(tracks, func(a, b *track) int {
		switch {
		case a.placed == b.placed:
			return 0
		case a.placed:
			return -1
		}
		return 1
	})
	tracks = tracks[:min(len(tracks), limit)]
	for _, k := range tracks {
		faces = append(faces, k.expect(now))
	}
	return faces, tracks
}

// expect returns where the face should be at a time. As long as that is nearly where it was expected last it is that
// again: a face that rests is then looked at through the same pixels, and its points do not jump.
func (k *track) expect(now time.Duration) Face {
	ahead := min(now-k.seen, coasting).Seconds()
	f := k.face
	f.X += k.vx * ahead
	f.Y += k.vy * ahead
	x, y := f.center()
	sx, sy := k.stand.center()
	ratio := f.size() / k.stand.size()
	if !(math.Hypot(x-sx, y-sy) <= restless*f.size() && ratio <= swollen && ratio >= 1/swollen) {
		k.stand = f
	}
	return k.stand
}

// full reports whether no place is free, and the size of the smallest face that has one.
func (t *tracker) full() (yes bool, size float64) {
	placed := 0
	size = math.Inf(1)
	for _, k := range t.tracks {
		if k.placed {
			placed++
			size = min(size, k.size)
		}
	}
	return placed >= t.max, size
}

// bystanders returns the faces that are seen at a time and are not followed: not for the first time, and large enough
// beside the smallest that is followed. In place of a subject's number each has one below 0, which it keeps.
func (t *tracker) bystanders(now time.Duration) (out []Tracked) {
	_, size := t.full()
	for _, k := range t.tracks {
		if !k.placed && k.sure && k.hits > 1 && k.seen == now &&
			(math.IsInf(size, 1) || k.size >= bystanderSize*size) {
			out = append(out, Tracked{-1 - k.serial, k.face})
		}
	}
	return out
}

// cost returns the cost of a found face being this one, +Inf beyond the gate.
func (k *track) cost(now time.Duration, f *Face) float64 {
	away := (now - k.seen).Seconds()
	ahead := min(away, coasting.Seconds())
	x, y := k.face.center()
	fx, fy := f.center()
	size := (k.size + f.size()) / 2
	d := math.Hypot(fx-x-k.vx*ahead, fy-y-k.vy*ahead) / size
	ratio := math.Abs(math.Log(f.size() / k.size))
	if d > gateDistance+gateGrowth*away || ratio > math.Log(gateSizeRatio) {
		return math.Inf(1)
	}
	return d + ratio
}

// matched updates the track with the face that was found.
func (k *track) matched(now time.Duration, f Face) {
	if dt := (now - k.seen).Seconds(); dt > 0 {
		x, y := k.face.center()
		fx, fy := f.center()
		vx, vy := (fx-x)/dt, (fy-y)/dt
		if k.hits == 1 {
			k.vx, k.vy = vx, vy
		} else {
			k.vx, k.vy = (k.vx+vx)/2, (k.vy+vy)/2
		}
	}
	k.face, k.seen, k.size = k.face.settle(f), now, (k.size+f.size())/2
	k.hits++
	k.sure = true
}

// settle returns the face as it is now, g, drawn towards what it was before where it hardly moved: noise in the picture
// moves the points of a resting face, and a moving one must not lag. (The idea of the one-euro filter, Casiez et al.
// 2012, whose cutoff rises with speed.)
func (f Face) settle(g Face) Face {
	corner, size := Point{g.X, g.Y}, Point{g.W, g.H}
	was := [...]Point{f.LeftEye, f.RightEye, f.Nose, f.Mouth, {f.X, f.Y}, {f.W, f.H}}
	is := [...]*Point{&g.LeftEye, &g.RightEye, &g.Nose, &g.Mouth, &corner, &size}
	var moved float64
	for i, p := range is {
		moved = max(moved, math.Hypot(p.X-was[i].X, p.Y-was[i].Y))
	}
	share := freshest + (1-freshest)*moved/(resting*g.size())
	if !(share < 1) {
		return g
	}
	for i, p := range is {
		p.X = was[i].X + share*(p.X-was[i].X)
		p.Y = was[i].Y + share*(p.Y-was[i].Y)
	}
	g.X, g.Y, g.W, g.H = corner.X, corner.Y, size.X, size.Y
	return g
}

// assignSubjects gives free places to faces that have none.
func (t *tracker) assignSubjects(now time.Duration) {
	var waiting []*track
	var smallest *track // among those with a place
	free := t.max
	for _, k := range t.tracks {
		switch {
		case k.placed:
			free--
			if smallest == nil || k.size < smallest.size {
				smallest = k
			}
		case k.known() && k.seen == now:
			waiting = append(waiting, k)
		default:
			k.larger = -1
		}
	}
	slices.SortStableFunc(waiting, func(a, b *track) int { return cmp.Compare(b.size, a.size) })
	for _, k := range waiting {
		if free > 0 {
			t.admit(k)
			free--
			continue
		}
		if smallest == nil || k.size < takeOverSize*smallest.size {
			k.larger = -1
			continue
		}
		if k.larger < 0 {
			k.larger = now
		}
		if now-k.larger >= takeOverAfter {
			smallest.placed = false
			t.admit(k)
			smallest = nil // one at a time
		}
	}
}

func (t *tracker) admit(k *track) {
	k.placed, k.larger = true, -1
	if k.subject < 0 {
		k.subject = t.next
		t.next++
	}
}

// assign gives each row a column of its own, or -1, so that as many as can be are matched at the least sum of
// costs; +Inf forbids a pair. It is the Hungarian method with potentials (Kuhn 1955, Munkres 1957), O(n^3).
func assign(costs [][]float64) []int {
	rows := len(costs)
	row := make([]int, rows)
	for i := range row {
		row[i] = -1
	}
	if rows == 0 || len(costs[0]) == 0 {
		return row
	}
	// One spare column a row stands for "none" and costs more than all real pairs together.
	cols := len(costs[0])
	none := 1.0
	for _, r := range costs {
		for _, c := range r {
			if !math.IsInf(c, 1) {
				none += c
			}
		}
	}
	at := func(i, j int) float64 {
		if j > cols || math.IsInf(costs[i-1][j-1], 1) {
			return none
		}
		return costs[i-1][j-1]
	}
	// Row and column 0 are sentinels: owner[j] is the row that column j belongs to.
	n := cols + rows
	u, v := make([]float64, rows+1), make([]float64, n+1)
	owner, from := make([]int, n+1), make([]int, n+1)
	for i := 1; i <= rows; i++ {
		owner[0] = i
		slack := make([]float64, n+1)
		done := make([]bool, n+1)
		for j := range slack {
			slack[j] = math.Inf(1)
		}
		j0 := 0
		for owner[j0] != 0 {
			done[j0] = true
			i0, delta, j1 := owner[j0], math.Inf(1), 0
			for j := 1; j <= n; j++ {
				if done[j] {
					continue
				}
				if c := at(i0, j) - u[i0] - v[j]; c < slack[j] {
					slack[j], from[j] = c, j0
				}
				if slack[j] < delta {
					delta, j1 = slack[j], j
				}
			}
			for j := range done {
				if done[j] {
					u[owner[j]] += delta
					v[j] -= delta
				} else {
					slack[j] -= delta
				}
			}
			j0 = j1
		}
		for j0 != 0 {
			owner[j0] = owner[from[j0]]
			j0 = from[j0]
		}
	}
	for j := 1; j <= cols; j++ {
		if i := owner[j]; i > 0 && !math.IsInf(costs[i-1][j-1], 1) {
			row[i-1] = j - 1
		}
	}
	return row
}
