// Package datasettest makes small data sets for tests.
package datasettest

import (
	"path/filepath"
	"testing"

	"tandem/train/dataset"
	"tandem/train/traintest"
)

// Clips writes media files and returns clips of them: a voice of 1.2 s, a picture, a picture with a voice, a silent
// voice, and a text that calls itself a film. The picture with a voice is in the training split, the others in
// validation.
func Clips(t *testing.T) []dataset.Clip {
	t.Helper()
	dir := t.TempDir()
	voice, still := filepath.Join(dir, "a.wav"), filepath.Join(dir, "b.png")
	traintest.WriteWAV(t, voice, traintest.Sine(220, 19200))
	traintest.WritePNG(t, still, 64)
	silent, text := filepath.Join(dir, "c.wav"), filepath.Join(dir, "d.mp4")
	traintest.WriteWAV(t, silent, make([]int16, 19200))
	traintest.WriteFile(t, text, "I am a text.\n")
	clip := func(id, video, audio string, emotion, gender int, split string) dataset.Clip {
		return dataset.Clip{
			ID: id, Video: video, Audio: audio, Dataset: "mine", Emotion: emotion, Gender: gender, Split: split,
			Age: -1,
		}
	}
	return []dataset.Clip{
		clip("a", "", voice, 0, 0, dataset.SplitVal), clip("b", still, "", 1, 1, dataset.SplitVal),
		clip("ab", still, voice, 1, -1, dataset.SplitTrain),
		clip("c", "", silent, 1, 1, dataset.SplitVal), clip("d", text, "", 1, 1, dataset.SplitVal),
	}
}
