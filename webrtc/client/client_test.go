package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp/codecs"
	pion "github.com/pion/webrtc/v4"

	"tandem/capture/av"
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

// pictures are the VP8 frames in packets that came in order, with the RTP timestamp of each.
func pictures(t *testing.T, packets []arrival) (frames [][]byte, times []uint32) {
	t.Helper()
	slices.SortStableFunc(packets, func(a, b arrival) int { return int(int16(a.SequenceNumber - b.SequenceNumber)) })
	var frame []byte
	for i, p := range packets {
		if i > 0 && p.SequenceNumber != packets[i-1].SequenceNumber+1 {
			t.Errorf("sequence number %d after %d", p.SequenceNumber, packets[i-1].SequenceNumber)
		}
		b, err := (&codecs.VP8Packet{}).Unmarshal(p.Payload)
		if err != nil {
			t.Fatal(err)
		}
		frame = append(frame, b...)
		if p.Marker {
			frames, times, frame = append(frames, frame), append(times, p.Timestamp), nil
		}
	}
	return frames, times
}

// What the server gets is the clip: each picture and packet of sound whole, at its time, with sender reports by which
// both fall on one clock.
func TestPublish(t *testing.T) {
	const length = 2500 * time.Millisecond
	path := write(t, "clip.webm", small(length))
	clip, err := LoadClip(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	srv := newServer(t)
	srv.token = "secret"
	s := dial(t, Options{URL: srv.url(), Token: "secret", Channel: NoChannel})
	if want := srv.http.URL + "/sessions/one"; s.URL() != want {
		t.Errorf("URL %q, want %q", s.URL(), want)
	}
	if s.ETag() != `"first"` || !slices.Equal(s.Codecs(), []av.Codec{av.VP8, av.Opus}) {
		t.Errorf("ETag %q, codecs %v", s.ETag(), s.Codecs())
	}
	began := time.Now()
	if err := s.Publish(t.Context(), clip, PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < clip.Length()-20*time.Millisecond || took > clip.Length()+2*time.Second {
		t.Errorf("publishing %v took %v", clip.Length(), took)
	}
	stats := s.Stats()
	until(t, "the last packets", func() bool {
		return len(srv.got(audio)) == stats.Audio.Packets && len(srv.got(video)) == stats.Video.Packets
	})
	if stats.Audio.Failed+stats.Video.Failed != 0 {
		t.Errorf("packets failed: %+v", stats)
	}

	in, err := av.Open(t.Context(), path, av.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var want, sound []av.Packet
	for {
		p, err := in.ReadPacket(t.Context())
		if err != nil {
			break
		}
		if p.Codec == av.VP8 {
			want = append(want, p)
		} else {
			sound = append(sound, p)
		}
	}
	frames, times := pictures(t, srv.got(video))
	if len(frames) != len(want) {
		t.Fatalf("%d pictures of %d came", len(frames), len(want))
	}
	for i, f := range frames {
		if string(f) != string(want[i].Payload) {
			t.Errorf("picture %d differs", i)
		}
		if d := (want[i].Time-want[0].Time).Seconds()*90000 - float64(times[i]-times[0]); math.Abs(d) > 1.5 {
			t.Errorf("picture %d is %v ticks off", i, d)
		}
	}
	opus := srv.got(audio)
	if len(opus) != len(sound) {
		t.Fatalf("%d packets of sound of %d came", len(opus), len(sound))
	}
	for i, p := range opus {
		if string(p.Payload) != string(sound[i].Payload) {
			t.Errorf("sound %d differs", i)
		}
		if d := (sound[i].Time-sound[0].Time).Seconds()*48000 - float64(p.Timestamp-opus[0].Timestamp); math.Abs(d) > 1.5 {
			t.Errorf("sound %d is %v ticks off", i, d)
		}
	}

	// Media time 0 on the wall, by the reports of either track.
	zero := map[pion.RTPCodecType]float64{}
	srv.locked(func() {
		for kind, first := range map[pion.RTPCodecType]uint32{
			video: times[0] - uint32(want[0].Time.Seconds()*90000), audio: opus[0].Timestamp - uint32(sound[0].Time.Seconds()*48000),
		} {
			rate := map[pion.RTPCodecType]float64{video: 90000, audio: 48000}[kind]
			if len(srv.reports[kind]) == 0 {
				t.Fatalf("no sender report for %v", kind)
			}
			sr := srv.reports[kind][0]
			zero[kind] = float64(sr.NTPTime)/(1<<32) - float64(sr.RTPTime-first)/rate
		}
	})
	if d := zero[video] - zero[audio]; math.Abs(d) > 0.05 {
		t.Errorf("by their sender reports sound and picture are %.3f s apart", d)
	}
}

// A repeated clip goes on in time and in sequence; a second clip follows the first.
func TestLoop(t *testing.T) {
	clip := load(t, small(500*time.Millisecond))
	srv := newServer(t)
	s := dial(t, Options{URL: srv.url(), Channel: NoChannel})
	ctx, cancel := context.WithTimeout(t.Context(), 800*time.Millisecond)
	defer cancel()
	// Four times as fast: six clips in 0.8 s.
	if err := s.Publish(ctx, clip, PublishOptions{Loop: true, Speed: 4}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Publish: %v", err)
	}
	if err := s.Publish(t.Context(), clip, PublishOptions{Speed: 4}); err != nil {
		t.Error(err)
	}
	n := s.Stats().Video.Packets
	until(t, "the last packets", func() bool { return len(srv.got(video)) == n })
	frames, times := pictures(t, srv.got(video))
	keys := 0
	for i, f := range frames {
		if f[0]&1 == 0 {
			keys++
		}
		if i > 0 {
			if d := float64(times[i]-times[i-1]) / 90000; d < 0.02 || d > 0.15 && f[0]&1 != 0 {
				t.Errorf("picture %d comes %.3f s after that before it", i, d)
			}
		}
	}
	if keys < 5 {
		t.Errorf("%d key frames in %d pictures: the clip was not repeated", keys, len(frames))
	}
	if span := float64(times[len(times)-1]-times[0]) / 90000; span < 2.5 || span > 6 {
		t.Errorf("all of it spans %.2f s", span)
	}
}

// One clip serves several sessions at a time.
func TestSharedClip(t *testing.T) {
	clip := load(t, small(time.Second))
	done := make(chan error, 3)
	var servers []*server
	for range cap(done) {
		srv := newServer(t)
		servers = append(servers, srv)
		s := dial(t, Options{URL: srv.url(), Channel: NoChannel})
		go func() { done <- s.Publish(t.Context(), clip, PublishOptions{}) }()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for _, srv := range servers {
		until(t, "15 pictures", func() bool {
			n := 0
			for _, p := range srv.got(video) {
				if p.Marker {
					n++
				}
			}
			return n == 15
		})
	}
}

// H.264 and a change of codec in mid-stream, as browsers may do.
func TestChangeOfCodec(t *testing.T) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("there is no ffmpeg to make constrained baseline with")
	}
	vp8 := write(t, "clip.webm", small(500*time.Millisecond))
	first, err := LoadClip(t.Context(), vp8)
	if err != nil {
		t.Fatal(err)
	}
	second, err := LoadClip(t.Context(), remux(t, ffmpeg, vp8, "clip.mkv", "-c:v", "libx264", "-profile:v", "baseline", "-an"))
	if err != nil {
		t.Fatal(err)
	}
	srv := newServer(t)
	s := dial(t, Options{URL: srv.url(), Channel: NoChannel, Codecs: []av.Codec{av.VP8, av.H264}})
	for _, c := range []*Clip{first, second} {
		if err := s.Publish(t.Context(), c, PublishOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	n := s.Stats().Video.Packets
	until(t, "the last packets", func() bool { return len(srv.got(video)) == n })
	var seen []string
	h264 := &codecs.H264Packet{}
	var stream []byte
	for _, p := range srv.got(video) {
		if len(seen) == 0 || seen[len(seen)-1] != p.mime {
			seen = append(seen, p.mime)
		}
		if p.mime == pion.MimeTypeH264 {
			b, err := h264.Unmarshal(p.Payload)
			if err != nil {
				t.Fatal(err)
			}
			stream = append(stream, b...)
		}
	}
	if !slices.Equal(seen, []string{pion.MimeTypeVP8, pion.MimeTypeH264}) {
		t.Errorf("codecs in turn: %v", seen)
	}
	for _, unit := range []byte{7, 8, 5} { // parameter sets and a key frame
		if !slices.ContainsFunc(strings.Split(string(stream), "\x00\x00\x00\x01")[1:], func(s string) bool { return s[0]&31 == unit }) {
			t.Errorf("there is no unit of type %d in what came", unit)
		}
	}
}

// While muted nothing is sent, and pictures go on with a key frame.
func TestMute(t *testing.T) {
	p := small(6 * time.Second)
	p.NoAudio = false
	clip := load(t, p) // a key frame every two seconds
	srv := newServer(t)
	s := dial(t, Options{URL: srv.url(), Channel: NoChannel})
	published := make(chan error, 1)
	go func() { published <- s.Publish(t.Context(), clip, PublishOptions{Speed: 3}) }()
	until(t, "pictures", func() bool { return len(srv.got(video)) > 5 })
	s.Mute(false, true)
	time.Sleep(50 * time.Millisecond) // what was on its way
	before, sound := len(srv.got(video)), len(srv.got(audio))
	time.Sleep(300 * time.Millisecond)
	if n := len(srv.got(video)); n != before {
		t.Errorf("%d packets of pictures came while muted", n-before)
	}
	if len(srv.got(audio)) == sound {
		t.Error("the sound was muted too")
	}
	s.Mute(true, false)
	time.Sleep(50 * time.Millisecond)
	sound = len(srv.got(audio))
	until(t, "pictures again", func() bool { return len(srv.got(video)) > before })
	if n := len(srv.got(audio)); n != sound {
		t.Errorf("%d packets of sound came while muted", n-sound)
	}
	s.Mute(false, false)
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	again := srv.got(video)[before]
	if b, err := (&codecs.VP8Packet{}).Unmarshal(again.Payload); err != nil || b[0]&1 != 0 {
		t.Errorf("the first picture after muting is no key frame (%v)", err)
	}
	if gap := float64(again.Timestamp-srv.got(video)[before-1].Timestamp) / 90000; gap < 0.9 {
		t.Errorf("the time stood still while muted: %.2f s", gap)
	}
	if st := s.Stats(); st.Video.Muted == 0 || st.Audio.Muted == 0 {
		t.Errorf("muted units were not counted: %+v", st)
	}
}

// Lost packets are sent again; requests for key frames and reports are counted.
func TestFeedback(t *testing.T) {
	clip := load(t, small(2*time.Second))
	srv := newServer(t)
	s := dial(t, Options{URL: srv.url(), Channel: NoChannel})
	published := make(chan error, 1)
	go func() { published <- s.Publish(t.Context(), clip, PublishOptions{}) }()
	until(t, "pictures", func() bool { return len(srv.got(video)) > 5 })
	lost := srv.got(video)[2]
	if err := srv.pc.WriteRTCP([]rtcp.Packet{
		&rtcp.PictureLossIndication{MediaSSRC: lost.SSRC},
		&rtcp.TransportLayerNack{MediaSSRC: lost.SSRC, Nacks: rtcp.NackPairsFromSequenceNumbers([]uint16{lost.SequenceNumber})},
	}); err != nil {
		t.Fatal(err)
	}
	until(t, "the retransmission", func() bool {
		n := 0
		for _, p := range srv.got(video) {
			if p.SequenceNumber == lost.SequenceNumber && string(p.Payload) == string(lost.Payload) {
				n++
			}
		}
		return n == 2
	})
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	until(t, "the server's reports", func() bool {
		st := s.Stats()
		return st.Video.RTT > 0 && st.Feedback > 0
	})
	if st := s.Stats(); st.Video.KeyFrameRequests == 0 || st.Video.NACKed == 0 || st.Video.RTT > time.Second {
		t.Errorf("stats: %+v", st)
	}
}

// Events come by all ways, and the last of them after DELETE.
func TestEvents(t *testing.T) {
	start := pipeline.Event{Start: &pipeline.StartEvent{Source: "x", Emotions: []string{"neutral"}}}
	window := pipeline.Event{Window: &pipeline.WindowEvent{T: time.Second, End: time.Second, Audio: true}}
	end := pipeline.Event{End: &pipeline.EndEvent{Windows: 1}}
	for name, channel := range map[string]Channel{"server": ServerChannels, "reliable": ReliableChannel, "lossy": LossyChannel} {
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
			if p.match != `"first"` || !strings.Contains(p.body, "a=mid:0\r\n") || !strings.Contains(p.body, "a=ice-ufrag:") {
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
			problem.Write(w, &problem.Error{Status: http.StatusTooManyRequests, Detail: "enough", RetryAfter: 2 * time.Second})
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

func TestPublishRefuses(t *testing.T) {
	clip := load(t, small(time.Second))
	srv := newServer(t)
	s := dial(t, Options{URL: srv.url(), Channel: NoChannel, Codecs: []av.Codec{av.Opus}})
	h264, err := NewClip([]av.Packet{{Codec: av.H264, Key: true, Payload: []byte{0, 0, 0, 1, 0x65, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(t.Context(), h264, PublishOptions{}); err == nil || !strings.Contains(err.Error(), "Options.Codecs") {
		t.Errorf("a clip without a track: %v", err)
	}
	if err := s.Publish(t.Context(), clip, PublishOptions{Speed: -1}); err == nil || !strings.Contains(err.Error(), "speed") {
		t.Errorf("a speed of -1: %v", err)
	}
	first := make(chan error, 1)
	go func() { first <- s.Publish(t.Context(), clip, PublishOptions{}) }() // its sound alone
	until(t, "sound", func() bool { return len(srv.got(audio)) > 0 })
	if err := s.Publish(t.Context(), clip, PublishOptions{}); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second clip at a time: %v", err)
	}
	if err := <-first; err != nil {
		t.Error(err)
	}
	if len(srv.got(video)) != 0 {
		t.Error("pictures came without a track for them")
	}
}

func TestDialFails(t *testing.T) {
	refuse := func(e *problem.Error) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				problem.Write(w, e)
			}
			return r.Method == http.MethodPost
		}
	}
	for _, test := range []struct {
		name    string
		set     func(*server)
		o       Options
		want    string
		deleted int
		check   func(*Error) bool
	}{
		{
			"full", func(s *server) {
				s.refuse = refuse(&problem.Error{Status: 503, Detail: "all places are taken: try again in a while", RetryAfter: 10 * time.Second})
			},
			Options{},
			"503 Service Unavailable: all places are taken", 0,
			func(e *Error) bool { return e.Status == 503 && e.RetryAfter == 10*time.Second && e.Method == "POST" },
		},
		{
			"no token", func(s *server) { s.token = "secret" },
			Options{Token: "guess"},
			"401 Unauthorized: who are you?", 0, func(e *Error) bool { return e.Status == 401 },
		},
		{
			"no token for OPTIONS", func(s *server) { s.token = "secret" },
			Options{Discover: true},
			"OPTIONS", 0, func(e *Error) bool { return e.Status == 401 },
		},
		{
			"not WHIP", func(s *server) {
				s.refuse = func(w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true }
			},
			Options{},
			"404 Not Found", 0, func(e *Error) bool { return e.Detail == "" },
		},
		{
			"no Location", func(s *server) {
				s.refuse = func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(http.StatusCreated); return true }
			},
			Options{},
			"without a Location", 0, nil,
		},
		{"garbage", func(s *server) { s.answer = func(string) string { return "hello" } }, Options{}, "answer can't be used", 1, nil},
		{
			"no way", func(s *server) {
				s.answer = func(a string) string { // addresses that nobody has
					var out []string
					for line := range strings.SplitSeq(a, "\r\n") {
						if !strings.HasPrefix(line, "a=candidate") {
							out = append(out, line)
						}
					}
					return strings.ReplaceAll(strings.Join(out, "\r\n"), "a=ice-pwd:", "a=ice-pwd:x")
				}
			},
			Options{},
			"waiting for the connection", 1, nil,
		},
		{"bad codec", func(*server) {}, Options{Codecs: []av.Codec{99}}, "no codec", 0, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			srv := newServer(t)
			test.set(srv)
			test.o.URL, test.o.Loopback = srv.url(), true
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			s, err := Dial(ctx, test.o)
			if err == nil {
				closeSession(t, s)
				t.Fatal("it connected")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			var refused *Error
			if test.check != nil && (!errors.As(err, &refused) || !test.check(refused)) {
				t.Errorf("the error: %#v", err)
			}
			srv.locked(func() {
				if srv.deleted != test.deleted {
					t.Errorf("%d DELETE, want %d", srv.deleted, test.deleted)
				}
			})
		})
	}
	if _, err := Dial(t.Context(), Options{URL: "http://127.0.0.1:1/whip"}); err == nil {
		t.Error("dialled a port without a server")
	}
}

func TestDiscover(t *testing.T) {
	srv := newServer(t)
	s := dial(t, Options{URL: srv.url(), Discover: true, Trickle: true})
	got := s.pc.GetConfiguration().ICEServers
	if len(got) != 1 || got[0].URLs[0] != "stun:127.0.0.1:9" {
		t.Errorf("ICE servers %+v", got)
	}
}

func TestLinks(t *testing.T) {
	for _, test := range []struct {
		headers []string
		want    string
	}{
		{nil, "[]"},
		{[]string{`<stun:stun.example.net>; rel="ice-server"`}, "[{[stun:stun.example.net]  <nil> password}]"},
		{
			[]string{`<turn:a?transport=udp>; rel="ice-server"; username="u,;\"x"; credential="p\\w"; credential-type="password"`},
			`[{[turn:a?transport=udp] u,;"x p\w password}]`,
		},
		{[]string{`<http://x>; rel=next, <stun:b> ; REL=ice-server`, `<stun:c>;rel=ice-server`}, "[{[stun:b]  <nil> password} {[stun:c]  <nil> password}]"},
		{[]string{`<stun:d>; rel="ice-server`}, "[{[stun:d]  <nil> password}]"},
		{[]string{`stun:e; rel=ice-server`}, "[]"},
		{[]string{`<stun:f`}, "[]"},
		{[]string{`<stun:g>; ; rel=ice-server;`}, "[{[stun:g]  <nil> password}]"},
	} {
		if got := fmt.Sprint(iceServers(http.Header{"Link": test.headers})); got != test.want {
			t.Errorf("%q: %s, want %s", test.headers, got, test.want)
		}
	}
}
