package eval

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"tandem/infer"
	"tandem/train/dataset"
	"tandem/train/sample"
)

// Seen says which of the clips judged the model knows already, by their content and their speakers' names, however the
// data is divided now.
type Seen struct {
	Trained int `json:"trained"` // clips that it has learned from
	// Speakers are those judged from whom it has learned, sorted, and OfSpeakers is how many of the clips are theirs.
	Speakers   []string `json:"speakers,omitempty"`
	OfSpeakers int      `json:"of_speakers"`
	// Chosen is how many of the clips its epoch was chosen and its temperatures were fitted by.
	Chosen int `json:"chosen"`
	// Incomplete says that it began with another network, of which this is not known.
	Incomplete bool `json:"incomplete,omitempty"`
}

// seenOf compares the clips that were judged with those of the training; nil if nothing is known of these.
func seenOf(known *infer.Trained, p *sample.Prepared, o Options) *Seen {
	if known == nil {
		return nil
	}
	s := &Seen{Incomplete: known.Incomplete}
	done, speakers := map[int]bool{}, map[string]bool{}
	for i := range p.Samples {
		at := p.Samples[i].Clip
		c := &p.Clips[at]
		if done[at] || !o.takes(c) {
			continue
		}
		done[at] = true
		if content, ok := p.Content(at); ok {
			key := infer.KeyOf("clip", hex.EncodeToString(content[:]))
			if known.Clips.Has(key) {
				s.Trained++
			}
			if known.Chosen.Has(key) {
				s.Chosen++
			}
		}
		if c.Speaker != "" && known.Speakers.Has(infer.SpeakerKey(c.Speaker)) {
			s.OfSpeakers++
			speakers[c.Speaker] = true
		}
	}
	for who := range speakers {
		s.Speakers = append(s.Speakers, who)
	}
	slices.Sort(s.Speakers)
	return s
}

// cautions says what a model, by the name that it has in the sentences, knows already of so many clips.
func (s *Seen) cautions(model string, clips int) (out []string) {
	add := func(format string, args ...any) { out = append(out, model+fmt.Sprintf(format, args...)) }
	if s.Trained > 0 {
		add(" has learned from %d of the %d clips that it is judged by: what it says of those is memory, and the "+
			"figures say little of other clips", s.Trained, clips)
	}
	if s.OfSpeakers > 0 {
		add(" has learned from %d of the speakers that it is judged by (%s; %d of the %d clips are theirs): the "+
			"figures say little of other speakers", len(s.Speakers), someOf(s.Speakers, 5), s.OfSpeakers, clips)
	}
	if s.Chosen > 0 {
		add("'s epoch was chosen and its temperatures were fitted by %d of the %d clips, which flatters it a little: "+
			"judge by others, such as --split test", s.Chosen, clips)
	}
	if s.Incomplete {
		add(" began with another network, and from which clips that has learned is not known")
	}
	return out
}

// Cautions says what makes the figures worth less than they seem, a sentence each, the gravest first.
func (r *Report) Cautions() []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if r.Seen != nil {
		out = r.Seen.cautions("the model", r.Clips)
	} else if r.Split == dataset.SplitTrain || r.Split == SplitAll {
		add("the split %s has what models are trained on: if this one was trained on such data, the figures say "+
			"little of other clips", r.Split)
	}
	if len(r.DividedOtherwise) > 0 {
		add("the model was trained on %s, but on other clips of it or with others in training: whether it knows "+
			"those that it is judged by is not known", strings.Join(r.DividedOtherwise, ", "))
	}
	if len(r.SharedSpeakers) > 0 {
		add("%d speakers stand in several splits: what is measured on them says little of speakers who were not "+
			"trained on", len(r.SharedSpeakers))
	}
	if len(r.TrainedOnShared) > 0 {
		add("the model was trained on data whose splits share speakers (%s): it may have been trained on those who "+
			"are judged here", strings.Join(r.TrainedOnShared, ", "))
	}
	if r.Against != nil && r.Against.Seen != nil {
		out = append(out, r.Against.Seen.cautions("the model of --against", r.Clips)...)
	}
	return out
}

// Standing says what the figures are of where nothing speaks against them, "" where something does or is not known.
func (r *Report) Standing() string {
	s := r.Seen
	if s == nil || s.Incomplete || s.Trained+s.OfSpeakers+s.Chosen > 0 || len(r.SharedSpeakers) > 0 {
		return ""
	}
	return "held out: the model has learned from none of these clips and of their speakers that are named, and " +
		"nothing was chosen by them"
}

// DividedOtherwise returns the names of the data sets that a model was trained on, as its contract says, and of which
// clips holds others, or in other splits.
func DividedOtherwise(c infer.Contract, clips []dataset.Clip) []string {
	var names []string
	for _, group := range dataset.GroupByDataset(clips) {
		set := make([]dataset.Clip, len(group))
		for i, k := range group {
			set[i] = clips[k]
		}
		hash := dataset.SplitHash(set)
		name := set[0].Dataset
		other := func(d infer.DataSet) bool { return d.Name == name && d.Split != hash }
		if slices.ContainsFunc(c.Data, other) {
			names = append(names, name)
		}
	}
	return names
}

// someOf lists the first of words, most of them, and how many more there are.
func someOf(words []string, most int) string {
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
}
