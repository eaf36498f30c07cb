// Package window shows a run in a window on the screen. It and the camera are the only ones that need OpenCV.
package window

import (
	"image"
	"sync"
	"time"

	"tandem/capture"
	"tandem/overlay"
)

// chartMargin is how much longer than its chart shows a screen's timeline remembers, since the picture shown may be
// behind the newest result.
const chartMargin = 5 * time.Second

// Screen shows the pictures of a run, with what its timeline knows drawn in, and the chart below. Any goroutine may
// call Frame; Loop belongs to the process's first thread, since window toolkits ask for that.
type Screen struct {
	*overlay.Timeline
	size  image.Point // of the picture, as shown
	times int         // by how much small pictures are magnified
	chart int         // height of the chart below, and of who speaks above that
	o     *overlay.Overlay

	mu     sync.Mutex
	latest *capture.Frame
	fresh  bool
	since  time.Time // when it was opened
}

// NewScreen returns a screen for the input described by info. Loop opens its window.
func NewScreen(info capture.Info) *Screen {
	s := &Screen{Timeline: overlay.NewTimeline(overlay.ChartTime + chartMargin), since: time.Now()}
	w, h := info.Width, info.Height
	if !info.HasVideo || w == 0 || h == 0 {
		w, h = overlay.PlainWidth, overlay.PlainHeight
	}
	s.fit(w, h)
	return s
}

// fit lays the window out for pictures of a size.
func (s *Screen) fit(w, h int) {
	s.times = max(1, 480/max(min(w, h), 1))
	s.size = image.Pt(w*s.times, h*s.times)
	s.o = overlay.New(s.size.X, s.size.Y)
	s.chart = max(s.size.Y/4, 90) + s.o.SpeechHeight()
}

// Frame takes a picture, to be shown until the next.
func (s *Screen) Frame(f *capture.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest, s.fresh = f, true
}

// Loop opens the window, which takes a while in which the pipeline is at work already, and shows pictures as they come,
// until done is closed or the user closes the window. An error says why there is no window.
func (s *Screen) Loop(done <-chan struct{}) (closed bool, err error) {
	win, err := openWindow("tandem", s.size.X, s.size.Y+s.chart)
	if err != nil {
		return false, err
	}
	defer win.close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var plain time.Time
	for {
		select {
		case <-done:
			return false, nil
		case <-tick.C:
		}
		s.mu.Lock()
		f, fresh := s.latest, s.fresh
		s.fresh = false
		s.mu.Unlock()
		switch {
		case fresh:
			win.show(s.render(&overlay.Canvas{Pix: f.Pix, W: f.Width, H: f.Height}, f.Time))
		case f == nil && time.Since(plain) > 100*time.Millisecond:
			plain = time.Now()
			win.show(s.render(overlay.NewPlain(s.size.X/s.times, s.size.Y/s.times), time.Since(s.since)))
		}
		if !win.poll() {
			return true, nil
		}
	}
}

// render draws the window's contents for a picture of the media time t, which it leaves as it is.
func (s *Screen) render(picture *overlay.Canvas, t time.Duration) *overlay.Canvas {
	if picture.W*s.times != s.size.X || picture.H*s.times != s.size.Y {
		s.fit(picture.W, picture.H)
	}
	p := overlay.NewCanvas(s.size.X, s.size.Y+s.chart, overlay.Ink)
	p.CopyFrom(picture.Pix, picture.W, picture.H, s.times)
	scene := s.At(t).Scaled(float64(s.times))
	s.o.Draw(p, scene, t)
	below := image.Rect(0, s.size.Y, s.size.X, s.size.Y+s.chart)
	speech := below
	speech.Max.Y = below.Min.Y + s.o.SpeechHeight()
	s.o.Speech(p, speech, scene.Emotions, s.Spoken(t-overlay.ChartTime, t), t)
	below.Min.Y = speech.Max.Y
	s.o.Chart(p, below, scene.Emotions, s.Since(t-overlay.ChartTime, t), t)
	return p
}
