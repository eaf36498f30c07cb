package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem/infer"
	"tandem/webrtc/client"
)

// soak has tandem serve run with some sessions for a time, in which nothing may grow, and then does to it what happens
// to servers, case by case. After each case the sessions have to go on and all that the case took has to be given back.
type soak struct {
	soakOptions
	out io.Writer

	dir    string // for files
	clip   *client.Clip
	model  string // the file that the server has its model from
	server *server
	base   []*publisher // the sessions that last through all cases
	meter  meter
	level  sample // before the cases
}

// soakOptions are the flags.
type soakOptions struct {
	time, hold             time.Duration
	sessions, churn, swaps int
	bound                  float64
	only, results          string
}

func (o *soakOptions) parse(args []string) error {
	f := flag.NewFlagSet("benchserve soak", flag.ContinueOnError)
	f.DurationVar(&o.time, "time", time.Hour, "how long the sessions run before the cases; the first sixth warms up")
	f.IntVar(&o.sessions, "sessions", 8, "number of sessions at a time")
	f.Float64Var(&o.bound, "bound", 1, "growth in percent an hour, beyond which it fails")
	f.DurationVar(&o.hold, "hold", 15*time.Second, "how long a case's fault lasts")
	f.IntVar(&o.churn, "churn", 1000, "sessions that come and go in the case churn")
	f.IntVar(&o.swaps, "swaps", 20, "times that the model is swapped in the case swap")
	f.StringVar(&o.only, "cases", "", "cases to run, separated by commas (default: all)")
	f.StringVar(&o.results, "out", "", "folder for samples.csv and levels.svg (default: none)")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.time < 5*time.Second || o.hold < time.Second {
		return fmt.Errorf("-time %v, -hold %v: want 5 s and 1 s, or more", o.time, o.hold)
	}
	if o.sessions < 1 || o.churn < 1 || o.swaps < 1 || o.bound <= 0 {
		return fmt.Errorf("-sessions %d, -churn %d, -swaps %d, -bound %v: want more than 0",
			o.sessions, o.churn, o.swaps, o.bound)
	}
	_, err := o.cases()
	return err
}

