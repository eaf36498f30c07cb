package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"google.golang.org/protobuf/proto"
)

// How the connection to the server is kept.
const (
	dialTime   = 10 * time.Second
	writeTime  = 5 * time.Second
	pingTime   = 5 * time.Second  // between two pings, with the load
	silentTime = 20 * time.Second // a server that says nothing for so long, though it is pinged, is gone
	maxMessage = 1 << 20          // bytes
	minBackoff = 500 * time.Millisecond
	maxBackoff = 8 * time.Second
)

// errMessage is wrapped by the errors for messages that the server can't mean.
var errMessage = errors.New("a message that can't be meant")

// stayRegistered connects, and again whenever the connection ends, until ctx does. It returns ErrRefused if the first
// connection is refused for the key's sake.
func (a *Agent) stayRegistered(ctx context.Context) error {
	wait, ever := minBackoff, false
	for {
		registered, err := a.connect(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrRefused) && !ever:
			return err
		}
		if registered {
			wait, ever = minBackoff, true
		}
		// Some randomness, or all agents would come at once to a server that was restarted.
		pause := wait/2 + rand.N(wait)
		a.log.Warn("not connected to LiveKit: trying again", "in", pause.Round(10*time.Millisecond), "cause", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		wait = min(2*wait, maxBackoff)
	}
}

// connection is one connection to the server.
type connection struct {
	ws *websocket.Conn
	mu sync.Mutex // one writer at a time
}

// send writes a message. One that can't be written ends the connection.
func (c *connection) send(m *livekit.WorkerMessage) {
	b, err := proto.Marshal(m)
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		_ = c.ws.SetWriteDeadline(time.Now().Add(writeTime))
		err = c.ws.WriteMessage(websocket.BinaryMessage, b)
	}
	if err != nil {
		c.ws.Close()
	}
}

// connect runs one connection until it or ctx ends, and reports whether the server took the registration.
func (a *Agent) connect(ctx context.Context) (registered bool, err error) {
	ws, err := a.dial(ctx)
	if err != nil {
		return false, err
	}
	c := &connection{ws: ws}
	defer ws.Close()
	defer context.AfterFunc(ctx, func() { ws.Close() })()
	ws.SetReadLimit(maxMessage)
	c.send(&livekit.WorkerMessage{Message: &livekit.WorkerMessage_Register{Register: a.registration()}})
	closed := make(chan struct{})
	var reports sync.WaitGroup
	defer reports.Wait()
	defer close(closed)
	for {
		_ = ws.SetReadDeadline(time.Now().Add(silentTime))
		kind, b, err := ws.ReadMessage()
		if err != nil {
			return registered, err
		}
		m, err := parseMessage(kind, b)
		if err != nil {
			return registered, err
		}
		if r := m.GetRegister(); r != nil && !registered {
			registered = true
			a.log.Info("registered with LiveKit", "worker", r.GetWorkerId(), "version", r.GetServerInfo().GetVersion())
			a.mu.Lock()
			a.conn = c
			a.mu.Unlock()
			defer func() {
				a.mu.Lock()
				a.conn = nil
				a.mu.Unlock()
			}()
			reports.Go(func() { a.keepTelling(c, closed) })
			continue
		}
		a.handle(c, m)
	}
}

// dial opens the connection.
func (a *Agent) dial(ctx context.Context) (*websocket.Conn, error) {
	u, err := url.Parse(a.o.URL)
	if err != nil {
		return nil, err
	}
	u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	u = u.JoinPath("agent")
	u.RawQuery = "protocol=1"
	token, err := auth.NewAccessToken(a.o.Key, a.o.Secret).SetVideoGrant(&auth.VideoGrant{Agent: true}).ToJWT()
	if err != nil {
		return nil, err
	}
	dialer := websocket.Dialer{HandshakeTimeout: dialTime, Proxy: http.ProxyFromEnvironment}
	ws, answer, err := dialer.DialContext(ctx, u.String(), http.Header{"Authorization": {"Bearer " + token}})
	if answer != nil && answer.Body != nil {
		answer.Body.Close()
	}
	switch {
	case err == nil:
		return ws, nil
	case answer != nil && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		return nil, fmt.Errorf("%s: %w (%s)", a.o.URL, ErrRefused, answer.Status)
	case answer != nil:
		return nil, fmt.Errorf("%s: %w (%s): is it a LiveKit server?", a.o.URL, err, answer.Status)
	}
	return nil, fmt.Errorf("%s: %w", a.o.URL, err)
}

// registration asks for jobs and for what the agent needs in a room: to receive media and send data, not media.
func (a *Agent) registration() *livekit.RegisterWorkerRequest {
	r := &livekit.RegisterWorkerRequest{
		Type: livekit.JobType_JT_PUBLISHER, Version: Topic, PingInterval: uint32(pingTime / time.Second),
		AllowedPermissions: &livekit.ParticipantPermission{
			//lint:ignore SA1019 servers to 1.11 tell agents from others by Agent
			CanSubscribe: true, CanPublishData: true, CanUpdateMetadata: true, Hidden: !a.o.Shown, Agent: true,
		},
	}
	if a.o.PerRoom {
		r.Type = livekit.JobType_JT_ROOM
	}
	return r
}

