package webrtc_test

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"sync/atomic"
	"testing"

	"tandem/pipeline"
	"tandem/webrtc"
	"tandem/webrtc/client"
)

// countedVoice counts its streams; what they are given is no voice, or, in the first stream, always one.
type countedVoice struct{ streams atomic.Int64 }

func (v *countedVoice) NewVoiceStream() pipeline.VoiceStream {
	return voiceIs(v.streams.Add(1) == 1)
}

type voiceIs bool

func (voiceIs) Reset() {}

func (v voiceIs) Voice(context.Context, []float32) (float64, error) {
	if v {
		return 1, nil
	}
	return 0, nil
}

// Each session listens by a stream of its own to the one detector, and masks sound that is no voice.
func TestSessionsListenForThemselves(t *testing.T) {
	t.Parallel()
	clip := load(t, write(t, "a.webm", pattern))
	voice := &countedVoice{}
	o := webrtc.Options{}
	o.Pipeline.Voice = voice
	_, url, _ := server(t, o)
	for i := range 2 {
		s := dial(t, client.Options{URL: url + "/whip"})
		publish(t, s, clip, true)
		for _, w := range windows(t, s, 4)[2:] { // by then both modalities have come
			if w.Audio != (i == 0) {
				t.Errorf("session %d, window %v: audio %v", i, w.End, w.Audio)
			}
		}
	}
	if n := voice.streams.Load(); n != 2 {
		t.Errorf("%d streams for two sessions", n)
	}
	res, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || !regexp.MustCompile(`(?m)^tandem_voice_cpu_seconds_total [0-9.e-]*[1-9]`).Match(body) {
		t.Errorf("the metrics do not say what listening cost: %v", err)
	}
}
