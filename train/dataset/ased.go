package dataset

import "strings"

// asedEmotions are the emotion codes of ASED's names, which are also the first letter and the number of its folders.
var asedEmotions = map[string]string{"n1": "neutral", "f2": "fearful", "h3": "happy", "s4": "sad", "a5": "angry"}

// asedGenders are the gender codes of ASED's names.
var asedGenders = map[string]string{"01": "female", "02": "male"}

// loadASED reads names of the form EMOTION-SENTENCE-REPETITION-GENDER-SPEAKER, such as a5-03-01-02-50 (Retta et al.
// 2022, and the README beside the data; one published name begins with S4). A few names contradict their speaker's
// others on the gender: that of most counts.
func loadASED(l *loader, root string) error {
	if err := l.loadVoices(root, "ased", "05Angry/a5-03-01-02-50.wav", asedName); err != nil {
		return err
	}
	votes := map[string]map[int]int{} // clips by speaker and gender
	for i := range l.clips {
		of := votes[l.clips[i].Speaker]
		if of == nil {
			of = map[int]int{}
			votes[l.clips[i].Speaker] = of
		}
		of[l.clips[i].Gender]++
	}
	changed := 0
	for i := range l.clips {
		c := &l.clips[i]
		for gender, n := range votes[c.Speaker] {
			if n > votes[c.Speaker][c.Gender] {
				c.Gender = gender
				changed++
			}
		}
	}
	if changed > 0 {
		l.note("the gender in %d names is not that in most of their speaker's names, which is taken", changed)
	}
	return nil
}

func asedName(name string) (v voice, ok bool) {
	parts := strings.Split(name, "-")
	if len(parts) != 5 || !digits(parts[1], 2, 2) || !digits(parts[2], 2, 2) || !digits(parts[4], 2, 2) {
		return voice{}, false
	}
	v = voice{
		speaker: parts[4], emotion: asedEmotions[strings.ToLower(parts[0])], gender: asedGenders[parts[3]],
		split: asedSplit(parts[4]),
	}
	return v, v.emotion != "" && v.gender != "" && parts[4] >= "01" && parts[4] <= "65"
}

// asedSplit divides by speaker: seven val, eight test, the rest train.
func asedSplit(speaker string) string {
	switch speaker {
	case "14", "19", "27", "32", "45", "57", "58":
		return SplitVal
	case "02", "03", "13", "26", "31", "48", "53", "60":
		return SplitTest
	}
	return SplitTrain
}
