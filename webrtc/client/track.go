package client

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"

	"tandem/capture/av"
)

// mimes are the codecs' names in WebRTC.
var mimes = map[av.Codec]string{av.VP8: pion.MimeTypeVP8, av.H264: pion.MimeTypeH264, av.Opus: pion.MimeTypeOpus}

// track is the way out of sound or pictures. It is a pion.TrackLocal that can change between the codecs agreed on, as
// browsers do.
type track struct {
	kind pion.RTPCodecType

	mu               sync.Mutex
	writer           pion.TrackLocalWriter // nil while not bound
	ssrc             uint32
	types            map[av.Codec]uint8 // the payload types agreed on
	seq              uint16
	base             uint32        // RTP timestamp of time 0 (RFC 3550 section 5.1: random)
	shift            time.Duration // of the RTP timestamps against the session's clock
	muted            bool
	awaitingKeyFrame bool // the pictures sent can't be built upon: wait for a key frame
	sent             TrackStats
}

func newTrack(kind pion.RTPCodecType) *track {
	return &track{kind: kind, types: map[av.Codec]uint8{}, seq: uint16(rand.Uint32()), base: rand.Uint32()}
}

func (t *track) ID() string              { return t.kind.String() }
func (t *track) RID() string             { return "" }
func (t *track) StreamID() string        { return "tandem" } // one for both, so that they are played in step
func (t *track) Kind() pion.RTPCodecType { return t.kind }

// Bind is called by pion when the answer has come.
func (t *track) Bind(c pion.TrackLocalContext) (pion.RTPCodecParameters, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var first *pion.RTPCodecParameters
	for _, p := range c.CodecParameters() {
		for codec, mime := range mimes {
			if _, have := t.types[codec]; have || !strings.EqualFold(p.MimeType, mime) {
				continue
			}
			t.types[codec] = uint8(p.PayloadType)
			if first == nil {
				first = &p
			}
		}
	}
	if first == nil {
		return pion.RTPCodecParameters{}, pion.ErrUnsupportedCodec
	}
	t.writer, t.ssrc = c.WriteStream(), uint32(c.SSRC())
	return *first, nil
}

// Unbind is called by pion at the end.
func (t *track) Unbind(pion.TrackLocalContext) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writer = nil
	return nil
}

// takes reports whether a codec was agreed on.
func (t *track) takes(c av.Codec) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.types[c]
	return ok
}

func (t *track) codecs() []av.Codec {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []av.Codec
	for c := range t.types {
		out = append(out, c)
	}
	slices.Sort(out)
	return out
}

func (t *track) mute(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.muted = on
}

func (t *track) shiftBy(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shift = d
}

// send sends a unit whose time on the session's clock is at.
func (t *track) send(u *unit, at time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pt, ok := t.types[u.codec]
	if !ok || t.writer == nil {
		return
	}
	rate := int64(90000)
	if u.codec == av.Opus {
		rate = 48000
	} else if u.key {
		t.awaitingKeyFrame = false
	}
	if t.muted || t.awaitingKeyFrame {
		t.awaitingKeyFrame = u.codec != av.Opus
		t.sent.Muted++
		return
	}
	header := rtp.Header{
		Version: 2, PayloadType: pt, SSRC: t.ssrc,
		Timestamp: t.base + uint32(int64((at+t.shift)/time.Microsecond)*rate/1e6),
	}
	t.sent.Units++
	for i, payload := range u.payloads {
		header.SequenceNumber = t.seq
		header.Marker = u.codec != av.Opus && i == len(u.payloads)-1
		header.Extension, header.Extensions = false, header.Extensions[:0] // which the interceptors fill in
		t.seq++
		if _, err := t.writer.WriteRTP(&header, payload); err != nil {
			t.sent.Failed++
			continue
		}
		t.sent.Packets++
		t.sent.Bytes += len(payload)
	}
}

func (t *track) stats() TrackStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent
}

// count adds to the statistics.
func (t *track) count(f func(*TrackStats)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.sent)
}

// errNoCodec is returned by Publish for a clip that nothing of can be sent.
var errNoCodec = errors.New("client: there is no track for any codec of the clip: " +
	"name them in Options.Codecs, and see what the server takes")
