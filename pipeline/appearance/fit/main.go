// Command fit writes the space in which package appearance compares faces, from a manifest of videos with their
// speakers and of photographs, and prints how well people are told apart who had no part in it.
//
//	go run -tags nocamera ./pipeline/appearance/fit MANIFEST OUT
//
// Only the manifest's training split goes into the space that is written.
package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"tandem/internal/atomicfile"
	"tandem/pipeline"
	"tandem/pipeline/appearance"
	"tandem/train/dataset"
)

const (
	clipsEach = 12   // of a speaker
	photos    = 1500 // of all
	folds     = 5
	// ridge is added to the variance within people, as a share of its mean over the directions.
	ridge = 0.1
)

// cutSpec cuts the crops that package appearance looks at.
var cutSpec = pipeline.Spec{
	Window: 2560 * time.Millisecond, Hop: 2560 * time.Millisecond, VideoFrames: 8, CropSize: appearance.Size,
	Channels: 1, CropMargin: appearance.Margin,
}

// face is the crops of one clip.
type face struct {
	clip  dataset.Clip
	crops [][]byte
}

// person is a speaker's clips.
type person struct {
	set   string
	train bool
	faces []face
}

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fit:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("give a manifest and the file to write")
	}
	clips, _, err := dataset.Load("manifest", args[0], dataset.DefaultLabels(), nil)
	if err != nil {
		return err
	}
	faces, err := read(ctx, choose(clips))
	if err != nil {
		return err
	}
	var stills [][]float32
	people := map[string]*person{}
	for _, f := range faces {
		if f.clip.Speaker == "" {
			if h := appearance.Histogram(f.crops[0]); h != nil && f.clip.Split == dataset.SplitTrain {
				stills = append(stills, h)
			}
			continue
		}
		p := people[f.clip.Speaker]
		if p == nil {
			p = &person{set: f.clip.Dataset, train: f.clip.Split == dataset.SplitTrain}
			people[f.clip.Speaker] = p
		}
		p.faces = append(p.faces, f)
	}
	var all, trained []*person
	for _, name := range slices.Sorted(maps.Keys(people)) {
		all = append(all, people[name])
		if people[name].train {
			trained = append(trained, people[name])
		}
	}
	if len(trained) < folds || len(stills) < 100 {
		return fmt.Errorf("%d people and %d photographs to learn from: too few", len(trained), len(stills))
	}
	if err := crossValidate(os.Stdout, all, stills); err != nil {
		return err
	}
	s, err := newSpace(trained, stills)
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(args[1], s.bytes())
}
