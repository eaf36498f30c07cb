// Package agent makes tandem a worker of LiveKit: it registers with a LiveKit server, is given jobs by its load, joins
// rooms, and has the streams of a webrtc.Server recognise what participants publish. LiveKit is a source of tracks and
// a sink of events; all between is as in tandem serve.
package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/nats-io/nats.go"

	"tandem/webrtc"
	"tandem/webrtc/webhook"
)

// Topic is that of the data packets with events.
const Topic = "tandem.v1"

// Recipients of events besides the identities of participants.
const (
	ToAll       = "all"       // everyone in the room
	ToPublisher = "publisher" // whom the events are about
)

const (
	// leaveTime bounds the wait for jobs to leave their rooms at the end.
	leaveTime = 8 * time.Second
	// offerTime is how long a place is kept for a job that was accepted and not assigned yet: longer than the server's
	// own bound, 10 s.
	offerTime = 15 * time.Second
)

// Why jobs and sessions end. Logs get their text.
var (
	errShutdown   = errors.New("the agent is shutting down")
	errTerminated = errors.New("the server ended the job")
	errLeft       = errors.New("the participant has left")
	errWithdrawn  = errors.New("the participant no longer consents")
	errRejoined   = errors.New("the participant has joined anew")
)

// ErrRefused is returned by Run if the server refuses the key and secret.
var ErrRefused = errors.New("the LiveKit server refuses the API key or secret")

// ErrHung is returned by Run for jobs that did not end in time. They use the Server still.
var ErrHung = errors.New("some jobs did not end in time")

// Options of an Agent. URL, Key, Secret and Server are needed.
type Options struct {
	URL         string // of the LiveKit server: ws, wss, http or https
	Key, Secret string
	Server      *webrtc.Server // has the streams; the caller's to close, after Run

	PerRoom     bool     // one job a room, for all who publish in it; else one for each of them
	Shown       bool     // others see the agent in the room; else it is hidden
	To          []string // who gets the events: ToAll, ToPublisher, identities; nil is ToPublisher
	Consent     Consent
	MaxSessions int           // participants at a time; webrtc.DefaultSessionsPerCore a core if 0
	Drain       time.Duration // how long jobs may go on by themselves when the agent is to end
	CropSize    int           // side of the crops that the recognizer reads, in pixels; chooses among simulcast layers
	Attributes  bool          // set attributes of the participants
	Webhook     string        // URL that gets each event; "" for none
	NATS        string        // URL of a NATS server that gets each event; "" for none
	Subject     string        // what their subjects begin with; "" for DefaultSubject
	Log         *slog.Logger  // nil for none
}

// Agent is a worker. Make one with New and call Run once.
type Agent struct {
	o    Options
	log  *slog.Logger
	api  *lksdk.RoomServiceClient
	hook *webhook.Poster  // nil for none
	nats *nats.Conn       // nil for none
	work func(*job) error // does a job; tests replace it

	changed chan struct{} // capacity 1: the server is to hear of the state

	mu       sync.Mutex
	jobs     map[jobKey]*job
	offers   map[string]*time.Timer // jobs that were accepted, by their ids: they hold places
	used     int                    // places
	draining bool
	conn     *connection // nil while there is none
	wg       sync.WaitGroup
}

// Check refuses a URL that is none of a LiveKit server, and a key without its secret.
func (o Options) Check() error {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || !slices.Contains([]string{"ws", "wss", "http", "https"}, u.Scheme) {
		return fmt.Errorf("LiveKit URL %q: want one such as wss://livekit.example.org", o.URL)
	}
	if o.Key == "" || o.Secret == "" {
		return errors.New("a LiveKit API key and its secret are needed")
	}
	return nil
}

// New makes an Agent.
func New(o Options) (*Agent, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if len(o.To) == 0 {
		o.To = []string{ToPublisher}
	}
	o.Subject = cmp.Or(o.Subject, DefaultSubject)
	o.MaxSessions = cmp.Or(o.MaxSessions, webrtc.DefaultSessionsPerCore*runtime.GOMAXPROCS(0))
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	quiet(o.Log)
	a := &Agent{
		o: o, log: o.Log, changed: make(chan struct{}, 1),
		api:  lksdk.NewRoomServiceClient(o.URL, o.Key, o.Secret),
		jobs: map[jobKey]*job{}, offers: map[string]*time.Timer{},
	}
	if o.Webhook != "" {
		a.hook = webhook.NewPoster(o.Webhook, signLiveKit(o.Key, o.Secret))
	}
	a.work = func(j *job) error { return j.attend() }
	return a, nil
}

