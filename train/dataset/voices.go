package dataset

import (
	"fmt"
	"strings"
)

// voiceFiles are the endings of sound files: sets are published as .wav, and often kept as one of the others.
var voiceFiles = []string{".wav", ".flac", ".opus"}

// voice has the labels, the speaker and the split of a recording by its name. A gender is "" where it is not known.
type voice struct{ speaker, emotion, gender, split string }

// loadVoices reads a set whose names say all of a recording: parse is called with the name without its ending, and is
// not ok for names of another form. Speakers are called by the set's name and their own. Names are unique in such a
// set, so that a second file of one (an archive may hold everything twice) is ignored. Example is a name as published.
func (l *loader) loadVoices(root, set, example string, parse func(name string) (v voice, ok bool)) error {
	seen := map[string]bool{}
	err := walkMedia(root, voiceFiles, func(path, id string) error {
		name := stem(path)
		v, ok := parse(name)
		if !ok || seen[name] {
			l.ignore(path)
			return nil
		}
		seen[name] = true
		c := Clip{Audio: path, ID: id, Dataset: set, Speaker: set + v.speaker, Split: v.split}
		c.Age = speakerAge(c.Speaker)
		var err error
		if c.Emotion, err = l.emotion(v.emotion); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if c.Gender, err = l.gender(v.gender); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		l.clips = append(l.clips, c)
		return nil
	})
	if err == nil && len(l.clips) == 0 {
		return nothingFound(root, fmt.Sprintf("recordings of %s (names like %s)", set, example))
	}
	return err
}

// speakerAge returns the age that a set publishes of a speaker, by the name in Clip.Speaker, in years; -1 if it is not
// known.
func speakerAge(speaker string) int {
	for set, people := range map[string]map[string]person{"nemo": nemoSpeakers, "tess": tessSpeakers} {
		name, of := strings.CutPrefix(speaker, set)
		if who, ok := people[name]; of && ok {
			return who.age
		}
	}
	return -1
}

// person is a speaker as a set's publishers describe them.
type person struct {
	gender string
	age    int
}

// digits reports whether s is a number of least to most decimal digits.
func digits(s string, least, most int) bool {
	for _, r := range []byte(s) {
		if r < '0' || r > '9' {
			return false
		}
	}
	return len(s) >= least && len(s) <= most
}
