package pipeline

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image/jpeg"
	"strings"
	"testing"
	"time"

	"tandem/capture"
)

// The page shows who spoke when and with what emotion, each in its own colour with its number beside it.
func TestTimelineOfSpeech(t *testing.T) {
	var b bytes.Buffer
	w := NewTimelineWriter(&b, nil)
	for _, e := range dialogueEvents("a.mp4") {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	s := b.String()
	for _, want := range []string{
		`style="--own:#3a8eea"><span class="who"><span class="own">0</span>`,
		// Of 3.5 s.
		`style="left:14.286%;width:28.571%" title="subject 0 speaks, calm, 0.5 s to 1.5 s">calm<i class="c0">`,
		`style="left:42.857%;width:28.571%" title="subject 1 speaks, calm, 1.5 s to 2.5 s">calm`,
		`title="not known who speaks, 2.5 s to 3.5 s"><i class="c7">`,
		`</span> not known<td>1<td>1.0<td>33 %`, "All 3 turns",
		`<tr><td>1.5 s<td>2.5 s<td style="text-align:left">subject 1<td style="text-align:left">calm`,
	} {
		if !strings.Contains(s, want) {
			t.Errorf("the page lacks %q:\n%s", want, s)
		}
	}
	if strings.Contains(s, "Subject -1") || strings.Contains(s, "<img") || strings.Contains(s, "ZgotmplZ") {
		t.Errorf("the page has a subject that is none, a picture, or what the template refuses:\n%s", s)
	}
}

// A turn in which the emotion changes, or is not known for a while, has a part for each.
func TestEmotionsOfATurn(t *testing.T) {
	w := &timelineWriter{tiersWriter: tiersWriter{tiers: map[tierName][]annotation{
		{0, "emotion"}: {{0, ms(1000), "calm"}, {ms(1000), ms(2000), "happy"}, {ms(3000), ms(5000), "calm"}},
	}}}
	for want, c := range map[string]Turn{
		"[calm 500 1000] [happy 1000 2000] [ 2000 3000] [calm 3000 4000] ": {0, ms(500), ms(4000)},
		"[happy 1000 1500] ":             {0, ms(1000), ms(1500)},
		"[ 2000 2500] ":                  {0, ms(2000), ms(2500)},
		"[calm 4500 5000] [ 5000 6000] ": {0, ms(4500), ms(6000)},
		"[ 0 500] ":                      {1, 0, ms(500)},
		"[ 7000 8000] ":                  {0, ms(7000), ms(8000)},
	} {
		got := ""
		for _, p := range w.emotionsIn(c) {
			got += fmt.Sprintf("[%s %d %d] ", p.text, p.from.Milliseconds(), p.to.Milliseconds())
		}
		if got != want {
			t.Errorf("%v: %q, want %q", c, got, want)
		}
	}
}

// Of each subject the largest and most frontal face is kept, and it is on the page only if there are portraits.
func TestPortraits(t *testing.T) {
	frame := func(v byte) *capture.Frame {
		return &capture.Frame{Width: 200, Height: 200, Pix: bytes.Repeat([]byte{v, v / 2, 0}, 200*200)}
	}
	face := func(size, nose float64) []Tracked {
		return []Tracked{{3, Face{
			X: 40, Y: 40, W: size, H: size, Score: 0.9, LeftEye: Point{70, 80}, RightEye: Point{110, 80},
			Nose: Point{90 + nose, 100}, Mouth: Point{90, 120},
		}}}
	}
	var p Portraits
	p.see(frame(50), face(60, 0))
	p.see(frame(250), face(100, 0))  // the best
	p.see(frame(100), face(102, 0))  // hardly better
	p.see(frame(150), face(100, 15)) // turned away
	p.see(&capture.Frame{Width: 9, Height: 9}, face(150, 0))
	m, err := jpeg.Decode(bytes.NewReader(p.of(3)))
	if err != nil {
		t.Fatal(err)
	}
	if r, g, _, _ := m.At(50, 50).RGBA(); m.Bounds().Dx() != portraitSize || r>>8 < 240 || g>>8 > 140 {
		t.Errorf("%v, red %d and green %d: another picture than the best", m.Bounds(), r>>8, g>>8)
	}
	var b bytes.Buffer
	w := NewTimelineWriter(&b, &p)
	for _, e := range dialogueEvents("a.mp4") {
		if e.Window != nil && e.Window.Subject == 1 {
			e.Window.Subject = 3
		}
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	picture := "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(p.of(3))
	picture = strings.ReplaceAll(picture, "+", "&#43;")
	if n := strings.Count(b.String(), picture); n != 2 || strings.Count(b.String(), "<img") != 2 {
		t.Errorf("the picture stands %d times on the page, want twice:\n%s", n, b.String())
	}
	for i := range 2 * mostPortraits {
		f := face(60, 0)
		f[0].Subject = 10 + i
		p.see(frame(1), f)
	}
	if len(p.all) != mostPortraits {
		t.Errorf("%d portraits are kept", len(p.all))
	}
}

// The pipeline shows the faces that it follows to the portraits.
func TestRunKeepsPortraits(t *testing.T) {
	p := new(Portraits)
	cutWindows(t, dialogue(3*time.Second, 10), sides{true, true}, Options{Faces: 2, Portraits: p})
	if p.of(0) == nil || p.of(1) == nil || p.of(2) != nil || (*Portraits)(nil).of(0) != nil {
		t.Error("not every subject has a portrait, or one that was not there has")
	}
}
