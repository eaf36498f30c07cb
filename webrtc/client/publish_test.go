package client

import (
	"context"
	"errors"
	"math"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp/codecs"
	pion "github.com/pion/webrtc/v4"

	"tandem/capture/av"
)

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
	t.Parallel()
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

	want, sound := packetsOf(t, path)
	frames, times := pictures(t, srv.got(video))
	checkArrived(t, "picture", 90000, want, frames, times)
	var packets [][]byte
	var audioTimes []uint32
	for _, p := range srv.got(audio) {
		packets, audioTimes = append(packets, p.Payload), append(audioTimes, p.Timestamp)
	}
	checkArrived(t, "sound", 48000, sound, packets, audioTimes)
	if t.Failed() {
		return
	}
	apart := srv.zero(video, 90000, times[0]-uint32(want[0].Time.Seconds()*90000)) -
		srv.zero(audio, 48000, audioTimes[0]-uint32(sound[0].Time.Seconds()*48000))
	if math.Abs(apart) > 0.05 {
		t.Errorf("by their sender reports sound and picture are %.3f s apart", apart)
	}
}

// packetsOf returns the coded pictures and the coded sound of a file.
func packetsOf(t *testing.T, path string) (pictures, sound []av.Packet) {
	t.Helper()
	in, err := av.Open(t.Context(), path, av.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for {
		p, err := in.ReadPacket(t.Context())
		if err != nil {
			return pictures, sound
		}
		if p.Codec == av.VP8 {
			pictures = append(pictures, p)
		} else {
			sound = append(sound, p)
		}
	}
}

// checkArrived compares coded media and their RTP times with the packets that they were made of.
func checkArrived(t *testing.T, kind string, rate float64, want []av.Packet, got [][]byte, times []uint32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d of %d came: %s", len(got), len(want), kind)
	}
	for i, b := range got {
		if string(b) != string(want[i].Payload) {
			t.Errorf("%s %d differs", kind, i)
		}
		if d := (want[i].Time-want[0].Time).Seconds()*rate - float64(times[i]-times[0]); math.Abs(d) > 1.5 {
			t.Errorf("%s %d is %v ticks off", kind, i, d)
		}
	}
}

// zero returns when media time 0 was on the sender's clock, in seconds, by the first report of a track; first is its
// RTP time of media time 0.
func (s *server) zero(kind pion.RTPCodecType, rate float64, first uint32) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.reports[kind]) == 0 {
		s.t.Errorf("no sender report for %v", kind)
		return 0
	}
	sr := s.reports[kind][0]
	return float64(sr.NTPTime)/(1<<32) - float64(sr.RTPTime-first)/rate
}

// A repeated clip goes on in time and in sequence; a second clip follows the first.
func TestLoop(t *testing.T) {
	t.Parallel()
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
			// A key picture begins a clip, which may follow one that was broken off late.
			d, within := float64(times[i]-times[i-1])/90000, f[0]&1 != 0
			if d <= 0 || within && (d < 0.02 || d > 0.15) {
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
	t.Parallel()
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
	t.Parallel()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("there is no ffmpeg to make constrained baseline with")
	}
	vp8 := write(t, "clip.webm", small(500*time.Millisecond))
	first, err := LoadClip(t.Context(), vp8)
	if err != nil {
		t.Fatal(err)
	}
	second, err := LoadClip(t.Context(),
		remux(t, ffmpeg, vp8, "clip.mkv", "-c:v", "libx264", "-profile:v", "baseline", "-an"))
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
		if !slices.ContainsFunc(strings.Split(string(stream), "\x00\x00\x00\x01")[1:],
			func(s string) bool { return s[0]&31 == unit }) {
			t.Errorf("there is no unit of type %d in what came", unit)
		}
	}
}

// While muted nothing is sent, and pictures go on with a key frame.
func TestMute(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
	clip := load(t, small(2*time.Second))
	srv := newServer(t)
	s := dial(t, Options{URL: srv.url(), Channel: NoChannel})
	published := make(chan error, 1)
	go func() { published <- s.Publish(t.Context(), clip, PublishOptions{}) }()
	until(t, "pictures", func() bool { return len(srv.got(video)) > 5 })
	lost := srv.got(video)[2]
	if err := srv.pc.WriteRTCP([]rtcp.Packet{
		&rtcp.PictureLossIndication{MediaSSRC: lost.SSRC},
		&rtcp.TransportLayerNack{
			MediaSSRC: lost.SSRC, Nacks: rtcp.NackPairsFromSequenceNumbers([]uint16{lost.SequenceNumber}),
		},
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

func TestPublishRefuses(t *testing.T) {
	clip := load(t, small(time.Second))
	srv := newServer(t)
	s := dial(t, Options{URL: srv.url(), Channel: NoChannel, Codecs: []av.Codec{av.Opus}})
	h264, err := NewClip([]av.Packet{{Codec: av.H264, Key: true, Payload: []byte{0, 0, 0, 1, 0x65, 1}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(t.Context(), h264, PublishOptions{}); err == nil ||
		!strings.Contains(err.Error(), "Options.Codecs") {
		t.Errorf("a clip without a track: %v", err)
	}
	if err := s.Publish(t.Context(), clip, PublishOptions{Speed: -1}); err == nil ||
		!strings.Contains(err.Error(), "speed") {
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

// Clocks that are set show in what the server gets: in the RTP times, and in the clock of the sender reports.
func TestShiftClocks(t *testing.T) {
	t.Parallel()
	clip, err := LoadClip(t.Context(), write(t, "clip.webm", small(time.Second)))
	if err != nil {
		t.Fatal(err)
	}
	srv := newServer(t)
	s := dial(t, Options{URL: srv.url(), Channel: NoChannel})
	ctx, stop := context.WithCancel(t.Context())
	published := make(chan struct{})
	go func() { defer close(published); _ = s.Publish(ctx, clip, PublishOptions{Loop: true}) }()
	defer func() { stop(); <-published }()
	until(t, "packets of both kinds", func() bool { return len(srv.got(audio)) > 10 && len(srv.got(video)) > 5 })
	const rtp, wall = time.Hour, -2 * time.Hour
	s.ShiftClocks(rtp, wall)
	for kind, rate := range map[pion.RTPCodecType]int32{audio: 48000, video: 90000} {
		until(t, "a jump of the RTP times", func() bool {
			got := srv.got(kind)
			jump := int32(got[len(got)-1].Timestamp - got[0].Timestamp)
			return jump > 3600*rate && jump < 3620*rate
		})
		until(t, "a report by the other clock", func() bool {
			srv.mu.Lock()
			defer srv.mu.Unlock()
			for _, r := range srv.reports[kind] {
				at := int64(r.NTPTime>>32) - 2208988800 // RFC 3550 section 4: since 1900
				if off := time.Unix(at, 0).Sub(time.Now().Add(wall)); off.Abs() < 20*time.Second {
					return true
				}
			}
			return false
		})
	}
}
