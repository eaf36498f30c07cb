package cli

import (
	"fmt"
	"io"
	"time"

	"tandem/capture"
	"tandem/pipeline"
)

// reporter writes a command's results to standard output in the format chosen, and shows on a terminal how far it
// is. One may serve several runs, one after the other. It is for one goroutine.
type reporter struct {
	c      *console
	events pipeline.EventWriter // nil: the table
	table  *table
	bar    *progress
	info   capture.Info
}

// newReporter returns a reporter of a format, "" being the table on a terminal and else jsonl. raw is for csv and
// parquet: see pipeline.NewCSVWriter.
func newReporter(c *console, format string, raw bool) *reporter {
	r := &reporter{c: c, bar: newProgress(c)}
	if format == "" {
		format = "jsonl"
		if c.outTTY {
			format = "table"
		}
	}
	switch format {
	case "jsonl":
		r.events = pipeline.NewJSONLWriter(c.out)
	case "csv":
		r.events = pipeline.NewCSVWriter(c.out, raw)
	case "parquet":
		r.events = pipeline.NewParquetWriter(c.out, raw)
	case "textgrid":
		r.events = pipeline.NewTextGridWriter(c.out)
	case "eaf":
		r.events = pipeline.NewELANWriter(c.out)
	case "rttm":
		r.events = pipeline.NewRTTMWriter(c.out)
	default:
		r.table = newTable(c)
	}
	return r
}

// begin starts a run.
func (r *reporter) begin(info capture.Info) {
	r.info = info
	if r.table != nil {
		r.table.begin(info)
	}
}

// event takes the run's next event.
func (r *reporter) event(e pipeline.Event) error {
	if e.Window != nil && !(r.table != nil && r.table.live) {
		r.bar.set(r.info.Name, "", int(e.Window.T/time.Millisecond), int(r.info.Duration/time.Millisecond))
	}
	if e.End != nil {
		r.bar.close()
	}
	if r.table != nil {
		return r.table.event(e)
	}
	return r.events.Write(e)
}

// end closes a run, whether it came to its end event or not.
func (r *reporter) end() {
	r.bar.close()
	if r.table != nil {
		r.table.abandon()
	}
}

// close ends the results when all runs are over: a format may have a footer.
func (r *reporter) close() error {
	if c, ok := r.events.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// checkTerminal refuses formats that are not for a terminal.
func checkTerminal(c *console, format string) error {
	if format == "parquet" && c.outTTY {
		return badUsage("--format parquet is not for a terminal: write it to a file, as by > results.parquet")
	}
	return nil
}

// summary is one line on how a run went.
func summary(info capture.Info, s pipeline.Stats) string {
	line := fmt.Sprintf("%s: %.1f s of media in %.1f s", info.Name, s.Media.Seconds(), s.Elapsed.Seconds())
	if s.Elapsed > 0 && !info.Live {
		line += fmt.Sprintf(" (%.1f× real time)", s.Media.Seconds()/s.Elapsed.Seconds())
	}
	return line + fmt.Sprintf(", %d windows; dropped %d frames, %d samples, %d windows",
		s.Windows, s.Dropped.Frames, s.Dropped.Samples, s.Dropped.Windows)
}
