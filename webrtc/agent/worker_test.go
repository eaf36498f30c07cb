package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"tandem/pipeline"
	"tandem/webrtc"
)

// Process runs in place of the tests in a process that a test has started to be an agent; nil: this is none.
var Process func()

func TestMain(m *testing.M) {
	if Process != nil {
		Process()
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// still is a recognizer that is never asked.
type still struct{}

func (still) Spec() pipeline.Spec {
	return pipeline.Spec{
		Window: 2560 * time.Millisecond, Hop: 250 * time.Millisecond, VideoFrames: 8, CropSize: 48, Channels: 1,
	}
}

func (still) Labels() pipeline.Labels { return pipeline.Labels{Emotions: []string{"neutral"}} }

func (still) Recognize(context.Context, []*pipeline.Window) ([]pipeline.Prediction, error) {
	return nil, errors.New("nothing to recognise")
}

// fake is a LiveKit server as far as workers see it.
type fake struct {
	*httptest.Server
	t      *testing.T
	status int                         // that the connection is answered with, 0 for none
	conns  chan *websocket.Conn        // that have registered
	got    chan *livekit.WorkerMessage // but pings
	mu     sync.Mutex
	all    []*websocket.Conn
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, conns: make(chan *websocket.Conn, 10), got: make(chan *livekit.WorkerMessage, 100)}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(func() {
		f.mu.Lock()
		for _, c := range f.all {
			c.Close()
		}
		f.mu.Unlock()
		f.Close()
	})
	return f
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/agent" {
		http.NotFound(w, r)
		return
	}
	v, err := auth.ParseAPIToken(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	if err != nil {
		f.t.Error(err)
		return
	}
	if _, grants, err := v.Verify("secret"); err != nil || !grants.Video.Agent {
		f.t.Errorf("the token grants %+v (%v)", grants, err)
	}
	if f.status != 0 {
		w.WriteHeader(f.status)
		return
	}
	c, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		f.t.Error(err)
		return
	}
	f.mu.Lock()
	f.all = append(f.all, c)
	f.mu.Unlock()
	for {
		_, b, err := c.ReadMessage()
		if err != nil {
			return
		}
		m := &livekit.WorkerMessage{}
		if err := proto.Unmarshal(b, m); err != nil {
			f.t.Error(err)
		}
		if m.GetPing() != nil {
			continue
		}
		if m.GetRegister() != nil {
			f.send(c, &livekit.ServerMessage{Message: &livekit.ServerMessage_Register{
				Register: &livekit.RegisterWorkerResponse{WorkerId: "AW_1"},
			}})
			f.conns <- c
		}
		f.got <- m
	}
}

func (f *fake) send(c *websocket.Conn, m *livekit.ServerMessage) {
	b, err := proto.Marshal(m)
	if err == nil {
		err = c.WriteMessage(websocket.BinaryMessage, b)
	}
	if err != nil {
		f.t.Error(err)
	}
}

// until waits for a message that is as wanted.
func (f *fake) until(what string, is func(*livekit.WorkerMessage) bool) *livekit.WorkerMessage {
	f.t.Helper()
	over := time.After(5 * time.Second)
	for {
		select {
		case m := <-f.got:
			if is(m) {
				return m
			}
		case <-over:
			f.t.Fatalf("the agent did not send: %s", what)
		}
	}
}

// worker waits for the agent's registration.
func (f *fake) worker() (*websocket.Conn, *livekit.RegisterWorkerRequest) {
	f.t.Helper()
	m := f.until("its registration", func(m *livekit.WorkerMessage) bool { return m.GetRegister() != nil })
	return <-f.conns, m.GetRegister()
}

// offer offers a job and returns the answer.
func (f *fake) offer(
	c *websocket.Conn, id, identity string, attributes map[string]string,
) *livekit.AvailabilityResponse {
	f.t.Helper()
	f.send(c, &livekit.ServerMessage{Message: &livekit.ServerMessage_Availability{
		Availability: &livekit.AvailabilityRequest{Job: publisherJob(id, identity, attributes)},
	}})
	return f.until("its answer", func(m *livekit.WorkerMessage) bool { return m.GetAvailability().GetJobId() == id }).
		GetAvailability()
}

