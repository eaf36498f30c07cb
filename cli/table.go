package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"tandem/capture"
	"tandem/overlay"
	"tandem/pipeline"
)

// redrawEvery bounds how often a terminal is redrawn.
const redrawEvery = 100 * time.Millisecond

// table shows a run for people. On a terminal it is a block with bars that is redrawn in place, and a summary at
// the end; else a row for each window, and the same summary.
type table struct {
	w             io.Writer
	live          bool // redrawn in place
	width, height func() int

	info    capture.Info
	start   *pipeline.StartEvent
	began   time.Time
	drawn   time.Time
	latest  map[int]*pipeline.WindowEvent // by subject
	lines   int                           // of the block on the screen
	pending bool                          // a run is under way
}

func newTable(c *console) *table {
	return &table{w: c.out, live: c.outTTY, width: c.width, height: c.height}
}

func (t *table) begin(info capture.Info) {
	t.info, t.start, t.latest, t.began, t.drawn = info, nil, map[int]*pipeline.WindowEvent{}, time.Now(), time.Time{}
}

func (t *table) event(e pipeline.Event) error {
	switch {
	case e.Start != nil:
		t.start = e.Start
		t.pending = true
		if !t.live {
			return t.write(t.title() + "\n       t  subject  emotion            gender           senses\n")
		}
	case e.Window != nil:
		if !t.live {
			return t.write(windowRow(e.Window))
		}
		t.latest[e.Window.Subject] = e.Window
		maps.DeleteFunc(t.latest, func(_ int, w *pipeline.WindowEvent) bool {
			return e.Window.T-w.T > overlay.HoldResult
		})
		if now := time.Now(); now.Sub(t.drawn) >= redrawEvery {
			t.drawn = now
			return t.draw(e.Window.T)
		}
	case e.End != nil:
		t.pending = false
		if err := t.erase(); err != nil {
			return err
		}
		return t.write(t.summary(e.End))
	}
	return nil
}

// abandon takes the block off the screen if the run broke off.
func (t *table) abandon() {
	if t.pending {
		t.pending = false
		t.erase()
	}
}

func (t *table) write(s string) error {
	_, err := io.WriteString(t.w, s)
	return err
}

func (t *table) erase() error {
	n := t.lines
	t.lines = 0
	if n == 0 {
		return nil
	}
	return t.write(fmt.Sprintf("\x1b[%dA\x1b[J", n))
}

// title names the input and what it has.
func (t *table) title() string {
	var has []string
	if i := t.info; i.HasVideo {
		s := "video"
		if i.Still {
			s = "a picture of"
		}
		if i.Width > 0 {
			s += fmt.Sprintf(" %d×%d", i.Width, i.Height)
		}
		if i.FPS > 0 && !i.Still {
			s += fmt.Sprintf(" at %.4g/s", i.FPS)
		}
		has = append(has, s)
	}
	if t.info.HasAudio {
		has = append(has, "sound")
	}
	return t.info.Name + ": " + strings.Join(has, " and ")
}

