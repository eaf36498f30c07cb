package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tandem/infer"
	"tandem/webrtc/client"
)

// chaosCase is something that happens to a server. run has it happen and returns a line for the report; its error names
// a broken expectation. That the sessions that last go on, and all is given back, is looked at after each.
type chaosCase struct {
	name     string
	expected func(s *soak) string
	run      func(s *soak, ctx context.Context) (came string, err error)
}

func chaos() []chaosCase {
	says := func(text string) func(*soak) string { return func(*soak) string { return text } }
	return []chaosCase{
		{"churn", func(s *soak) string {
			return fmt.Sprintf("%d sessions come, get a window and go: erased, ended, or without a word", s.churn)
		}, (*soak).comeAndGo},
		{"loss-5", says("5 % of packets lost both ways: 70 % of the windows"), losing(5, .7)},
		{"loss-20", says("20 % lost: 40 % of the windows, both senses again after it"), losing(20, .4)},
		{
			"readers", says("16 readers of server-sent events that read nothing: the session has its windows"),
			(*soak).stopReading,
		},
		{
			"clocks", says("a client's RTP and wall clock jump by an hour and back: both senses within 15 s each time"),
			(*soak).jump,
		},
		{
			"disk", says("full under the log: sessions go on; under --record-events: one line, status 1, whole events"),
			(*soak).fillDisk,
		},
		{"stop", says("SIGSTOP for 5 s, SIGCONT: no session ends"), (*soak).freeze},
		{"swap", func(s *soak) string {
			return fmt.Sprintf("the model is swapped %d times by SIGHUP: no session ends", s.swaps)
		}, (*soak).swapModels},
	}
}

// Bounds on what stays after a case.
const (
	recoverTime = time.Minute // a session whose last packet was lost takes 45 s to be given up
	moreMemory  = 1.5         // times the level before
	moreOthers  = 6           // goroutines, and descriptors: HTTP connections that are kept for a while
	endTime     = 8 * time.Second
)

// recovered waits until the server is as before: it answers, all sessions that last get windows, and what it holds is
// back at its level. It returns the last that was seen, and what is not as before.
func (s *soak) recovered(ctx context.Context) (now sample, err error) {
	had := make([]int64, len(s.base))
	for i, p := range s.base {
		had[i] = p.windows.Load()
	}
	end := time.Now().Add(recoverTime)
	for {
		now, err = s.missing(ctx, had)
		if err == nil || time.Now().After(end) || ctx.Err() != nil {
			return now, err
		}
		_ = sleep(ctx, 250*time.Millisecond)
	}
}

// missing returns what is not as before; had are the windows that the sessions had.
func (s *soak) missing(ctx context.Context, had []int64) (sample, error) {
	var faults []error
	for i, p := range s.base {
		if err := p.failed(); err != nil {
			faults = append(faults, err)
		} else if p.windows.Load() < had[i]+4 {
			faults = append(faults, fmt.Errorf("session %d gets no windows", i+1))
		}
	}
	health, err := s.server.get(ctx, "/healthz")
	if err != nil {
		return sample{}, errors.Join(append(faults, err)...)
	}
	health.Close()
	now, err := s.server.sample(ctx)
	if err != nil {
		return now, errors.Join(append(faults, err)...)
	}
	check := func(what string, got, most float64) {
		if got > most {
			faults = append(faults, fmt.Errorf("%.0f %s, at most %.0f were expected", got, what, most))
		}
	}
	check("sessions", now.sessions, float64(s.sessions))
	check("goroutines", now.goroutines, s.level.goroutines+moreOthers)
	check("descriptors", now.descriptors, s.level.descriptors+moreOthers)
	check("MB", now.memory, s.level.memory*moreMemory)
	return now, errors.Join(faults...)
}

