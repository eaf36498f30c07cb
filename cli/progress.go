package cli

import (
	"time"

	"github.com/schollz/progressbar/v3"

	"tandem/train"
)

// progress is a bar on standard error, if that is a terminal; else it does nothing.
type progress struct {
	c     *console
	bar   *progressbar.ProgressBar
	stage string
	total int
}

func newProgress(c *console) *progress { return &progress{c: c} }

// set moves the bar; another stage or total begins a new one.
func (p *progress) set(stage, text string, done, total int) {
	if !p.c.errTTY || total <= 0 {
		return
	}
	if p.bar == nil || stage != p.stage || total != p.total {
		p.close()
		p.stage, p.total = stage, total
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(p.c.err), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetWidth(24), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetPredictTime(stage != "train"), // which says so itself
			progressbar.OptionShowCount(), progressbar.OptionSetDescription(stage))
	}
	if text != "" {
		p.bar.Describe(stage + " " + text)
	}
	p.bar.Set(min(done, total))
}

// training moves the bar to where a run is.
func (p *progress) training(t train.Progress) {
	text := t.Text
	if t.Left > 0 {
		text += ", " + t.Left.Round(time.Second).String() + " left"
	}
	p.set(t.Stage, text, t.Done, t.Total)
}

// log logs a line of a training above the bar.
func (p *progress) log(line string) {
	p.clear()
	p.c.log.Info(line)
}

// clear takes the bar off the screen until it is next set, so that a line can be written.
func (p *progress) clear() {
	if p.bar != nil {
		p.bar.Clear()
	}
}

// close takes the bar away.
func (p *progress) close() {
	if p.bar != nil {
		p.bar.Clear()
		p.bar = nil
	}
}
