// Package webrtc lets browsers and WHIP clients send their camera and microphone and get events back: it puts together
// the signalling (whip, signal), the connections (peer), the way from RTP to media (receive), the pipeline, and the
// events' way out (events), for many sessions that share one network.
package webrtc

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"tandem/infer"
	"tandem/pipeline"
	"tandem/webrtc/access"
	"tandem/webrtc/middleware"
	"tandem/webrtc/peer"
	"tandem/webrtc/tracing"
	"tandem/webrtc/webhook"
	"tandem/webrtc/whip"
)

// What Options mean by default.
const (
	DefaultSessionsPerCore = 5
	DefaultMaxPerAddress   = 4
	DefaultMaxBitrate      = 4_000_000 // bit/s
	DefaultMaxPixels       = 1920 * 1080
	DefaultIdle            = 30 * time.Second
	DefaultMaxTime         = time.Hour
)

const (
	// retryAfter is when a client that was turned away may try again.
	retryAfter = 10 * time.Second
	// hangTime bounds the wait for sessions that have not ended when the time for a drain is over: their recognitions
	// are cancelled then, and a session that still runs is one that hangs. Without it Close would hang with it.
	hangTime = 2 * time.Second
	// turnSlack is how long the credentials of TURN servers outlive the longest session: from their making to its
	// start, and what clocks differ by.
	turnSlack = 10 * time.Minute
	// readTime bounds the reading of a request with its body.
	readTime = 30 * time.Second
)

// drainTime bounds the wait for sessions to end and requests to be answered.
var drainTime = 5 * time.Second

// writeTime is how long a reader may take nothing of an answer.
var writeTime = 10 * time.Second

// ErrHung is returned by Close for sessions that did not end. They use the recognizer and the network still.
var ErrHung = errors.New("some sessions did not end in time")

// Options of a Server. Recognizer and Model are needed; else zero means the default.
type Options struct {
	Recognizer pipeline.Recognizer
	Faces      pipeline.FaceFinder // nil finds none
	Model      string              // SHA-256 of the model file, hex
	// Pipeline has the options for every session; its taps are the server's own.
	Pipeline pipeline.Options

	Token        string         // of all who may publish and read; "" for none
	Access       access.Checker // of further tokens; nil for none. Without either whoever reaches the server can use it
	AllowOrigins []string       // of pages elsewhere that may use the server
	AllowHosts   []string       // names in Host that it answers to besides localhost; nil for any

	MaxSessions   int           // DefaultSessionsPerCore a core
	MaxPerAddress int           // sessions of one IPv4 address or /64 of IPv6; less than 0 for no bound
	MaxBitrate    int           // bit/s of one track; one that sends twice as much is ended
	MaxPixels     int           // of a picture; a session that sends larger ones is ended
	Idle          time.Duration // a session from which no media came for so long is ended
	MaxTime       time.Duration // the longest session

	// TrustedProxies are the networks of the proxies that the client's address is taken from, by X-Forwarded-For.
	TrustedProxies middleware.Proxies
	// MetricsApart leaves /metrics out of Handler: MetricsHandler has it.
	MetricsApart bool
	// Instance is put before the ids of sessions, so that a balancer can tell by their URLs where they run.
	Instance string
	// Webhook is a URL that gets an event when a session starts and when it has ended, signed with WebhookSecret by
	// webhook.HMAC; "" for none.
	Webhook, WebhookSecret string
	Tracer                 *tracing.Tracer // nil for none; the caller's to close, after Close
	Network                peer.Options
	Log                    *slog.Logger // nil for none

	// ReceiveOnly decodes what comes and does nothing with it: what benchmarks compare with.
	ReceiveOnly bool
}

func (o Options) filled() Options {
	o.MaxSessions = cmp.Or(o.MaxSessions, DefaultSessionsPerCore*runtime.GOMAXPROCS(0))
	o.MaxPerAddress = cmp.Or(o.MaxPerAddress, DefaultMaxPerAddress)
	o.MaxBitrate = cmp.Or(o.MaxBitrate, DefaultMaxBitrate)
	o.MaxPixels = cmp.Or(o.MaxPixels, DefaultMaxPixels)
	o.Idle = cmp.Or(o.Idle, DefaultIdle)
	o.MaxTime = cmp.Or(o.MaxTime, DefaultMaxTime)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Network.MaxBitrate = o.MaxBitrate
	o.Network.ICEServers.Life = cmp.Or(o.Network.ICEServers.Life, o.MaxTime+turnSlack)
	if o.Network.Log == nil {
		o.Network.Log = o.Log
	}
	// A modality that has stopped is waited for no longer than one that was only late takes to come.
	o.Pipeline.MaxWait = cmp.Or(o.Pipeline.MaxWait, maxWait)
	// A window is of no use when the next is due.
	o.Pipeline.MaxQueue = cmp.Or(o.Pipeline.MaxQueue, o.Recognizer.Spec().Hop)
	o.Pipeline.Model = o.Model
	return o
}

