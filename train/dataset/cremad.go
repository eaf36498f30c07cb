package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// cremadEmotions are the emotion codes in CREMA-D's file names, and the letters by which its raters' votes name them.
var cremadEmotions = map[string]string{
	"ANG": "angry", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad",
	"A": "angry", "D": "disgust", "F": "fear", "H": "happy", "N": "neutral", "S": "sad",
}

// cremadVotes are the columns of summaryTable.csv by option.
var cremadVotes = map[string]string{"vote": "MultiModalVote", "vote-voice": "VoiceVote", "vote-face": "FaceVote"}

// cremadSentences are the codes of the sentences spoken.
var cremadSentences = []string{"IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI"}

// loadCREMAD reads names of the form ActorID_Sentence_Emotion_Level (Cao et al. 2014) in AudioWAV or AudioMP3 and
// VideoFlash or VideoMP4: one clip a name, its picture from the video and its sound from the WAV file, which the
// publishers made of the same recording, or a file made of that. VideoDemographics.csv gives sex, age and race of the
// actors. A manifest.csv in the folder or beside it decides the split of the files that it lists, and without
// VideoDemographics.csv the gender. With an option the label is the emotion that most raters named (summaryTable.csv),
// and the set is called by the option too, so that no report mixes the two.
func loadCREMAD(l *loader, root string) error {
	if len(l.options) > 1 {
		return fmt.Errorf("%w %q: give one word only", ErrUnknownOption, strings.Join(l.options, "+"))
	}
	files := map[string]map[string]string{} // by name and extension
	ids := map[string]string{}
	err := walkMedia(root, slices.Concat(voiceFiles, []string{".mp3", ".flv", ".mp4"}), func(path, id string) error {
		name, ext := stem(path), strings.ToLower(filepath.Ext(path))
		if _, _, ok := cremadCode(name); !ok || files[name][ext] != "" {
			l.ignore(path)
			return nil
		}
		if files[name] == nil {
			files[name] = map[string]string{}
		}
		files[name][ext] = path
		ids[path] = id
		return nil
	})
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return nothingFound(root, "CREMA-D clips (names like AudioWAV/1001_DFA_ANG_XX.wav)")
	}
	rows := rowsBeside(root)
	people, err := l.cremadPeople(root)
	if err != nil {
		return err
	}
	label, set, err := l.cremadLabels(root, files)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		of := files[name]
		actor, _, _ := cremadCode(name)
		c := Clip{
			Video: cmp.Or(of[".mp4"], of[".flv"]), Dataset: set, Speaker: "cremad" + actor, Gender: -1,
			Split: cremadSplit(actor), Age: -1,
		}
		c.Audio = cmp.Or(of[".wav"], of[".flac"], of[".opus"])
		if c.Video == "" {
			c.Audio = cmp.Or(c.Audio, of[".mp3"])
		}
		c.ID = ids[c.Path()]
		row, listed := rows[c.Path()]
		if listed {
			c.Split = row.split
		}
		if c.Emotion, err = l.emotion(label(name)); err != nil {
			return fmt.Errorf("%s: %w", c.Path(), err)
		}
		if who, ok := people[actor]; ok {
			c.Age, c.Race = who.age, who.race
			if c.Gender, err = l.gender(who.sex); err != nil {
				return fmt.Errorf("VideoDemographics.csv: actor %s: %w", actor, err)
			}
		} else if c.Gender, err = l.gender(row.gender); err != nil {
			return fmt.Errorf("manifest.csv: %s: %w", c.Path(), err)
		}
		l.clips = append(l.clips, c)
	}
	return nil
}

// cremadCode parses a CREMA-D name; ok is false if it is none. Levels are LO, MD, HI and XX, and X in one published
// name.
func cremadCode(name string) (actor, emotion string, ok bool) {
	parts := strings.Split(name, "_")
	if len(parts) != 4 {
		return "", "", false
	}
	n, err := strconv.Atoi(parts[0])
	ok = err == nil && len(parts[0]) == 4 && n >= 1001 && n <= 1091 && slices.Contains(cremadSentences, parts[1]) &&
		len(parts[2]) == 3 && cremadEmotions[parts[2]] != "" &&
		slices.Contains([]string{"LO", "MD", "HI", "XX", "X"}, parts[3])
	return parts[0], parts[2], ok
}

type cremadPerson struct {
	age       int
	sex, race string
}

