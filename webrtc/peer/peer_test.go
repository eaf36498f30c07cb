package peer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"

	"tandem/webrtc/peer"
	"tandem/webrtc/signal"
	"tandem/webrtc/webrtctest"
)

func TestMediaAndData(t *testing.T) {
	for _, video := range []string{pion.MimeTypeVP8, pion.MimeTypeH264} {
		t.Run(video, func(t *testing.T) {
			s := newServer(t, peer.Options{MaxBitrate: 2_500_000})
			c := newClient(t, s, pion.MimeTypeOpus, video)
			own := must(c.pc.CreateDataChannel("events", nil))(t)
			fromServer := make(chan string, 10)
			c.pc.OnDataChannel(func(d *pion.DataChannel) {
				d.OnMessage(
					func(m pion.DataChannelMessage) {
						fromServer <- d.Label() + "," + d.Protocol() + "," + string(m.Data)
					})
			})
			c.post()
			c.trickle()
			s.awaitState(t, peer.Connected)
			s.awaitPackets(t, pion.MimeTypeOpus, video)

			p := s.find("s1")
			if !p.HasData() || p.State() != peer.Connected || !slices.Contains(p.Codecs(), "opus") {
				t.Errorf("data %v, state %v, codecs %v", p.HasData(), p.State(), p.Codecs())
			}
			// Their channel, both ways.
			var theirs *pion.DataChannel
			select {
			case theirs = <-s.channel:
			case <-time.After(patience):
				t.Fatal("no channel")
			}
			heard := make(chan string, 1)
			theirs.OnMessage(func(m pion.DataChannelMessage) { heard <- string(m.Data) })
			if err := own.SendText("up"); err != nil {
				t.Fatal(err)
			}
			await(t, heard, "up")
			own.OnMessage(func(m pion.DataChannelMessage) { fromServer <- string(m.Data) })
			if err := theirs.SendText("down"); err != nil {
				t.Fatal(err)
			}
			await(t, fromServer, "down")
			// Ours.
			for _, unreliable := range []bool{false, true} {
				ours, err := p.CreateChannel("state",
					peer.ChannelOptions{Protocol: "tandem.v1", Unreliable: unreliable})
				if err != nil {
					t.Fatal(err)
				}
				if ours.Ordered() == unreliable || (ours.MaxRetransmits() != nil) != unreliable {
					t.Errorf("unreliable %v: ordered %v, retransmits %v", unreliable, ours.Ordered(),
						ours.MaxRetransmits())
				}
				ours.OnOpen(func() { _ = ours.SendText("hello") })
				await(t, fromServer, "state,tandem.v1,hello")
			}
			if !strings.Contains(c.answer, "b=TIAS:2500000\r\n") || !strings.Contains(c.answer, "b=AS:2500\r\n") {
				t.Errorf("no bitrate in %s", c.answer)
			}
		})
	}
}

func TestKeyFrameRequest(t *testing.T) {
	s := newServer(t, peer.Options{})
	c := newClient(t, s, pion.MimeTypeVP8)
	c.post()
	c.trickle()
	s.awaitPackets(t, pion.MimeTypeVP8)
	var ssrc uint32
	select {
	case p := <-s.packets:
		ssrc = p.rtp.SSRC
	case <-time.After(patience):
		t.Fatal("no packets")
	}
	asked := make(chan string, 100)
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			packets, _, err := c.pc.GetSenders()[0].ReadRTCP()
			if err != nil {
				return
			}
			for _, p := range packets {
				select {
				case asked <- fmt.Sprintf("%T", p):
				default:
				}
			}
		}
	})
	t.Cleanup(func() {
		if err := c.pc.GetSenders()[0].Stop(); err != nil {
			t.Error(err)
		}
		reader.Wait()
	})
	if err := s.find("s1").RequestKeyFrame(ssrc); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	end := time.After(patience)
	for !seen["*rtcp.PictureLossIndication"] || !seen["*rtcp.TransportLayerCC"] || !seen["*rtcp.ReceiverReport"] {
		select {
		case name := <-asked:
			seen[name] = true
		case <-end:
			t.Fatalf("the client was told %v", seen)
		}
	}
}