// keepTelling tells the server of load and places, whenever they change and from time to time.
func (a *Agent) keepTelling(c *connection, closed <-chan struct{}) {
	tick := time.NewTicker(pingTime)
	defer tick.Stop()
	for {
		c.send(&livekit.WorkerMessage{Message: &livekit.WorkerMessage_UpdateWorker{UpdateWorker: a.state()}})
		select {
		case <-closed:
			return
		case <-a.changed:
		case now := <-tick.C:
			c.send(&livekit.WorkerMessage{Message: &livekit.WorkerMessage_Ping{
				Ping: &livekit.WorkerPing{Timestamp: now.UnixMilli()},
			}})
		}
	}
}

// report tells the server of a job's state, if it knows the job and can be told.
func (a *Agent) report(j *job, s livekit.JobStatus, why error) {
	a.mu.Lock()
	c := a.conn
	a.mu.Unlock()
	if j.id == "" || c == nil {
		return
	}
	u := &livekit.UpdateJobStatus{JobId: j.id, Status: s}
	if why != nil {
		u.Error = why.Error()
	}
	c.send(&livekit.WorkerMessage{Message: &livekit.WorkerMessage_UpdateJob{UpdateJob: u}})
}

// parseMessage reads a message of the server, and refuses one that lacks what its kind needs.
func parseMessage(kind int, b []byte) (*livekit.ServerMessage, error) {
	if kind != websocket.BinaryMessage {
		return nil, fmt.Errorf("%w: it is text", errMessage)
	}
	m := &livekit.ServerMessage{}
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%w: %w", errMessage, err)
	}
	var job *livekit.Job
	switch x := m.Message.(type) {
	case *livekit.ServerMessage_Availability:
		job = x.Availability.GetJob()
	case *livekit.ServerMessage_Assignment:
		if job = x.Assignment.GetJob(); x.Assignment.GetToken() == "" {
			return nil, fmt.Errorf("%w: a job without a token", errMessage)
		}
	case *livekit.ServerMessage_Termination:
		if x.Termination.GetJobId() == "" {
			return nil, fmt.Errorf("%w: the end of no job", errMessage)
		}
		return m, nil
	default: // of a later protocol, or with nothing to check
		return m, nil
	}
	if job.GetId() == "" || job.GetRoom().GetName() == "" ||
		job.GetType() == livekit.JobType_JT_PUBLISHER && job.GetParticipant().GetIdentity() == "" {
		return nil, fmt.Errorf("%w: a job without its id, room or participant", errMessage)
	}
	return m, nil
}

// handle does what a message of the server asks for.
func (a *Agent) handle(c *connection, m *livekit.ServerMessage) {
	switch x := m.Message.(type) {
	case *livekit.ServerMessage_Availability:
		c.send(&livekit.WorkerMessage{Message: &livekit.WorkerMessage_Availability{
			Availability: a.answer(x.Availability.GetJob()),
		}})
	case *livekit.ServerMessage_Assignment:
		given := x.Assignment.GetJob()
		if !a.accepted(given.GetId()) {
			a.log.Debug("a job came that was not accepted, or too late", "job", given.GetId())
			return
		}
		a.start(&job{
			id: given.GetId(), key: keyOf(given), token: x.Assignment.GetToken(), url: x.Assignment.GetUrl(),
		})
	case *livekit.ServerMessage_Termination:
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, j := range a.jobs {
			if j.id == x.Termination.GetJobId() {
				j.cancel(errTerminated)
			}
		}
	}
}

func keyOf(given *livekit.Job) jobKey {
	k := jobKey{room: given.GetRoom().GetName()}
	if given.GetType() != livekit.JobType_JT_ROOM {
		k.target = given.GetParticipant().GetIdentity()
	}
	return k
}

// answer says whether the agent takes a job, and keeps a place for it if it does. A job that is being done already, or
// that nobody has agreed to, is ended rather than offered to the next agent.
func (a *Agent) answer(given *livekit.Job) *livekit.AvailabilityResponse {
	k := keyOf(given)
	r := &livekit.AvailabilityResponse{JobId: given.GetId(), ParticipantIdentity: identityFor(k.target)}
	a.mu.Lock()
	_, doing := a.jobs[k]
	a.mu.Unlock()
	p := given.GetParticipant()
	refused := k.target != "" &&
		!a.o.Consent.Given(p.GetAttributes(), p.GetMetadata(), given.GetRoom().GetMetadata())
	switch {
	case doing, refused:
		r.Terminate = true
	case k.target == "":
		a.mu.Lock()
		r.Available = !a.draining && a.used < a.o.MaxSessions
		a.mu.Unlock()
	default:
		r.Available = a.take()
	}
	if r.Available {
		a.offer(given.GetId(), k)
	}
	a.log.Debug("a job was offered", "room", k.room, "participant", k.target, "taken", r.Available, "consent", !refused)
	return r
}

// offer keeps a job's place until it is assigned, for a while.
func (a *Agent) offer(id string, k jobKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.offers[id] = time.AfterFunc(offerTime, func() {
		if a.accepted(id) {
			a.release(&job{key: k})
		}
	})
}

// accepted reports, once, whether a job was accepted and its place kept.
func (a *Agent) accepted(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.offers[id]
	if ok {
		t.Stop()
		delete(a.offers, id)
	}
	return ok
}

// identityFor returns the agent's identity in a room, the same whichever agent it is: if two come for one participant
// the server keeps the later alone.
func identityFor(target string) string {
	if target == "" {
		return "tandem"
	}
	return "tandem-" + target
}
