package receive_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
	"tandem/webrtc/receive"
)

// Sound and picture that take unequally long to come are in step again soon after the sender's reports, without a
// jump; without reports the difference stays.
func TestReportsBringTracksInStep(t *testing.T) {
	pattern := small
	pattern.Duration = 10 * time.Second
	ps := encode(t, "a.webm", pattern)
	const later = 180 * time.Millisecond // the pictures
	for _, reports := range []bool{true, false} {
		name := "with reports"
		if !reports {
			name = "without"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clock := receive.NewClock()
			got := playBoth(t, ps, clock, later, reports)
			skew := clock.Skew()
			var meter capturetest.SkewMeter
			for _, f := range got.frames {
				meter.Frame(f)
			}
			for _, s := range got.sound {
				meter.Samples(s)
			}
			marks := meter.Marks()
			if len(marks) < 8 {
				t.Fatalf("%d marks", len(marks))
			}
			last := marks[len(marks)-1].Skew()
			// Pictures were sent 30 times a second.
			span := got.frames[len(got.frames)-1].Time - got.frames[0].Time
			corrected := span - time.Duration(len(got.frames)-1)*time.Second/30
			inStep := last.Abs() <= 35*time.Millisecond && skew.Abs() <= 5*time.Millisecond
			if reports && (!inStep || corrected > -later+40*time.Millisecond) {
				t.Errorf("skew %v at the end, %v by the clock, corrected by %v", last, skew, corrected)
			}
			if !reports && (last+later).Abs() > 50*time.Millisecond {
				t.Errorf("skew %v at the end, want about %v", last, -later)
			}
			for i := 1; i < len(got.frames); i++ {
				if d := got.frames[i].Time - got.frames[i-1].Time; d < 25*time.Millisecond || d > 45*time.Millisecond {
					t.Errorf("a step of %v at %v", d, got.frames[i].Time)
				}
			}
		})
	}
}

// playBoth plays a track of sound and one of pictures, which come later, both with jitter, and returns their media.
func playBoth(
	t *testing.T, ps map[av.Codec][]av.Packet, clock *receive.Clock, later time.Duration, reports bool,
) *got {
	feed := capture.NewFeed(capture.Info{})
	_, done := collect(t, feed)
	began := time.Now()
	var wg sync.WaitGroup
	for c, rate := range map[av.Codec]time.Duration{av.VP8: 90000, av.Opus: 48000} {
		packets := packetize(c, ps[c], 9, 1000)
		for i := range packets {
			if c == av.VP8 {
				packets[i].at += later
			}
			packets[i].at += time.Duration(rand.IntN(10)) * time.Millisecond
		}
		track, err := receive.New(options(c, feed, clock))
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := track.Run(t.Context(), &wire{packets: packets, began: began}); err != nil {
				t.Error(err)
			}
		})
		if reports {
			wg.Go(func() { sendReports(track, began, rate) })
		}
	}
	wg.Wait()
	return done()
}

// sendReports gives a track sender reports for eight seconds, one a second, and one that makes no sense.
func sendReports(track *receive.Track, began time.Time, rate time.Duration) {
	ntp := func(at time.Duration) uint64 {
		s := 3_900_000_000*time.Second + at
		return uint64(s/time.Second)<<32 | uint64(s%time.Second)<<32/uint64(time.Second)
	}
	for at := time.Second; at < 9*time.Second; at += time.Second {
		time.Sleep(time.Until(began.Add(at + 200*time.Millisecond)))
		report := &rtcp.SenderReport{SSRC: 7, NTPTime: ntp(at), RTPTime: 1000 + uint32(at*rate/time.Second)}
		track.Report(report, time.Now())
	}
	track.Report(&rtcp.SenderReport{SSRC: 7}, time.Now())
}
