package client

import (
	"time"

	"github.com/pion/rtcp"
)

// Stats count since the session's start.
type Stats struct {
	Audio, Video TrackStats
	Events       int     // that came whole
	Missed       int     // of those, that the reader of Events was too slow for
	Broken       int     // messages that are no events
	Feedback     int     // transport-wide congestion control reports of the server
	REMB         float64 // the bitrate that the server last said it could take; 0 for never
}

// TrackStats count for one track.
type TrackStats struct {
	Units            int           // frames or packets of sound sent
	Packets, Bytes   int           // of RTP, without headers and retransmissions
	Failed           int           // packets that could not be sent
	Muted            int           // units not sent: muted, or not to be built upon without a key frame
	NACKed           int           // packets asked for again
	KeyFrameRequests int           // PLI and FIR, which a clip can't answer
	Lost             int           // packets, as the server counts them; less if some came twice
	Jitter           time.Duration // as the server last reported it
	RTT              time.Duration // from the server's last report, 0 if not known
}

type networkStats struct {
	feedback int
	bitrate  float64
}

// Stats returns the session's so far.
func (s *Session) Stats() Stats {
	var out Stats
	if s.audio != nil {
		out.Audio = s.audio.stats()
	}
	if s.video != nil {
		out.Video = s.video.stats()
	}
	s.events.Lock()
	out.Events, out.Missed, out.Broken = s.events.taken, s.events.missed, s.events.broken
	s.events.Unlock()
	s.mu.Lock()
	out.Feedback, out.REMB = s.network.feedback, s.network.bitrate
	s.mu.Unlock()
	return out
}

// report takes the server's report on the track (RFC 3550 section 6.4.1).
func (t *track) report(r rtcp.ReceptionReport, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.SSRC != t.ssrc {
		return
	}
	rate := uint64(90000)
	if t.kind.String() == "audio" {
		rate = 48000
	}
	t.sent.Lost = int(int32(r.TotalLost<<8) >> 8) // 24 bits with a sign
	t.sent.Jitter = time.Duration(uint64(r.Jitter) * uint64(time.Second) / rate)
	if r.LastSenderReport != 0 {
		// The middle 32 bits of an NTP time: units of 2^-16 s.
		const ntpEpoch = 2208988800
		ntp := uint64(now.Unix()+ntpEpoch)<<16 | uint64(now.Nanosecond())<<16/1e9
		if rtt := uint32(ntp) - r.LastSenderReport - r.Delay; rtt < 1<<31 {
			t.sent.RTT = time.Duration(uint64(rtt) * uint64(time.Second) >> 16)
		}
	}
}
