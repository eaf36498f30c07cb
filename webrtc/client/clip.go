package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"tandem/capture/av"
)

// ErrClip is wrapped by the errors of LoadClip and NewClip for media that can't be sent as it is.
var ErrClip = errors.New("not fit for WebRTC")

// convert is the remedy for ErrClip. Pictures must be able to begin anew often: a file can't be asked for a key frame.
const convert = "convert it: ffmpeg -i INPUT -c:v libvpx -deadline realtime -cpu-used 6 -b:v 1M -g 60 " +
	"-c:a libopus OUTPUT.webm, " +
	"or for H.264 ffmpeg -i INPUT -c:v libx264 -profile:v baseline -preset veryfast -b:v 1M -g 60 " +
	"-c:a libopus OUTPUT.mkv"

// maxFragment is how many bytes of a payload go into one RTP packet, so that with all headers it fits any network.
const maxFragment = 1160

// singleLength is how long a picture lasts that is alone and does not say: without a length, a loop would send it as
// fast as the machine goes.
const singleLength = time.Second / 25

// Clip is coded media in memory, ready to be sent by any number of sessions at a time.
type Clip struct {
	units  []unit // by time
	codecs []av.Codec
	length time.Duration
}

// unit is one picture or packet of sound, cut into payloads of RTP. It is only read.
type unit struct {
	at       time.Duration
	codec    av.Codec
	key      bool
	payloads [][]byte
}

// LoadClip reads a file of VP8 or H.264 and Opus; either may be missing. Media that would have to be encoded anew
// is an error that says how to.
func LoadClip(ctx context.Context, path string) (*Clip, error) {
	in, err := av.Open(ctx, path, av.Options{})
	if err != nil {
		return nil, err
	}
	defer in.Close()
	var packets []av.Packet
	for {
		p, err := in.ReadPacket(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		packets = append(packets, p)
	}
	c, err := NewClip(packets)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	info := in.Info()
	audio := slices.Contains(c.codecs, av.Opus)
	video := len(c.codecs) > 1 || !audio
	switch {
	case info.HasVideo && !video:
		return nil, fmt.Errorf("%s: %w: its pictures are %s and not VP8 or H.264; %s",
			path, ErrClip, info.VideoCodec, convert)
	case info.HasAudio && !audio:
		return nil, fmt.Errorf("%s: %w: its sound is %s and not Opus; %s", path, ErrClip, info.AudioCodec, convert)
	}
	return c, nil
}

// NewClip makes a clip of packets as they came out of a file, which it keeps nothing of.
func NewClip(packets []av.Packet) (*Clip, error) {
	c := &Clip{}
	payloaders := map[av.Codec]rtp.Payloader{
		av.VP8: &codecs.VP8Payloader{}, av.H264: &codecs.H264Payloader{}, av.Opus: &codecs.OpusPayloader{},
	}
	type track struct {
		n           int
		first, last time.Duration
		length      time.Duration // of the last
	}
	tracks := map[av.Codec]*track{}
	for i, p := range packets {
		payloader := payloaders[p.Codec]
		switch t := tracks[p.Codec]; {
		case payloader == nil:
			return nil, fmt.Errorf("%w: packet %d is of %v; %s", ErrClip, i, p.Codec, convert)
		case t == nil:
			if p.Codec != av.Opus && !p.Key {
				return nil, fmt.Errorf("%w: its pictures don't begin with a key frame; %s", ErrClip, convert)
			}
			c.codecs = append(c.codecs, p.Codec)
			tracks[p.Codec] = &track{n: 1, first: p.Time, last: p.Time, length: p.Length}
		case p.Time < t.last:
			return nil, fmt.Errorf("%w: it has B-frames, pictures that are sent before others that are shown first; %s",
				ErrClip, convert)
		default:
			t.n, t.last, t.length = t.n+1, p.Time, p.Length
		}
		u := unit{at: p.Time, codec: p.Codec, key: p.Key}
		// The payloader of H.264 keeps parameter sets back until the next unit, which is of the same packet; it and
		// that of VP8 copy, and that of Opus too.
		u.payloads = payloader.Payload(maxFragment, p.Payload)
		if len(u.payloads) > 0 {
			c.units = append(c.units, u)
		}
	}
	if len(c.units) == 0 {
		return nil, fmt.Errorf("%w: it has neither VP8 or H.264 pictures nor Opus sound; %s", ErrClip, convert)
	}
	if tracks[av.VP8] != nil && tracks[av.H264] != nil {
		return nil, fmt.Errorf("%w: it has both VP8 and H.264; %s", ErrClip, convert)
	}
	slices.SortStableFunc(c.units, func(a, b unit) int { return cmp.Compare(a.at, b.at) })
	slices.Sort(c.codecs)
	for _, t := range tracks {
		if t.length == 0 && t.n > 1 {
			t.length = (t.last - t.first) / time.Duration(t.n-1)
		}
		if t.length == 0 {
			t.length = singleLength
		}
		c.length = max(c.length, t.last+t.length)
	}
	return c, nil
}

// Codecs returns those of the clip's packets, as Options.Codecs wants them.
func (c *Clip) Codecs() []av.Codec { return slices.Clone(c.codecs) }

// Length returns the time from 0 to the end of the last packet.
func (c *Clip) Length() time.Duration { return c.length }