// wait waits until ok, and returns an error that names what was waited for if that is not in time.
func wait(ctx context.Context, what string, bound time.Duration, ok func() bool) error {
	for end := time.Now().Add(bound); !ok(); {
		if time.Now().After(end) {
			return fmt.Errorf("no %s in %v", what, bound)
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// erase erases what the server keeps of a session that has ended.
func erase(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodDelete, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("erasing a session: %s", resp.Status)
	}
	return nil
}

// wordless is a client's HTTP that can't say that it goes.
type wordless struct{ http.RoundTripper }

var errWordless = errors.New("no DELETE")

func (w wordless) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodDelete {
		return nil, errWordless
	}
	return w.RoundTripper.RoundTrip(r)
}

// comers are the sessions that come and go at a time.
const comers = 4

// comeAndGo is the case churn.
func (s *soak) comeAndGo(ctx context.Context) (string, error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	faults := make([]error, s.churn)
	began := time.Now()
	before, err := s.server.sample(ctx)
	if err != nil {
		return "", err
	}
	for range comers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < s.churn && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				faults[i] = s.visit(ctx, i)
			}
		})
	}
	wg.Wait()
	faults = slices.DeleteFunc(faults, func(err error) bool { return err == nil })
	failed := len(faults)
	var first error
	if failed > 0 {
		first = fmt.Errorf("%d failed, the first by: %w", failed, faults[0])
	}
	after, err := s.server.sample(ctx)
	came := fmt.Sprintf("%d of %d, %.1f a second; %+.0f MB", s.churn-failed, s.churn,
		float64(s.churn)/time.Since(began).Seconds(), after.memory-before.memory)
	return came, errors.Join(first, err)
}

// visit is one session of churn.
func (s *soak) visit(ctx context.Context, i int) error {
	o := client.Options{URL: s.server.url + "/whip"}
	if i%3 == 2 {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		defer transport.CloseIdleConnections()
		o.HTTP = &http.Client{Transport: wordless{transport}}
	}
	p, err := dial(ctx, s.clip, o, nil)
	if err != nil {
		return err
	}
	err = wait(ctx, "window", 20*time.Second, func() bool { return p.windows.Load() > 0 })
	gone := p.close()
	if errors.Is(gone, errWordless) {
		gone = nil
	}
	err = errors.Join(err, gone)
	if i%3 == 0 && err == nil {
		err = erase(ctx, p.URL())
	}
	return err
}

// losing returns the case of a loss in percent.
func losing(percent int32, share float64) func(*soak, context.Context) (string, error) {
	return func(s *soak, ctx context.Context) (string, error) { return s.lose(ctx, percent, share) }
}

// lose is a case of loss: two sessions have it for a time, and get a share of the windows that others get.
func (s *soak) lose(ctx context.Context, percent int32, share float64) (string, error) {
	net, err := newLossyNet()
	if err != nil {
		return "", err
	}
	var list []*publisher
	defer func() { _ = closeAll(list) }()
	for range 2 {
		// A reliable channel would wait for what is lost.
		p, err := dial(ctx, s.clip, client.Options{
			URL: s.server.url + "/whip", Net: net, Channel: client.LossyChannel,
		}, nil)
		if err != nil {
			return "", err
		}
		list = append(list, p)
		if err := wait(ctx, "window", 20*time.Second, func() bool { return p.both.Load() > 0 }); err != nil {
			return "", err
		}
	}
	net.percent.Store(percent)
	theirs, others := windows(list), windows(s.base)
	if err := sleep(ctx, s.hold); err != nil {
		return "", err
	}
	got := float64(windows(list)-theirs) / float64(len(list))
	want := float64(windows(s.base)-others) / float64(len(s.base))
	net.percent.Store(0)
	came := fmt.Sprintf("%.0f %% of the windows of sessions without loss", 100*got/want)
	var faults []error
	if got < share*want {
		faults = append(faults, errors.New("too few windows"))
	}
	for _, p := range list {
		faults = append(faults, sees(ctx, p))
	}
	return came, errors.Join(faults...)
}

// windows returns how many sessions have got, all together.
func windows(list []*publisher) (n int64) {
	for _, p := range list {
		n += p.windows.Load()
	}
	return n
}

