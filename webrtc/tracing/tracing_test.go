package tracing

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tandem/pipeline"
	"tandem/webrtc/webrtctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open makes a tracer for a collector.
func open(t *testing.T, endpoint string) (*Tracer, *webrtctest.Log) {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
	l := &webrtctest.Log{}
	tracer, err := FromEnvironment(Options{Version: "v1.2", Instance: "a", Log: slog.New(slog.NewTextHandler(l, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return tracer, l
}

// A request's span is of the client's trace, and the session's of the request's; what came of them is in them.
func TestTraces(t *testing.T) {
	c := webrtctest.NewCollector(t)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
	tracer, l := open(t, c.URL)
	h := tracer.Handler("/whip", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := tracer.Session(r.Context(), "id", []string{"VP8", "opus"}, Connected, FirstFrame, FirstEvent)
		s.Reach(Connected)
		s.Reach(FirstFrame)
		s.Reach(FirstFrame)
		w.WriteHeader(http.StatusCreated)
		s.End(Outcome{
			Seconds: 1.5, Cause: "failed", Failed: true, Windows: 7,
			Dropped: pipeline.Dropped{Frames: 1, Samples: 2, Windows: 3},
		})
	}))
	const trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	r := httptest.NewRequest("POST", "/whip", nil)
	r.Header.Set("traceparent", "00-"+trace+"-"+parent+"-01")
	h.ServeHTTP(httptest.NewRecorder(), r)
	tracer.Close()
	spans := c.Spans()
	if len(spans) != 5 {
		t.Fatalf("%d spans: %v", len(spans), spans)
	}
	post, session := spans["POST /whip"], spans["session"]
	if post.Parent != parent || session.Parent != post.ID {
		t.Errorf("parents: %+v, %+v", post, session)
	}
	for name, s := range spans {
		if s.Trace != trace || s.Resource["service.name"] != "tandem" || s.Resource["service.version"] != "v1.2" ||
			s.Resource["service.instance.id"] != "a" || s.Resource["deployment.environment.name"] != "test" {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for name, failed := range map[string]bool{"connect": false, "first frame": false, "first event": true} {
		if s := spans[name]; s.Parent != session.ID || s.Failed != failed {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for k, want := range map[string]string{
		"session.id": "id", "tandem.codecs": "VP8,opus", "tandem.seconds": "1.5", "tandem.cause": "failed",
		"tandem.windows": "7", "tandem.dropped.frames": "1", "tandem.dropped.samples": "2",
		"tandem.dropped.windows": "3",
	} {
		if got := session.Attributes[k]; got != want {
			t.Errorf("%s is %q, want %q", k, got, want)
		}
	}
	a := post.Attributes
	if len(a) != 3 || a["http.request.method"] != "POST" || a["http.route"] != "/whip" ||
		a["http.response.status_code"] != "201" || !session.Failed || post.Failed {
		t.Errorf("%+v", post)
	}
	if said := l.String(); said != "" {
		t.Errorf("it says %s", said)
	}
}

// Whatever clients call their methods and traces, spans have few names and traces of their own.
func TestStrangeRequests(t *testing.T) {
	c := webrtctest.NewCollector(t)
	tracer, _ := open(t, c.URL)
	h := tracer.Handler("/whip", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	for _, parent := range []string{"", "nonsense", "00-" + strings.Repeat("0", 32) + "-0000000000000000-01"} {
		r := httptest.NewRequest("BREW", "/whip", nil)
		r.Header.Set("traceparent", parent)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	tracer.Close()
	s := c.Spans()["HTTP /whip"]
	if c.Count() != 3 || s.Parent != "" || s.Attributes["http.request.method"] != "_OTHER" || !s.Failed {
		t.Errorf("%d spans, %+v", c.Count(), s)
	}
}

// Without the variables there is nothing, and it costs nothing.
func TestOff(t *testing.T) {
	for name, env := range map[string][2]string{
		"nothing": {}, "disabled": {"OTEL_SDK_DISABLED", "true"}, "none": {"OTEL_TRACES_EXPORTER", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			if env[0] != "" {
				t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
				t.Setenv(env[0], env[1])
			}
			tracer, err := FromEnvironment(Options{})
			if tracer != nil || err != nil {
				t.Fatalf("%v, %v", tracer, err)
			}
			h := tracer.Handler("/", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
			ctx, codecs := t.Context(), []string{"VP8"}
			if n := testing.AllocsPerRun(100, func() {
				h.ServeHTTP(w, r)
				s := tracer.Session(ctx, "id", codecs, Connected, FirstFrame)
				s.Reach(Connected)
				s.End(Outcome{})
			}); n != 0 {
				t.Errorf("%v allocations", n)
			}
			tracer.Close()
		})
	}
}

func TestEnvironmentIsChecked(t *testing.T) {
	for _, tt := range [][3]string{
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "127.0.0.1:4318", "http or https"},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"},
		{"OTEL_TRACES_EXPORTER", "zipkin", "otlp and none"},
		{"OTEL_RESOURCE_ATTRIBUTES", "nonsense", "OTEL_RESOURCE_ATTRIBUTES"},
	} {
		t.Run(tt[0], func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			t.Setenv(tt[0], tt[1])
			tracer, err := FromEnvironment(Options{})
			if err == nil || !strings.Contains(err.Error(), tt[0]) || !strings.Contains(err.Error(), tt[2]) {
				t.Errorf("%s=%s: %v", tt[0], tt[1], err)
			}
			tracer.Close()
		})
	}
}

// A collector that is not there, or answers nothing, is said once, without the secrets of its URL, and holds up nothing
// but the end, for a bounded time.
func TestCollectorThatFails(t *testing.T) {
	old := flushTime
	flushTime = 100 * time.Millisecond
	defer func() { flushTime = old }()
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=pass-word")
	hold := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer silent.Close()
	defer close(hold)
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, strings.Repeat("x", 1<<20), http.StatusBadRequest)
	}))
	defer refusing.Close()
	for name, at := range map[string]string{
		"nobody": "http://user:pass-word@127.0.0.1:1", "silent": silent.URL, "refusing": refusing.URL,
	} {
		t.Run(name, func(t *testing.T) {
			tracer, l := open(t, at)
			began := time.Now()
			for range 3 {
				tracer.Session(context.Background(), "id", nil, Connected).End(Outcome{})
				time.Sleep(5 * time.Millisecond) // longer than a batch waits
			}
			if d := time.Since(began); d > time.Second {
				t.Errorf("sessions take %v", d)
			}
			began = time.Now()
			tracer.Close()
			if d := time.Since(began); d > 2*time.Second {
				t.Errorf("the end takes %v", d)
			}
			for end := time.Now().Add(5 * time.Second); l.String() == "" && time.Now().Before(end); {
				time.Sleep(5 * time.Millisecond)
			}
			said := l.String()
			if strings.Count(said, "\n") != 1 || len(said) > 500 || strings.Contains(said, "pass-word") {
				t.Errorf("it says %s", said)
			}
		})
	}
}
