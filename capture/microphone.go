package capture

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gordonklaus/portaudio"

	"tandem/capture/av"
)

// microphoneTimeout is how long a microphone may give nothing before it is taken to be gone.
const microphoneTimeout = 2 * time.Second

// OpenMicrophone opens the microphone of that name, or the first whose name contains it whatever the case;
// "default" or "" is the system's default. Its sound bears the time at which it was picked up, as far as the driver
// knows. A reader that is more than two seconds behind loses the oldest. When the device goes away, Read returns an
// error that says so within two seconds.
func OpenMicrophone(name string) (Source, error) {
	label := "microphone " + name
	if name == "" {
		label = "microphone default"
	}
	m := &microphone{received: make(chan struct{}, 1)}
	err := withPortAudio(portAudioTimeout, func() error {
		if err := startPortAudio(); err != nil {
			return err
		}
		if err := m.open(name); err != nil {
			m.resample.Close()
			portaudio.Terminate()
			return err
		}
		return nil
	}, m.free)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", label, err)
	}
	return newLive(Info{Name: label, HasAudio: true}, m.start, m.run), nil
}

// audioStream is the part of PortAudio's stream that an open microphone needs.
type audioStream interface {
	Abort() error
	Close() error
}

type microphone struct {
	stream   audioStream
	channels int
	resample *av.Resampler // nil at SampleRate
	latency  time.Duration // where the driver does not know the time of a buffer
	clock    audioClock
	start    time.Time
	out      atomic.Pointer[live] // where the sound goes, once it is there
	received chan struct{}
}

func findMicrophone(name string) (*portaudio.DeviceInfo, error) {
	if name == "" || name == "default" {
		dev, err := portaudio.DefaultInputDevice()
		if err != nil || dev.MaxInputChannels < 1 {
			return nil, errors.New("there is no microphone on this machine")
		}
		return dev, nil
	}
	devs, err := portaudio.Devices()
	if err != nil {
		return nil, err
	}
	var names []string
	var found *portaudio.DeviceInfo
	for _, d := range devs {
		if d.MaxInputChannels < 1 {
			continue
		}
		if d.Name == name {
			return d, nil
		}
		if found == nil && strings.Contains(strings.ToLower(d.Name), strings.ToLower(name)) {
			found = d
		}
		names = append(names, fmt.Sprintf("%q", d.Name))
	}
	switch {
	case found != nil:
		return found, nil
	case len(names) == 0:
		return nil, errors.New("there is no microphone on this machine")
	}
	return nil, fmt.Errorf("no such microphone; there are %s", strings.Join(names, ", "))
}

// open tries mono at SampleRate first, then what the hardware does of itself.
func (m *microphone) open(name string) error {
	m.start = time.Now()
	dev, err := findMicrophone(name)
	if err != nil {
		return err
	}
	for _, as := range []struct {
		channels int
		rate     float64
	}{{1, SampleRate}, {1, dev.DefaultSampleRate}, {min(2, dev.MaxInputChannels), dev.DefaultSampleRate}} {
		p := portaudio.HighLatencyParameters(dev, nil)
		p.Input.Latency = max(dev.DefaultLowInputLatency, 20*time.Millisecond)
		p.Input.Channels = as.channels
		p.SampleRate = as.rate
		p.FramesPerBuffer = int(as.rate / 50)
		m.channels = as.channels
		var stream *portaudio.Stream
		if stream, err = portaudio.OpenStream(p, m.onAudio); err != nil {
			continue
		}
		if as.rate != SampleRate {
			if m.resample, err = av.NewResampler(int(as.rate)); err != nil {
				stream.Close()
				return err
			}
		}
		m.latency = stream.Info().InputLatency
		m.stream = stream
		if err = stream.Start(); err == nil {
			return nil
		}
		stream.Close()
	}
	return fmt.Errorf("cannot be opened: %w", err)
}

