package eval

import (
	"slices"

	"tandem/train/metrics"
)

// Fusion compares both senses with the better of the two, on the clips that have both.
type Fusion struct {
	N        int        `json:"n"`
	Better   Modalities `json:"better"` // AudioOnly or VideoOnly: the one with the higher UAR
	Accuracy Difference `json:"accuracy"`
	UAR      Difference `json:"uar"`
	NLL      Difference `json:"nll"` // negative where both senses are better
	metrics.Drawn
}

// Difference is a score by both senses less that by the better one, with its 95 % interval: both are judged by the same resamples.
type Difference struct {
	Difference float64        `json:"difference"`
	Interval   *metrics.Range `json:"interval,omitempty"`
}

// FusionReport is Fusion by task, nil for one without labels.
type FusionReport struct {
	Emotion *Fusion `json:"emotion,omitempty"`
	Gender  *Fusion `json:"gender,omitempty"`
}

// fusion compares on the clips of a set; it is nil if none has both senses.
func (j scorer) fusion(set []int) *FusionReport {
	alone := []Condition{Condition(AudioOnly), Condition(VideoOnly)}
	has := modalitiesOf(j.p)
	set = slices.DeleteFunc(slices.Clone(set), func(k int) bool { return !has[k].audio || !has[k].video || !j.o.takes(&j.p.Clips[k]) })
	if len(set) == 0 {
		return nil
	}
	both := j.clips(Condition(Both), set)
	audio, video := j.clips(alone[0], set), j.clips(alone[1], set)
	r := &FusionReport{
		Emotion: compareFusion(j.o.Bootstrap, &both.now.emotion, &audio.now.emotion, &video.now.emotion, len(j.labels.Emotions)),
		Gender:  compareFusion(j.o.Bootstrap, &both.now.gender, &audio.now.gender, &video.now.gender, len(j.labels.Genders)),
	}
	if *r == (FusionReport{}) {
		return nil
	}
	return r
}

// compareFusion takes the same items by both senses and by each.
func compareFusion(b metrics.Bootstrap, both, audio, video *answers, classes int) *Fusion {
	if len(both.p) == 0 {
		return nil
	}
	outBoth, outAudio, outVideo := metrics.Verdicts(both.p, both.truth), metrics.Verdicts(audio.p, audio.truth), metrics.Verdicts(video.p, video.truth)
	x, y := metrics.NewScores(classes), metrics.NewScores(classes)
	x.Count(outAudio)
	y.Count(outVideo)
	f := &Fusion{N: len(both.p), Better: AudioOnly}
	outBetter := outAudio
	if y.UAR > x.UAR {
		f.Better, outBetter = VideoOnly, outVideo
	}
	differences := func(times []int) [3]float64 {
		x.Recount(outBoth, times, nil)
		y.Recount(outBetter, times, nil)
		return [3]float64{x.Accuracy - y.Accuracy, x.UAR - y.UAR, x.NLL - y.NLL}
	}
	all := differences(nil)
	into := [3]*Difference{&f.Accuracy, &f.UAR, &f.NLL}
	for i, d := range into {
		d.Difference = all[i]
	}
	c := metrics.ClustersOf(both.units())
	f.Drawn = b.Drawn(c)
	if !b.Draws(c) {
		return f
	}
	var v [3][]float64
	b.Each(c, func(times []int) {
		for i, d := range differences(times) {
			v[i] = append(v[i], d)
		}
	})
	for i, d := range into {
		r := metrics.MiddleRange(v[i])
		d.Interval = &r
	}
	return f
}