func publisherJob(id, identity string, attributes map[string]string) *livekit.Job {
	return &livekit.Job{
		Id: id, Type: livekit.JobType_JT_PUBLISHER, Room: &livekit.Room{Name: "room"},
		Participant: &livekit.ParticipantInfo{Identity: identity, Attributes: attributes},
	}
}

func (f *fake) assign(c *websocket.Conn, id, identity string) {
	f.send(c, &livekit.ServerMessage{Message: &livekit.ServerMessage_Assignment{
		Assignment: &livekit.JobAssignment{Job: publisherJob(id, identity, nil), Token: "token of " + identity},
	}})
}

// untilStatus waits until the agent says that it is full, or that it isn't.
func (f *fake) untilStatus(s livekit.WorkerStatus) *livekit.UpdateWorkerStatus {
	f.t.Helper()
	return f.until(s.String(), func(m *livekit.WorkerMessage) bool {
		return m.GetUpdateWorker() != nil && m.GetUpdateWorker().GetStatus() == s
	}).GetUpdateWorker()
}

func (f *fake) untilJob(id string, s livekit.JobStatus) *livekit.UpdateJobStatus {
	f.t.Helper()
	return f.until(id+" "+s.String(), func(m *livekit.WorkerMessage) bool {
		return m.GetUpdateJob().GetJobId() == id && m.GetUpdateJob().GetStatus() == s
	}).GetUpdateJob()
}

// running is an agent whose jobs do nothing but wait for their end.
type running struct {
	*Agent
	jobs chan *job
	end  context.CancelFunc
	err  chan error
}

