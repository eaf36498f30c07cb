package train

import (
	"cmp"
	"context"
	"hash/fnv"
	"os"
	"slices"
	"strconv"
	"strings"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/eval"
	"tandem/train/nn"
	"tandem/train/sample"
)

// plainClips is how many clips of the training split are judged as the validation split is, at most.
const plainClips = 500

// plainly is a validator of some training clips, without augmentation, smoothing and dropout: its loss can be laid
// beside that of the validation split, as the training loss cannot.
func plainly(arch nn.Arch, labels pipeline.Labels, training *sample.Prepared) *validator {
	type clip struct {
		at  int
		sum uint64
	}
	var clips []clip
	last := -1
	for _, s := range training.Samples { // in the order of the clips
		if s.Clip == last {
			continue
		}
		last = s.Clip
		h := fnv.New64a()
		h.Write([]byte(training.Clips[s.Clip].PortableID()))
		clips = append(clips, clip{s.Clip, h.Sum64()})
	}
	// The same ones each time, wherever the data lies.
	slices.SortStableFunc(clips, func(a, b clip) int { return cmp.Compare(a.sum, b.sum) })
	chosen := map[int]bool{}
	for _, c := range clips[:min(plainClips, len(clips))] {
		chosen[c.at] = true
	}
	some := *training
	some.Samples = nil
	for _, s := range training.Samples {
		if chosen[s.Clip] {
			some.Samples = append(some.Samples, s)
		}
	}
	return newValidator(arch, labels, &some)
}

// comparable are columns of the log with the two tasks' NLL, without augmentation and smoothing: of training clips
// (plain_…) and of the validation split (held_out_…).
func (r *run) comparable(ctx context.Context, w nn.Weights, c infer.Contract, held *validation) ([]column, error) {
	plain, err := r.plain.run(ctx, w, c)
	if err != nil {
		return nil, err
	}
	var cols []column
	for _, of := range []struct {
		name string
		all  eval.SetReport
	}{{"plain_", plain.all}, {"held_out_", held.all}} {
		if of.all.Emotion != nil {
			cols = append(cols, column{of.name + "emotion", of.all.Emotion.NLL})
		}
		if of.all.Gender != nil {
			cols = append(cols, column{of.name + "gender", of.all.Gender.NLL})
		}
	}
	return cols, nil
}

// residentMB returns the process's memory (RSS) in MB, 0 where the system does not tell.
func residentMB() float64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseFloat(fields[1], 64)
	if err != nil {
		return 0
	}
	return pages * float64(os.Getpagesize()) / (1 << 20)
}