// cases returns the cases to run, in their order.
func (o *soakOptions) cases() ([]chaosCase, error) {
	all := chaos()
	if o.only == "" {
		return all, nil
	}
	var chosen []chaosCase
	for name := range strings.SplitSeq(o.only, ",") {
		i := slices.IndexFunc(all, func(c chaosCase) bool { return c.name == strings.TrimSpace(name) })
		if i < 0 {
			var known []string
			for _, c := range all {
				known = append(known, c.name)
			}
			return nil, fmt.Errorf("-cases %q: known are %s", o.only, strings.Join(known, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// errSoak is returned for what the report has told already.
var errSoak = errors.New("the server did not stand it")

// runSoak prints the report as it goes.
func runSoak(ctx context.Context, args []string, out io.Writer) (err error) {
	s := soak{out: out}
	if err := s.parse(args); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "tandem-soak"); err != nil {
		return err
	}
	defer os.RemoveAll(s.dir)
	if s.clip, err = load(ctx, "", s.dir); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx) // kills a server that is left
	defer cancel()
	s.model = filepath.Join(s.dir, "model.onnx")
	if err := os.WriteFile(s.model, infer.DefaultModel(), 0o600); err != nil {
		return err
	}
	s.server, err = startServe(ctx, filepath.Join(s.dir, "log"), append([]string{"--model", s.model}, unbounded...)...)
	if err != nil {
		return err
	}
	err = s.run(ctx)
	if err != nil && !errors.Is(err, errSoak) {
		err = fmt.Errorf("%w\nthe end of the server's log:\n%s", err, tail(s.server.log(), 2000))
	}
	return errors.Join(err, s.save())
}

// tail returns the last n bytes of a text.
func tail(text string, n int) string { return text[max(0, len(text)-n):] }

// run is all of the soak, once the server stands.
func (s *soak) run(ctx context.Context) error {
	var sampling sync.WaitGroup
	metering, stop := context.WithCancel(ctx)
	sampling.Go(func() { s.meter.run(metering, s.server, max(time.Second, s.time/720)) })
	defer sampling.Wait()
	defer stop()
	defer func() { _ = closeAll(s.base) }() // of what the end has not ended
	s.meter.enter("steady")
	for i := range s.sessions {
		if err := errors.Join(s.open(ctx), sleep(ctx, spread)); err != nil {
			return fmt.Errorf("session %d: %w", i, err)
		}
	}
	if err := s.steady(ctx); err != nil {
		return err
	}
	flat := s.tellGrowth()
	cases, err := s.cases()
	if err != nil {
		return err
	}
	s.level = s.meter.latest("steady", 10)
	stood, err := s.stand(ctx, cases)
	if err != nil {
		return err
	}
	if !flat || !stood {
		return errSoak
	}
	return nil
}

// open opens one more of the sessions that last.
func (s *soak) open(ctx context.Context) error {
	p, err := dial(ctx, s.clip, client.Options{URL: s.server.url + "/whip"}, nil)
	if err == nil {
		s.base = append(s.base, p)
	}
	return err
}

// steady waits for the time to pass. What a server keeps of a session grows as long as that lasts, so each ends after a
// twelfth of the time, is erased, and is replaced: then all that grows does so for another reason.
func (s *soak) steady(ctx context.Context) error {
	end := time.Now().Add(s.time)
	turn := s.time / 12 / time.Duration(s.sessions)
	for {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		if err := sleep(ctx, min(left, max(turn, time.Second))); err != nil {
			return err
		}
		for _, p := range s.base {
			if err := p.failed(); err != nil {
				return err
			}
		}
		if turn < minTurn || time.Until(end) < turn {
			continue
		}
		oldest := s.base[0]
		s.base = s.base[1:]
		if err := errors.Join(oldest.close(), erase(ctx, oldest.URL()), s.open(ctx)); err != nil {
			return fmt.Errorf("replacing a session: %w", err)
		}
	}
}

// minTurn is the least time between two sessions' ends: in a soak that is too short for it all of them last.
const minTurn = 4 * time.Second

// stand runs the cases and the server's end, and prints a row for each. It reports whether all went well.
func (s *soak) stand(ctx context.Context, cases []chaosCase) (bool, error) {
	fmt.Fprint(s.out, "\n| case | expected | what came | seconds | MB | goroutines | descriptors | |\n"+
		"|-|-|-|-:|-:|-:|-:|-|\n")
	fmt.Fprintf(s.out, "| before | | | | %.0f | %.0f | %.0f | |\n", s.level.memory, s.level.goroutines,
		s.level.descriptors)
	stood := true
	for _, c := range cases {
		s.meter.enter(c.name)
		began := time.Now()
		came, err := c.run(s, ctx)
		took := time.Since(began)
		now, left := s.recovered(ctx)
		err = errors.Join(err, left)
		if cause := context.Cause(ctx); cause != nil {
			return false, cause
		}
		verdict := "ok"
		if err != nil {
			stood = false
			verdict = "FAILED: " + oneLine(err)
		}
		fmt.Fprintf(s.out, "| %s | %s | %s | %.0f | %.0f | %.0f | %.0f | %s |\n", c.name, c.expected(s), came,
			took.Seconds(), now.memory, now.goroutines, now.descriptors, verdict)
	}
	s.meter.enter("end")
	came, err := s.end()
	verdict := "ok"
	if err != nil {
		stood = false
		verdict = "FAILED: " + oneLine(err)
	}
	fmt.Fprintf(s.out, "| end | SIGTERM: end events, status 0, within %v | %s | | | | | %s |\n", endTime, came, verdict)
	return stood, nil
}

// save writes the samples, if there is a folder for them.
func (s *soak) save() error {
	if s.results == "" {
		return nil
	}
	if err := os.MkdirAll(s.results, 0o755); err != nil {
		return err
	}
	var csv strings.Builder
	s.meter.csv(&csv)
	svg, err := s.meter.svg()
	return errors.Join(err,
		os.WriteFile(filepath.Join(s.results, "samples.csv"), []byte(csv.String()), 0o644),
		os.WriteFile(filepath.Join(s.results, "levels.svg"), svg, 0o644))
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
