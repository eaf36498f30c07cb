package webrtc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"tandem/capture"
	"tandem/pipeline"
	"tandem/webrtc"
)

// leftSpeaks takes the first face for the one who speaks.
type leftSpeaks struct{}

func (leftSpeaks) Mouths() pipeline.MouthSpec {
	return pipeline.MouthSpec{Every: 64 * time.Millisecond, Size: 32, Margin: 1.6, Slots: 40}
}

func (leftSpeaks) Speaking(_ context.Context, _ []float32, faces []pipeline.Lips) ([][]float64, error) {
	odds := make([][]float64, len(faces))
	for i := range faces {
		odds[i] = make([]float64, 40)
		for k := range odds[i] {
			odds[i][k] = 1 - 3*float64(min(i, 1))
		}
	}
	return odds, nil
}

// Of two faces each has a box in its own colour with its number, the one that speaks is marked, and the page has a row
// of what it said and says so in words, in light and dark, without a fault of accessibility.
func TestLongPageTwoFaces(t *testing.T) {
	one := write(t, "one.webm", capture.PatternOptions{Width: 320, Height: 240, FPS: 20, Duration: 8 * time.Second})
	two := filepath.Join(t.TempDir(), "two.webm")
	if out, err := exec.Command("ffmpeg", "-v", "error", "-i", one, "-filter_complex",
		"[0:v]split[a][b];[b]hflip[c];[a][c]hstack[v]", "-map", "[v]", "-map", "0:a", "-c:a", "copy", "-c:v", "libvpx",
		"-b:v", "2M", "-deadline", "realtime", two).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v %s", err, out)
	}
	o := pipeline.DefaultOptions()
	o.Faces, o.Speaker = 2, leftSpeaks{}
	_, url, _ := server(t, webrtc.Options{Pipeline: o})
	b := startBrowser(t, two)
	do(t, b, chromedp.Navigate(local(url)))
	b.until(t, "the page is ready", 5*time.Second, `document.querySelectorAll("#bars .bar").length === 7`)
	b.click(t, "agree")
	b.click(t, "start")
	b.until(t, "two boxes, of which one speaks", 30*time.Second, `document.querySelectorAll(".box").length === 2 && `+
		`document.querySelectorAll(".box.speaks").length === 1`)
	colors := js[[]string](t, b,
		`[...document.querySelectorAll(".box")].map((e) => getComputedStyle(e).borderTopColor)`)
	for i, got := range colors {
		c := pipeline.SubjectColor(i)
		if want := fmt.Sprintf("rgb(%d, %d, %d)", c[0], c[1], c[2]); got != want {
			t.Errorf("box %d is %s, want %s", i, got, want)
		}
	}
	words := js[[]string](t, b, `[...document.querySelectorAll(".box span")].map((e) => e.textContent)`)
	if len(words) != 2 || words[0][:2] != "0 " || words[1][:2] != "1 " {
		t.Errorf("the boxes say %q", words)
	}
	b.until(t, "a row of what 0 said", 10*time.Second, `/^Person 0 spoke for [1-9].* s of the last 60: \w+/.test(`+
		`document.querySelector(".lane")?.getAttribute("aria-label"))`)
	b.until(t, "words for it", 5*time.Second,
		`document.getElementById("speaker").textContent === "Person 0 speaks" && `+
			`document.getElementById("whose").textContent === "Person 0" && !document.getElementById("whose").hidden`)
	b.accessible(t, "two faces")
	b.shot(t, "two-faces")
	b.dark(t)
	b.accessible(t, "two faces in the dark")
	b.shot(t, "two-faces-dark")
	if csv := js[string](t, b, `import("/page/results.js").then(async (m) => {
		const window = { type: "window", t: 1, start: 0, end: 1, subject: 0, senses: {}, speaking: 0.9, voice: true };
		return m.toCSV([window], await (await fetch("/config")).json());
	})`); csv[len(csv)-len(",0.9,true\n"):] != ",0.9,true\n" {
		t.Errorf("the page's CSV ends with %q", csv)
	}
	b.click(t, "erase")
	b.until(t, "nothing is left", 5*time.Second, `document.querySelectorAll(".lane").length === 0`)
	b.clean(t)
}

