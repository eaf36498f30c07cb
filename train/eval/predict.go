package eval

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/augment"
	"tandem/train/sample"
)

// The most samples that are recognised at a time, each under all conditions, and the bytes of their windows: those of
// the paper's network have 4.5 MB.
const (
	evalChunk = 8
	evalBytes = 16 << 20
)

// runMemory bounds what networks take that are run side by side.
const runMemory = 8 << 30

// chunkSize returns how many samples are recognised at a time, each under so many conditions.
func chunkSize(s pipeline.Spec, conditions int) int {
	window := s.VideoFrames*sample.CropBytes(s) + 4*s.AudioSamples()
	return max(1, min(evalChunk, evalBytes/(window*conditions)))
}

// sideBySide returns how many networks are run at a time where so many are wanted.
func sideBySide(s pipeline.Spec, wanted int) int {
	return int(max(1, min(int64(wanted), runMemory/infer.WindowMemory(s))))
}

// predictions are the answers of a recogniser by condition and sample; one has no Emotion where the condition
// leaves nothing to judge by.
type predictions map[Condition][]pipeline.Prediction

// modalities are those that a clip has, over all its windows.
type modalities struct{ audio, video bool }

func modalitiesOf(p *sample.Prepared) []modalities {
	has := make([]modalities, len(p.Clips))
	for i := range p.Samples {
		s := &p.Samples[i]
		has[s.Clip].audio = has[s.Clip].audio || s.Audio != nil
		has[s.Clip].video = has[s.Clip].video || s.Video != nil
	}
	return has
}

// conditions are those under which a clip is judged, o's own first.
func (o Options) conditions(has modalities) []Condition {
	all := []Condition{Condition(o.Modalities)}
	if o.Modalities != Both || o.Plain {
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

// Question is a window that a recogniser is asked about, and where its answer goes.
type Question struct {
	Window *pipeline.Window
	Answer *pipeline.Prediction
}

// Chunks divides items into what is recognised in one call and what runs side by side.
type Chunks struct {
	Items    int // in all
	Size     int // items a call, at least one
	Parallel int // calls at a time, at least one; fewer where they would take more than runMemory
}

// RecognizeAll asks rec all questions of items 0 to Items-1, and returns how many windows that were. questions makes
// those of one item; it is called from several goroutines. done, unless nil, is called from one goroutine at a time
// with the number of items that are answered. RecognizeAll ends early, with ctx's cause, when ctx ends, and at rec's
// first error.
func RecognizeAll(
	ctx context.Context,
	rec pipeline.Recognizer,
	c Chunks,
	questions func(item int) []Question,
	done func(items int),
) (windows int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	starts := make(chan int)
	var mu sync.Mutex // guards windows, answered and calls of done
	answered := 0
	var wg sync.WaitGroup
	for range sideBySide(rec.Spec(), c.Parallel) {
		wg.Go(func() {
			for from := range starts {
				to := min(from+c.Size, c.Items)
				n, err := recognizeChunk(ctx, rec, from, to, questions)
				if err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				windows += n
				answered += to - from
				if done != nil {
					done(answered)
				}
				mu.Unlock()
			}
		})
	}
	for from := 0; from < c.Items; from += c.Size {
		select {
		case starts <- from:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(starts)
	wg.Wait()
	return windows, context.Cause(ctx)
}

// recognizeChunk asks the questions of the items from from to before to in one call.
func recognizeChunk(
	ctx context.Context,
	rec pipeline.Recognizer,
	from, to int,
	questions func(item int) []Question,
) (int, error) {
	var all []Question
	for i := from; i < to; i++ {
		all = append(all, questions(i)...)
	}
	ws := make([]*pipeline.Window, len(all))
	for i, q := range all {
		ws[i] = q.Window
	}
	predictions, err := rec.Recognize(ctx, ws)
	if err != nil {
		return 0, err
	}
	for i, p := range predictions {
		*all[i].Answer = p
	}
	return len(all), nil
}

// predict recognises the samples of the clips that o takes under all conditions, and says how many windows it gave to
// the network and in what time.
func predict(ctx context.Context, rec pipeline.Recognizer, p *sample.Prepared, o Options) (predictions, Speed, error) {
	has := modalitiesOf(p)
	chosen, kth := o.samples(p)
	out := predictions{}
	conditions := o.conditions(modalities{true, true})
	for _, c := range conditions {
		out[c] = make([]pipeline.Prediction, len(p.Samples))
	}
	black := new(pipeline.FeatureCache) // all black crops are one
	began := time.Now()
	windows, err := RecognizeAll(
		ctx,
		rec,
		Chunks{Items: len(chosen), Size: chunkSize(p.Spec, len(conditions)), Parallel: o.Parallel},
		func(j int) []Question {
			i := chosen[j]
			clip := p.Samples[i].Clip
			whole := p.Window(i)
			shareFeatures(whole, p.Samples[i].Still)
			var questions []Question
			for _, c := range o.conditions(has[clip]) {
				if w := applyCondition(c, whole, p.Spec, black, p.Clips[clip].PortableID(), kth[j]); w.AudioPresent ||
					w.VideoPresent() {
					questions = append(questions, Question{w, &out[c][i]})
				}
			}
			return questions
		},
		func(done int) { o.progress("windows", done, len(chosen)) },
	)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("evaluate: %w", err)
	}
	speed := Speed{Windows: windows, Seconds: time.Since(began).Seconds()}
	speed.Rate = float64(speed.Windows) / math.Max(speed.Seconds, 1e-9)
	return out, speed, err
}

// samples returns the samples of the clips that o takes, and which window of its clip each is, from 0.
func (o Options) samples(p *sample.Prepared) (chosen, kth []int) {
	k := 0
	for i := range p.Samples {
		c := p.Samples[i].Clip
		if !o.takes(&p.Clips[c]) {
			continue
		}
		k++
		if len(chosen) == 0 || p.Samples[chosen[len(chosen)-1]].Clip != c {
			k = 0
		}
		chosen, kth = append(chosen, i), append(kth, k)
	}
	return chosen, kth
}

// shareFeatures gives the window's crops memos, so that a recogniser need read each but once for all conditions; those
// of a still are one.
func shareFeatures(w *pipeline.Window, still bool) {
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

// applyCondition returns a copy of the window with what the condition leaves of it.
func applyCondition(
	c Condition,
	whole *pipeline.Window,
	spec pipeline.Spec,
	black *pipeline.FeatureCache,
	clip string,
	k int,
) *pipeline.Window {
	w := *whole
	switch c {
	case Condition(AudioOnly):
		w.Video, w.VideoMask, w.FeatureCaches = make([]byte, len(w.Video)), make([]bool, len(w.VideoMask)), nil
	case Condition(VideoOnly):
		w.Audio, w.AudioPresent = make([]float32, len(w.Audio)), false
	case AudioNoise:
		w.Audio = slices.Clone(w.Audio)
		augment.AddNoise(w.Sound(), 0, false, corruption(clip, k))
	case VideoBlack:
		w.Video, w.FeatureCaches = make([]byte, len(w.Video)), slices.Clone(w.FeatureCaches)
		for t, there := range w.VideoMask {
			if there {
				w.FeatureCaches[t] = black
			}
		}
	case VideoBlur:
		corruptFaces(
			&w,
			spec,
			func(crop []byte) { augment.Coarsen(crop, spec.CropSize, max(1, spec.CropSize/4), spec.Channels) },
		)
	case VideoNoise:
		rng := corruption(clip, k)
		corruptFaces(&w, spec, func(crop []byte) { augment.AddGrain(crop, grain, rng) })
	}
	return &w
}
