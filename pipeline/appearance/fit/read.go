package main

import (
	"context"
	"sync"

	"tandem/capture"
	"tandem/infer"
	"tandem/pipeline"
	"tandem/train/dataset"
)

// photoSet is the data set of photographs.
const photoSet = "fairface"

// choose picks videos of speakers and photographs, evenly.
func choose(clips []dataset.Clip) []dataset.Clip {
	of := map[string][]dataset.Clip{}
	for _, c := range clips {
		switch {
		case c.Video == "" || c.Row != nil:
		case c.Dataset == photoSet && c.Split == dataset.SplitTrain:
			of[""] = append(of[""], c)
		case c.Speaker != "" && c.Dataset != photoSet:
			of[c.Speaker] = append(of[c.Speaker], c)
		}
	}
	var chosen []dataset.Clip
	for speaker, cs := range of {
		n := clipsEach
		if speaker == "" {
			n = photos
		}
		n = min(n, len(cs))
		for i := range n {
			c := cs[i*len(cs)/n]
			if speaker == "" {
				c.Speaker = ""
			}
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// read cuts the crops of clips, those of a clip without a face left out. The order is that of the clips.
func read(ctx context.Context, clips []dataset.Clip) ([]face, error) {
	finder, err := infer.NewBlazeFace()
	if err != nil {
		return nil, err
	}
	defer finder.Close()
	faces := make([]face, len(clips))
	errs := make([]error, len(clips))
	next := make(chan int)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := range next {
				faces[i].clip = clips[i]
				faces[i].crops, errs[i] = crops(ctx, finder, clips[i].Video)
			}
		})
	}
	for i := range clips {
		next <- i
	}
	close(next)
	wg.Wait()
	var out []face
	for i, f := range faces {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if len(f.crops) > 0 {
			out = append(out, f)
		}
	}
	return out, nil
}

// crops returns those of the window of a clip, or of a photograph, that has most.
func crops(ctx context.Context, finder pipeline.FaceFinder, path string) (best [][]byte, err error) {
	src, err := capture.Open(ctx, path, capture.Options{NoAudio: true})
	if err != nil {
		return nil, err
	}
	defer src.Close()
	err = pipeline.Cut(ctx, src, finder, cutSpec, pipeline.Options{}, func(w *pipeline.Window) error {
		var cs [][]byte
		n := len(w.Video) / len(w.VideoMask)
		for k, there := range w.VideoMask {
			if there {
				cs = append(cs, w.Video[k*n:(k+1)*n])
			}
		}
		if len(cs) > len(best) {
			best = cs
		}
		return nil
	})
	return best, err
}