// Run works until ctx ends, then drains and returns nil. It returns ErrRefused if the server does not know the key.
func (a *Agent) Run(ctx context.Context) error {
	if !a.o.Consent.Required() {
		a.log.Warn("CONSENT IS NOT ASKED FOR: every participant who publishes is analysed; " +
			"you must have their consent by other means")
	}
	if a.o.NATS != "" {
		c, err := openNATS(a.o.NATS, a.log)
		if err != nil {
			return fmt.Errorf("NATS: %w", err)
		}
		a.nats = c
		defer closeNATS(c)
	}
	registered, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	gone := make(chan error, 1)
	go func() { gone <- a.stayRegistered(registered) }()
	adopting, stopAdopting := context.WithCancel(ctx)
	defer stopAdopting()
	a.wg.Go(func() { a.adopt(adopting) })
	var refused error
	select {
	case refused = <-gone:
	case <-ctx.Done():
	}
	stopAdopting()
	err := a.drain(refused != nil)
	stop()
	if refused == nil {
		<-gone
	}
	if a.hook != nil {
		a.hook.Close()
	}
	return errors.Join(refused, err)
}

// drain takes no more jobs, lets those that run go on for a while unless it is to be now, and ends them.
func (a *Agent) drain(now bool) error {
	a.mu.Lock()
	a.draining = true
	a.mu.Unlock()
	a.tell()
	done := make(chan struct{})
	go func() { a.wg.Wait(); close(done) }()
	wait := a.o.Drain
	if now {
		wait = 0
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	a.mu.Lock()
	for _, j := range a.jobs {
		j.cancel(errShutdown)
	}
	for id, t := range a.offers {
		t.Stop()
		delete(a.offers, id)
	}
	a.mu.Unlock()
	timer.Reset(leaveTime)
	select {
	case <-done:
		return nil
	case <-timer.C:
		return ErrHung
	}
}

// tell has the server told of the agent's state, soon.
func (a *Agent) tell() {
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// state returns what the server is told. A place that is taken counts as load before the recognizer has felt it, or
// many jobs that come at once would all go to one agent; but below what LiveKit takes for too much (agents.target_load,
// 0.7), which only the recognizer's own time may reach.
func (a *Agent) state() *livekit.UpdateWorkerStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &livekit.UpdateWorkerStatus{Status: livekit.WorkerStatus_WS_AVAILABLE.Enum(), JobCount: uint32(len(a.jobs))}
	if a.draining || a.used >= a.o.MaxSessions {
		s.Status = livekit.WorkerStatus_WS_FULL.Enum()
	}
	s.Load = float32(max(a.o.Server.Load(), 0.69*float64(a.used)/float64(a.o.MaxSessions)))
	return s
}

// take takes a place for a participant, if there is one.
func (a *Agent) take() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.draining || a.used >= a.o.MaxSessions {
		return false
	}
	a.used++
	return true
}

// give gives a place back.
func (a *Agent) give() {
	a.mu.Lock()
	a.used--
	a.mu.Unlock()
	a.tell()
}

// jobKey tells jobs apart: there is one for a participant, or for a room.
type jobKey struct {
	room   string
	target string // identity of the participant; "" for all of the room
}

// start begins a job, whose place, if it is for one participant, has been taken. It gives the place back and does
// nothing if that job is being done already, or the agent drains.
func (a *Agent) start(j *job) {
	a.mu.Lock()
	_, done := a.jobs[j.key]
	if done || a.draining {
		a.mu.Unlock()
		a.release(j)
		return
	}
	j.a, j.log = a, a.log.With("room", j.key.room, "participant", j.key.target)
	j.ctx, j.cancel = context.WithCancelCause(context.Background())
	a.jobs[j.key] = j
	a.wg.Add(1)
	a.mu.Unlock()
	go func() {
		defer a.wg.Done()
		a.report(j, livekit.JobStatus_JS_RUNNING, nil)
		err := a.work(j)
		j.cancel(err)
		a.mu.Lock()
		delete(a.jobs, j.key)
		a.mu.Unlock()
		a.release(j)
		status := livekit.JobStatus_JS_SUCCESS
		if err != nil {
			status = livekit.JobStatus_JS_FAILED
			j.log.Warn("the job failed", "cause", err)
		}
		a.report(j, status, err)
	}()
	a.tell()
}

// release gives the place of a job back.
func (a *Agent) release(j *job) {
	if j.key.target != "" {
		a.give()
	}
}
