package dataset

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// utkRaces are UTKFace's own words for its race codes 0 to 4.
var utkRaces = [...]string{"white", "black", "asian", "indian", "others"}

// loadUTKFace reads names of the form AGE_GENDER_RACE_DATE.jpg: gender 0 male, 1 female. UTKFace publishes no split and
// names no persons: a manifest.csv in the folder or beside it decides where it lists the picture, a hash of the
// picture's name otherwise.
func loadUTKFace(l *loader, root string) error {
	rows := rowsBeside(root)
	err := walkMedia(root, []string{".jpg", ".jpeg", ".png"}, func(path, id string) error {
		age, genderLabel, race, ok := utkName(path)
		if !ok {
			l.ignore(path)
			return nil
		}
		gender, err := l.gender(genderLabel)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		split := rows[path].split
		if split == "" {
			split = hashSplit(filepath.Base(path))
		}
		l.clips = append(l.clips, Clip{
			Video: path, ID: id, Dataset: "utkface", Emotion: -1, Gender: gender, Split: split, Age: age, Race: race,
		})
		return nil
	})
	if err == nil && len(l.clips) == 0 {
		return nothingFound(root, "UTKFace pictures (names like 26_1_0_20170116184024662.jpg)")
	}
	return err
}

// utkName parses a UTKFace name; a few published names lack a part and are not ok.
func utkName(path string) (age int, gender, race string, ok bool) {
	parts := strings.Split(stem(path), "_")
	if len(parts) != 4 {
		return 0, "", "", false
	}
	age, err := strconv.Atoi(parts[0])
	if err != nil || age < 0 || age > 130 {
		return 0, "", "", false
	}
	switch parts[1] {
	case "0":
		gender = "male"
	case "1":
		gender = "female"
	default:
		return 0, "", "", false
	}
	r, err := strconv.Atoi(parts[2])
	if err != nil || r < 0 || r >= len(utkRaces) {
		return 0, "", "", false
	}
	return age, gender, utkRaces[r], true
}
