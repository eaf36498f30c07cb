package train

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"tandem/pipeline"
)

// evalChunk is the number of samples that are recognised at a time, each under all conditions.
const evalChunk = 8

// predicted is what a recogniser says of samples under one condition; a prediction has no Emotion where the condition leaves nothing
// to judge by.
type predicted map[Condition][]pipeline.Prediction

// senses is which senses a clip has, over all its windows.
type senses struct{ audio, video bool }

func sensesOf(p *Prepared) []senses {
	has := make([]senses, len(p.Clips))
	for i := range p.Samples {
		s := &p.Samples[i]
		has[s.Clip].audio = has[s.Clip].audio || s.Audio != nil
		has[s.Clip].video = has[s.Clip].video || s.Video != nil
	}
	return has
}

// conditions are those under which a clip is judged, o's own first.
func (o EvalOptions) conditions(has senses) []Condition {
	all := []Condition{Condition(o.Senses)}
	if o.Senses != BothSenses || o.Plain {
		return all
	}
	if has.audio && has.video {
		all = append(all, Condition(AudioOnly), Condition(VideoOnly))
	}
	if has.audio {
		all = append(all, audioConditions...)
	}
	if has.video {
		all = append(all, videoConditions...)
	}
	return all
}

// predict recognises the samples of the clips that o takes, o.Parallel chunks at a time, and tells how many windows it gave to the
// network and for how long.
func predict(ctx context.Context, rec pipeline.Recognizer, p *Prepared, o EvalOptions) (predicted, Speed, error) {
	has := sensesOf(p)
	var chosen, kth []int // samples, and which window of its clip each is
	k := 0
	for i := range p.Samples {
		if c := p.Samples[i].Clip; o.takes(&p.Clips[c]) {
			if len(chosen) > 0 && p.Samples[chosen[len(chosen)-1]].Clip == c {
				k++
			} else {
				k = 0
			}
			chosen, kth = append(chosen, i), append(kth, k)
		}
	}
	out := predicted{}
	for _, c := range o.conditions(senses{true, true}) {
		out[c] = make([]pipeline.Prediction, len(p.Samples))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	starts := make(chan int)
	var mu sync.Mutex // guards done, speed and calls of Progress
	var wg sync.WaitGroup
	var speed Speed
	done := 0
	black := new(pipeline.FeatureCache) // all black crops are one
	for range max(1, o.Parallel) {
		wg.Go(func() {
			for from := range starts {
				to := min(from+evalChunk, len(chosen))
				var ws []*pipeline.Window
				var into []*pipeline.Prediction
				for j := from; j < to; j++ {
					i := chosen[j]
					clip := &p.Clips[p.Samples[i].Clip]
					whole := p.Window(i)
					remember(whole, p.Samples[i].Still)
					for _, c := range o.conditions(has[p.Samples[i].Clip]) {
						if w := under(c, whole, p.Spec, black, clip.ID, kth[j]); w.AudioPresent || w.VideoPresent() {
							ws, into = append(ws, w), append(into, &out[c][i])
						}
					}
				}
				predictions, err := rec.Recognize(ctx, ws)
				if err != nil {
					cancel(fmt.Errorf("evaluate: %w", err))
					return
				}
				for k := range predictions {
					*into[k] = predictions[k]
				}
				mu.Lock()
				speed.Windows += len(ws)
				done += to - from
				o.progress("windows", done, len(chosen))
				mu.Unlock()
			}
		})
	}
	began := time.Now()
	for from := 0; from < len(chosen); from += evalChunk {
		select {
		case starts <- from:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(starts)
	wg.Wait()
	speed.Seconds = time.Since(began).Seconds()
	speed.Rate = float64(speed.Windows) / math.Max(speed.Seconds, 1e-9)
	return out, speed, context.Cause(ctx)
}

// remember gives the window's crops memos, so that a recogniser need read each but once for all conditions; those of a still are one.
func remember(w *pipeline.Window, still bool) {
	w.FeatureCaches = make([]*pipeline.FeatureCache, len(w.VideoMask))
	one := new(pipeline.FeatureCache)
	for t, there := range w.VideoMask {
		if there && still {
			w.FeatureCaches[t] = one
		} else if there {
			w.FeatureCaches[t] = new(pipeline.FeatureCache)
		}
	}
}

// under is what a condition leaves of a window, which it does not touch.
func under(c Condition, whole *pipeline.Window, spec pipeline.Spec, black *pipeline.FeatureCache, clip string, k int) *pipeline.Window {
	w := *whole
	switch c {
	case Condition(AudioOnly):
		w.Video, w.VideoMask, w.FeatureCaches = make([]byte, len(w.Video)), make([]bool, len(w.VideoMask)), nil
	case Condition(VideoOnly):
		w.Audio, w.AudioPresent = make([]float32, len(w.Audio)), false
	case AudioNoise:
		w.Audio = slices.Clone(w.Audio)
		addNoise(w.Audio, 0, false, corruption(clip, k))
	case VideoBlack:
		w.Video, w.FeatureCaches = make([]byte, len(w.Video)), slices.Clone(w.FeatureCaches)
		for t, there := range w.VideoMask {
			if there {
				w.FeatureCaches[t] = black
			}
		}
	case VideoBlur:
		corruptFaces(&w, spec, func(crop []byte) { coarsen(crop, spec.CropSize, max(1, spec.CropSize/4), spec.Channels) })
	case VideoNoise:
		rng := corruption(clip, k)
		corruptFaces(&w, spec, func(crop []byte) { addGrain(crop, grain, rng) })
	}
	return &w
}

// uncalibrated undoes temperature scaling: p is softmax(z/T), so that softmax(z) is p^T made to sum to 1.
func uncalibrated(p pipeline.Prediction, emotion, gender float64) pipeline.Prediction {
	return pipeline.Prediction{Emotion: raised(p.Emotion, emotion), Gender: raised(p.Gender, gender)}
}

// raised is p to a power, made to sum to 1.
func raised(p []float32, power float64) []float32 {
	out := make([]float32, len(p))
	sum := 0.0
	for _, v := range p {
		sum += math.Pow(float64(v), power)
	}
	for i, v := range p {
		out[i] = float32(math.Pow(float64(v), power) / sum)
	}
	return out
}
