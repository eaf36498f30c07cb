package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	pion "github.com/pion/webrtc/v4"

	"tandem/pipeline"
	"tandem/webrtc/events"
	"tandem/webrtc/problem"
)

const (
	audio = pion.RTPCodecTypeAudio
	video = pion.RTPCodecTypeVideo
)

func dial(t *testing.T, o Options) *Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	o.Loopback = true
	s, err := Dial(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeSession(t, s) })
	return s
}

func closeSession(t *testing.T, s *Session) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}

// until waits for what other goroutines bring about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// Events come by all ways, and the last of them after DELETE.
func TestEvents(t *testing.T) {
	t.Parallel()
	start := pipeline.Event{Start: &pipeline.StartEvent{Source: "x", Emotions: []string{"neutral"}}}
	window := pipeline.Event{Window: &pipeline.WindowEvent{T: time.Second, End: time.Second, Audio: true}}
	end := pipeline.Event{End: &pipeline.EndEvent{Windows: 1}}
	for name, channel := range map[string]Channel{
		"server": ServerChannels, "reliable": ReliableChannel, "lossy": LossyChannel,
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t)
			send := func(d *pion.DataChannel, what ...pipeline.Event) {
				for _, e := range what {
					b, err := json.Marshal(e)
					if err != nil {
						t.Error(err)
					}
					if err := d.SendText(string(b)); err != nil {
						t.Error(err)
					}
				}
			}
			channels := make(chan *pion.DataChannel, 2)
			srv.channel = func(d *pion.DataChannel) { channels <- d }
			s := dial(t, Options{URL: srv.url(), Channel: channel})
			first := <-channels
			if first.Protocol() != events.Protocol {
				t.Errorf("protocol %q", first.Protocol())
			}
			switch channel {
			case ServerChannels:
				second := <-channels
				send(first, start, window)
				send(second, end)
			case ReliableChannel:
				if !first.Ordered() || first.MaxRetransmits() != nil || first.Label() != events.Label {
					t.Errorf("the channel is %q, ordered %v", first.Label(), first.Ordered())
				}
				send(first, start, window, end)
			case LossyChannel:
				if first.Ordered() || first.MaxRetransmits() == nil || first.Label() != events.Label {
					t.Errorf("the channel is %q, ordered %v", first.Label(), first.Ordered())
				}
				send(first, start, window, end)
			}
			first.SendText(`{"v":1,"type":"nonsense"}`)
			until(t, "the events", func() bool { st := s.Stats(); return st.Events == 3 && st.Broken == 1 })
			closeSession(t, s)
			got := map[string]int{}
			for e := range s.Events() {
				got[fmt.Sprint(e.Start != nil, e.Window != nil, e.End != nil)]++
			}
			if len(got) != 3 {
				t.Errorf("events: %v", got)
			}
			srv.locked(func() {
				if srv.deleted != 1 {
					t.Errorf("%d DELETE", srv.deleted)
				}
			})
			if !errors.Is(s.Err(), ErrClosed) {
				t.Errorf("Err is %v", s.Err())
			}
		})
	}
}

// A reader that is too slow loses the oldest events, and they are counted.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	q := newQueue()
	for i := range maxQueued + 10 {
		b, err := json.Marshal(pipeline.Event{Window: &pipeline.WindowEvent{Subject: i}})
		if err != nil {
			t.Fatal(err)
		}
		q.parse(b)
	}
	q.close()
	q.parse([]byte(`{"v":1,"type":"end"}`)) // too late
	if q.missed != 10 {
		t.Errorf("%d missed, want 10", q.missed)
	}
	next := 10
	for e := range q.c {
		if e.Window.Subject != next {
			t.Fatalf("event %d in place of %d", e.Window.Subject, next)
		}
		next++
	}
	if next != maxQueued+10 {
		t.Errorf("the last event is %d", next-1)
	}
}

