package dataset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// fairFaceAges are the middles of FairFace's age brackets in years; "more than 70" is written 70-up in file names.
var fairFaceAges = map[string]int{
	"0-2": 1, "3-9": 6, "10-19": 15, "20-29": 25, "30-39": 35, "40-49": 45, "50-59": 55, "60-69": 65,
	"more than 70": 75, "70-up": 75,
}

// fairFaceRaces are FairFace's own words, in lower case and with underscores for spaces.
var fairFaceRaces = []string{
	"black", "east_asian", "indian", "latino_hispanic", "middle_eastern", "southeast_asian", "white",
}

// fairFace has the labels of a picture of FairFace.
type fairFace struct {
	gender, race string
	age          int
	split        string
}

// unknownFairFace returns the error for a label that is not one of FairFace's, an ErrUnknownLabel.
func unknownFairFace(what, label string, known ...string) error {
	return fmt.Errorf("%w: %s %q; allowed are %s", ErrUnknownLabel, what, label, strings.Join(known, ", "))
}

// newFairFace returns the labels as published, in the lists (Male, East Asian) or in names (male, East_Asian).
func newFairFace(age, gender, race string) (f fairFace, err error) {
	var ok bool
	if f.age, ok = fairFaceAges[age]; !ok {
		return fairFace{}, unknownFairFace("age", age, "0-2", "3-9", "10-19", "...", "60-69", "more than 70")
	}
	f.gender = strings.ToLower(gender)
	if f.gender != "female" && f.gender != "male" {
		return fairFace{}, unknownFairFace("gender", gender, "Female", "Male")
	}
	f.race = strings.ToLower(strings.ReplaceAll(race, " ", "_"))
	if !slices.Contains(fairFaceRaces, f.race) {
		return fairFace{}, unknownFairFace("race", race, fairFaceRaces...)
	}
	return f, nil
}

// loadFairFace reads the pictures that fairface_label_train.csv and fairface_label_val.csv, in the folder or beside it,
// list (Kärkkäinen and Joo 2021), and those whose names have the labels, train/N_AGE_GENDER_RACE.jpg. The lists name
// pictures by split and number, wherever the archive of the pictures was unpacked; of two of one name, as in the
// archives with less and with more padding, the first counts. The split is the published one.
func loadFairFace(l *loader, root string) error {
	faces, err := l.fairFaceLists(root)
	if err != nil {
		return err
	}
	splits := map[string]bool{} // of which there are pictures
	err = walkMedia(root, []string{".jpg", ".jpeg", ".png"}, func(path, id string) error {
		file := filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path)
		face, ok := faces[file]
		if !ok {
			face, ok = fairFaceName(path)
		}
		if !ok {
			l.ignore(path)
			return nil
		}
		delete(faces, file)
		splits[face.split] = true
		gender, err := l.gender(face.gender)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		l.clips = append(l.clips, Clip{
			Video: path, ID: id, Dataset: "fairface", Emotion: -1, Gender: gender, Split: face.split, Age: face.age,
			Race: face.race,
		})
		return nil
	})
	if err == nil && len(l.clips) == 0 {
		return nothingFound(root, "pictures of FairFace (train/1.jpg, which fairface_label_train.csv lists, or names "+
			"like train/1_50-59_male_East_Asian.jpg)")
	}
	for file, face := range faces {
		if splits[face.split] { // PATH may be the pictures of one split
			l.report.Missing = append(l.report.Missing, file)
		}
	}
	slices.Sort(l.report.Missing)
	return err
}

// fairFaceLists reads the lists that are there, by the files in them (train/1.jpg).
func (l *loader) fairFaceLists(root string) (map[string]fairFace, error) {
	faces := map[string]fairFace{}
	var absent []string
	for _, split := range []string{SplitTrain, SplitVal} {
		name := "fairface_label_" + split + ".csv"
		f, err := openBeside(root, name)
		if errors.Is(err, fs.ErrNotExist) {
			absent = append(absent, name)
			continue
		}
		if err != nil {
			return nil, err
		}
		err = readFairFace(f, f.Name(), split, faces)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	if len(absent) == 1 { // without both, the labels are in the pictures' names
		l.report.Missing = absent
	}
	return faces, nil
}

// readFairFace reads one of FairFace's lists, which is at path, from r into faces.
func readFairFace(r io.Reader, path, split string, faces map[string]fairFace) error {
	columns := []string{"file", "age", "gender", "race"}
	return eachCSVRow(r, path, columns, func(line int, col map[string]string) error {
		face, err := newFairFace(col["age"], col["gender"], col["race"])
		if err == nil && col["file"] == "" {
			err = errors.New("no file")
		}
		if err != nil {
			return fmt.Errorf("%s: line %d: %w", path, line, err)
		}
		face.split = split
		faces[col["file"]] = face
		return nil
	})
}

// fairFaceName parses a path of the form …/train/N_AGE_GENDER_RACE.jpg, of train or val.
func fairFaceName(path string) (face fairFace, ok bool) {
	parts := strings.SplitN(stem(path), "_", 4)
	split := filepath.Base(filepath.Dir(path))
	if len(parts) != 4 || !digits(parts[0], 1, 9) || split != SplitTrain && split != SplitVal {
		return fairFace{}, false
	}
	face, err := newFairFace(parts[1], parts[2], parts[3])
	face.split = split
	return face, err == nil
}
