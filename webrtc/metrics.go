package webrtc

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tandem/capture/av"
	"tandem/pipeline"
	"tandem/webrtc/cputime"
)

// metrics are those of /metrics. No label has more than a few values, and none identifies a client.
type metrics struct {
	registry *prometheus.Registry

	connections        prometheus.Gauge
	connectionsRefused prometheus.Counter

	sessions prometheus.Gauge
	ended    *prometheus.CounterVec // by reason
	refused  *prometheus.CounterVec // by why
	http     *prometheus.CounterVec // requests refused, by status
	webhook  *prometheus.CounterVec // events, by fate
	windows  prometheus.Counter
	dropped  *prometheus.CounterVec // by what and reason
	latency  prometheus.Histogram
	skew     prometheus.Histogram

	packets   *prometheus.CounterVec // by kind and fate
	bytes     *prometheus.CounterVec // by kind
	decode    *prometheus.CounterVec // CPU seconds, by kind
	faces     prometheus.Counter     // CPU seconds
	voice     prometheus.Counter     // CPU seconds
	recognize prometheus.Counter     // CPU seconds
	batch     prometheus.Histogram
	keyFrames prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "tandem_" + name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tandem_" + name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets ...float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tandem_" + name, Help: help, Buckets: buckets})
		m.registry.MustRegister(h)
		return h
	}
	m.sessions = prometheus.NewGauge(prometheus.GaugeOpts{Name: "tandem_sessions", Help: "Sessions that run."})
	m.connections = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tandem_http_connections", Help: "HTTP connections that are open.",
	})
	m.connectionsRefused = counter("http_connections_refused_total", "HTTP connections closed at once: too many.")
	m.registry.MustRegister(m.sessions, m.connections, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.ended = counters("sessions_ended_total", "Sessions that have ended, by reason.", "reason")
	m.refused = counters("sessions_refused_total", "Sessions that were turned away.", "why")
	m.http = counters("http_refused_total", "Requests to /whip and /sessions/ that were refused, by HTTP status.",
		"status")
	m.webhook = counters("webhook_events_total", "Events for the webhook, by what became of them: delivered, lost.",
		"fate")
	m.windows = counter("windows_total", "Window events.")
	m.dropped = counters("dropped_total",
		"What was lost (frames, samples at 16 kHz, windows) and why: network, late, slow, reader.", "what", "reason")
	m.latency = histogram("latency_seconds", "From the arrival of a window's last media to its event.",
		.01, .02, .03, .05, .075, .1, .15, .2, .25, .3, .4, .5, .75, 1, 2)
	m.skew = histogram("skew_seconds",
		"Skew of picture against sound that is still to be corrected, each second of each session.",
		.001, .002, .005, .01, .02, .05, .1, .2, .5)
	m.packets = counters("rtp_packets_total", "RTP packets, by what became of them: received, lost, late, duplicate.",
		"kind", "fate")
	m.bytes = counters("rtp_bytes_total", "Bytes of RTP packets received.", "kind")
	m.decode = counters("decode_cpu_seconds_total", "CPU time of decoding.", "kind")
	m.faces = counter("faces_cpu_seconds_total", "CPU time of looking for faces.")
	m.voice = counter("voice_cpu_seconds_total", "CPU time of telling voices from other sound.")
	m.recognize = counter("recognize_cpu_seconds_total", "CPU time of the recognition network.")
	m.batch = histogram("batch_windows", "Windows that went through the network together.",
		1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
	m.keyFrames = counter("key_frame_requests_total", "Key frames asked for.")
	return m
}

// showLoad adds the gauge of the load.
func (m *metrics) showLoad(load func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tandem_load", Help: "Share of the recognizer's time that was used in the last seconds, 0 to 1.",
	}, load))
}

// drop counts lost media and windows.
func (m *metrics) drop(reason string, d pipeline.Dropped) {
	for what, n := range map[string]int{"frames": d.Frames, "samples": d.Samples, "windows": d.Windows} {
		if n > 0 {
			m.dropped.WithLabelValues(what, reason).Add(float64(n))
		}
	}
}

// reportMetrics brings the metrics up to date with a stream's tracks. One goroutine calls it.
func (x *Stream) reportMetrics() {
	m := x.s.metrics
	x.mu.Lock()
	tracks := x.tracks
	x.mu.Unlock()
	for _, t := range tracks {
		kind := "video"
		if t.Codec() == av.Opus {
			kind = "audio"
		}
		now := t.Stats()
		fate := func(name string, n int) {
			if n > 0 {
				m.packets.WithLabelValues(kind, name).Add(float64(n))
			}
		}
		fate("received", now.Packets-t.reported.Packets)
		fate("lost", now.Lost-t.reported.Lost)
		fate("late", now.Late-t.reported.Late)
		fate("duplicate", now.Duplicates-t.reported.Duplicates)
		m.bytes.WithLabelValues(kind).Add(float64(now.Bytes - t.reported.Bytes))
		m.decode.WithLabelValues(kind).Add((now.DecodeCPU - t.reported.DecodeCPU).Seconds())
		m.keyFrames.Add(float64(now.KeyFrameRequests - t.reported.KeyFrameRequests))
		t.reported = now
	}
	x.dropReplaced()
	lost := x.feed.Drops()
	m.drop("network", pipeline.Dropped{
		Frames: lost.Frames - x.reportedDrops.Frames, Samples: lost.Samples - x.reportedDrops.Samples,
	})
	x.reportedDrops = lost
	missed := x.hub.Missed()
	if x.missed != nil {
		missed += x.missed()
	}
	m.drop("reader", pipeline.Dropped{Windows: missed - x.reportedMissed})
	x.reportedMissed = missed
	m.skew.Observe(x.clock.Skew().Abs().Seconds())
}

// timedRecognizer counts the cost of a recognizer. The CPU time is that of one thread: of the whole network if the
// recognizer runs on one, as it does in tandem serve.
type timedRecognizer struct {
	pipeline.Recognizer
	m *metrics
}

func (r timedRecognizer) Recognize(ctx context.Context, ws []*pipeline.Window) (ps []pipeline.Prediction, err error) {
	r.m.batch.Observe(float64(len(ws)))
	r.m.recognize.Add(cputime.Of(func() { ps, err = r.Recognizer.Recognize(ctx, ws) }).Seconds())
	return ps, err
}

// timedFinder counts the cost of looking for faces.
func timedFinder(f pipeline.FaceFinder, m *metrics) pipeline.FaceFinder {
	return pipeline.WrapFinder(f, func(call func() error) (err error) {
		m.faces.Add(cputime.Of(func() { err = call() }).Seconds())
		return err
	})
}

// timedVoice counts the cost of telling voices from other sound.
type timedVoice struct {
	pipeline.VoiceDetector
	m *metrics
}

func (v timedVoice) NewVoiceStream() pipeline.VoiceStream {
	return timedVoiceStream{v.VoiceDetector.NewVoiceStream(), v.m}
}

type timedVoiceStream struct {
	pipeline.VoiceStream
	m *metrics
}

func (v timedVoiceStream) Voice(ctx context.Context, piece []float32) (p float64, err error) {
	v.m.voice.Add(cputime.Of(func() { p, err = v.VoiceStream.Voice(ctx, piece) }).Seconds())
	return p, err
}
