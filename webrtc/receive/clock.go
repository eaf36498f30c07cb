package receive

import (
	"slices"
	"sync"
	"time"

	"github.com/pion/rtcp"
)

// How the clock corrects itself.
const (
	// slew is the most by which the pictures' time is bent, in seconds a second.
	slew = 0.1
	// leak lets the least delay seen grow, in seconds a second, so that clocks that drift apart are followed.
	leak = 0.001
	// maxApart is how far apart sound and picture may be by the sender's reports; more is a fault in the reports.
	maxApart = 10 * time.Second
	// maxStray is how far a packet's time may be from when it came; more is a new timeline.
	maxStray = 3 * time.Second
	// keptReports are the reports that are gone by: clocks that are 100 ppm apart drift by a millisecond meanwhile.
	keptReports = 9
)

// Clock is the one media clock of a session. Its 0 is the arrival of the session's first packet.
//
// Each track's RTP times (RFC 3550 section 5.1) are mapped to it by an offset. At first that comes from the first
// packet's arrival. The sound's offset then stays, so that samples follow each other without seams: the sound is the
// master. The pictures' offset is led to where the sender's reports (RFC 3550 section 6.4.1) put it, which relate both
// tracks to the sender's own clock, or without reports to where the least delays of both tracks agree; at most by slew,
// so that nothing jumps.
type Clock struct {
	mu    sync.Mutex
	start time.Time
	audio *trackTimeline
	video *trackTimeline
}

// NewClock makes a clock, which starts with the first packet.
func NewClock() *Clock { return &Clock{} }

// Skew returns how late pictures are against the sound as far as the clock knows and has not corrected yet; negative:
// early.
func (c *Clock) Skew() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.video == nil || !c.video.mapped {
		return 0
	}
	return c.video.offset - c.target()
}

// trackTimeline is one track's timeline.
type trackTimeline struct {
	c      *Clock
	rate   time.Duration // ticks a second
	mapped bool
	last   int64 // the latest RTP time, without its wraps
	// offset takes an RTP time, as a duration, to media time.
	offset time.Duration
	// delay is the least difference between arrival and RTP time that was seen lately, and seen when.
	delay    time.Duration
	seen     time.Duration
	slewedTo time.Duration // the RTP time up to which offset has been led

	// reports are the differences between the sender's clock and the RTP time in its last reports, oldest first.
	reports []time.Duration
}

// addTimeline adds the timeline of a track; a later one of the same kind takes the place of the earlier.
func (c *Clock) addTimeline(audio bool, rate uint32) *trackTimeline {
	l := &trackTimeline{c: c, rate: time.Duration(rate)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if audio {
		c.audio = l
	} else {
		c.video = l
	}
	return l
}

// unwrap returns the extension of an RTP time, which is taken to be within half of its range of the last.
func (l *trackTimeline) unwrap(ts uint32) int64 { return l.last + int64(int32(ts-uint32(l.last))) }

// rtp returns an extended RTP time as a duration.
func (l *trackTimeline) rtp(t int64) time.Duration {
	return time.Duration(t)/l.rate*time.Second + time.Duration(t)%l.rate*time.Second/l.rate
}

// arrive notes that a packet came. It must be called for each, as it comes.
func (l *trackTimeline) arrive(ts uint32, at time.Time) {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.start.IsZero() {
		c.start = at
	}
	since := at.Sub(c.start)
	if !l.mapped {
		l.begin(ts, since)
		return
	}
	t := l.unwrap(ts)
	delay := since - l.rtp(t)
	least := l.delay + time.Duration(float64(since-l.seen)*leak)
	if stray := delay - least; stray > maxStray || stray < -maxStray {
		l.begin(ts, since)
		return
	}
	l.delay, l.seen = min(delay, least), since
	l.last = max(l.last, t)
}

// begin maps a timeline by its first packet's arrival, or anew after its times have jumped.
func (l *trackTimeline) begin(ts uint32, since time.Duration) {
	l.mapped, l.reports = true, nil
	l.last = int64(ts)
	l.delay, l.seen = since-l.rtp(l.last), since
	l.offset, l.slewedTo = l.delay, l.rtp(l.last)
	if l == l.c.audio && l.c.video != nil && l.c.video.mapped {
		// Pictures that came later than their time would make sound that comes in time seem early.
		l.offset += l.c.video.offset - l.c.video.delay
	}
}

// time returns the media time of a packet that has arrived.
func (l *trackTimeline) time(ts uint32) time.Duration {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	at := l.rtp(l.unwrap(ts))
	if step := at - l.slewedTo; l == c.video && step > 0 {
		l.slewedTo = at
		most := time.Duration(float64(step) * slew)
		l.offset += min(max(c.target()-l.offset, -most), most)
	}
	return at + l.offset
}

// target returns where the pictures' offset should be. The mutex is held.
func (c *Clock) target() time.Duration {
	a, v := c.audio, c.video
	if a == nil || !a.mapped {
		return v.offset
	}
	if len(a.reports) > 0 && len(v.reports) > 0 {
		if t := a.offset + v.ntpOffset() - a.ntpOffset(); (t - v.offset).Abs() < maxApart {
			return t
		}
	}
	return a.offset + v.delay - a.delay
}

// report takes a sender report, which came at a time.
func (l *trackTimeline) report(sr *rtcp.SenderReport, at time.Time) {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if !l.mapped {
		return // there will be others
	}
	rtp := l.rtp(l.unwrap(sr.RTPTime))
	// A report that says that its RTP time is far from now is broken, or older than the timeline.
	stray := at.Sub(c.start) - rtp - l.delay
	ntp := time.Duration(sr.NTPTime>>32)*time.Second + time.Duration(sr.NTPTime&0xffffffff)*time.Second>>32
	if sr.NTPTime == 0 || stray.Abs() > maxStray {
		return
	}
	if n := len(l.reports); n > 0 && (ntp-rtp-l.reports[n-1]).Abs() > time.Second {
		// The sender's clocks agree among themselves, or one of them was set: then the next ones are believed.
		l.reports = nil
		return
	}
	l.reports = append(l.reports[max(0, len(l.reports)-keptReports+1):], ntp-rtp)
}

// ntpOffset returns the difference between the sender's clock and the RTP time. Senders that take the RTP time from
// when they sent a packet, rather than from when it was captured, are off by up to some hundred milliseconds now and
// then: the median is not.
func (l *trackTimeline) ntpOffset() time.Duration {
	sorted := slices.Sorted(slices.Values(l.reports))
	return sorted[len(sorted)/2]
}