// A report of who spoke when opens from a file, is accessible in light and dark, and fits a narrow screen.
func TestLongReportPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.html")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := pipeline.NewTimelineWriter(f, nil)
	emotions := []string{"neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"}
	events := []pipeline.Event{{Start: &pipeline.StartEvent{
		Source: "talk.mp4", Hop: 250 * time.Millisecond, Emotions: emotions, Genders: []string{"female", "male"},
	}}}
	for i := range 360 {
		at, label := time.Duration(i+1)*250*time.Millisecond, emotions[i/20%len(emotions)]
		for subject := range 9 {
			p := map[bool]float64{true: 0.9}[i/30%10 == subject] // the tenth is nobody
			events = append(events, pipeline.Event{Window: &pipeline.WindowEvent{
				T: at, End: at, Subject: subject, Audio: p > 0, Video: true, Voice: true, Speaking: &p,
				Emotion: &pipeline.Scores{Label: label}, Gender: &pipeline.Scores{Label: "male"},
			}})
		}
	}
	for _, e := range append(events, pipeline.Event{End: &pipeline.EndEvent{Windows: len(events) - 1}}) {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b := startBrowser(t, "")
	do(t, b, chromedp.Navigate("file://"+path))
	if n := js[int](t, b, `document.querySelectorAll(".speech").length`); n != 10 {
		t.Errorf("%d speakers have a row, want 10", n)
	}
	b.accessible(t, "light")
	b.shot(t, "report")
	b.dark(t)
	b.accessible(t, "dark")
	b.shot(t, "report-dark")
	do(t, b, chromedp.EmulateViewport(320, 800))
	if w := js[int](t, b, "document.documentElement.scrollWidth"); w > 320 {
		t.Errorf("%d pixels wide on a screen of 320", w)
	}
	b.clean(t)
}

// The page tells the same turns as the files do.
func TestLongPageTurns(t *testing.T) {
	_, url, _ := server(t, webrtc.Options{})
	b := startBrowser(t, "")
	do(t, b, chromedp.Navigate(local(url)))
	b.until(t, "the page is ready", 5*time.Second, `document.querySelectorAll("#bars .bar").length === 7`)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		turns := pipeline.Turns{Hop: 250 * time.Millisecond}
		var events []pipeline.Event
		var want []pipeline.Turn
		at, voice := 500*time.Millisecond, false
		for range 60 {
			at += 250 * time.Millisecond * time.Duration(1+rng.IntN(12)/11)
			voice = voice != (rng.IntN(4) == 0)
			for subject := range 2 {
				w := &pipeline.WindowEvent{T: at, End: at, Subject: subject, Video: true, Voice: voice}
				w.Audio = rng.IntN(2) == 0
				if p := rng.Float64(); rng.IntN(5) > 0 {
					w.Speaking = &p
				}
				events = append(events, pipeline.Event{Window: w})
				want = append(want, turns.Add(w)...)
			}
		}
		want = append(want, turns.Rest()...)
		sent, err := json.Marshal(events)
		if err != nil {
			t.Fatal(err)
		}
		type turn struct {
			Subject  int
			From, To float64
		}
		got := js[[]turn](t, b, `import("/page/speech.js").then((m) => {
			const turns = new m.Turns(0.25);
			for (const e of `+string(sent)+`) turns.add(e);
			turns.close();
			return turns.all;
		})`)
		if len(got) != len(want) {
			t.Fatalf("%d turns, want %d", len(got), len(want))
		}
		for i, w := range want {
			if g := got[i]; g.Subject != w.Subject || g.From != w.From.Seconds() || g.To != w.To.Seconds() {
				t.Errorf("turn %d is %v, want %v", i, g, w)
			}
		}
	}
}
