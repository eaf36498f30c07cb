package agent_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"

	"tandem/capture"
	"tandem/pipeline"
	"tandem/webrtc/agent"
	"tandem/webrtc/webrtctest"
)

// agentURL is in the environment of a process that is an agent: the LiveKit server's URL.
const agentURL = "AGENT_TEST_URL"

func init() {
	url := os.Getenv(agentURL)
	if url == "" {
		return
	}
	agent.Process = func() {
		fail := func(err error) {
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		a, server, err := newAgent(agent.Options{URL: url, MaxSessions: 24}, light{}, nil, os.Stderr)
		fail(err)
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		fail(a.Run(ctx))
		fail(server.Close())
	}
}

var small = capture.PatternOptions{Width: 320, Height: 240, FPS: 15, Duration: 8 * time.Second}

// light is a recognizer that costs nothing.
type light struct{}

func (light) Spec() pipeline.Spec {
	return pipeline.Spec{
		Window: 2560 * time.Millisecond, Hop: 250 * time.Millisecond,
		VideoFrames: 8, CropSize: 48, Channels: 1, CropMargin: 3,
	}
}

func (light) Labels() pipeline.Labels {
	return pipeline.Labels{Emotions: []string{"neutral"}, Genders: []string{"female"}}
}

func (light) Recognize(_ context.Context, ws []*pipeline.Window) ([]pipeline.Prediction, error) {
	return slices.Repeat([]pipeline.Prediction{{Emotion: []float32{1}, Gender: []float32{1}}}, len(ws)), nil
}

// process is an agent in a process of its own.
type process struct {
	*exec.Cmd
	worker
	ended chan error
}

func startProcess(t testing.TB, s *sfu) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), agentURL+"="+s.url)
	return startCommand(t, cmd)
}

// startCommand starts an agent that is ended with the test, and waits until it is registered.
func startCommand(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: cmd, worker: worker{log: &webrtctest.Log{}}, ended: make(chan error, 1)}
	p.Stderr = p.log
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Log(p.log.String())
		}
	})
	p.registered(t)
	return p
}

func (p *process) joined() int { return strings.Count(p.log.String(), "joined a room") }

// Jobs spread over two agents; what one did that is killed the other does soon; all is well again after the LiveKit
// server was killed and started; and an agent that is told to end says so to those whom it analyses.
func TestLongAgentsAndServersDie(t *testing.T) {
	const publishers = 20
	s := startSFU(t)
	a, b := startProcess(t, s), startProcess(t, s)
	c := loadClip(t, writePattern(t, small))
	var inboxes []*inbox
	for i := range publishers {
		in := &inbox{}
		r := participant(t, s, fmt.Sprint("room", i/2), fmt.Sprint("who", i), consenting, in.callback())
		publish(t, r).loop(t, c)
		inboxes = append(inboxes, in)
	}
	// each waits until a condition holds for the events of every publisher, and returns how long that took.
	each := func(what string, within time.Duration, holds func(i int) bool) time.Duration {
		t.Helper()
		began := time.Now()
		eventually(t, what, within, func() bool {
			for i := range inboxes {
				if !holds(i) {
					return false
				}
			}
			return true
		})
		return time.Since(began)
	}
	took := each("windows for everyone", 30*time.Second, func(i int) bool { return len(inboxes[i].windows()) > 2 })
	t.Logf("all had windows after %v; one agent has %d jobs, the other %d", took, a.joined(), b.joined())
	if a.joined() == 0 || b.joined() == 0 {
		t.Error("the jobs are not spread")
	}
	if a.joined() < b.joined() {
		a, b = b, a
	}

	// An agent dies.
	before := b.joined()
	had := a.joined()
	_ = a.Process.Kill()
	<-a.ended
	killed := time.Now()
	eventually(t, "the other agent has all jobs", 15*time.Second, func() bool { return b.joined() >= before+had })
	t.Logf("%d jobs moved within %v", had, time.Since(killed))
	var seen [publishers]int
	for i := range inboxes {
		seen[i] = len(inboxes[i].windows())
	}
	each("windows for all again", 10*time.Second, func(i int) bool { return len(inboxes[i].windows()) > seen[i]+2 })

	// The server dies.
	var starts [publishers]int
	for i := range inboxes {
		starts[i] = inboxes[i].starts()
	}
	s.kill()
	time.Sleep(time.Second)
	s.start()
	took = each("new sessions for all", 90*time.Second, func(i int) bool { return inboxes[i].starts() > starts[i] })
	t.Logf("all were back %v after the server", took)

	each("windows for everyone after that", 20*time.Second, func(i int) bool {
		all := inboxes[i].all()
		return all[len(all)-1].event.Window != nil
	})

	// The last agent is told to end.
	for i := range inboxes {
		seen[i] = len(inboxes[i].all())
	}
	if err := b.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-b.ended; err != nil {
		t.Errorf("the agent ended with %v", err)
	}
	each("the end for everyone", 5*time.Second, func(i int) bool {
		return slices.ContainsFunc(inboxes[i].all()[seen[i]:], func(r received) bool { return r.event.End != nil })
	})
}

// Consent can come late and be withdrawn; whom the events are for gets them, and nobody else; attributes come and go.
func TestLongConsentComesAndGoes(t *testing.T) {
	s := startSFU(t)
	w := startAgent(t, agent.Options{URL: s.url, To: []string{agent.ToAll}, Attributes: true, PerRoom: true}, nil)
	w.registered(t)
	c := loadClip(t, writePattern(t, small))
	ann, bob, eve := &inbox{}, &inbox{}, &inbox{}
	r := participant(t, s, "room", "ann", nil, ann.callback())
	publish(t, r).loop(t, c)
	publish(t, participant(t, s, "room", "bob", consenting, bob.callback())).loop(t, c)
	viewer := participant(t, s, "room", "eve", nil, eve.callback())
	eventually(t, "events of bob", 15*time.Second, func() bool { return len(eve.windows()) > 4 })
	of := func(i *inbox, who string) (n int) {
		for _, r := range i.all() {
			if strings.HasPrefix(string(r.payload), `{"room":"room","participant":"`+who+`",`) {
				n++
			}
		}
		return n
	}
	if n := of(eve, "ann"); n != 0 {
		t.Fatalf("%d events of ann, who has not agreed", n)
	}
	emotion := func(of string) string {
		p := viewer.GetParticipantByIdentity(of)
		if p == nil {
			return ""
		}
		return p.Attributes()["tandem.emotion"]
	}
	eventually(t, "bob's attribute", 10*time.Second, func() bool { return emotion("bob") != "" })

	consents(t, s, "ann", "yes")
	eventually(t, "events of ann, who has agreed", 10*time.Second, func() bool { return of(eve, "ann") > 3 })
	eventually(t, "ann's attribute", 10*time.Second, func() bool { return emotion("ann") != "" })
	consents(t, s, "ann", "no")
	eventually(t, "ann's attribute is gone", 5*time.Second, func() bool { return emotion("ann") == "" })
	before := of(eve, "ann")
	bobs := of(eve, "bob")
	eventually(t, "more events of bob", 5*time.Second, func() bool { return of(eve, "bob") > bobs+4 })
	if n := of(eve, "ann"); n > before+1 { // its end
		t.Errorf("%d events of ann, who has withdrawn", n-before)
	}
}

// consents sets what a participant says.
func consents(t *testing.T, s *sfu, who, what string) {
	t.Helper()
	api := lksdk.NewRoomServiceClient(s.url, key, secret)
	if _, err := api.UpdateParticipant(t.Context(), update(who, what)); err != nil {
		t.Fatal(err)
	}
}
