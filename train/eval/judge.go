package eval

import (
	"maps"
	"slices"

	"tandem/pipeline"
	"tandem/train/dataset"
	"tandem/train/metrics"
	"tandem/train/sample"
)

// scorer makes scores of what a recogniser said.
type scorer struct {
	p       *sample.Prepared
	samples [][]int // of each clip
	said    predictions
	o       Options
	labels  pipeline.Labels
}

func newScorer(p *sample.Prepared, said predictions, o Options, labels pipeline.Labels) scorer {
	j := scorer{p: p, samples: make([][]int, len(p.Clips)), said: said, o: o, labels: labels}
	for i := range p.Samples {
		c := p.Samples[i].Clip
		j.samples[c] = append(j.samples[c], i)
	}
	return j
}

// items are the clips, or the windows, that were judged under one condition.
type items struct {
	n           int // with or without labels
	now, before TaskItems
}

// clips are the clips of group, an index into those prepared, of which the condition leaves a window: the mean of their
// windows' probabilities.
func (j scorer) clips(c Condition, group []int) items {
	return j.gather(c, group, func(all *items, clip *dataset.Clip, now, before []pipeline.Prediction) {
		var sum, was ClipSum
		for i := range now {
			sum.Add(now[i])
			was.Add(before[i])
		}
		all.n++
		all.now.Add(clip, &sum)
		all.before.Add(clip, &was)
	})
}

// windows are all windows of the clips of group.
func (j scorer) windows(c Condition, group []int) items {
	return j.gather(c, group, func(all *items, clip *dataset.Clip, now, before []pipeline.Prediction) {
		for i := range now {
			var one, was ClipSum
			one.Add(now[i])
			was.Add(before[i])
			all.n++
			all.now.Add(clip, &one)
			all.before.Add(clip, &was)
		}
	})
}

func (j scorer) gather(
	c Condition,
	group []int,
	visit func(all *items, clip *dataset.Clip, now, before []pipeline.Prediction),
) items {
	var all items
	for _, k := range group {
		var now, before []pipeline.Prediction
		for _, i := range j.samples[k] {
			if said := j.said[c][i]; said.Emotion != nil {
				now = append(now, said)
				if j.o.Temperatures != nil {
					s := &j.p.Samples[i]
					emotion, gender := j.o.Temperatures(
						s.Audio != nil && c != Condition(VideoOnly),
						s.Video != nil && c != Condition(AudioOnly),
					)
					said = uncalibrate(said, emotion, gender)
				}
				before = append(before, said)
			}
		}
		if len(now) == 0 {
			continue
		}
		visit(&all, &j.p.Clips[k], now, before)
	}
	return all
}

// report scores the items by task and leaves one without labels out. Without plots, what only those need is left out
// too, and the scores by class.
func (it items) report(j scorer, plots bool) SetReport {
	r := SetReport{
		Emotion: j.scores(&it.now.emotion, &it.before.emotion, len(j.labels.Emotions), plots),
		Gender:  j.scores(&it.now.gender, &it.before.gender, len(j.labels.Genders), plots),
	}
	if r.Emotion != nil && r.Gender != nil {
		joint := r.Emotion.NLL + r.Gender.NLL
		r.Joint = &joint
	}
	return r
}

func (j scorer) scores(now, before *answers, classes int, plots bool) *metrics.Scores {
	if len(now.p) == 0 {
		return nil
	}
	var was []metrics.Verdict
	if j.o.Temperatures != nil {
		was = metrics.Verdicts(before.p, before.truth, before.votes)
	}
	verdicts := metrics.Verdicts(now.p, now.truth, now.votes)
	s := j.o.Bootstrap.Score(verdicts, was, metrics.ClustersOf(now.units()), classes)
	if plots {
		s.Classes = metrics.ByClass(now.p, now.truth, classes)
	} else {
		s.Confusion, s.Bins, s.BinsBefore = nil, nil, nil
	}
	return &s
}

// detail judges the clips of one data set by window, under all conditions, and by group.
func (j scorer) detail(set []int) Detail {
	main := Condition(j.o.Modalities)
	d := Detail{Groups: j.groups(main, set)}
	if all := j.windows(main, set); all.n > j.clips(main, set).n { // else each clip is one window
		r := all.report(j, false)
		d.Windows = &r
	}
	if j.o.Modalities != Both || j.o.Plain {
		return d
	}
	for _, c := range Conditions {
		if r := j.clips(c, set).report(j, false); r != (SetReport{}) {
			if d.Modalities == nil {
				d.Modalities = map[Condition]SetReport{}
			}
			d.Modalities[c] = r
		}
	}
	d.Fusion = j.fusion(set)
	return d
}

// groups judges the clips of a set by what is known of the people in them: how they were labelled, not who they are.
func (j scorer) groups(c Condition, set []int) map[string]map[string]SetReport {
	by := map[string]map[string][]int{}
	put := func(kind, name string, k int) {
		if by[kind] == nil {
			by[kind] = map[string][]int{}
		}
		by[kind][name] = append(by[kind][name], k)
	}
	for _, k := range set {
		clip := &j.p.Clips[k]
		gender := ""
		if clip.Gender >= 0 {
			gender = j.labels.Genders[clip.Gender]
			put("gender", gender, k)
		}
		if clip.Age >= 0 {
			put("age", dataset.AgeBand(clip.Age), k)
		}
		if clip.Race != "" {
			put("race", clip.Race, k)
		}
		if clip.Race != "" && gender != "" {
			put("race and gender", clip.Race+", "+gender, k)
		}
		if clip.Age >= 0 && gender != "" {
			put("age and gender", dataset.AgeBand(clip.Age)+", "+gender, k)
		}
	}
	out := map[string]map[string]SetReport{}
	for kind, names := range by {
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if r := j.clips(c, names[name]).report(j, false); r != (SetReport{}) {
				if out[kind] == nil {
					out[kind] = map[string]SetReport{}
				}
				out[kind][name] = r
			}
		}
	}
	return out
}