func TestClientGone(t *testing.T) {
	s := newServer(t, peer.Options{})
	c := newClient(t, s, pion.MimeTypeOpus)
	c.post()
	c.trickle()
	s.awaitPackets(t, pion.MimeTypeOpus)
	if err := c.pc.Close(); err != nil {
		t.Fatal(err)
	}
	s.awaitState(t, peer.Closed)
	ufrag, pwd := c.credentials()
	res, _ := c.patch(c.etag, signal.Fragment{Ufrag: ufrag, Pwd: pwd}.String())
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("candidates after the end: status %d", res.StatusCode)
	}
	res, _ = c.patch("*", "a=ice-ufrag:abcd\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n")
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("a restart after the end: status %d", res.StatusCode)
	}
}

// manySSRCs sends each packet by another SSRC.
type manySSRCs struct {
	interceptor.NoOp
	next uint32
}

func (m *manySSRCs) NewInterceptor(string) (interceptor.Interceptor, error) { return m, nil }

func (m *manySSRCs) BindLocalStream(_ *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		m.next++
		h.SSRC = m.next
		return w.Write(h, payload, a)
	})
}

func TestManySSRCs(t *testing.T) {
	s := newServer(t, peer.Options{})
	s.clientExtra = &manySSRCs{}
	c := newClient(t, s, pion.MimeTypeOpus)
	c.change = func(offer string) string { return without(offer, "a=ssrc") }
	c.post()
	c.trickle()
	s.awaitState(t, peer.Connected)
	s.awaitState(t, peer.Closed)
}

func TestDelete(t *testing.T) {
	s := newServer(t, peer.Options{})
	c := newClient(t, s, pion.MimeTypeOpus)
	c.post()
	c.trickle()
	s.awaitPackets(t, pion.MimeTypeOpus)
	for _, want := range []int{200, 404} {
		req := must(http.NewRequest("DELETE", s.http.URL+c.location, nil))(t)
		res := must(s.http.Client().Do(req))(t)
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("status %d, want %d", res.StatusCode, want)
		}
	}
	s.awaitState(t, peer.Closed)
}

// Candidates, restarts and the end may come all at once.
func TestConcurrency(t *testing.T) {
	s := newServer(t, peer.Options{})
	c := newClient(t, s, pion.MimeTypeOpus, pion.MimeTypeVP8)
	c.post()
	p := s.find("s1").Peer
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			f := signal.Fragment{
				Media: []signal.FragmentMedia{
					{Candidates: []string{fmt.Sprintf("1 1 udp 1 127.0.0.1 %d typ host", 50000+i)}},
				},
			}
			for range 5 {
				if err := p.AddCandidates(t.Context(), f); err != nil && !errors.Is(err, peer.ErrClosed) {
					t.Error(err)
				}
				renewed := signal.Fragment{Ufrag: fmt.Sprintf("abcd%d", i), Pwd: "P2uYro0UCOQ4zxjKXaWCBui1"}
				_, _, err := p.Restart(t.Context(), renewed)
				var rate *peer.RateError
				if err != nil && !errors.Is(err, peer.ErrClosed) && !errors.As(err, &rate) {
					t.Error(err)
				}
				_ = p.ETag() + p.RemoteUfrag() + p.State().String()
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			time.Sleep(50 * time.Millisecond)
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if p.State() != peer.Closed {
		t.Errorf("state %v", p.State())
	}
}

func TestCancelledAnswer(t *testing.T) {
	s := newServer(t, peer.Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the client went away")
	cancel(cause)
	if _, err := answer(ctx, s.network, chromeOffer()); !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
}

// pion's words, with their addresses, are for debugging only.
func TestLog(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo} {
		t.Run(level.String(), func(t *testing.T) {
			w := &webrtctest.Log{}
			s := newServer(t, peer.Options{Log: slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))})
			c := newClient(t, s, pion.MimeTypeOpus)
			c.post()
			c.trickle()
			s.awaitPackets(t, pion.MimeTypeOpus)
			if err := s.find("s1").Close(); err != nil {
				t.Error(err)
			}
			if said := w.String(); (said != "") != (level == slog.LevelDebug) {
				t.Errorf("%q is said", said)
			}
		})
	}
}
