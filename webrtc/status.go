package webrtc

import (
	"context"
	"slices"
	"time"

	"tandem/capture/av"
	"tandem/pipeline"
	"tandem/webrtc/signal"
)

// status is the body of GET /sessions/{id}/status.
type status struct {
	State      string           `json:"state"`            // connecting, running or ended
	Reason     string           `json:"reason,omitempty"` // for people
	Cause      string           `json:"cause,omitempty"`  // the same for programs: a label of reasons
	Age        float64          `json:"age"`              // seconds
	Modalities modalities       `json:"senses"`
	Codecs     codecs           `json:"codecs"`
	Width      int              `json:"width"`
	Height     int              `json:"height"`
	Skew       float64          `json:"skew_ms"` // of picture against sound, still to be corrected
	Windows    int              `json:"windows"`
	Dropped    pipeline.Dropped `json:"dropped"`
	Lost       int              `json:"lost_packets"`
	Latency    latency          `json:"latency_ms"`
}

type modalities struct {
	Audio bool `json:"audio"`
	Video bool `json:"video"`
}

type codecs struct {
	Audio string `json:"audio,omitempty"`
	Video string `json:"video,omitempty"`
}

type latency struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
}

// status returns the state of a session.
func (x *Stream) status() status {
	skew := x.clock.Skew()
	lost := x.feed.Drops()
	_, running := x.lastMedia.ago(time.Now())
	x.mu.Lock()
	defer x.mu.Unlock()
	s := status{
		State: "connecting", Age: time.Since(x.opened).Seconds(),
		Modalities: modalities{x.audio, x.video}, Width: x.width, Height: x.height,
		Skew: float64(skew) / 1e6, Windows: x.windows, Dropped: x.dropped,
		Latency: latency{x.percentile(50), x.percentile(95)},
	}
	s.Dropped.Frames += lost.Frames
	s.Dropped.Samples += lost.Samples
	s.Lost = x.lost
	for _, t := range x.tracks {
		s.Lost += t.Stats().Lost
		if t.Codec() == av.Opus {
			s.Codecs.Audio = signal.Opus
		} else if s.Codecs.Video = signal.VP8; t.Codec() == av.H264 {
			s.Codecs.Video = signal.H264
		}
	}
	switch {
	case x.ctx.Err() != nil:
		why := context.Cause(x.ctx)
		s.State, s.Reason, s.Cause = "ended", why.Error(), reasonLabel(why)
		if !x.finished.IsZero() {
			s.Age = x.finished.Sub(x.opened).Seconds()
		}
	case running:
		s.State = "running"
	}
	return s
}

// percentile returns the p-th of the latencies kept, in ms by the nearest rank. The mutex is held.
func (x *Stream) percentile(p int) float64 {
	if len(x.latency) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(x.latency))
	return float64(sorted[(len(sorted)*p+99)/100-1].Milliseconds())
}
