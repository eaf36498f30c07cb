package cli

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"tandem/train"
)

// sayEvery is how often progress logs a line where there is no terminal. A variable for tests.
var sayEvery = time.Minute

// progress is a bar on standard error, if that is a terminal. Else, if loggedProgress made it, it logs where things are
// once a minute, also while nothing moves.
type progress struct {
	c     *console
	bar   *progressbar.ProgressBar
	stage string
	total int

	mu      sync.Mutex
	line    string        // what is to be logged next, "" for nothing
	stopped chan struct{} // closed by close; nil: nothing is logged
	done    sync.WaitGroup
}

func newProgress(c *console) *progress { return &progress{c: c} }

// loggedProgress is that of commands that run for hours; close must be called.
func loggedProgress(c *console) *progress {
	p := newProgress(c)
	if !c.errTTY {
		p.stopped = make(chan struct{})
		p.done.Go(p.say)
	}
	return p
}

// say logs the line as it is once a minute.
func (p *progress) say() {
	tick := time.NewTicker(sayEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.stopped:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		line := p.line
		p.mu.Unlock()
		if line != "" {
			p.c.log.Info(line)
		}
	}
}

// set moves the bar; another stage or total begins a new one.
func (p *progress) set(stage, text string, done, total int) {
	if total <= 0 {
		return
	}
	if !p.c.errTTY {
		line := fmt.Sprintf("%s %d/%d", stage, done, total)
		if text != "" {
			line += ": " + text
		}
		p.mu.Lock()
		p.line = line
		p.mu.Unlock()
		return
	}
	if p.bar == nil || stage != p.stage || total != p.total {
		p.endBar()
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

// endBar takes the bar away.
func (p *progress) endBar() {
	if p.bar != nil {
		p.bar.Clear()
		p.bar = nil
	}
}

// close takes the bar away, and ends the lines.
func (p *progress) close() {
	p.endBar()
	if p.stopped != nil {
		close(p.stopped)
		p.done.Wait()
		p.stopped = nil
	}
}