var instanceName = regexp.MustCompile(`^[A-Za-z0-9]{0,32}$`)

// Server runs sessions. Make one with NewServer, serve its Handler or call Serve, and Close it.
type Server struct {
	o       Options
	network *peer.Network
	batch   *infer.Batcher
	load    loadMeter
	metrics *metrics
	token   *middleware.Token
	model   atomic.Pointer[model]
	handler http.Handler
	archive *archive       // of sessions that have ended
	hooks   *webhook.Queue // nil for none

	ctx  context.Context         // ends with errShutdown when the server is drained
	stop context.CancelCauseFunc // of ctx; called with mu held

	mu       sync.Mutex
	sessions map[string]*session // running
	opening  int                 // sessions that are being answered
	byAddr   map[netip.Addr]int  // sessions, running or opening, by middleware.ClientKey
	wg       sync.WaitGroup      // of the same; added to with mu held while ctx has not ended
}

// NewServer makes a Server. Recognizer and Faces stay the caller's to close, after Close.
func NewServer(o Options) (*Server, error) {
	if !instanceName.MatchString(o.Instance) {
		return nil, fmt.Errorf("instance name %q: want up to 32 letters and digits", o.Instance)
	}
	o = o.filled()
	n, err := peer.NewNetwork(o.Network)
	if err != nil {
		return nil, err
	}
	s := &Server{
		o: o, network: n, metrics: newMetrics(), archive: newArchive(keepTime),
		sessions: map[string]*session{}, byAddr: map[netip.Addr]int{},
	}
	s.SetModel(o.Model, o.Pipeline.Precision)
	var known access.Any
	if o.Token != "" {
		known = append(known, access.Shared(o.Token))
	}
	if o.Access != nil {
		known = append(known, o.Access)
	}
	if s.token = middleware.NewToken(nil); known != nil {
		s.token = middleware.NewToken(known)
	}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	if s.handler, err = s.routes(); err != nil {
		s.stop(err)
		n.Close()
		return nil, err
	}
	// One batch a core, each on one thread: splitting such small networks over threads costs more than it saves.
	s.batch = infer.NewBatcher(timedRecognizer{o.Recognizer, s.metrics}, runtime.GOMAXPROCS(0), 0)
	s.hooks = newHooks(s.o, s.metrics)
	s.load.busy = s.batch.Busy
	s.metrics.showLoad(s.Load)
	return s, nil
}

// model is named by the start events of sessions.
type model struct{ sha256, precision string }

// SetModel has the start events of later sessions name another model, by its file's SHA-256 and its precision: where
// the Recognizer has come to run another one, as infer.Swappable does.
func (s *Server) SetModel(sha256, precision string) { s.model.Store(&model{sha256, precision}) }

// Handler returns the handler of all paths; see docs/whip.md.
func (s *Server) Handler() http.Handler { return s.handler }

// Serve answers HTTP on l until ctx ends, then drains and returns nil. TLS is l's business.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler:           s.handler,
		Protocols:         &http.Protocols{},
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       readTime,
		WriteTimeout:      readTime + writeTime, // of what no handler writes: theirs is WriteDeadlines'
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ConnState:         newConnections(s.o, s.metrics).onState,
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	h.Protocols.SetHTTP1(true)
	served := make(chan error, 1)
	go func() { served <- h.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	s.Drain(drain)
	if h.Shutdown(drain) != nil {
		h.Close()
	}
	<-served
	return nil
}

// Drain takes no more sessions and ends those that run or open; those that run get their end event. It waits for them
// until ctx ends.
func (s *Server) Drain(ctx context.Context) {
	s.mu.Lock()
	s.stop(errShutdown)
	for _, x := range s.sessions {
		x.end(errShutdown)
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		s.o.Log.Warn("some sessions did not end in time")
	}
}

