package eval

import (
	"fmt"
	"maps"
	"slices"

	"tandem/pipeline"
	"tandem/train/metrics"
)

// Against compares a report's model with another one, clip by clip.
type Against struct {
	Model string `json:"model"` // the other's SHA-256 in hex
	// Seen tells which of the clips the other model knows, as Report's does.
	Seen *Seen `json:"seen,omitempty"`
	// Sets are the comparisons by data set and task, on the clips that both have judged, and All those on the clips of
	// all sets together, where there are several.
	Sets map[string]AgainstReport `json:"sets"`
	All  *AgainstReport           `json:"all,omitempty"`
}

// AgainstReport is the comparison by task, nil for one without labels.
type AgainstReport struct {
	Emotion *Paired `json:"emotion,omitempty"`
	Gender  *Paired `json:"gender,omitempty"`
}

// Paired is how much better the report's model is than the other on the same clips: the differences are taken over the
// same speakers.
type Paired struct {
	N        int                `json:"n"`
	Accuracy metrics.Difference `json:"accuracy"`
	UAR      metrics.Difference `json:"uar"`
	NLL      metrics.Difference `json:"nll"` // negative where the report's model is better
	McNemar  metrics.McNemar    `json:"mcnemar"`
	metrics.Drawn
}

// AgainstRow is one task of one set, or of "all", in a comparison with another model.
type AgainstRow struct {
	Set, Task string
	*Paired
}

// Rows lists the tasks of all sets, and of all sets together at the end if there are several; none of a nil comparison.
func (a *Against) Rows() (rows []AgainstRow) {
	if a == nil {
		return nil
	}
	add := func(set string, r AgainstReport) {
		if r.Emotion != nil {
			rows = append(rows, AgainstRow{set, "emotion", r.Emotion})
		}
		if r.Gender != nil {
			rows = append(rows, AgainstRow{set, "gender", r.Gender})
		}
	}
	for _, set := range slices.Sorted(maps.Keys(a.Sets)) {
		add(set, a.Sets[set])
	}
	if a.All != nil {
		add("all", *a.All)
	}
	return rows
}

// CompareWith sets r.Against by another model's report on the same clips, and corrects all p values of r for their
// number. Labels are matched by name. The error says where the two cannot be compared.
func (r *Report) CompareWith(other *Report, b metrics.Bootstrap) error {
	if err := Comparable(pipeline.Labels(r.Labels), pipeline.Labels(other.Labels)); err != nil {
		return err
	}
	emotion := placesOf(r.Labels.Emotions, other.Labels.Emotions)
	gender := placesOf(r.Labels.Genders, other.Labels.Genders)
	said := map[string]pipeline.Prediction{}
	for _, a := range other.answers {
		said[a.clip.ID] = pipeline.Prediction{
			Emotion: inOrder(a.now.Emotion, emotion), Gender: inOrder(a.now.Gender, gender),
		}
	}
	a := &Against{Model: other.Model, Seen: other.Seen, Sets: map[string]AgainstReport{}}
	bySet := map[string]*pairedItems{}
	var all pairedItems
	for _, mine := range r.answers {
		theirs, ok := said[mine.clip.ID]
		if !ok {
			continue
		}
		if bySet[mine.clip.Dataset] == nil {
			bySet[mine.clip.Dataset] = &pairedItems{}
		}
		for _, items := range []*pairedItems{bySet[mine.clip.Dataset], &all} {
			items.add(mine, theirs)
		}
	}
	if len(bySet) == 0 {
		return fmt.Errorf("evaluate: the models have judged none of the %d clips both", len(r.answers))
	}
	for set, items := range bySet {
		a.Sets[set] = items.report(b, r.Labels)
	}
	if len(bySet) > 1 {
		whole := all.report(b, r.Labels)
		a.All = &whole
	}
	r.Against = a
	r.correct()
	return nil
}

// Comparable returns an error unless two models have the same labels, in whatever order.
func Comparable(ours, theirs pipeline.Labels) error {
	for _, task := range []struct {
		name         string
		ours, theirs []string
	}{{"emotions", ours.Emotions, theirs.Emotions}, {"genders", ours.Genders, theirs.Genders}} {
		if len(task.ours) != len(task.theirs) || slices.Contains(placesOf(task.ours, task.theirs), -1) {
			return fmt.Errorf("evaluate: the models' %s are %v and %v: only models of the same labels can be compared",
				task.name, task.ours, task.theirs)
		}
	}
	return nil
}

// placesOf returns the place of each label among theirs, -1 where it is not.
func placesOf(labels, theirs []string) []int {
	at := make([]int, len(labels))
	for i, label := range labels {
		at[i] = slices.Index(theirs, label)
	}
	return at
}

func inOrder(p []float32, at []int) []float32 {
	out := make([]float32, len(at))
	for i, k := range at {
		out[i] = p[k]
	}
	return out
}

// pairedItems are clips with what both models say of them.
type pairedItems struct{ mine, theirs TaskItems }

func (t *pairedItems) add(a clipAnswer, theirs pipeline.Prediction) {
	var one, other ClipSum
	one.Add(a.now)
	other.Add(theirs)
	t.mine.Add(a.clip, &one)
	t.theirs.Add(a.clip, &other)
}

func (t *pairedItems) report(b metrics.Bootstrap, labels ReportLabels) AgainstReport {
	return AgainstReport{
		Emotion: pairedOf(b, &t.mine.emotion, &t.theirs.emotion, len(labels.Emotions)),
		Gender:  pairedOf(b, &t.mine.gender, &t.theirs.gender, len(labels.Genders)),
	}
}

// pairedOf compares answers to the same items; nil if there are none.
func pairedOf(b metrics.Bootstrap, mine, theirs *answers, classes int) *Paired {
	if len(mine.p) == 0 {
		return nil
	}
	clusters := metrics.ClustersOf(mine.units())
	p := &Paired{N: len(mine.p), Drawn: b.Drawn(clusters)}
	one, other := metrics.Verdicts(mine.p, mine.truth, nil), metrics.Verdicts(theirs.p, theirs.truth, nil)
	p.Accuracy, p.UAR, p.NLL = b.Paired(one, other, clusters, classes)
	p.McNemar = metrics.McNemarOf(one, other)
	return p
}

// significances are the p values of a comparison with another model.
func (a *Against) significances() (all []*metrics.Significance) {
	for _, p := range a.Rows() {
		all = append(all, &p.Accuracy.Significance, &p.UAR.Significance, &p.NLL.Significance, &p.McNemar.Significance)
	}
	return all
}
