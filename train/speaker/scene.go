package speaker

import (
	"math"
	"math/rand/v2"

	"tandem/capture"
	"tandem/pipeline"
)

// Who is heard in a slot of a scene, where it is no face's index.
const (
	heardNobody  = -1 - iota // there is no voice
	heardUnseen              // one whose face is not in the picture
	heardSeveral             // two or more at once
)

// scene is faces side by side with one sound, and who is heard.
type scene struct {
	faces []pipeline.Lips // of as many slots as the scene has
	sound []float32
	heard []int
	// turns are the slots at which another face begins to speak.
	turns []int
}

// stage puts scenes together. Tracks are all of one set.
type stage struct {
	spec   pipeline.MouthSpec
	tracks []*Track
	rng    *rand.Rand
}

// conditions change a scene as a whole.
type conditions struct {
	SNR    float64 // dB of white noise below the voices; 0 with Noisy false: none
	Noisy  bool
	Offset int // samples by which the sound is late
	Every  int // slots for which a picture stands: 1 shows all
	Side   int // pixels a side that a mouth is seen with, 0: as it is cut
}

// kind makes a scene.
type kind func(s *stage) *scene

// kinds are the scenes by their names in reports; docs/speaker.md describes them.
var kinds = map[string]kind{
	"silent":         func(s *stage) *scene { return s.talk(2, false) },
	"moving":         func(s *stage) *scene { return s.talk(2, true) },
	"three":          func(s *stage) *scene { return s.talk(3, true) },
	"unseen":         func(s *stage) *scene { return s.unseen(false) },
	"unseen-moving":  func(s *stage) *scene { return s.unseen(true) },
	"overlap":        (*stage).overlap,
	"turns":          (*stage).conversation,
	"alone":          func(s *stage) *scene { return s.talk(1, false) },
	"alone-narrator": func(s *stage) *scene { return s.narrated() },
}

// pick draws tracks of so many speakers, all different, that are long enough.
func (s *stage) pick(n int) []*Track {
	var out []*Track
	used := map[string]bool{}
	for tries := 0; len(out) < n && tries < 1000; tries++ {
		t := s.tracks[s.rng.IntN(len(s.tracks))]
		if !used[t.Speaker] && count(t.Voiced) >= 12 {
			used[t.Speaker] = true
			out = append(out, t)
		}
	}
	return out
}

func (s *stage) blank(faces, slots int) *scene {
	n := s.spec.Size * s.spec.Size
	sc := &scene{sound: make([]float32, slots*slotSamples(s.spec)), heard: make([]int, slots)}
	for range faces {
		sc.faces = append(sc.faces, pipeline.Lips{Pixels: make([]byte, slots*n), There: make([]bool, slots)})
	}
	for i := range sc.heard {
		sc.heard[i] = heardNobody
	}
	return sc
}

// show gives a face of the scene the mouth of a track's slot.
func (s *stage) show(f pipeline.Lips, at int, t *Track, slot int) {
	if m := t.seen(slot); m != nil {
		copy(f.Pixels[at*len(m):], m)
		f.There[at] = true
	}
}

// say adds a track's sound to a slot, and notes who is heard in it.
func (s *stage) say(sc *scene, at int, t *Track, slot, who int) {
	if slot < 0 || slot >= t.Slots() {
		return
	}
	n := slotSamples(s.spec)
	for k, v := range t.Sound[slot*n : (slot+1)*n] {
		sc.sound[at*n+k] += float32(v) / 32768
	}
	if !t.Voiced[slot] {
		return
	}
	if sc.heard[at] != heardNobody {
		who = heardSeveral
	}
	sc.heard[at] = who
}

// quiet returns the slot that a silent face shows: those of the track's longest stretch without a voice, forward and
// backward in turn.
func quiet(t *Track, at int) int {
	from, length, run := 0, 0, 0
	for i, v := range t.Voiced {
		if run++; v || !t.There[i] {
			run = 0
		}
		if run > length {
			from, length = i-run+1, run
		}
	}
	if length == 0 {
		return 0
	}
	at %= 2 * length
	return from + min(at, 2*length-1-at)
}

// talk is one that speaks beside others who say nothing, or whose lips move without being heard.
func (s *stage) talk(faces int, moving bool) *scene {
	ts := s.pick(faces)
	slots := max(s.spec.Slots, ts[0].Slots())
	sc := s.blank(faces, slots)
	s.speak(sc, 0, ts[0])
	for k := 1; k < faces; k++ {
		s.beside(sc, k, ts[k], moving && (k == 1 || s.rng.IntN(2) == 0))
	}
	return sc
}

// speak has a face show and say a track from its beginning.
func (s *stage) speak(sc *scene, face int, t *Track) {
	for i := range sc.heard {
		s.show(sc.faces[face], i, t, min(i, t.Slots()-1))
		s.say(sc, i, t, i, face)
	}
}

