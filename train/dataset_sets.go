package train

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tandem/pipeline"
)

// SetOptions say which data is loaded and how it is divided.
type SetOptions struct {
	Data   []string // NAME=PATH, see LoadData
	Labels pipeline.Labels
	// SplitBy is how the data is divided, see Divide; "" is BySpeaker.
	SplitBy string
	// AllowSpeakerOverlap takes data whose splits share a speaker, which is refused otherwise. ByClip and ByAuthors imply it.
	AllowSpeakerOverlap bool
	Log                 func(line string) // unless nil, gets a line of text now and then
}

// Sets are data sets loaded together.
type Sets struct {
	Clips   []Clip
	SplitBy string   // as given, "" for BySpeaker
	Shared  []string // speakers who stand in several splits, as SharedSpeakers names them
}

// LoadSets loads all data and divides it.
func LoadSets(o SetOptions) (*Sets, error) {
	if len(o.Data) == 0 {
		return nil, errors.New("no data: give --data NAME=PATH at least once")
	}
	log := func(format string, args ...any) {
		if o.Log != nil {
			o.Log(fmt.Sprintf(format, args...))
		}
	}
	s := &Sets{SplitBy: o.SplitBy}
	if s.SplitBy == BySpeaker {
		s.SplitBy = ""
	}
	for _, d := range o.Data {
		name, path, ok := strings.Cut(d, "=")
		if !ok {
			return nil, fmt.Errorf("--data %q: want NAME=PATH", d)
		}
		clips, report, err := LoadData(name, path, o.Labels)
		if err != nil {
			return nil, err
		}
		log("data %s: %d clips", name, report.Clips)
		for _, n := range report.Notes {
			log("data %s: %s", name, n)
		}
		if n := len(report.Missing); n > 0 {
			log("data %s: %d of the release are not there, such as %s", name, n, report.Missing[0])
		}
		for _, label := range slices.Sorted(maps.Keys(report.Unlabelled)) {
			log("data %s: label %q of %d clips is not among the model's: they count for the other task only", name, label, report.Unlabelled[label])
		}
		if clips, err = Divide(clips, o.SplitBy); err != nil {
			return nil, fmt.Errorf("data %s: --split-by %w", name, err)
		}
		s.Clips = append(s.Clips, clips...)
	}
	s.Shared = SharedSpeakers(s.Clips)
	if len(s.Shared) > 0 {
		if !o.AllowSpeakerOverlap && s.SplitBy != ByClip && s.SplitBy != ByAuthors {
			return nil, refuseShared(s.Shared)
		}
		log("%d speakers stand in several splits: what is measured on them says little of others", len(s.Shared))
	}
	return s, nil
}

// checkTasks refuses to train a task that the training split cannot teach, unless it has no weight, and warns of what lacks.
func checkTasks(p *Prepared, recipe Recipe, labels pipeline.Labels) (warnings []string, err error) {
	for i, task := range []struct {
		name, alone string // alone is the weighting that trains the other one alone
		labels      []string
		of          func(c *Clip) int
	}{
		{"emotion", "static:0,1", labels.Emotions, func(c *Clip) int { return c.Emotion }},
		{"gender", "static:1,0", labels.Genders, func(c *Clip) int { return c.Gender }},
	} {
		if hasNoWeight(recipe.Weighting, i) {
			continue
		}
		count := map[string][]int{SplitTrain: make([]int, len(task.labels)), SplitVal: make([]int, len(task.labels))}
		for _, s := range p.Samples {
			c := &p.Clips[s.Clip]
			seen := recipe.Modal != "audio" && s.Video != nil || recipe.Modal != "video" && s.Audio != nil
			if k := task.of(c); seen && k >= 0 && count[c.Split] != nil {
				count[c.Split][k]++
			}
		}
		var missing []string
		for k, n := range count[SplitTrain] {
			if n == 0 {
				missing = append(missing, task.labels[k])
			}
		}
		switch {
		case len(missing) == len(task.labels):
			return nil, fmt.Errorf("no clip of the training split has a known %s and a sense that is trained: label some, or train the other task alone by --weighting %s", task.name, task.alone)
		case len(missing) == len(task.labels)-1:
			return nil, fmt.Errorf("of %s the training split knows but one label; the others are not there: %s. Add clips of them, or train the other task alone by --weighting %s",
				task.name, strings.Join(missing, ", "), task.alone)
		case len(missing) > 0:
			warnings = append(warnings, fmt.Sprintf("no clip of the training split is %s: the model will not learn that", strings.Join(missing, " or ")))
		}
		if !slices.ContainsFunc(count[SplitVal], func(n int) bool { return n > 0 }) {
			warnings = append(warnings, fmt.Sprintf("no clip of the validation split has a known %s: it is neither measured nor calibrated", task.name))
		}
	}
	return warnings, nil
}

// hasNoWeight tells whether a weighting, as static:1,0, leaves a task out: emotion is 0, gender 1.
func hasNoWeight(weighting string, task int) bool {
	weights := strings.Split(strings.TrimPrefix(weighting, "static:"), ",")
	if len(weights) != 2 {
		return false
	}
	w, err := strconv.ParseFloat(weights[task], 64)
	return err == nil && w == 0
}
