package pipeline

import (
	"context"
	"strconv"
	"time"

	"tandem/capture"
)

// voiceWithin is how much of each of several tracks of sound is listened to for a voice.
const voiceWithin = 10 * time.Second

// VoicedTrack returns the number of the track of sound of an input, of those of tracks, that has most of a voice in its
// first seconds; preferred, where no other has more. The input is opened once for each and must be a file.
func VoicedTrack(
	ctx context.Context, input string, tracks []capture.AudioTrack, preferred int, v VoiceDetector,
) (int, error) {
	best, most := preferred, 0
	for _, t := range tracks {
		n, err := voicesOf(ctx, input, t.Number, v)
		if err != nil {
			return 0, err
		}
		if n > most || n == most && t.Number == preferred {
			best, most = t.Number, n
		}
	}
	return best, nil
}

// voicesOf counts the pieces of a track that are of a voice. A track that can't be read has none.
func voicesOf(ctx context.Context, input string, track int, v VoiceDetector) (int, error) {
	src, err := capture.Open(ctx, input, capture.Options{NoVideo: true, AudioTrack: strconv.Itoa(track)})
	if err != nil {
		return 0, context.Cause(ctx)
	}
	defer src.Close()
	heard := voiceTrack{stream: v.NewVoiceStream()}
	var filter capture.HighPass
	next := int64(0)
	for {
		m, err := src.Read(ctx)
		switch {
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		case err != nil || m.Samples != nil && m.Samples.Time >= voiceWithin:
			return len(heard.ends), nil
		case m.Samples == nil:
			continue
		}
		filter.Filter(m.Samples.Data, m.Samples.Data)
		if err := heard.add(ctx, next, m.Samples.Data); err != nil {
			return 0, err
		}
		next += int64(len(m.Samples.Data))
	}
}