func run(t *testing.T, o Options) *running {
	t.Helper()
	server, err := webrtc.NewServer(webrtc.Options{Recognizer: still{}})
	if err != nil {
		t.Fatal(err)
	}
	o.Key, o.Secret, o.Server = "key", "secret", server
	if o.Consent, err = ParseConsent(DefaultConsent); err != nil {
		t.Fatal(err)
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Agent: a, jobs: make(chan *job, 10), err: make(chan error, 1)}
	a.work = func(j *job) error {
		r.jobs <- j
		<-j.ctx.Done()
		if err := context.Cause(j.ctx); errors.Is(err, errTerminated) || errors.Is(err, errShutdown) {
			return nil
		}
		return context.Cause(j.ctx)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.end = cancel
	go func() { r.err <- a.Run(ctx); close(r.err) }()
	t.Cleanup(func() {
		cancel()
		<-r.err
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

var agreed = map[string]string{"tandem.consent": "yes"}

func TestRegistration(t *testing.T) {
	for name, tt := range map[string]struct {
		o      Options
		job    livekit.JobType
		hidden bool
	}{
		"by default":     {Options{}, livekit.JobType_JT_PUBLISHER, true},
		"seen, per room": {Options{Shown: true, PerRoom: true}, livekit.JobType_JT_ROOM, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			tt.o.URL = strings.Replace(f.URL, "http", "ws", 1)
			run(t, tt.o)
			_, r := f.worker()
			p := r.GetAllowedPermissions()
			if r.GetType() != tt.job || p.GetHidden() != tt.hidden || p.GetCanPublish() || !p.GetCanPublishData() ||
				!p.GetCanSubscribe() {
				t.Errorf("%v", r)
			}
			if s := f.untilStatus(livekit.WorkerStatus_WS_AVAILABLE); s.GetLoad() != 0 || s.GetJobCount() != 0 {
				t.Errorf("%v", s)
			}
		})
	}
}

func TestJob(t *testing.T) {
	f := newFake(t)
	r := run(t, Options{URL: f.URL, MaxSessions: 4})
	c, _ := f.worker()
	if a := f.offer(c, "AJ_1", "ann", agreed); !a.GetAvailable() || a.GetParticipantIdentity() != "tandem-ann" {
		t.Errorf("%v", a)
	}
	f.assign(c, "AJ_1", "ann")
	j := <-r.jobs
	if j.token != "token of ann" || j.key != (jobKey{"room", "ann"}) {
		t.Errorf("%+v", j)
	}
	// It says that the job runs, and that a place of four is taken, in either order.
	var runs, taken bool
	f.until("that the job runs and a place is taken", func(m *livekit.WorkerMessage) bool {
		j, s := m.GetUpdateJob(), m.GetUpdateWorker()
		runs = runs || j.GetJobId() == "AJ_1" && j.GetStatus() == livekit.JobStatus_JS_RUNNING
		if s.GetJobCount() > 0 {
			taken = true
			if s.GetStatus() != livekit.WorkerStatus_WS_AVAILABLE || s.GetJobCount() != 1 || s.GetLoad() < 0.17 {
				t.Errorf("a place of four is taken: %v", s)
			}
		}
		return runs && taken
	})
	// Another job for the same participant, as when two dispatches meet, is over at once.
	if a := f.offer(c, "AJ_2", "ann", agreed); a.GetAvailable() || !a.GetTerminate() {
		t.Errorf("%v", a)
	}
	f.send(c, &livekit.ServerMessage{Message: &livekit.ServerMessage_Termination{
		Termination: &livekit.JobTermination{JobId: "AJ_1"},
	}})
	f.untilJob("AJ_1", livekit.JobStatus_JS_SUCCESS)
	// One that fails is reported as such.
	f.offer(c, "AJ_3", "bob", agreed)
	f.assign(c, "AJ_3", "bob")
	(<-r.jobs).cancel(errors.New("no way in"))
	if u := f.untilJob("AJ_3", livekit.JobStatus_JS_FAILED); u.GetError() != "no way in" {
		t.Errorf("%v", u)
	}
	// A job that was not accepted is not done.
	f.assign(c, "AJ_9", "eve")
	f.offer(c, "AJ_4", "cid", agreed)
	select {
	case j := <-r.jobs:
		t.Errorf("the job of %v", j.key)
	default:
	}
}

// Nobody is analysed who has not agreed.
func TestOfferWithoutConsent(t *testing.T) {
	f := newFake(t)
	run(t, Options{URL: f.URL})
	c, _ := f.worker()
	for i, attributes := range []map[string]string{nil, {"tandem.consent": "no"}, {"consent": "yes"}} {
		if a := f.offer(c, fmt.Sprint(i), "ann", attributes); a.GetAvailable() || !a.GetTerminate() {
			t.Errorf("%v: %v", attributes, a)
		}
	}
}

func TestRefusesAboveTheLimit(t *testing.T) {
	f := newFake(t)
	r := run(t, Options{URL: f.URL, MaxSessions: 2})
	c, _ := f.worker()
	for _, who := range []string{"ann", "bob"} {
		if a := f.offer(c, "AJ_"+who, who, agreed); !a.GetAvailable() {
			t.Errorf("%v", a)
		}
	}
	// Places are kept from the answer on, before the jobs come.
	if a := f.offer(c, "AJ_cid", "cid", agreed); a.GetAvailable() || a.GetTerminate() {
		t.Errorf("a third: %v", a)
	}
	f.assign(c, "AJ_ann", "ann")
	f.untilStatus(livekit.WorkerStatus_WS_FULL)
	(<-r.jobs).cancel(errTerminated)
	f.untilStatus(livekit.WorkerStatus_WS_AVAILABLE)
	if a := f.offer(c, "AJ_cid", "cid", agreed); !a.GetAvailable() {
		t.Errorf("when there is a place again: %v", a)
	}
}

// At the end no more jobs are taken; those that run may go on for a while, and are then ended.
func TestDrain(t *testing.T) {
	for name, drain := range map[string]time.Duration{"at once": 0, "after a while": 300 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			r := run(t, Options{URL: f.URL, Drain: drain})
			c, _ := f.worker()
			f.offer(c, "AJ_1", "ann", agreed)
			f.assign(c, "AJ_1", "ann")
			j := <-r.jobs
			f.untilStatus(livekit.WorkerStatus_WS_AVAILABLE)
			began := time.Now()
			r.end()
			if drain > 0 {
				f.untilStatus(livekit.WorkerStatus_WS_FULL)
				if a := f.offer(c, "AJ_2", "bob", agreed); a.GetAvailable() {
					t.Errorf("while draining: %v", a)
				}
			}
			<-j.ctx.Done()
			if took := time.Since(began); took < drain || took > drain+2*time.Second {
				t.Errorf("the job ended after %v", took)
			}
			if err := <-r.err; err != nil || !errors.Is(context.Cause(j.ctx), errShutdown) {
				t.Errorf("%v, %v", err, context.Cause(j.ctx))
			}
		})
	}
}

// A connection that breaks, or on which something comes that can't be meant, is made anew; jobs go on meanwhile.
func TestReconnects(t *testing.T) {
	f := newFake(t)
	r := run(t, Options{URL: f.URL})
	c, _ := f.worker()
	f.offer(c, "AJ_1", "ann", agreed)
	f.assign(c, "AJ_1", "ann")
	j := <-r.jobs
	noToken, err := proto.Marshal(&livekit.ServerMessage{Message: &livekit.ServerMessage_Assignment{
		Assignment: &livekit.JobAssignment{Job: publisherJob("AJ_2", "bob", nil)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for what, breaks := range map[string]func(){
		"closed":        func() { c.Close() },
		"text":          func() { c.WriteMessage(websocket.TextMessage, []byte("{}")) },
		"no protobuf":   func() { c.WriteMessage(websocket.BinaryMessage, []byte{0xff, 0xff}) },
		"without token": func() { c.WriteMessage(websocket.BinaryMessage, noToken) },
		"too large":     func() { c.WriteMessage(websocket.BinaryMessage, make([]byte, maxMessage+1)) },
	} {
		breaks()
		c, _ = f.worker()
		if j.ctx.Err() != nil {
			t.Fatalf("%s: the job ended", what)
		}
	}
	// It is still known which jobs there are.
	if a := f.offer(c, "AJ_3", "ann", agreed); !a.GetTerminate() {
		t.Errorf("%v", a)
	}
}

func TestWrongKey(t *testing.T) {
	f := newFake(t)
	f.status = http.StatusUnauthorized
	r := run(t, Options{URL: f.URL})
	select {
	case err := <-r.err:
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), f.URL) {
			t.Errorf("%v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the agent goes on")
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []Options{
		{},
		{URL: "livekit.example.org", Key: "k", Secret: "s"},
		{URL: "ftp://a", Key: "k", Secret: "s"},
		{URL: "ws://", Key: "k", Secret: "s"},
		{URL: "ws://a", Secret: "s"},
		{URL: "ws://a", Key: "k"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// Whatever a server sends, the agent goes on or drops the connection.
func FuzzServerMessage(f *testing.F) {
	for _, m := range []*livekit.ServerMessage{
		{},
		{Message: &livekit.ServerMessage_Register{Register: &livekit.RegisterWorkerResponse{WorkerId: "AW_1"}}},
		{Message: &livekit.ServerMessage_Availability{Availability: &livekit.AvailabilityRequest{
			Job: publisherJob("AJ_1", "ann", agreed),
		}}},
		{Message: &livekit.ServerMessage_Availability{}},
		{Message: &livekit.ServerMessage_Assignment{Assignment: &livekit.JobAssignment{
			Job: publisherJob("AJ_1", "ann", agreed), Token: "t",
		}}},
		{Message: &livekit.ServerMessage_Termination{Termination: &livekit.JobTermination{JobId: "AJ_1"}}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(websocket.BinaryMessage, b)
	}
	f.Fuzz(func(t *testing.T, kind int, b []byte) {
		m, err := parseMessage(kind, b)
		if err != nil {
			if !errors.Is(err, errMessage) {
				t.Errorf("%v", err)
			}
			return
		}
		var job *livekit.Job
		switch {
		case m.GetAvailability() != nil:
			job = m.GetAvailability().GetJob()
		case m.GetAssignment() != nil:
			job = m.GetAssignment().GetJob()
		default:
			return
		}
		if k := keyOf(job); k.room == "" || job.GetId() == "" ||
			k.target == "" && job.GetType() == livekit.JobType_JT_PUBLISHER {
			t.Errorf("%v", m)
		}
	})
}
