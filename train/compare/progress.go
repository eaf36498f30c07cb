package compare

import (
	"fmt"
	"sync"
	"time"

	"tandem/train"
)

// overall adds up the progress of all cells, and passes it and their lines of log on, one call at a time, whatever
// number of cells is under way.
type overall struct {
	report func(train.Progress)
	line   func(string)
	cells  int
	each   int // steps
	began  time.Time

	mu    sync.Mutex
	done  map[cell]int // steps, of the cells that were begun
	begin map[cell]int // of these, those that this process did not make
}

// newOverall begins with no cell begun, of as many as cells.
func newOverall(o *Options, cells int) *overall {
	return &overall{
		report: o.Progress, line: o.Log, cells: cells, each: o.Recipe.Epochs * o.Recipe.StepsPerEpoch,
		began: time.Now(),
		done:  map[cell]int{}, begin: map[cell]int{},
	}
}

// skip counts a cell that is finished already.
func (a *overall) skip(c cell) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at(c, a.each, a.each)
	a.report(train.Progress{Stage: "train", Done: a.sum(a.done), Total: a.cells * a.each, Text: c.String()})
}

// set takes a cell's progress into that of all.
func (a *overall) set(c cell, p train.Progress) {
	if p.Stage != "train" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at(c, p.Done, p.Done-1)
	done, total := a.sum(a.done), a.cells*a.each
	q := train.Progress{
		Stage: "train", Done: done, Total: total,
		Text: fmt.Sprintf("%d/%d %s, %s", len(a.done), a.cells, c, p.Text),
	}
	if made := done - a.sum(a.begin); made > 0 {
		q.Left = time.Since(a.began) / time.Duration(made) * time.Duration(total-done)
	}
	a.report(q)
}

// log passes on a cell's line of log.
func (a *overall) log(c cell, line string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.line(c.name() + ": " + line)
}

// at notes that a cell has done so many steps; before is how many of them another process made, if it is the first
// note.
func (a *overall) at(c cell, done, before int) {
	if _, ok := a.done[c]; !ok {
		a.begin[c] = before
	}
	a.done[c] = done
}

func (a *overall) sum(of map[cell]int) (n int) {
	for _, v := range of {
		n += v
	}
	return n
}
