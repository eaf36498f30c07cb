package receive

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// sender is a device with two clocks that drift, seen over a network.
type sender struct {
	drift     float64 // of both RTP clocks against the receiver's, such as 1e-4
	videoLate time.Duration
	jitter    time.Duration
	reports   bool
	reportOff func(n int) time.Duration // a fault in the n-th report of the pictures
	length    time.Duration
	audioFrom time.Duration
}

// result has the errors of the times that came out.
type result struct {
	skew      time.Duration // of the last picture against the sound that belongs to it
	worstStep time.Duration // of a picture's time, against 1/30 s
}

func (s sender) run(t *testing.T) result {
	t.Helper()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	random := rand.New(rand.NewPCG(1, 2))
	c := NewClock()
	audio, video := c.addTimeline(true, 48000), c.addTimeline(false, 90000)
	const baseA, baseV = 4_294_900_000, 12345 // one wraps soon
	ticks := func(rate float64, at time.Duration) uint32 {
		return uint32(int64(at.Seconds() * rate * (1 + s.drift)))
	}
	ntp := func(at time.Duration) uint64 {
		n := 3_900_000_000*time.Second + at
		return uint64(n/time.Second)<<32 | uint64(n%time.Second)<<32/uint64(time.Second)
	}
	came := func(at, late time.Duration) time.Time {
		if s.jitter > 0 {
			late += time.Duration(random.Int64N(int64(s.jitter)))
		}
		return start.Add(at + late)
	}
	var r result
	var lastVideo, lastAudio time.Duration
	n := 0
	for at := time.Duration(0); at < s.length; at += 20 * time.Millisecond {
		if at >= s.audioFrom {
			ts := baseA + ticks(48000, at)
			audio.arrive(ts, came(at, 0))
			now := audio.time(ts)
			// A tick of 48 kHz is 21 µs.
			if lastAudio != 0 && (now-lastAudio-20*time.Millisecond).Abs() > 25*time.Microsecond {
				t.Fatalf("sound: a step of %v at %v", now-lastAudio, at)
			}
			lastAudio = now
		}
		// Pictures are 30 a second: here two of three times.
		if at%(60*time.Millisecond) != 40*time.Millisecond {
			ts := baseV + ticks(90000, at)
			video.arrive(ts, came(at, s.videoLate))
			now := video.time(ts)
			if lastVideo != 0 && now < lastVideo {
				t.Fatalf("pictures go back from %v to %v", lastVideo, now)
			}
			if lastVideo != 0 {
				step := now - lastVideo
				r.worstStep = max(r.worstStep, step-40*time.Millisecond)
			}
			lastVideo = now
			if at >= s.audioFrom {
				r.skew = now - audio.time(baseA+ticks(48000, at))
			}
		}
		if s.reports && at%time.Second == 500*time.Millisecond && at >= s.audioFrom {
			n++
			off := time.Duration(0)
			if s.reportOff != nil {
				off = s.reportOff(n)
			}
			audio.report(&rtcp.SenderReport{NTPTime: ntp(at), RTPTime: baseA + ticks(48000, at)}, came(at, 0))
			video.report(&rtcp.SenderReport{NTPTime: ntp(at), RTPTime: baseV + ticks(90000, at+off)},
				came(at, s.videoLate))
			// What no sender should say changes nothing.
			video.report(&rtcp.SenderReport{NTPTime: 0, RTPTime: 5}, came(at, 0))
			video.report(&rtcp.SenderReport{NTPTime: ntp(at), RTPTime: baseV + ticks(90000, at+time.Hour)}, came(at, 0))
		}
	}
	return r
}

// Whatever the network does, the sound has no seam, pictures neither jump nor go back, and reports bring both in step.
func TestClock(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    sender
		skew time.Duration // that is left at most
	}{
		{"all is well", sender{length: time.Minute, reports: true}, time.Millisecond},
		{
			"late pictures",
			sender{length: time.Minute, reports: true, videoLate: 400 * time.Millisecond},
			5 * time.Millisecond,
		},
		{
			"jitter",
			sender{
				length: time.Minute, reports: true, videoLate: 100 * time.Millisecond, jitter: 200 * time.Millisecond,
			},
			5 * time.Millisecond,
		},
		{"jitter without reports", sender{length: time.Minute, jitter: 200 * time.Millisecond}, 20 * time.Millisecond},
		{
			"an hour of drift",
			sender{length: time.Hour, reports: true, drift: 1e-4, videoLate: 50 * time.Millisecond},
			5 * time.Millisecond,
		},
		{
			"late sound",
			sender{
				length: time.Minute, reports: true, audioFrom: 20 * time.Second, videoLate: 150 * time.Millisecond,
				jitter: 50 * time.Millisecond,
			},
			5 * time.Millisecond,
		},
		{"stray reports", sender{length: time.Minute, reports: true, reportOff: func(n int) time.Duration {
			if n%4 == 0 {
				return 300 * time.Millisecond
			}
			return 0
		}}, 5 * time.Millisecond},
		{
			"late pictures without reports",
			sender{length: time.Minute, videoLate: 400 * time.Millisecond},
			401 * time.Millisecond,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.s.run(t)
			if r.skew.Abs() > tt.skew {
				t.Errorf("a skew of %v at the end", r.skew)
			}
			if r.worstStep > 5*time.Millisecond { // a tenth of the time between two pictures
				t.Errorf("a step that is %v too long", r.worstStep)
			}
		})
	}
}

// The order has no gap in time: what is in order passes at once, what is missing is waited for as long as the bound
// says, and not longer.
func TestReorderWaits(t *testing.T) {
	start := time.Now()
	r := reorder{bound: 100 * time.Millisecond}
	push := func(seq uint16, ms int) {
		p := &rtp.Packet{Header: rtp.Header{SequenceNumber: seq, SSRC: 1}}
		r.push(packet{p, start.Add(time.Duration(ms) * time.Millisecond)})
	}
	pop := func(ms int, wantSeq, wantLost int) {
		t.Helper()
		p, lost, ok := r.pop(start.Add(time.Duration(ms) * time.Millisecond))
		if !ok && wantSeq >= 0 || ok && (wantSeq < 0 || int(p.SequenceNumber) != wantSeq || lost != wantLost) {
			t.Fatalf("at %d ms: %v, %d lost, want %d, %d lost", ms, p.Packet, lost, wantSeq, wantLost)
		}
	}
	push(65534, 0)
	pop(0, 65534, 0)
	push(65535, 1)
	pop(1, 65535, 0)
	push(2, 10) // 0 and 1 are missing
	pop(10, -1, 0)
	push(1, 50)
	push(1, 51)
	pop(109, -1, 0)
	if at, ok := r.waiting(); !ok || !at.Equal(start.Add(110*time.Millisecond)) {
		t.Errorf("waiting until %v", at.Sub(start))
	}
	pop(110, 1, 1)
	pop(110, 2, 0)
	push(0, 120)
	pop(120, -1, 0)
	if r.late != 1 || r.duplicates != 1 {
		t.Errorf("%d late, %d twice", r.late, r.duplicates)
	}
	push(30000, 130) // a new stream
	pop(130, 30000, 1)
	for i := range maxHeld { // memory is bounded
		push(uint16(30002+i), 131)
	}
	pop(131, 30002, 1)
}
