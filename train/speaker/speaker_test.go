package speaker

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train"
	"tandem/train/dataset"
	"tandem/train/nn"
	"tandem/train/traintest"
)

// talker makes a track whose mouth opens as the sound gets louder, by a pattern of its own.
func talker(speaker, id string, split string, seed uint64, spec pipeline.MouthSpec) *Track {
	rng := rand.New(rand.NewPCG(seed, 7))
	const slots = 56
	n, size := slotSamples(spec), spec.Size
	t := &Track{
		ID: id, Set: "made", Speaker: speaker, Split: split, Size: size, There: make([]bool, slots),
		Mouths: make([]byte, slots*size*size), Sound: make([]int16, slots*n),
	}
	open := 0.0
	for s := range slots {
		t.There[s] = true
		if s%4 == 0 {
			open = float64(rng.IntN(2))
			if s < 8 {
				open = 0 // it begins in silence
			}
		}
		for i := range size * size {
			y := math.Abs(float64(i/size) - float64(size)*(0.5-0.08))
			if y < float64(size)*(0.05+0.2*open) {
				t.Mouths[s*size*size+i] = 20
			} else {
				t.Mouths[s*size*size+i] = 180
			}
		}
		for i := range n {
			t.Sound[s*n+i] = int16((40 + 8000*open) * rng.NormFloat64() / 3)
		}
	}
	t.Voiced = voiced(t.Sound, slots)
	return t
}

func talkers(spec pipeline.MouthSpec) (all []*Track) {
	for s := range 4 {
		split := dataset.SplitTrain
		if s >= 2 {
			split = dataset.SplitVal
		}
		for k := range 6 {
			id := string(rune('a'+s)) + string(rune('0'+k))
			all = append(all, talker(id[:1], id, split, uint64(10*s+k), spec))
		}
	}
	return all
}

// tinyRecipe is of a network that learns the talkers in seconds.
func tinyRecipe() Recipe {
	r := DefaultRecipe()
	r.Arch = nn.SpeakerArch{
		Mouths: nn.DefaultMouths, LipWidths: []int{4, 8, 8}, SoundWidths: []int{4, 8}, Hidden: 16, Blocks: 1, Dim: 8,
		MelBands: 16,
	}
	r.Arch.Mouths.Size = 16
	r.Steps, r.WarmupSteps, r.Groups, r.GroupSize, r.Frozen, r.EMA = 40, 4, 1, 5, 1, 0
	r.LearningRate = 0.01
	r.Augment.Offset, r.Augment.Voice, r.Augment.Sound.Chance = 0.03, 0, 0
	r.Augment.Lips = Lips{Gamma: 1, Move: 0.02, Drop: 0.02}
	return r
}

func needBackend(t *testing.T) {
	t.Helper()
	if _, err := train.NewBackend(train.DefaultBackend); err != nil {
		t.Skip(err)
	}
}

