package dataset

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// iemocapEmotions are the labels in IEMOCAP's EmoEvaluation files (Busso et al. 2008): the choice of most raters, xxx
// where no label had most of their votes.
var iemocapEmotions = map[string]string{
	"neu": "neutral", "hap": "happiness", "sad": "sadness", "ang": "anger", "exc": "excited", "fru": "frustrated",
	"fea": "fear", "sur": "surprise", "dis": "disgust", "oth": "other", "xxx": "unknown",
}

// paperEmotions and paperLongest bound the utterances that Chae et al. 2018 (arXiv 1809.00758) used.
var paperEmotions = []string{"neu", "hap", "sad", "ang"}

const paperLongest = 8 * time.Second

// paperCrops are the places in a dialog's pictures, 720 wide and 480 high, where Chae et al. 2018 cut out the speaker's
// face.
var paperCrops = map[string]image.Rectangle{
	"male": image.Rect(438, 128, 438+224, 128+224), "female": image.Rect(87, 128, 87+224, 128+224),
}

// loadIEMOCAP reads Session1 to Session5 of IEMOCAP_full_release: labels and times of the utterances from
// dialog/EmoEvaluation, their sound from sentences/wav, their picture from the dialog's video in dialog/avi/DivX,
// between those times.
func loadIEMOCAP(l *loader, root string) error {
	info, err := os.Stat(root)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s: not a folder", root)
	}
	found := 0
	for session := 1; session <= 5; session++ {
		dir := filepath.Join(root, fmt.Sprintf("Session%d", session))
		// Files that begin with a dot are macOS's doubles, which are in the release.
		files, err := filepath.Glob(filepath.Join(dir, "dialog", "EmoEvaluation", "Ses*.txt"))
		if err != nil {
			return err
		}
		if len(files) == 0 {
			l.report.Missing = append(l.report.Missing, fmt.Sprintf("Session%d/dialog/EmoEvaluation", session))
		}
		for _, file := range files {
			f, err := os.Open(file)
			if err != nil {
				return err
			}
			turns, err := readEmoEvaluation(f, file)
			f.Close()
			if err != nil {
				return err
			}
			found += len(turns)
			if err := l.iemocapDialog(root, dir, session, stem(file), turns); err != nil {
				return err
			}
		}
	}
	switch {
	case found == 0:
		return nothingFound(root, "IEMOCAP labels (Session1/dialog/EmoEvaluation/Ses01F_impro01.txt)")
	case len(l.clips) == 0:
		return fmt.Errorf("%w: %d utterances have labels in %s, but none of them sound (Session1/sentences/wav/…) or "+
			"a video (Session1/dialog/avi/DivX/…)", ErrEmpty, found, root)
	}
	if l.has("exc") {
		l.note("labels: excitement counts as happiness")
	} else {
		l.note("labels: excitement is not happiness (iemocap:exc lets it count)")
	}
	if l.has("paper") {
		l.note("only neutral, anger, happiness, sadness, and utterances of at most %v", paperLongest)
	}
	return nil
}

// iemocapTurn is a labelled utterance.
type iemocapTurn struct {
	name, emotion string
	start, end    time.Duration
}

// iemocapDialog adds the utterances of one dialog.
func (l *loader) iemocapDialog(root, dir string, session int, dialog string, turns []iemocapTurn) error {
	video := filepath.Join(dir, "dialog", "avi", "DivX", dialog+".avi")
	if err := fileExists(video); errors.Is(err, os.ErrNotExist) {
		video = ""
		l.report.Missing = append(l.report.Missing, fmt.Sprintf("Session%d/dialog/avi/DivX/%s.avi", session, dialog))
	} else if err != nil {
		return err
	}
	for _, t := range turns {
		if l.has("paper") &&
			(!slices.Contains(paperEmotions, t.emotion) && !(l.has("exc") && t.emotion == "exc") ||
				t.end-t.start > paperLongest) {
			continue
		}
		label := iemocapEmotions[t.emotion]
		if t.emotion == "exc" && l.has("exc") {
			label = "happiness"
		}
		// The letter before the utterance's number says who speaks; the one in the dialog's name, who wears the
		// markers.
		letter := t.name[len(t.name)-4:][:1]
		sex := map[string]string{"F": "female", "M": "male"}[letter]
		c := Clip{
			Dataset: l.setName("iemocap"), Speaker: fmt.Sprintf("iemocap%02d%s", session, letter),
			Split: iemocapSplit(session), Age: -1, ID: fmt.Sprintf("%s/%s", filepath.Base(root), t.name),
		}
		c.Audio = filepath.Join(dir, "sentences", "wav", dialog, t.name+".wav")
		if err := fileExists(c.Audio); errors.Is(err, os.ErrNotExist) {
			c.Audio = ""
			l.report.Missing = append(l.report.Missing, fmt.Sprintf("Session%d/sentences/wav/%s/%s.wav", session,
				dialog, t.name))
		} else if err != nil {
			return err
		}
		if video != "" {
			c.Video, c.Start, c.End, c.Crop = video, t.start, t.end, paperCrops[sex]
		}
		if c.Path() == "" {
			continue
		}
		var err error
		if c.Emotion, err = l.emotion(label); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		if c.Gender, err = l.gender(sex); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		l.clips = append(l.clips, c)
	}
	return nil
}

// iemocapLine matches the head of an utterance: "[START - END]	NAME	EMOTION	[V, A, D]", times in seconds.
var iemocapLine = regexp.MustCompile(
	`^\[([0-9.]+) - ([0-9.]+)\]\t(Ses0[1-5][FM]_[A-Za-z0-9_]+_[FM][0-9A-Z]{3})\t([a-z]{3})\t\[`)

// readEmoEvaluation reads the heads of an EmoEvaluation file; what each rater said stands under them and is left out.
func readEmoEvaluation(r io.Reader, path string) ([]iemocapTurn, error) {
	var turns []iemocapTurn
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		if !strings.HasPrefix(lines.Text(), "[") {
			continue
		}
		m := iemocapLine.FindStringSubmatch(lines.Text())
		if m == nil {
			return nil, fmt.Errorf("%s: line %d: %.80q instead of [START - END], NAME, EMOTION, [V, A, D]", path, n,
				lines.Text())
		}
		start, errStart := iemocapTime(m[1])
		end, errEnd := iemocapTime(m[2])
		if err := errors.Join(errStart, errEnd); err != nil || end <= start {
			return nil, fmt.Errorf("%s: line %d: time %s to %s", path, n, m[1], m[2])
		}
		if iemocapEmotions[m[4]] == "" {
			return nil, fmt.Errorf("%s: line %d: %w: emotion %q; allowed are %s", path, n, ErrUnknownLabel, m[4],
				strings.Join(slices.Sorted(maps.Keys(iemocapEmotions)), ", "))
		}
		turns = append(turns, iemocapTurn{name: m[3], emotion: m[4], start: start, end: end})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return turns, nil
}

func iemocapTime(s string) (time.Duration, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || v > 86400 {
		return 0, fmt.Errorf("time %q", s)
	}
	return time.Duration(math.Round(v*1e4)) * 100 * time.Microsecond, nil
}

// iemocapSplit divides by session, whose two speakers talk to each other: 1 to 3 train, 4 val, 5 test.
func iemocapSplit(session int) string {
	switch session {
	case 4:
		return SplitVal
	case 5:
		return SplitTest
	}
	return SplitTrain
}
