package webrtc_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/webrtc"
	"tandem/webrtc/client"
)

// A client may change between the codecs of the answer in mid-stream.
func TestChangeOfCodec(t *testing.T) {
	t.Parallel()
	short := pattern
	short.Duration = 4 * time.Second
	vp8 := write(t, "a.webm", short)
	h264 := filepath.Join(t.TempDir(), "a.mkv")
	encode := exec.Command("ffmpeg", "-v", "error", "-i", vp8, "-c:v", "libx264", "-profile:v", "baseline",
		"-g", "60", "-c:a", "copy", h264)
	if out, err := encode.CombinedOutput(); err != nil {
		t.Skipf("ffmpeg can't encode H.264 here: %v %s", err, out)
	}
	_, url, _ := server(t, webrtc.Options{})
	s := dial(t, client.Options{URL: url + "/whip", Codecs: []av.Codec{av.VP8, av.H264, av.Opus}})
	if err := s.Publish(t.Context(), load(t, vp8), client.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	publish(t, s, load(t, h264), true)
	eventually(t, "H.264 shows in the status", 10*time.Second, func() bool {
		_, status := get(t, s.URL()+"/status")
		return strings.Contains(status, `"video":"h264"`)
	})
	seen := 0
	eventually(t, "windows with a face", 20*time.Second, func() bool {
		if windows(t, s, 1)[0].Video {
			seen++
		}
		return seen > 12 // more than a window's length
	})
}

// A client that turns no picture itself, but says how it has to be turned, is not sideways.
func TestOrientation(t *testing.T) {
	_, url, _ := server(t, webrtc.Options{})
	track, session := videoSource(t, url, func(offer string) string {
		return strings.Replace(offer, "a=rtcp-mux\r\n", "a=rtcp-mux\r\na=extmap:13 urn:3gpp:video-orientation\r\n", 1)
	})
	picture, payloader, began, seq := keyFrame(t, 320, 240), &codecs.VP8Payloader{}, time.Now(), uint16(0)
	eventually(t, "the picture is upright", 20*time.Second, func() bool {
		payloads, now := payloader.Payload(1188, picture), uint32(time.Since(began)*90/time.Millisecond)
		for k, b := range payloads {
			p := &rtp.Packet{
				Header:  rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: now, Marker: k == len(payloads)-1},
				Payload: b,
			}
			if p.Marker {
				p.SetExtension(13, []byte{1})
			}
			track.WriteRTP(p)
			seq++
		}
		_, status := get(t, session+"/status")
		return strings.Contains(status, `"width":240,"height":320`)
	})
}

// sourceOf gives each packet the SSRC that is due.
type sourceOf struct {
	interceptor.NoOp
	ssrc atomic.Uint32
}

func (s *sourceOf) NewInterceptor(string) (interceptor.Interceptor, error) { return s, nil }

func (s *sourceOf) BindLocalStream(_ *interceptor.StreamInfo, w interceptor.RTPWriter) interceptor.RTPWriter {
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		h.SSRC = s.ssrc.Load()
		return w.Write(h, payload, a)
	})
}

// keyFrame is the first picture of a clip of the pattern.
func keyFrame(t *testing.T, width, height int) []byte {
	t.Helper()
	o := capture.PatternOptions{Width: width, Height: height, FPS: 15, Duration: 200 * time.Millisecond}
	in, err := av.Open(t.Context(), write(t, "a.webm", o), av.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for {
		p, err := in.ReadPacket(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p.Codec == av.VP8 {
			return slices.Clone(p.Payload)
		}
	}
}

// Sources of one kind that no offer declared take each other's place, instead of each having a decoder and a bitrate of
// its own: only the pictures of the latest show.
func TestOneTrackOfAKind(t *testing.T) {
	_, url, _ := server(t, webrtc.Options{})
	source := &sourceOf{}
	undeclared := func(offer string) string {
		return regexp.MustCompile(`(?m)^a=ssrc.*\r\n`).ReplaceAllString(offer, "")
	}
	track, session := videoSource(t, url, undeclared, source)
	pictures := [][]byte{keyFrame(t, 320, 240), keyFrame(t, 160, 128)}
	payloader := &codecs.VP8Payloader{}
	began, seq := time.Now(), [2]uint16{}
	send := func(i int) {
		source.ssrc.Store(uint32(100 + i))
		payloads, now := payloader.Payload(1188, pictures[i]), uint32(time.Since(began)*90/time.Millisecond)
		for k, b := range payloads {
			track.WriteRTP(&rtp.Packet{
				Header:  rtp.Header{Version: 2, SequenceNumber: seq[i], Timestamp: now, Marker: k == len(payloads)-1},
				Payload: b,
			})
			seq[i]++
		}
	}
	shows := func(width string) bool {
		_, status := get(t, session+"/status")
		return strings.Contains(status, `"width":`+width)
	}
	eventually(t, "the first source's pictures show", 20*time.Second, func() bool { send(0); return shows("320") })
	eventually(t, "the second's do", 20*time.Second, func() bool { send(0); send(1); return shows("160") })
	for range 50 {
		send(0)
		time.Sleep(20 * time.Millisecond)
	}
	if !shows("160") {
		t.Error("the first source is decoded still")
	}
}