// It learns which lips go with which sound, of speakers whom it has not seen.
func TestLearnsWhoSpeaks(t *testing.T) {
	needBackend(t)
	r := tinyRecipe()
	tracks := talkers(r.Arch.Mouths)
	o := &RunOptions{Recipe: r, Dir: t.TempDir(), Out: filepath.Join(t.TempDir(), "speaker.onnx")}
	w, err := o.fit(t.Context(), tracks, func(train.Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	c := infer.SpeakerContract{Gain: 1, Metrics: []byte("{}"), TandemVersion: "test", Created: time.Unix(0, 0)}
	load := func() *infer.Speaker {
		b, err := nn.ExportSpeaker(r.Arch, w, c)
		if err != nil {
			t.Fatal(err)
		}
		s, err := infer.NewSpeaker(b)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	if c.Gain, c.Bias, err = Calibrate(t.Context(), load(), tracks, dataset.SplitVal); err != nil {
		t.Fatal(err)
	}
	s := &stage{spec: r.Arch.Mouths, tracks: ofSplit(tracks, dataset.SplitVal), rng: rand.New(rand.NewPCG(1, 2))}
	score, err := s.score(t.Context(), load(), named{scene: "moving"}, 8)
	if err != nil {
		t.Fatal(err)
	}
	if score.Windows == 0 || score.Chosen < 0.8 {
		t.Errorf("after %d steps the right face is chosen in %.2f of %d windows", r.Steps, score.Chosen, score.Windows)
	}
}

func ofSplit(tracks []*Track, split string) []*Track {
	return slices.DeleteFunc(slices.Clone(tracks), func(t *Track) bool { return t.Split != split })
}

func TestGradientOfTheLoss(t *testing.T) {
	r := tinyRecipe()
	r.GroupSize, r.Frozen, r.Arch.Mouths.Slots = 2, 1, 8
	traintest.CheckGradients(t, func(net *model.Scope, in []*graph.Node) *graph.Node {
		o := &nn.GraphOps{Scope: net, Graph: in[0].Graph(), Seed: 3, Float64: true}
		voiced := o.Constant([]float32{1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0}, 2, 8)
		lips := graph.Mul(in[0], o.Param("lips", nn.NormalInit(1), 3, 8, 4))
		voice := graph.Mul(in[1], o.Param("voice", nn.NormalInit(1), 2+noises, 8, 4))
		loss, _ := pairLoss(o, r, lips, voice, voiced)
		return loss
	}, traintest.Wave(3, 8, 4), traintest.Wave(2+noises, 8, 4))
}

// A batch depends on its number alone, and what it says is heard is.
func TestBatch(t *testing.T) {
	r := tinyRecipe()
	r.Groups = 2
	tracks := talkers(r.Arch.Mouths)
	b, err := newBatcher(tracks, r)
	if err != nil {
		t.Fatal(err)
	}
	x, y, z := b.batch(3), b.batch(3), b.batch(4)
	if !bytes.Equal(x.mouths, y.mouths) || !slices.Equal(x.audio, y.audio) || bytes.Equal(x.mouths, z.mouths) {
		t.Error("batches do not depend on their number alone")
	}
	heard := 0
	for _, v := range x.voiced {
		heard += int(v)
	}
	if heard == 0 || len(x.voiced) != 2*5*40 || len(x.there) != (2*5+2)*40 {
		t.Errorf("%d of %d slots have a voice, %d mouths", heard, len(x.voiced), len(x.there))
	}
	for _, s := range b.speakers {
		if s.tracks[0].Split != dataset.SplitTrain {
			t.Errorf("speaker %s of %s is learned from", s.tracks[0].Speaker, s.tracks[0].Split)
		}
	}
	if _, err := newBatcher(ofSplit(tracks, dataset.SplitVal), r); !errors.Is(err, ErrNoClips) {
		t.Errorf("without clips to train on: %v", err)
	}
}

// truth is a detector that knows who is heard.
type truth struct {
	spec pipeline.MouthSpec
	odds func() [][]float64
}

func (d *truth) Mouths() pipeline.MouthSpec { return d.spec }

func (d *truth) Speaking(context.Context, []float32, []pipeline.Lips) ([][]float64, error) {
	return d.odds(), nil
}

// Scenes say who is heard in which slot, and their sound is there where they say so.
func TestScenes(t *testing.T) {
	spec := nn.DefaultMouths
	spec.Size = 16
	tracks := talkers(spec)
	tracks = append(tracks, talker("e", "e0", dataset.SplitVal, 99, spec))
	for name, make := range kinds {
		s := &stage{spec: spec, tracks: tracks, rng: rand.New(rand.NewPCG(5, 6))}
		sc := make(s)
		n := slotSamples(spec)
		if len(sc.sound) != len(sc.heard)*n || len(sc.heard) < spec.Slots {
			t.Fatalf("%s: %d samples for %d slots", name, len(sc.sound), len(sc.heard))
		}
		counts := map[int]int{}
		for i, who := range sc.heard {
			var p float64
			for _, v := range sc.sound[i*n : (i+1)*n] {
				p += float64(v) * float64(v)
			}
			if counts[who]++; who != heardNobody && p == 0 {
				t.Errorf("%s: slot %d is silent, and %d is heard", name, i, who)
			}
		}
		for _, f := range sc.faces {
			if !slices.Contains(f.There, true) {
				t.Errorf("%s: a face is never seen", name)
			}
		}
		want := map[string]int{
			"unseen": heardUnseen, "unseen-moving": heardUnseen, "alone-narrator": heardUnseen,
			"overlap": heardSeveral,
		}[name] // else 0, the first face
		if counts[want] == 0 {
			t.Errorf("%s: heard are %v", name, counts)
		}
		if name == "turns" && (len(sc.turns) < 2 || counts[0] == 0 || counts[1] == 0) {
			t.Errorf("turns at %v, heard %v", sc.turns, counts)
		}
	}
}

// The scores of one who knows, one who errs, and one who says nothing.
func TestScores(t *testing.T) {
	spec := nn.DefaultMouths
	spec.Size = 16
	for name, c := range map[string]struct {
		odds                  float64
		right, wrong, nothing float64
	}{"knows": {1, 1, 0, 0}, "errs": {-1, 0, 1, 0}, "cannot tell": {0, 0, 0, 1}} {
		d := &truth{spec: spec, odds: func() [][]float64 {
			out := [][]float64{make([]float64, spec.Slots), make([]float64, spec.Slots)}
			for i := range out[0] {
				out[0][i], out[1][i] = c.odds, -c.odds
			}
			return out
		}}
		s := &stage{spec: spec, tracks: talkers(spec), rng: rand.New(rand.NewPCG(1, 2))}
		score, err := s.score(t.Context(), d, named{scene: "moving"}, 5)
		if err != nil || score.Windows == 0 || score.Right != c.right || score.Wrong != c.wrong ||
			score.Nobody != c.nothing {
			t.Errorf("%s: %+v, %v", name, score, err)
		}
	}
	d := &truth{spec: spec}
	if _, err := Evaluate(t.Context(), d, nil, dataset.SplitVal, 1, 1); !errors.Is(err, ErrNoClips) {
		t.Errorf("without tracks: %v", err)
	}
}

// Of a conversation: the delay until the new speaker has the voice.
func TestDelay(t *testing.T) {
	spec := nn.DefaultMouths
	sc := &scene{heard: make([]int, 120), turns: []int{60}}
	for i := 60; i < 120; i++ {
		sc.heard[i] = 1
	}
	given, ends := map[int][]int{}, []int{}
	for end := 40; end <= 120; end += windowEvery {
		ends = append(ends, end)
		given[end] = make([]int, 40)
		for k := range given[end] {
			if slot := end - 40 + k; slot >= 60 && end >= 68 {
				given[end][k] = 1
			}
		}
	}
	if d, ok := delay(sc, given, ends, 60, spec); !ok || math.Abs(d-8*0.064) > 1e-9 {
		t.Errorf("delay %v, %v", d, ok)
	}
	if _, ok := delay(sc, given, ends, 20, spec); ok {
		t.Error("the delay of a turn before the first window is known")
	}
}

func TestLogistic(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var xs, ys []float64
	for range 20000 {
		x := rng.NormFloat64() * 3
		y := 0.0
		if rng.Float64() < 1/(1+math.Exp(-(0.8*x-0.5))) {
			y = 1
		}
		xs, ys = append(xs, x), append(ys, y)
	}
	a, b := logistic(xs, ys)
	traintest.Near(t, "slope", a, 0.8, 0.05)
	traintest.Near(t, "intercept", b, -0.5, 0.05)
}

func TestTrackSurvivesAFile(t *testing.T) {
	spec := nn.DefaultMouths
	spec.Size = 16
	want := talker("a", "a0", dataset.SplitTrain, 1, spec)
	path := filepath.Join(t.TempDir(), "a.track")
	if err := writeTrack(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := readTrack(path, spec)
	if err != nil || !bytes.Equal(got.Mouths, want.Mouths) || !slices.Equal(got.Sound, want.Sound) ||
		!slices.Equal(got.There, want.There) {
		t.Errorf("%v", err)
	}
	if _, err := readTrack(path, nn.DefaultMouths); !errors.Is(err, errTrack) {
		t.Errorf("mouths of another size: %v", err)
	}
}

func FuzzTrack(f *testing.F) {
	spec := pipeline.MouthSpec{Every: 64 * time.Millisecond, Size: 8, Margin: 1.6, Slots: 40}
	whole := marshalTrack(&Track{
		Size: 8, There: []bool{true, false}, Mouths: make([]byte, 2*64), Sound: make([]int16, 2*1024),
	})
	f.Add(whole)
	f.Add(whole[:100])
	f.Add([]byte(trackMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		track, err := unmarshalTrack(b, spec)
		if err != nil {
			return
		}
		if !bytes.Equal(marshalTrack(track), b) {
			// A byte of There other than 0 and 1 is the only thing that is not kept.
			again, err := unmarshalTrack(marshalTrack(track), spec)
			if err != nil || again.Slots() != track.Slots() {
				t.Fatalf("%v", err)
			}
		}
	})
}

func FuzzRecipe(f *testing.F) {
	f.Add(defaultRecipe)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseRecipe(b); err == nil && r.Arch.Check() != nil {
			t.Fatalf("accepted %+v", r)
		}
	})
}

func TestTalking(t *testing.T) {
	clips := Talking([]dataset.Clip{
		{Video: "a.mp4"}, {Video: "b.JPG"}, {Audio: "c.flac"}, {Video: "d.csv", Row: &dataset.CSVRow{}},
	})
	if len(clips) != 1 || clips[0].Video != "a.mp4" {
		t.Errorf("%v", clips)
	}
}
