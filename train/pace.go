package train

import (
	"fmt"
	"time"
)

// pace is how fast this process trains; what went before it resumed does not count.
type pace struct {
	began   time.Time // after the first step, which compiles the graph
	steps   int
	samples int
	perStep time.Duration // since it began
	rate    float64       // samples
}

// step counts a step of some samples that has just ended.
func (p *pace) step(samples int, now time.Time) {
	if p.began.IsZero() {
		p.began = now
		return
	}
	p.steps++
	p.samples += samples
	spent := now.Sub(p.began)
	p.perStep = spent / time.Duration(p.steps)
	if spent > 0 {
		p.rate = float64(p.samples) / spent.Seconds()
	}
}

// reportStep calls Progress for a step that has just ended.
func (r *run) reportStep(s stepResult, samples int) {
	r.pace.step(samples, time.Now())
	total := r.Recipe.Epochs * r.Recipe.StepsPerEpoch
	p := Progress{
		Stage: "train", Done: r.st.Step, Total: total, Left: r.pace.perStep * time.Duration(total-r.st.Step),
		Text: fmt.Sprintf("epoch %d: emotion %.3f gender %.3f, weights %.2f %.2f", r.st.Epoch+1, s.Emotion, s.Gender,
			s.Weights[0], s.Weights[1]),
	}
	if r.pace.rate > 0 {
		p.Text += fmt.Sprintf(", %.0f samples/s", r.pace.rate)
	}
	r.Progress(p)
}
