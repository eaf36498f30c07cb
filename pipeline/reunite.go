package pipeline

import (
	"math"
	"slices"
	"time"

	"tandem/capture"
	"tandem/pipeline/appearance"
)

// What subjects are told apart by, see docs/output.md. Likeness is the cosine of looks, from -1 to 1.
const (
	remembered   = time.Minute            // how long a subject that left is known when it returns,
	mostAbsent   = 64                     // so many at a time, the last that left
	sameFace     = 0.70                   // a face that comes is a subject that left if they are so alike,
	looksToKnow  = 3                      // by one look, or by the mean of up to so many
	otherFace    = 0.50                   // a face that is less like a subject than this does not return to its place
	hidden       = 700 * time.Millisecond // after so long a face is not just missed, but returns
	clearlyMore  = 0.25                   // and so does one that is so much more alike to another
	unexpected   = 0.7                    // or at such a cost from where it was expected
	likenessCost = 3.0                    // sizes that a face may be farther away for being alike instead of not at all
	doubting     = 3 * time.Second        // so long a face that jumped may turn out to be another
	lookEvery    = time.Second            // a face that goes on being seen is looked at
	leastLooked  = 16                     // pixels: smaller faces all look alike
)

// looker looks at the faces that were found in a picture, each once at most. The zero value sees nothing.
type looker struct {
	frame *capture.Frame
	found []Face
	looks map[int]*appearance.Look
}

// at returns how a face looks, nil if that cannot be told.
func (l *looker) at(j int) *appearance.Look {
	f := &l.found[j]
	if l.frame == nil || f.size() < leastLooked || !f.usable() || len(l.frame.Pix) != 3*l.frame.Width*l.frame.Height {
		return nil
	}
	look, ok := l.looks[j]
	if !ok {
		area := cropArea(l.frame, *f, Spec{CropMargin: appearance.Margin})
		look = appearance.Of(cropped(l.frame, area, CropEyeY, appearance.Size, 1))
		if l.looks == nil {
			l.looks = map[int]*appearance.Look{}
		}
		l.looks[j] = look
	}
	return look
}

// clear reports whether a face is not covered by another, as far as that was found.
func (l *looker) clear(j int) bool {
	f := l.found[j]
	for i, g := range l.found {
		if i != j && f.X < g.X+g.W && g.X < f.X+f.W && f.Y < g.Y+g.H && g.Y < f.Y+f.H {
			return false
		}
	}
	return true
}

// absent is a subject that left.
type absent struct {
	subject int
	looks   appearance.Mean
	seen    time.Duration // last
}

// leave gives up the tracks of faces that were away for too long. Their looks are kept for a while.
func (t *tracker) leave(now time.Duration) {
	t.tracks = slices.DeleteFunc(t.tracks, func(k *track) bool {
		if now-k.seen <= t.lostAfter {
			return false
		}
		if k.subject >= 0 && !k.looks.Empty() {
			t.absent = append(t.absent, absent{k.subject, k.looks, k.seen})
		}
		return true
	})
	t.absent = slices.DeleteFunc(t.absent, func(a absent) bool { return now-a.seen > remembered })
	t.absent = slices.Delete(t.absent, 0, max(0, len(t.absent)-mostAbsent))
}

