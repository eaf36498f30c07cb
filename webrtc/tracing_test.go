package webrtc_test

import (
	"log/slog"
	"strings"
	"testing"

	"tandem/webrtc"
	"tandem/webrtc/client"
	"tandem/webrtc/tracing"
	"tandem/webrtc/webrtctest"
)

// A session leaves one trace: the request that opened it, its life, and the steps that it reached.
func TestSessionTraced(t *testing.T) {
	c := webrtctest.NewCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	tracer, err := tracing.FromEnvironment(tracing.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s, url, _ := server(t, webrtc.Options{Tracer: tracer})
	session := dial(t, client.Options{URL: url + "/whip"})
	publish(t, session, load(t, write(t, "a.webm", pattern)), true)
	windows(t, session, 1)
	if err := session.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	tracer.Close()
	spans := c.Spans()
	post, life := spans["POST /whip"], spans["session"]
	if life.Parent != post.ID || life.Failed || post.Attributes["http.response.status_code"] != "201" {
		t.Errorf("%+v of %+v", life, post)
	}
	a := life.Attributes
	if !strings.HasSuffix(session.URL(), "/"+a["session.id"]) || a["tandem.cause"] != "deleted" ||
		a["tandem.windows"] == "0" || !strings.Contains(a["tandem.codecs"], "opus") {
		t.Errorf("%v", a)
	}
	for _, name := range []string{"connect", "first frame", "first event"} {
		if step := spans[name]; step.Trace != post.Trace || step.Parent != life.ID || step.Failed {
			t.Errorf("%s: %+v", name, step)
		}
	}
	if _, ok := spans["DELETE /sessions/{id}"]; !ok || c.Count() != len(spans) {
		t.Errorf("%d spans: %v", c.Count(), spans)
	}
	for name, span := range spans {
		for k, v := range span.Attributes {
			if strings.Contains(v, "127.0.0.1") {
				t.Errorf("%s has an address in %s: %s", name, k, v)
			}
		}
	}
}
