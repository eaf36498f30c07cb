package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"tandem/train/speaker"
)

// What `tandem train` trains.
const (
	taskEmotions = "emotions"
	taskSpeaker  = "speaker"
)

// speakerTrainFlags are the flags of `tandem train` that a training of the speaker network takes.
var speakerTrainFlags = []string{
	"task", "data", "split-by", "out", "recipe", "seed", "run", "backend", "cache", "workers", "log-level",
}

// checkTask checks --task, and that no flag is given that it does not take.
func checkTask(task string, f *pflag.FlagSet) (err error) {
	switch task {
	case taskEmotions:
		return nil
	case taskSpeaker:
	default:
		return fmt.Errorf("--task %q: known are %s and %s", task, taskEmotions, taskSpeaker)
	}
	f.Visit(func(flag *pflag.Flag) {
		if !slices.Contains(speakerTrainFlags, flag.Name) && err == nil {
			err = fmt.Errorf("--task %s does not take --%s: its recipe has all that decides a training", task,
				flag.Name)
		}
	})
	return err
}

// runSpeaker trains the network that tells who speaks.
func (o *trainOptions) runSpeaker(ctx context.Context, c *console) error {
	recipe := speaker.DefaultRecipe()
	if o.recipe != "" {
		var err error
		if recipe, err = speaker.ReadRecipe(o.recipe); err != nil {
			return err
		}
	}
	if o.given("seed") {
		recipe.Seed = o.seed
	}
	run := o.runDir
	if run == "" {
		run = strings.TrimSuffix(o.out, filepath.Ext(o.out)) + ".run"
	}
	cache, err := o.cacheDir()
	if err != nil {
		return err
	}
	bar := loggedProgress(c)
	defer bar.close()
	result, err := speaker.Run(ctx, speaker.RunOptions{
		Data: o.data, SplitBy: o.splitBy, Recipe: recipe, Out: o.out, Dir: run, Cache: cache, Workers: o.workers,
		Version: version(), Backend: o.backend, Progress: bar.training, Log: bar.log,
	})
	if err != nil {
		return err
	}
	bar.close()
	for _, s := range result.Skipped {
		c.log.Warn("left out: " + s)
	}
	if _, err := fmt.Fprintf(c.out, "%s: %d parameters, %d bytes; %d clips skipped\n", o.out, result.Parameters,
		result.Bytes, len(result.Skipped)); err != nil {
		return err
	}
	return writeSpeakerScores(c, result.Scores)
}

// writeSpeakerScores writes a table of how well a speaker network does.
func writeSpeakerScores(c *console, scores []speaker.Score) error {
	if len(scores) == 0 {
		_, err := fmt.Fprintln(c.out, "not measured: the validation split has no two speakers of one set")
		return err
	}
	if _, err := fmt.Fprintf(c.out, "%-14s %-15s %-20s %7s %6s %6s %6s %6s\n", "set", "scene", "condition", "windows",
		"right", "wrong", "nobody", "chosen"); err != nil {
		return err
	}
	for _, s := range scores {
		line := fmt.Sprintf("%-14s %-15s %-20s %7d %6.3f %6.3f %6.3f %6.3f", s.Set, s.Scene, s.Condition, s.Windows,
			s.Right, s.Wrong, s.Nobody, s.Chosen)
		if s.Turns > 0 {
			line += fmt.Sprintf("  %d turns, %.3f within 0.7 s, median %.2f s", s.Turns, s.Within, s.Delay)
		}
		if _, err := fmt.Fprintln(c.out, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}
