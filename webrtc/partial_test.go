package webrtc_test

import (
	"testing"
	"time"

	"tandem/infer"
	"tandem/infer/infertest"
	"tandem/pipeline"
	"tandem/webrtc"
	"tandem/webrtc/client"
)

// TestServeAnswersInTheFirstSecond holds that a session has answers before a window is full if the model reads windows
// that begin empty, and that these come through the batcher as through a file's run.
func TestServeAnswersInTheFirstSecond(t *testing.T) {
	contract := infertest.Contract()
	contract.Covered = true
	rec, err := infer.NewRecognizer(infertest.Model(contract), infer.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	faces, err := infertest.Faces()
	if err != nil {
		t.Fatal(err)
	}
	clip := load(t, write(t, "a.webm", pattern))
	_, url, _ := server(t, webrtc.Options{Pipeline: pipeline.DefaultOptions(), Recognizer: rec, Faces: faces})
	s := dial(t, client.Options{URL: url + "/whip", Codecs: clip.Codecs()})
	began := time.Now()
	stop := publish(t, s, clip, false)
	defer stop()
	ws := windows(t, s, 9)
	const first = 750 * time.Millisecond
	if w := ws[0]; w.T != first || w.Covered != first || w.Emotion == nil || w.Latency == nil {
		t.Errorf("the first window is %+v", w)
	}
	t.Logf("the first window came with a latency of %v; nine took %v", *ws[0].Latency, time.Since(began))
	for i, w := range ws {
		if full := w.T >= contract.Window; full != (w.Covered == 0) || !full && w.Covered != w.T {
			t.Errorf("window %d, at %v, covers %v", i, w.T, w.Covered)
		}
	}
}