// Close ends all that is left and waits for it, for a bounded time: it returns ErrHung if something does not end, as
// where a decoder hangs. It waits for the webhook's receiver too, for at most 3 s.
func (s *Server) Close() error {
	defer s.hooks.Close() // after the sessions' ends are queued
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	s.Drain(ctx)
	closed := make(chan error, 1)
	go func() {
		err := s.batch.Close() // cancels the recognitions of sessions that are left
		s.wg.Wait()
		s.archive.close()
		closed <- errors.Join(err, s.network.Close())
	}()
	hung := time.NewTimer(hangTime)
	defer hung.Stop()
	select {
	case err := <-closed:
		return err
	case <-hung.C:
		return ErrHung
	}
}

// Open opens a session, as whip.Backend wants it.
func (s *Server) Open(ctx context.Context, r whip.Request) (whip.Session, error) {
	if err := s.reserve(r.Remote); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })()
	x, err := s.newSession(ctx, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening--
	if err != nil {
		s.release(r.Remote)
		s.wg.Done()
		if errors.Is(err, errShutdown) {
			return nil, s.turnAway("draining", errDraining)
		}
		if errors.Is(err, peer.ErrExhausted) {
			s.o.Log.Warn("a session was turned away: the machine gives no more sockets; raise the limit on open files")
			return nil, s.turnAway("exhausted", refusal(err))
		}
		return nil, s.turnAway("offer", refusal(err))
	}
	if s.ctx.Err() != nil {
		x.end(errShutdown)
	}
	s.sessions[x.id] = x
	s.metrics.sessions.Inc()
	go func() {
		defer s.wg.Done()
		x.run()
		s.retire(x)
		close(x.done)
	}()
	return x, nil
}

// turnAway counts a session that is refused, and returns err.
func (s *Server) turnAway(why string, err error) error {
	s.metrics.refused.WithLabelValues(why).Inc()
	return err
}

// reserve takes a place for a session that opens. It is given back by release, with a call of wg.Done.
func (s *Server) reserve(client netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ctx.Err() != nil:
		return s.turnAway("draining", errDraining)
	case len(s.sessions)+s.opening >= s.o.MaxSessions:
		return s.turnAway("full", unavailable("all places are taken: try again in a while"))
	case s.o.MaxPerAddress > 0 && s.byAddr[middleware.ClientKey(client)] >= s.o.MaxPerAddress:
		return s.turnAway("address",
			unavailable("%d sessions run from this address already: end one first", s.o.MaxPerAddress))
	}
	s.opening++
	s.wg.Add(1)
	s.byAddr[middleware.ClientKey(client)]++
	return nil
}

// release gives a place back. The mutex is held.
func (s *Server) release(client netip.Addr) {
	key := middleware.ClientKey(client)
	if s.byAddr[key]--; s.byAddr[key] <= 0 {
		delete(s.byAddr, key)
	}
}

// retire moves the record of a session that has ended to the archive, unless it is to be erased.
func (s *Server) retire(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, x.id)
	s.release(x.client)
	s.metrics.sessions.Dec()
	why := context.Cause(x.ctx)
	if x.erase || x.leaves && (errors.Is(why, errGone) || errors.Is(why, errLost)) {
		return
	}
	final := x.status()
	s.archive.add(x.id, record{x.hub, func() status { return final }})
}

// Session returns a running session, as whip.Backend wants it.
func (s *Server) Session(id string) (whip.Session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.sessions[id]
	return x, ok
}

// find returns the record of a session that runs or has ended.
func (s *Server) find(id string) (record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x, ok := s.sessions[id]; ok {
		return record{x.hub, x.status}, true
	}
	return s.archive.find(id)
}

// Delete ends or erases a session, or both, as whip.Backend wants it. It waits for the end event to be sent, so that a
// client may close its side at once.
func (s *Server) Delete(ctx context.Context, id string, erase bool) error {
	s.mu.Lock()
	x, running := s.sessions[id]
	if running {
		// It was ending already: then this is the second, which erases.
		x.erase = x.erase || erase || x.ctx.Err() != nil
		x.end(errDeleted)
	}
	s.mu.Unlock()
	if !running {
		if !s.archive.erase(id) {
			return whip.ErrNoSession
		}
		return nil
	}
	select {
	case <-x.done:
	case <-ctx.Done():
	}
	return nil
}

// newID returns 26 characters with 130 random bits (crypto/rand.Text), after the instance's name.
func (s *Server) newID() string {
	if s.o.Instance != "" {
		return s.o.Instance + "-" + rand.Text()
	}
	return rand.Text()
}