// beside has a face show a track without being heard. Where it moves, what it shows is speech all the time: from the
// track's first voiced slot to its last, again and again.
func (s *stage) beside(sc *scene, face int, t *Track, moving bool) {
	first, last := 0, t.Slots()-1
	for first < last && !t.Voiced[first] {
		first++
	}
	for last > first && !t.Voiced[last] {
		last--
	}
	shift := s.rng.IntN(last - first + 1)
	for i := range sc.heard {
		slot := quiet(t, i+shift)
		if moving {
			slot = first + (i+shift)%(last-first+1)
		}
		s.show(sc.faces[face], i, t, slot)
	}
}

// unseen is the voice of one whose face is not seen, beside two faces that are silent, or of which one moves its lips.
func (s *stage) unseen(moving bool) *scene {
	ts := s.pick(3)
	if len(ts) < 3 { // a set with two speakers: the voice is that of the second, in another clip
		ts = append(ts, ts[1])
	}
	sc := s.blank(2, max(s.spec.Slots, ts[2].Slots()))
	s.beside(sc, 0, ts[0], moving)
	s.beside(sc, 1, ts[1], false)
	for i := range sc.heard {
		s.say(sc, i, ts[2], i, heardUnseen)
	}
	return sc
}

// narrated is one face that is silent, with a voice that is not its own.
func (s *stage) narrated() *scene {
	ts := s.pick(2)
	sc := s.blank(1, max(s.spec.Slots, ts[1].Slots()))
	s.beside(sc, 0, ts[0], false)
	for i := range sc.heard {
		s.say(sc, i, ts[1], i, heardUnseen)
	}
	return sc
}

// overlap is two who speak at once.
func (s *stage) overlap() *scene {
	ts := s.pick(2)
	sc := s.blank(2, max(s.spec.Slots, min(ts[0].Slots(), ts[1].Slots())))
	s.speak(sc, 0, ts[0])
	s.speak(sc, 1, ts[1])
	return sc
}

// conversation is two who speak in turns of one to four seconds, each silent while the other speaks.
func (s *stage) conversation() *scene {
	who := s.pick(2)
	const slots = 240 // 15 s
	sc := s.blank(2, slots)
	turn := s.rng.IntN(2)
	for at := 0; at < slots; turn = 1 - turn {
		t := s.another(who[turn])
		first := 0
		for !t.Voiced[first] {
			first++
		}
		length := min(16+s.rng.IntN(47), t.Slots()-first, slots-at)
		if at > 0 {
			sc.turns = append(sc.turns, at)
		}
		for i := range length {
			s.show(sc.faces[turn], at+i, t, first+i)
			s.say(sc, at+i, t, first+i, turn)
			s.show(sc.faces[1-turn], at+i, who[1-turn], quiet(who[1-turn], at+i))
		}
		at += length
	}
	return sc
}

// another returns a track of the same speaker.
func (s *stage) another(t *Track) *Track {
	for range 1000 {
		if u := s.tracks[s.rng.IntN(len(s.tracks))]; u.Speaker == t.Speaker && count(u.Voiced) >= 12 {
			return u
		}
	}
	return t
}

// under changes a scene by conditions.
func (s *stage) under(sc *scene, c conditions) {
	if c.Offset != 0 {
		late := make([]float32, len(sc.sound))
		for i := range late {
			if k := i - c.Offset; k >= 0 && k < len(late) {
				late[i] = sc.sound[k]
			}
		}
		sc.sound = late
	}
	if c.Noisy {
		var sum float64
		voiced := 0
		n := slotSamples(s.spec)
		for i, h := range sc.heard {
			if h != heardNobody {
				voiced += n
				for _, v := range sc.sound[i*n : (i+1)*n] {
					sum += float64(v) * float64(v)
				}
			}
		}
		scale := math.Sqrt(sum/float64(max(1, voiced))) * math.Pow(10, -c.SNR/20)
		for i := range sc.sound {
			sc.sound[i] += float32(scale * s.rng.NormFloat64())
		}
	}
	size := s.spec.Size
	for _, f := range sc.faces {
		for i := range f.There {
			m := f.Pixels[i*size*size : (i+1)*size*size]
			if from := i - i%max(1, c.Every); from != i {
				copy(m, f.Pixels[from*size*size:])
				f.There[i] = f.There[from]
			}
			if c.Side > 0 && i%max(1, c.Every) == 0 {
				coarsen(m, size, c.Side)
			}
		}
	}
}

// coarsen shows a mouth with fewer pixels.
func coarsen(m []byte, size, side int) {
	src := append([]byte(nil), m...)
	half := float64(size) / 2
	v := &variation{ex: [2]float64{1, 0}, ey: [2]float64{0, 1}, x: half, y: half, coarse: side}
	for i := range v.grey {
		v.grey[i] = float32(i)
	}
	v.read(m, src, size, 0, 0, nil)
}

// seconds returns how long so many slots last.
func seconds(spec pipeline.MouthSpec, slots int) float64 {
	return float64(slots*slotSamples(spec)) / capture.SampleRate
}
