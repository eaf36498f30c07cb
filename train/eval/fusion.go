package eval

import (
	"slices"

	"tandem/train/metrics"
)

// Fusion compares both senses with the better of the two, on the clips that have both.
type Fusion struct {
	N        int                `json:"n"`
	Better   Modalities         `json:"better"` // AudioOnly or VideoOnly: the one with the higher UAR
	Accuracy metrics.Difference `json:"accuracy"`
	UAR      metrics.Difference `json:"uar"`
	NLL      metrics.Difference `json:"nll"` // negative where both senses are better
	metrics.Drawn
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
	set = slices.DeleteFunc(
		slices.Clone(set),
		func(k int) bool { return !has[k].audio || !has[k].video || !j.o.takes(&j.p.Clips[k]) },
	)
	if len(set) == 0 {
		return nil
	}
	both := j.clips(Condition(Both), set)
	audio, video := j.clips(alone[0], set), j.clips(alone[1], set)
	r := &FusionReport{
		Emotion: compareFusion(
			j.o.Bootstrap,
			&both.now.emotion,
			&audio.now.emotion,
			&video.now.emotion,
			len(j.labels.Emotions),
		),
		Gender: compareFusion(
			j.o.Bootstrap,
			&both.now.gender,
			&audio.now.gender,
			&video.now.gender,
			len(j.labels.Genders),
		),
	}
	if *r == (FusionReport{}) {
		return nil
	}
	return r
}

// compareFusion compares the answers by both modalities with those by the better one; all three are of the same items.
func compareFusion(b metrics.Bootstrap, both, audio, video *answers, classes int) *Fusion {
	if len(both.p) == 0 {
		return nil
	}
	f := &Fusion{N: len(both.p), Better: AudioOnly}
	better := audio
	if metrics.Score(video.p, video.truth, classes).UAR > metrics.Score(audio.p, audio.truth, classes).UAR {
		f.Better, better = VideoOnly, video
	}
	clusters := metrics.ClustersOf(both.units())
	f.Drawn = b.Drawn(clusters)
	f.Accuracy, f.UAR, f.NLL = b.Paired(
		metrics.Verdicts(both.p, both.truth, nil), metrics.Verdicts(better.p, better.truth, nil), clusters, classes,
	)
	return f
}
