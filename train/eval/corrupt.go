package eval

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"tandem/pipeline"
	"tandem/train/sample"
)

// Condition names, as reports do, the part of a clip that a model is given.
type Condition string

// The conditions beside that of Options.Modalities: one sense alone, or one corrupted and the other as it is.
const (
	// AudioNoise adds white noise as strong as the window's sound (0 dB).
	AudioNoise Condition = "audio_noise"
	// VideoBlack makes each crop black, as of a face that is known to be there but not lit.
	VideoBlack Condition = "video_black"
	// VideoBlur brings each crop down to a quarter of its side and back, as of a face far from the camera.
	VideoBlur Condition = "video_blur"
	// VideoNoise adds white noise of up to 88 grey levels either way (σ 51, a fifth of the range) to each crop; a still
	// keeps the same in all of its frames.
	VideoNoise Condition = "video_noise"
)

// Conditions are all of them, in the order in which reports have them.
var Conditions = slices.Concat(
	[]Condition{Condition(Both), Condition(AudioOnly), Condition(VideoOnly)},
	audioConditions,
	videoConditions,
)

// audioConditions and videoConditions need a clip with sound and with pictures.
var (
	audioConditions = []Condition{AudioNoise}
	videoConditions = []Condition{VideoBlack, VideoBlur, VideoNoise}
)

// grain is the amplitude of VideoNoise in grey levels.
const grain = 88

// corruption is the source of randomness of a clip's k-th window: the same in every run, whatever else is evaluated.
func corruption(clip string, k int) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(clip))
	return rand.New(rand.NewPCG(h.Sum64(), uint64(k)))
}

// corruptFaces alters each crop that is there by f. Crops that are one and the same, by their memo, are altered once.
func corruptFaces(w *pipeline.Window, spec pipeline.Spec, f func(crop []byte)) {
	n := sample.CropBytes(spec)
	w.Video = slices.Clone(w.Video)
	memos := make([]*pipeline.FeatureCache, len(w.FeatureCaches))
	at := map[*pipeline.FeatureCache]int{} // the first crop of each
	for t, there := range w.VideoMask {
		if !there {
			continue
		}
		crop := w.Video[t*n : (t+1)*n]
		if first, ok := at[w.FeatureCaches[t]]; ok {
			copy(crop, w.Video[first*n:])
			memos[t] = memos[first]
			continue
		}
		at[w.FeatureCaches[t]] = t
		f(crop)
		memos[t] = new(pipeline.FeatureCache)
	}
	w.FeatureCaches = memos
}