// compare adds to the costs of faces being those of tracks what they look like: where a face may be one of several, or
// a track's face one of several, and where it was away or jumps. Then a face that is plainly another is forbidden, and
// anywhere one that is another track's by its looks.
func (t *tracker) compare(now time.Duration, costs [][]float64, l *looker) {
	reached := func(c float64) bool { return !math.IsInf(c, 1) }
	several := make([]int, len(l.found)) // tracks for a face
	for _, row := range costs {
		for j, c := range row {
			if reached(c) {
				several[j]++
			}
		}
	}
	alikes := make([][]float64, len(costs)) // of a track and a face, as far as they are compared
	most := make([]float64, len(l.found))   // how alike a face is to who may be it
	for i, k := range t.tracks {
		if k.looks.Empty() {
			continue
		}
		mayBe := 0
		for _, c := range costs[i] {
			if reached(c) {
				mayBe++
			}
		}
		away := now-k.seen > hidden
		alikes[i] = slices.Repeat([]float64{1}, len(l.found))
		for j, c := range costs[i] {
			if !reached(c) || several[j] == 1 && mayBe == 1 && !away && c < unexpected {
				continue
			}
			look := l.at(j)
			if look == nil {
				continue
			}
			alike := k.looks.Cosine(look)
			costs[i][j] += likenessCost * (1 - alike)
			alikes[i][j], most[j] = alike, max(most[j], alike, t.likest(look))
			if away && alike < otherFace && l.clear(j) {
				costs[i][j] = math.Inf(1)
			}
		}
	}
	for i, row := range alikes {
		for j, alike := range row {
			if alike < min(otherFace, most[j]-clearlyMore) {
				costs[i][j] = math.Inf(1)
			}
		}
	}
}

// likest returns how alike a look is to that of the most alike subject that left.
func (t *tracker) likest(l *appearance.Look) float64 {
	most := -1.0
	for i := range t.absent {
		most = max(most, t.absent[i].looks.Cosine(l))
	}
	return most
}

// known reports whether it is clear that a track is of a face, and of whose: a subject's, or somebody's who is new.
func (k *track) known() bool { return k.subject >= 0 || k.isNew }

// look has a track remember what its face, the j-th of those found, looks like. While it is in doubt that it is the
// track's, it is looked at for that alone.
func (k *track) look(now time.Duration, j int, l *looker) {
	doubt := k.certain < now
	if !k.looks.Empty() && !doubt && now-k.looked < lookEvery || !l.clear(j) {
		return
	}
	look := l.at(j)
	switch {
	case look == nil:
	case !doubt:
		k.looks.Add(look)
		k.looked = now
	case now-k.certain > doubting || k.looks.Cosine(look) >= otherFace:
		k.certain = now
	}
}

// reunite gives a face that came the number of the subject that it looks like, if that was not seen since: two that are
// seen at once are never one. A face that may be one is looked at a few times before it is somebody new.
func (t *tracker) reunite(now time.Duration, l *looker) {
	for j := range l.found {
		i := slices.IndexFunc(t.tracks, func(k *track) bool { return k.seen == now && k.found == j })
		if i < 0 || !t.tracks[i].sure || t.tracks[i].subject >= 0 || t.tracks[i].isNew {
			continue
		}
		k := t.tracks[i]
		k.arriving.n++
		if look := l.at(j); look != nil && l.clear(j) {
			k.arriving.looks.Add(look)
		}
		alike := sameFace
		var lost *track
		back := -1
		any := false
		for _, o := range t.tracks {
			if o.subject >= 0 && o.certain < k.since && !o.looks.Empty() {
				any = true
				if a := k.arriving.looks.Alike(&o.looks); a >= alike {
					alike, lost = a, o
				}
			}
		}
		for i := range t.absent {
			if a := &t.absent[i]; a.seen < k.since {
				any = true
				if a := k.arriving.looks.Alike(&a.looks); a >= alike {
					alike, lost, back = a, nil, i
				}
			}
		}
		switch {
		case lost != nil:
			k.subject, k.placed, k.looks = lost.subject, lost.placed, lost.looks
			lost.subject, lost.placed, lost.looks, lost.since = -1, false, appearance.Mean{}, lost.certain+1
			t.tracks = slices.DeleteFunc(t.tracks, func(o *track) bool { return o == lost && o.seen < now })
		case back >= 0:
			k.subject, k.looks = t.absent[back].subject, t.absent[back].looks
			t.absent = slices.Delete(t.absent, back, back+1)
		case !any || k.arriving.n >= looksToKnow:
			k.isNew = true
		}
	}
}
