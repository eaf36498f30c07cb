package eval

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

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

// judge makes the report of all that was said.
func (j scorer) judge() (*Report, error) {
	p, o := j.p, j.o
	r := &Report{
		Version: reportVersion, Created: time.Now().UTC().Truncate(time.Second),
		Model: o.Model, Precision: o.Precision, Split: o.Split, Modalities: o.Modalities,
		Labels: ReportLabels(j.labels), Seed: o.Bootstrap.Seed,
		Sets: map[string]SetReport{}, Details: map[string]Detail{},
	}
	for _, s := range p.Skipped {
		if c := &p.Clips[s.Clip]; o.takes(c) {
			r.Skipped = append(r.Skipped, s.Reason()) // the report travels: no places on this machine
		}
	}
	r.Seen = seenOf(o.Trained, p, o)
	main := Condition(o.Modalities)
	groups := dataset.GroupByDataset(p.Clips)
	sets := make([]setJudgement, len(groups))
	var jobs []func()
	for i, group := range groups {
		jobs = append(jobs, j.judgeSet(&sets[i], group)...)
	}
	if len(groups) > 1 { // else all clips are those of the set
		jobs = append(jobs, func() { r.All = j.clips(main, slices.Concat(groups...)).report(j, true) })
	}
	runAll(jobs, func(done int) { o.progress("intervals", done, len(jobs)) })
	for i, set := range sets {
		r.Clips += set.n
		if set.scores != (SetReport{}) {
			name := p.Clips[groups[i][0]].Dataset
			r.Sets[name], r.Details[name] = set.scores, set.detail()
		}
		if len(groups) == 1 {
			r.All = set.scores
		}
		r.answers = append(r.answers, set.answers...)
	}
	if r.Clips == 0 {
		return nil, fmt.Errorf(
			"evaluate: none of the %d clips is of the split %s and has what the senses chosen (%s) need",
			len(p.Clips),
			o.Split,
			o.Modalities,
		)
	}
	r.correct()
	return r, nil
}

// runAll runs jobs on all cores, and calls done, from one goroutine at a time, with how many have ended.
func runAll(jobs []func(), done func(n int)) {
	var mu sync.Mutex // guards next and ended, and calls of done
	next, ended := 0, 0
	take := func() (job func()) {
		mu.Lock()
		defer mu.Unlock()
		if next < len(jobs) {
			job = jobs[next]
			next++
		}
		return job
	}
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(jobs)) {
		wg.Go(func() {
			for job := take(); job != nil; job = take() {
				job()
				mu.Lock()
				ended++
				done(ended)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// setJudgement holds the parts of a data set's judgement, which jobs that run side by side fill in.
type setJudgement struct {
	n          int // clips judged
	scores     SetReport
	answers    []clipAnswer
	windows    SetReport
	conditions []SetReport // of Conditions from the second on; nil where they are not asked for
	groups     []groupJudgement
	fusion     *FusionReport
}

// groupJudgement is that of some people of a set.
type groupJudgement struct {
	kind, name string
	clips      []int
	scores     SetReport
}

// judgeSet returns what finds all of s, the judgement of the clips of set: as a whole, by window, under all conditions,
// and by group.
func (j scorer) judgeSet(s *setJudgement, set []int) (jobs []func()) {
	main := Condition(j.o.Modalities)
	jobs = append(jobs, func() {
		all := j.clips(main, set)
		s.n, s.scores = all.n, all.report(j, true)
	}, func() { s.answers = j.answersOf(main, set) })
	if j.severalWindows(main, set) {
		jobs = append(jobs, func() { s.windows = j.windows(main, set).report(j, false) })
	}
	if main == Condition(Both) && !j.o.Plain {
		s.conditions = make([]SetReport, len(Conditions)-1)
		for i, c := range Conditions[1:] {
			jobs = append(jobs, func() { s.conditions[i] = j.clips(c, set).report(j, false) })
		}
		jobs = append(jobs, func() { s.fusion = j.fusion(set) })
	}
	s.groups = j.groups(set)
	for i := range s.groups {
		g := &s.groups[i]
		jobs = append(jobs, func() { g.scores = j.clips(main, g.clips).report(j, false) })
	}
	return jobs
}

// severalWindows reports whether a clip of the set has more than one window that was answered.
func (j scorer) severalWindows(c Condition, set []int) bool {
	for _, k := range set {
		n := 0
		for _, i := range j.samples[k] {
			if j.said[c][i].Emotion != nil {
				n++
			}
		}
		if n > 1 {
			return true
		}
	}
	return false
}

// detail returns what the report has of a set beside its scores.
func (s *setJudgement) detail() Detail {
	d := Detail{Groups: map[string]map[string]SetReport{}, Fusion: s.fusion}
	if s.windows != (SetReport{}) {
		d.Windows = &s.windows
	}
	for _, g := range s.groups {
		if g.scores == (SetReport{}) {
			continue
		}
		if d.Groups[g.kind] == nil {
			d.Groups[g.kind] = map[string]SetReport{}
		}
		d.Groups[g.kind][g.name] = g.scores
	}
	if s.conditions == nil {
		return d
	}
	d.Modalities = map[Condition]SetReport{Condition(Both): s.scores.short()}
	for i, c := range Conditions[1:] {
		if r := s.conditions[i]; r != (SetReport{}) {
			d.Modalities[c] = r
		}
	}
	return d
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
	var now, before []pipeline.Prediction // of one clip: visit keeps none
	for _, k := range group {
		now, before = now[:0], before[:0]
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
		return &s
	}
	return shortened(&s)
}

// shortened returns scores without what only plots and tables of classes need; nil for nil.
func shortened(s *metrics.Scores) *metrics.Scores {
	if s == nil {
		return nil
	}
	short := *s
	short.Confusion, short.Bins, short.BinsBefore, short.Classes = nil, nil, nil, nil
	return &short
}

// short returns the report without plots.
func (r SetReport) short() SetReport {
	r.Emotion, r.Gender = shortened(r.Emotion), shortened(r.Gender)
	return r
}

// groups divides the clips of a set by what is known of the people in them: how they were labelled, not who they are.
func (j scorer) groups(set []int) (all []groupJudgement) {
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
	for _, kind := range slices.Sorted(maps.Keys(by)) {
		for _, name := range slices.Sorted(maps.Keys(by[kind])) {
			all = append(all, groupJudgement{kind: kind, name: name, clips: by[kind][name]})
		}
	}
	return all
}
