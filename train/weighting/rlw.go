package weighting

import (
	"math/rand/v2"
)

// rlw is random loss weighting: p = softmax(n), n standard normal and new with each batch (Lin et al. 2022, arXiv
// 2111.10603). It is the baseline that any method that claims to choose weights has to beat.
type rlw struct{}

func (rlw) Name() string { return "rlw" }

func (rlw) Joint(t *TaskLosses) JointLoss { return t.fixed(softmaxOf(t.Draw)) }

// Draws returns the standard normal numbers of a batch, one a task: they depend on the seed and the batch's place in
// the run only, so that runs repeat and resume.
func Draws(seed uint64, batch int) []float32 {
	const stream = 0x77656967 // another than that of what the batcher draws
	rng := rand.New(rand.NewPCG(seed, stream<<32|uint64(batch)))
	return []float32{float32(rng.NormFloat64()), float32(rng.NormFloat64())}
}
