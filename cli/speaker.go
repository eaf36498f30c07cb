package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"tandem/infer"
	"tandem/pipeline"
)

// speakerOff is the value of --speaker that asks for nothing.
const speakerOff = "off"

// speakerModes are the values of --speaker.
var speakerModes = []string{pipeline.SpeakerAuto, pipeline.SpeakerAlways, speakerOff}

// speakerFlags say whether it is asked who speaks, and by which model.
type speakerFlags struct {
	speaker      string
	speakerModel string
}

func (s *speakerFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&s.speaker, "speaker", pipeline.SpeakerAuto, "`WHEN` to tell by lips and sound who speaks, and whose "+
		"the voice is: auto (where several faces are seen), always, or off (the voice of several is nobody's)")
	oneOf(f, "speaker", speakerModes)
	f.StringVar(&s.speakerModel, "speaker-model", "", "speaker model `FILE` (default: the embedded one)")
}

func (s *speakerFlags) check() error {
	switch {
	case !slices.Contains(speakerModes, s.speaker):
		return fmt.Errorf("--speaker %q: known are %s", s.speaker, strings.Join(speakerModes, ", "))
	case s.speaker == speakerOff && s.speakerModel != "":
		return errors.New("--speaker-model is of no use with --speaker off")
	}
	return nil
}

// openSpeaker loads what tells who speaks, unless it is off. A recognizer of other sounds than voices has none but with
// --speaker always.
func (r *recognition) openSpeaker(s *speakerFlags) error {
	if s.speaker == speakerOff || r.voice == nil && s.speaker != pipeline.SpeakerAlways {
		return nil
	}
	speaker, err := loadSpeaker(s.speakerModel)
	if err != nil {
		return err
	}
	r.speaker, r.speakerAlways = speaker, s.speaker == pipeline.SpeakerAlways
	return nil
}

// loadSpeaker loads the speaker model of a file, or the embedded one if path is "".
func loadSpeaker(path string) (*infer.Speaker, error) {
	name, model := "embedded speaker model", infer.DefaultSpeakerModel()
	if path != "" {
		name = path
		var err error
		if model, err = readLimited(name, infer.MaxModelBytes); err != nil {
			return nil, err
		}
	}
	speaker, err := infer.NewSpeaker(model)
	if errors.Is(err, infer.ErrContract) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return speaker, err
}

// swapSpeaker reads a speaker model's file again, and has it used in place of the one before.
func (r *recognition) swapSpeaker(path string, swap *infer.SwappableSpeaker) error {
	next, err := loadSpeaker(path)
	if err != nil {
		return err
	}
	before, err := swap.Swap(next)
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", path, err), next.Close())
	}
	r.speaker = next
	return before.Close()
}

// fewUnread is how many windows in which lips could not be read are not worth a word: a face that has just come.
const fewUnread = 8

// warnUnread says it where most often it could not be told who speaks.
func warnUnread(c *console, s pipeline.Stats) {
	if s.Unread >= fewUnread && 2*s.Unread >= s.Asked {
		c.log.Warn("it could not be told who speaks, since no lips could be read: that takes five pictures a second",
			"windows", s.Unread, "of", s.Asked)
	}
}

// use puts what the recognition has into the options of a pipeline.
func (r *recognition) use(o *pipeline.Options) {
	o.Model, o.Precision, o.Voice = r.model.sha256, r.Precision(), r.voice
	if r.speaker != nil {
		o.Speaker, o.SpeakerAlways = r.speaker, r.speakerAlways
	}
}