// cremadPeople reads VideoDemographics.csv (ActorID,Age,Sex,Race,Ethnicity) in the folder or beside it.
func (l *loader) cremadPeople(root string) (map[string]cremadPerson, error) {
	f, err := openBeside(root, "VideoDemographics.csv")
	if errors.Is(err, fs.ErrNotExist) {
		l.report.Missing = append(l.report.Missing, "VideoDemographics.csv")
		l.note("without VideoDemographics.csv no age and race is known, and gender only of files that a manifest.csv "+
			"lists: get it from the publisher and put it into %s", root)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readCREMADPeople(f, f.Name())
}

func readCREMADPeople(r io.Reader, path string) (map[string]cremadPerson, error) {
	people := map[string]cremadPerson{}
	columns := []string{"ActorID", "Age", "Sex", "Race", "Ethnicity"}
	err := eachCSVRow(r, path, columns, func(line int, col map[string]string) error {
		age, err := strconv.Atoi(col["Age"])
		if err != nil || age < 0 || age > 130 {
			return fmt.Errorf("%s: line %d: age %q", path, line, col["Age"])
		}
		people[col["ActorID"]] = cremadPerson{age: age, sex: col["Sex"], race: strings.ToLower(col["Race"])}
		return nil
	})
	return people, err
}

// cremadLabels returns a function for the published label of a name, and the set's name with such labels.
func (l *loader) cremadLabels(root string, files map[string]map[string]string) (
	label func(name string) string, set string, err error,
) {
	intended := func(name string) string {
		_, emotion, _ := cremadCode(name)
		return cremadEmotions[emotion]
	}
	column, vote := "", len(l.options) > 0
	if vote {
		column = cremadVotes[l.options[0]]
	}
	f, err := openBeside(root, filepath.Join("processedResults", "summaryTable.csv"))
	switch {
	case errors.Is(err, fs.ErrNotExist) && vote:
		return nil, "", fmt.Errorf("%w: the raters' votes are in processedResults/summaryTable.csv, which is part of "+
			"the release", err)
	case errors.Is(err, fs.ErrNotExist):
		l.note("labels: the emotion that the actor intended")
		return intended, "cremad", nil
	case err != nil:
		return nil, "", err
	}
	defer f.Close()
	votes, err := readCREMADVotes(f, f.Name(), column)
	if err != nil {
		return nil, "", err
	}
	for _, name := range slices.Sorted(maps.Keys(votes)) {
		if files[name] == nil {
			l.report.Missing = append(l.report.Missing, name)
		}
	}
	if !vote {
		l.note("labels: the emotion that the actor intended")
		return intended, "cremad", nil
	}
	l.note("labels: the emotion that most raters named (%s); a tie is no label", column)
	return func(name string) string { return cmp.Or(votes[name], "unknown") }, l.setName("cremad"), nil
}

// readCREMADVotes reads the emotion that most raters named from a column of summaryTable.csv, "unknown" where two share
// the most votes (as A:D); without a column, the names alone.
func readCREMADVotes(r io.Reader, path, column string) (map[string]string, error) {
	columns := []string{"FileName"}
	if column != "" {
		columns = append(columns, column)
	}
	votes := map[string]string{}
	err := eachCSVRow(r, path, columns, func(line int, col map[string]string) error {
		name := col["FileName"]
		if _, _, ok := cremadCode(name); !ok {
			return nil
		}
		votes[name] = "unknown"
		if v := col[column]; column != "" && !strings.Contains(v, ":") {
			if votes[name] = cremadEmotions[v]; len(v) != 1 || votes[name] == "" {
				return fmt.Errorf("%s: line %d: %s %q", path, line, column, v)
			}
		}
		return nil
	})
	return votes, err
}

// openBeside opens a file of the release in the folder given or in the one that holds it.
func openBeside(root, name string) (*os.File, error) {
	f, err := os.Open(filepath.Join(root, name))
	if errors.Is(err, fs.ErrNotExist) {
		if g, err := os.Open(filepath.Join(filepath.Dir(root), name)); err == nil {
			return g, nil
		}
	}
	return f, err
}

// cremadSplit divides by speaker: actors whose number ends in 8 are val, in 9 test, the rest train.
func cremadSplit(actor string) string {
	switch actor[len(actor)-1] {
	case '8':
		return SplitVal
	case '9':
		return SplitTest
	}
	return SplitTrain
}