// draw redraws the block for the moment at.
func (t *table) draw(at time.Duration) error {
	width := min(max(t.width()-1, 20), 100)
	lines := []string{t.title(), t.position(at)}
	for _, k := range slices.Sorted(maps.Keys(t.latest)) {
		lines = append(lines, "")
		lines = append(lines, t.subject(t.latest[k], width)...)
	}
	if room := max(t.height()-1, 2); len(lines) > room {
		lines = lines[:room]
	}
	b := &strings.Builder{}
	if t.lines > 0 {
		fmt.Fprintf(b, "\x1b[%dA", t.lines)
	}
	for _, l := range lines {
		b.WriteString(cutOff(l, width) + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	t.lines = len(lines)
	return t.write(b.String())
}

// cutOff shortens a line, whose runes are all one column wide and which may hold colours, to a width: a line that
// wraps would spoil the redrawing.
func cutOff(s string, width int) string {
	n, inside, cut := 0, false, false
	b := &strings.Builder{}
	for _, r := range s {
		switch {
		case r == '\x1b':
			inside = true
			b.WriteRune(r)
		case inside:
			inside = r != 'm'
			b.WriteRune(r)
		case n < width:
			n++
			b.WriteRune(r)
		default:
			cut = true
		}
	}
	if cut {
		b.WriteString("\x1b[0m")
	}
	return b.String()
}

func (t *table) position(at time.Duration) string {
	took := time.Since(t.began).Seconds()
	speed := fmt.Sprintf("%.1f× real time", at.Seconds()/max(took, 1e-3))
	if d := t.info.Duration; d > 0 {
		part := min(at.Seconds()/d.Seconds(), 1)
		return fmt.Sprintf("%s %3.0f %%  %.1f of %.1f s, %s",
			barOf(part, 20), 100*part, at.Seconds(), d.Seconds(), speed)
	}
	if t.info.Live {
		return fmt.Sprintf("%.1f s", at.Seconds())
	}
	return fmt.Sprintf("%.1f s, %s", at.Seconds(), speed)
}

// subject is the block of one subject.
func (t *table) subject(w *pipeline.WindowEvent, width int) []string {
	head := fmt.Sprintf("subject %d  %s%s", w.Subject, modalitiesOf(w), firstLook(w))
	if w.Latency != nil {
		head += fmt.Sprintf("  %d ms", w.Latency.Milliseconds())
	}
	lines := []string{head}
	rows := func(labels []string, s *pipeline.Scores) {
		for _, l := range labels {
			if s == nil {
				lines = append(lines, fmt.Sprintf("  %-10s", l))
				continue
			}
			p := s.P.P(l)
			line := fmt.Sprintf("  %-10s %s %.2f", l, barOf(p, max(width-20, 5)), p)
			if s.Label == l {
				line = "\x1b[1m" + line + "\x1b[0m"
			}
			lines = append(lines, line)
		}
	}
	rows(t.start.Emotions, w.Emotion)
	rows(t.start.Genders, w.Gender)
	return lines
}

// barOf is a bar of n columns, full at 1, to an eighth of a column.
func barOf(part float64, n int) string {
	if !(part > 0) {
		part = 0
	}
	eighths := int(math.Round(min(part, 1) * float64(8*n)))
	s := strings.Repeat("█", eighths/8)
	if r := eighths % 8; r > 0 {
		s += string([]rune("▏▎▍▌▋▊▉")[r-1])
	}
	return s + strings.Repeat(" ", n-len([]rune(s)))
}

func modalitiesOf(w *pipeline.WindowEvent) string {
	switch {
	case w.Audio && w.Video:
		return "voice and face"
	case w.Audio:
		return "voice"
	case w.Video:
		return "face"
	}
	return "neither voice nor face"
}

// firstLook says of how little an answer is that comes before a window is full.
func firstLook(w *pipeline.WindowEvent) string {
	if w.Covered == 0 {
		return ""
	}
	return fmt.Sprintf(", first look (%.2f s)", w.Covered.Seconds())
}

func labelOf(s *pipeline.Scores) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%-10s %.2f", s.Label, s.P.P(s.Label))
}

func windowRow(w *pipeline.WindowEvent) string {
	return fmt.Sprintf("%8.2f  %7d  %-17s  %-15s  %s%s\n",
		w.T.Seconds(), w.Subject, labelOf(w.Emotion), labelOf(w.Gender), modalitiesOf(w), firstLook(w))
}

// summary sums a run up.
func (t *table) summary(e *pipeline.EndEvent) string {
	b := &strings.Builder{}
	if t.live {
		b.WriteString(t.title() + "\n")
	}
	switch {
	case e.Windows == 0:
		b.WriteString("  no answer\n")
	case len(e.Summary) == 0:
		b.WriteString("  neither a face nor a voice was found\n")
	}
	for _, k := range slices.Sorted(maps.Keys(e.Summary)) {
		s := e.Summary[k]
		fmt.Fprintf(b, "  subject %d:", k)
		if s.Emotion != nil {
			top := slices.Clone(s.Emotion.P)
			slices.SortStableFunc(top, func(a, b pipeline.Class) int { return cmp.Compare(b.P, a.P) })
			for i, c := range top[:min(3, len(top))] {
				if i > 0 {
					b.WriteString(",")
				}
				fmt.Fprintf(b, " %s %.2f", c.Label, c.P)
			}
		}
		if s.Gender != nil {
			fmt.Fprintf(b, "; %s %.2f", s.Gender.Label, s.Gender.P.P(s.Gender.Label))
		}
		b.WriteString("\n")
	}
	return b.String()
}