// sees waits until a session gets windows with both senses.
func sees(ctx context.Context, p *publisher) error {
	had := p.both.Load()
	return wait(ctx, "windows with both senses", 15*time.Second, func() bool { return p.both.Load() >= had+4 })
}

// jump is the case clocks. The server's own clock is the machine's, which others need, so that it is the client's that
// jumps: by its RTP times, by its sender reports, and by both.
func (s *soak) jump(ctx context.Context) (string, error) {
	p, err := dial(ctx, s.clip, client.Options{URL: s.server.url + "/whip"}, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = p.close() }()
	if err := sees(ctx, p); err != nil {
		return "", err
	}
	var slowest time.Duration
	for _, by := range []struct{ rtp, wall time.Duration }{
		{time.Hour, 0}, {0, 0}, {0, time.Hour}, {0, -time.Hour}, {-time.Hour, time.Hour}, {0, 0},
	} {
		p.ShiftClocks(by.rtp, by.wall)
		began := time.Now()
		if err := sees(ctx, p); err != nil {
			return "", fmt.Errorf("RTP times off by %v, reports by %v: %w", by.rtp, by.wall, err)
		}
		slowest = max(slowest, time.Since(began))
		if by.wall == 0 {
			continue
		}
		if err := sleep(ctx, 1500*time.Millisecond); err != nil { // until a sender report has come
			return "", err
		}
	}
	return fmt.Sprintf("six jumps, the slowest over after %.1f s (4 windows)", slowest.Seconds()), sees(ctx, p)
}

// freeze is the case stop.
func (s *soak) freeze(ctx context.Context) (string, error) {
	if err := s.server.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return "", err
	}
	err := sleep(ctx, 5*time.Second)
	had := s.base[0].windows.Load()
	began := time.Now()
	err = errors.Join(err, s.server.cmd.Process.Signal(syscall.SIGCONT))
	if err == nil {
		err = wait(ctx, "windows", 20*time.Second, func() bool { return s.base[0].windows.Load() >= had+8 })
	}
	return fmt.Sprintf("8 windows %.1f s after it", time.Since(began).Seconds()), err
}

// swapModels is the case swap: two files that differ in nothing but their name for the version, in turns.
func (s *soak) swapModels(ctx context.Context) (string, error) {
	before, err := s.server.sample(ctx)
	if err != nil {
		return "", err
	}
	for i := range s.swaps {
		b := infer.DefaultModel()
		if i%2 == 0 {
			// ModelProto.model_version: of a field that comes twice the last counts.
			b = append(b[:len(b):len(b)], 5<<3, 2)
		}
		next := s.model + ".next"
		if err := errors.Join(os.WriteFile(next, b, 0o600), os.Rename(next, s.model),
			s.server.cmd.Process.Signal(syscall.SIGHUP)); err != nil {
			return "", err
		}
		done := func() bool { return strings.Count(s.server.log(), "reloaded what=model") > i }
		if err := wait(ctx, "swap", 30*time.Second, done); err != nil {
			return "", err
		}
	}
	after, err := s.server.sample(ctx)
	return fmt.Sprintf("%d swaps, %+.0f MB", s.swaps, after.memory-before.memory), err
}

// end ends the server while sessions run.
func (s *soak) end() (string, error) {
	took, err := s.server.stop()
	if took > endTime {
		err = errors.Join(err, errors.New("too late"))
	}
	ends := 0
	for i, p := range s.base {
		select {
		case <-p.Done():
		case <-time.After(closeTime):
			err = errors.Join(err, fmt.Errorf("session %d does not notice", i+1))
		}
		p.wg.Wait() // for the events that are queued
		if p.ended.Load() {
			ends++
		}
	}
	if ends < len(s.base) {
		err = errors.Join(err, errors.New("end events are missing"))
	}
	return fmt.Sprintf("%d of %d end events, %.1f s", ends, len(s.base), took.Seconds()), err
}