// Candidates go by PATCH, and the session connects by them alone.
func TestTrickle(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	s := dial(t, Options{URL: srv.url(), Trickle: true})
	until(t, "the end of candidates", func() (ended bool) {
		srv.locked(func() {
			ended = len(srv.patches) > 0 && strings.Contains(srv.patches[len(srv.patches)-1].body, "end-of-candidates")
		})
		return ended
	})
	srv.locked(func() {
		if strings.Contains(srv.offer, "a=candidate") || !strings.Contains(srv.offer, "a=ice-options:trickle") {
			t.Errorf("the offer:\n%s", srv.offer)
		}
		for _, p := range srv.patches {
			if p.match != `"first"` || !strings.Contains(p.body, "a=mid:0\r\n") ||
				!strings.Contains(p.body, "a=ice-ufrag:") {
				t.Errorf("If-Match %q:\n%s", p.match, p.body)
			}
		}
	})
	if s.State() != pion.PeerConnectionStateConnected {
		t.Errorf("state %v", s.State())
	}
}

// After a restart ICE has new credentials, and media flows on as if nothing had been.
func TestRestart(t *testing.T) {
	t.Parallel()
	clip := load(t, small(time.Second))
	srv := newServer(t)
	s := dial(t, Options{URL: srv.url(), Channel: ReliableChannel})
	old := s.answer
	ctx, cancel := context.WithCancel(t.Context())
	published := make(chan error, 1)
	go func() { published <- s.Publish(ctx, clip, PublishOptions{Loop: true}) }()
	until(t, "pictures", func() bool { return len(srv.got(video)) > 5 })
	for range 2 {
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		n := len(srv.got(video))
		until(t, "pictures after the restart", func() bool { return len(srv.got(video)) > n+15 })
	}
	cancel()
	<-published
	if s.ETag() != `"second"` || s.answer == old {
		t.Errorf("ETag %q, the answer changed: %v", s.ETag(), s.answer != old)
	}
	srv.locked(func() {
		if srv.restarts != 2 || srv.patches[0].match != "*" || !strings.Contains(srv.patches[0].body, "a=candidate") {
			t.Errorf("%d restarts; If-Match %q:\n%s", srv.restarts, srv.patches[0].match, srv.patches[0].body)
		}
		if ssrc := srv.packets[video][0].SSRC; srv.packets[video][len(srv.packets[video])-1].SSRC != ssrc {
			t.Error("the stream is another one after the restart")
		}
	})
	// The connection outlives a restart that is refused.
	srv.refuse = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			problem.Write(w, &problem.Error{
				Status: http.StatusTooManyRequests, Detail: "enough", RetryAfter: 2 * time.Second,
			})
		}
		return r.Method == http.MethodPatch
	}
	var refused *Error
	if err := s.Restart(t.Context()); !errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests {
		t.Errorf("a refused restart: %v", err)
	}
	srv.refuse = nil
	if err := s.Restart(t.Context()); err != nil {
		t.Errorf("the restart after one that was refused: %v", err)
	}
}

// When the server ends the session, all of it ends, and nothing is deleted that the server may keep.
func TestServerEnds(t *testing.T) {
	t.Parallel()
	clip := load(t, small(time.Second))
	srv := newServer(t)
	s := dial(t, Options{URL: srv.url()})
	published := make(chan error, 1)
	go func() { published <- s.Publish(t.Context(), clip, PublishOptions{Loop: true}) }()
	until(t, "pictures", func() bool { return len(srv.got(video)) > 5 })
	if err := srv.pc.GracefulClose(); err != nil {
		t.Fatal(err)
	}
	if err := <-published; !errors.Is(err, ErrEnded) {
		t.Errorf("Publish: %v", err)
	}
	for range s.Events() {
	}
	<-s.Done()
	if !errors.Is(s.Err(), ErrEnded) {
		t.Errorf("Err: %v", s.Err())
	}
	closeSession(t, s)
	srv.locked(func() {
		if srv.deleted != 0 {
			t.Errorf("%d DELETE", srv.deleted)
		}
	})
	if err := s.Publish(t.Context(), clip, PublishOptions{}); !errors.Is(err, ErrEnded) {
		t.Errorf("Publish after the end: %v", err)
	}
}
