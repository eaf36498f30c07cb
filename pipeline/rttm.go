package pipeline

import (
	"fmt"
	"io"
	"path"
	"strings"
	"time"
	"unicode"
)

// NewRTTMWriter writes who spoke when as Rich Transcription Time Marked lines, which diarization tools read (NIST, The
// 2009 Rich Transcription evaluation plan, appendix A): a SPEAKER line for each turn, when it is over. Times are to the
// length of a hop. The speaker of a voice that is not known to be a subject's is "unknown". Any number of runs may
// follow each other, if the names of their files differ.
func NewRTTMWriter(w io.Writer) EventWriter { return &rttm{w: w, files: map[string]string{}} }

type rttm struct {
	w     io.Writer
	files map[string]string // what was opened, by the name of its file in the lines
	file  string            // of the run that is under way; "" for none
	turns Turns
}

func (r *rttm) Write(e Event) error {
	switch {
	case e.Start != nil:
		source := e.Start.Source
		r.file, r.turns = rttmFile(source), Turns{Hop: e.Start.Hop}
		if other, ok := r.files[r.file]; ok {
			file := r.file
			r.file = ""
			return &SourceError{source, fmt.Errorf(
				"rttm: %s and %s would both be %s in the lines: write each to a file of its own", other, source, file)}
		}
		r.files[r.file] = source
	case r.file == "":
	case e.Window != nil:
		return r.lines(r.turns.Add(e.Window))
	case e.End != nil:
		return r.lines(r.turns.Rest())
	}
	return nil
}

func (r *rttm) lines(turns []Turn) error {
	for _, t := range turns {
		from := t.From.Round(time.Millisecond)
		if _, err := fmt.Fprintf(r.w, "SPEAKER %s 1 %.3f %.3f <NA> <NA> %s <NA> <NA>\n", r.file, from.Seconds(),
			(t.To.Round(time.Millisecond) - from).Seconds(), t.name()); err != nil {
			return err
		}
	}
	return nil
}

// name returns the speaker of a turn as files have it.
func (t Turn) name() string {
	if t.Subject == UnknownSpeaker {
		return "unknown"
	}
	return fmt.Sprintf("subject_%d", t.Subject)
}

// rttmFile returns the file's name without folder and ending, as one word.
func rttmFile(source string) string {
	name := path.Base(strings.TrimRight(source, ":/"))
	if stem := strings.TrimSuffix(name, path.Ext(name)); stem != "" {
		name = stem
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return '_'
		}
		return r
	}, name)
}
