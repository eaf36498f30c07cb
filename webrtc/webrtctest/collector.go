package webrtctest

import (
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is a span that a Collector got. Attributes are as text, the items of lists with commas between.
type Span struct {
	ID, Parent, Trace    string // hex; Parent "" for none
	Attributes, Resource map[string]string
	Failed               bool // its status is an error
}

// Collector takes traces by OTLP over HTTP (OpenTelemetry Protocol Specification, "OTLP/HTTP").
type Collector struct {
	URL string

	mu    sync.Mutex
	count int
	spans map[string]Span
}

// NewCollector runs one on loopback until the test ends.
func NewCollector(t testing.TB) *Collector {
	c := &Collector{spans: map[string]Span{}}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(b, &request)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.take(&request)
	}))
	t.Cleanup(h.Close)
	c.URL = h.URL
	return c
}

func (c *Collector) take(r *collector.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range r.ResourceSpans {
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				c.count++
				c.spans[s.Name] = Span{
					ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId),
					Trace: hex.EncodeToString(s.TraceId), Attributes: texts(s.Attributes),
					Resource: texts(of.Resource.Attributes),
					Failed:   s.Status.GetCode() == trace.Status_STATUS_CODE_ERROR,
				}
			}
		}
	}
}

// Spans returns the last span of each name.
func (c *Collector) Spans() map[string]Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.spans)
}

// Count returns the number of spans that have come.
func (c *Collector) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count
}

func texts(list []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range list {
		out[kv.Key] = text(kv.Value)
	}
	return out
}

func text(v *common.AnyValue) string {
	switch v := v.Value.(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_IntValue:
		return fmt.Sprint(v.IntValue)
	case *common.AnyValue_DoubleValue:
		return fmt.Sprint(v.DoubleValue)
	case *common.AnyValue_ArrayValue:
		var items []string
		for _, i := range v.ArrayValue.Values {
			items = append(items, text(i))
		}
		return strings.Join(items, ",")
	}
	return fmt.Sprint(v)
}
