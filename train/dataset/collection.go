package dataset

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tandem/pipeline"
)

// Options of LoadAll: which data is loaded and how it is divided.
type Options struct {
	Data   []string // NAME=PATH, see Load
	Labels pipeline.Labels
	Names  LabelMap // of published labels; nil for none
	// SplitBy is how the data is divided, see Divide; "" is BySpeaker.
	SplitBy string
	// AllowSpeakerOverlap takes data whose splits share a speaker, which is refused otherwise. ByClip and ByAuthors
	// imply it.
	AllowSpeakerOverlap bool
	Log                 func(line string) // unless nil, gets a line of text now and then
}

// Collection is the clips of data sets loaded together.
type Collection struct {
	Clips   []Clip
	SplitBy string   // as given, "" for BySpeaker
	Shared  []string // speakers who stand in several splits, as SharedSpeakers names them
}

// LoadAll loads all data and divides it. The error is ErrSharedSpeakers if a speaker stands in several splits and
// nothing in o allows it, else as of Load and Divide.
func LoadAll(o Options) (*Collection, error) {
	if len(o.Data) == 0 {
		return nil, errors.New("no data: give --data NAME=PATH at least once")
	}
	log := func(format string, args ...any) {
		if o.Log != nil {
			o.Log(fmt.Sprintf(format, args...))
		}
	}
	c := &Collection{SplitBy: o.SplitBy}
	if c.SplitBy == BySpeaker {
		c.SplitBy = ""
	}
	for _, pair := range slices.Concat(LookAlike(o.Labels.Emotions), LookAlike(o.Labels.Genders)) {
		log("the labels %s look alike: if they are one, make them so by --map", pair)
	}
	for _, d := range o.Data {
		name, path, ok := strings.Cut(d, "=")
		if !ok {
			return nil, fmt.Errorf("--data %q: want NAME=PATH", d)
		}
		clips, report, err := Load(name, path, o.Labels, o.Names)
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
			log("data %s: label %q of %d clips is not among the model's: they count for the other task only", name,
				label, report.Unlabelled[label])
		}
		if report.LostVotes > 0 {
			log("data %s: %d clips are left out: most of their votes are for labels that the model lacks", name,
				report.LostVotes)
		}
		c.Clips = append(c.Clips, clips...)
	}
	var err error
	if c.Clips, err = Divide(c.Clips, o.SplitBy); err != nil {
		return nil, fmt.Errorf("--split-by %w", err)
	}
	c.Shared = SharedSpeakers(c.Clips)
	if len(c.Shared) > 0 {
		if !o.AllowSpeakerOverlap && c.SplitBy != ByClip && c.SplitBy != ByAuthors {
			return nil, sharedError(c.Shared)
		}
		log("%d speakers stand in several splits: what is measured on them says little of others", len(c.Shared))
	}
	return c, nil
}
