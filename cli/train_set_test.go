package cli

import (
	"strings"
	"testing"
)

// What --set and --folds cannot take is refused as a mistake in the command, before anything is read.
func TestTrainRefusesSetAndFolds(t *testing.T) {
	for args, want := range map[string]string{
		"--set learning_rate=-1":                   "learning_rate -1: want more than 0",
		"--set learning_rat=1":                     `there is no field "learning_rat"`,
		"--set epochs=many":                        `epochs: "many" is not a number`,
		"--folds 2":                                `--folds "2": want 3 to 1000 folds by speaker`,
		"--folds 5 --out m.onnx":                   "leave out --out",
		"--folds 5 --split-by clip":                "leave out --split-by",
		"--init default --set arch.fuse_dim=8":     "--init brings the network",
		"--split-by everyone":                      "set:NAME, speaker:NAME",
		"--folds leave-one-set-out --data nothing": `--data "nothing"`,
	} {
		line := append([]string{"train"}, strings.Fields(args)...)
		if !strings.Contains(args, "--data") {
			line = append(line, "--data", "manifest=none.csv")
		}
		code, _, errs := runTandem(t, line...)
		if code != 2 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit code %d: %s; want %q", args, code, errs, want)
		}
	}
}