// onAudio is called by PortAudio, on a thread of its own, with interleaved sound.
func (m *microphone) onAudio(in []float32, info portaudio.StreamCallbackTimeInfo, flags portaudio.StreamCallbackFlags) {
	select {
	case m.received <- struct{}{}:
	default:
	}
	out := m.out.Load()
	if out == nil || len(in) == 0 {
		return
	}
	now := time.Now()
	ago := info.CurrentTime - info.InputBufferAdcTime
	data := mono(in, m.channels)
	if m.resample != nil {
		data = m.resample.Resample(data)
	}
	length := time.Duration(len(data)) * time.Second / SampleRate
	if ago <= 0 || ago > time.Second { // some drivers do not know
		ago = length + m.latency
	}
	at, cut, gap := m.clock.place(now.Sub(m.start)-ago, len(data))
	if flags&portaudio.InputOverflow != 0 || cut > 0 {
		out.addDrops(Drops{Samples: gap + cut})
	}
	if data = data[cut:]; len(data) > 0 {
		out.put(Media{Samples: &Samples{Time: at, Data: data, Arrived: now}})
	}
}

// mono is a copy of interleaved sound, its channels averaged.
func mono(in []float32, channels int) []float32 {
	out := make([]float32, len(in)/channels)
	for i := range out {
		for _, v := range in[i*channels : (i+1)*channels] {
			out[i] += v / float32(channels)
		}
	}
	return out
}

// run watches over the stream.
func (m *microphone) run(ctx context.Context, l *live) error {
	defer m.close()
	m.out.Store(l)
	silent := time.NewTimer(microphoneTimeout)
	defer silent.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-m.received:
			silent.Reset(microphoneTimeout)
		case <-silent.C:
			return fmt.Errorf("%s: no sound for %v: the device has gone away", l.info.Name, microphoneTimeout)
		}
	}
}

// close ends the stream. A driver whose device is gone may never return from that; it is left behind then.
func (m *microphone) close() {
	withPortAudio(microphoneTimeout, func() error {
		m.free()
		return nil
	}, func() {})
}

// free ends the stream and what goes with it. The caller has PortAudio to itself.
func (m *microphone) free() {
	m.stream.Abort()
	m.stream.Close()
	m.resample.Close()
	portaudio.Terminate()
}

// audioClock gives buffers of sound times without seams, though each is seen a little early or late. Only when all of
// a while are off to the same side by more than slack does the clock follow, by as much as the least of them.
type audioClock struct {
	started     bool
	next        time.Duration // where sound goes on
	least, most time.Duration // lateness seen since
	until       time.Duration // when to look at it
	ahead       int           // samples still to be cut because the clock was ahead
}

const (
	audioSlack  = 40 * time.Millisecond // a frame of video
	audioSettle = 2 * time.Second       // PulseAudio's idea of its delay is off for as long as a second
)

// watch starts a while at t.
func (c *audioClock) watch(t time.Duration) {
	c.least, c.most, c.until = time.Hour, -time.Hour, t+audioSettle
}

// place gives the time of a buffer of n samples that is seen to start at seen. Its first cut samples are to be left
// out because the clock was ahead; gap samples are missing before it.
func (c *audioClock) place(seen time.Duration, n int) (at time.Duration, cut, gap int) {
	if !c.started {
		c.started, c.next = true, max(seen, 0)
		c.watch(c.next)
	}
	at = c.next
	if c.ahead == 0 {
		c.least, c.most = min(c.least, seen-at), max(c.most, seen-at)
		if at >= c.until {
			switch {
			case c.least > audioSlack:
				gap = int(c.least * SampleRate / time.Second)
				at += c.least
			case c.most < -audioSlack:
				c.ahead = int(-c.most * SampleRate / time.Second)
			}
			c.watch(at)
		}
	}
	if cut = min(c.ahead, n); cut > 0 {
		c.ahead -= cut
		if c.ahead == 0 {
			c.watch(at)
		}
	}
	c.next = at + time.Duration(n-cut)*time.Second/SampleRate
	return at, cut, gap
}
