package train

import (
	"encoding/hex"

	"tandem/infer"
	"tandem/train/dataset"
	"tandem/train/nn"
)

// trainedOn returns what a model knows of the clips and speakers that it learns from and is chosen by, and of those of
// the network that it begins with; nil where nothing is known of the clips, as of samples that no file holds.
func trainedOn(data *Data, begin *nn.Pretrained) *infer.Trained {
	if data.Prepared == nil {
		return nil
	}
	var clips, speakers, chosen []infer.Key
	seen := map[int]bool{}
	for i := range data.Samples {
		at := data.Samples[i].Clip
		c := &data.Clips[at]
		content, known := data.Content(at)
		if seen[at] || !known {
			continue
		}
		seen[at] = true
		key := infer.KeyOf("clip", hex.EncodeToString(content[:]))
		switch c.Split {
		case dataset.SplitTrain:
			clips = append(clips, key)
			if c.Speaker != "" {
				speakers = append(speakers, infer.SpeakerKey(c.Speaker))
			}
		case dataset.SplitVal:
			chosen = append(chosen, key)
		}
	}
	if len(seen) == 0 {
		return nil
	}
	is := &infer.Trained{
		Clips: infer.NewKeys(clips), Speakers: infer.NewKeys(speakers), Chosen: infer.NewKeys(chosen),
	}
	if begin != nil {
		is = is.Union(begin.Trained)
	}
	return is
}
