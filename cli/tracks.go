package cli

import (
	"context"
	"os"
	"strconv"
	"strings"

	"tandem/capture"
	"tandem/pipeline"
)

// openTrack opens an input. Where it has several tracks of sound and o names none, it takes the one with a voice, if
// the input is a file, which can be read more than once, and says which; track is its number then.
func openTrack(
	ctx context.Context, c *console, rec *recognition, input string, o capture.Options,
) (src capture.Source, track string, err error) {
	if src, err = capture.Open(ctx, input, o); err != nil {
		return nil, "", err
	}
	info := src.Info()
	if len(info.AudioTracks) < 2 || info.AudioTrack == 0 || o.AudioTrack != "" {
		return src, "", nil
	}
	chosen := info.AudioTrack
	file, statErr := os.Stat(capture.LocalPath(input))
	if statErr == nil && file.Mode().IsRegular() && rec.voice != nil {
		if chosen, err = pipeline.VoicedTrack(ctx, input, info.AudioTracks, chosen, rec.voice); err != nil {
			src.Close()
			return nil, "", err
		}
	}
	var names []string
	for _, t := range info.AudioTracks {
		names = append(names, t.String())
	}
	c.log.Warn("several tracks of sound: choose by --audio-track", "input", input, "taken", chosen, "tracks",
		strings.Join(names, "; "))
	track = strconv.Itoa(chosen)
	if chosen == info.AudioTrack {
		return src, track, nil
	}
	src.Close()
	o.AudioTrack = track
	src, err = capture.Open(ctx, input, o)
	return src, track, err
}
