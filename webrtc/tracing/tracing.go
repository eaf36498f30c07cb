// Package tracing sends traces of requests and sessions to an OpenTelemetry collector, if the environment asks for it.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

// What tests make shorter.
var (
	// flushTime bounds the wait for the collector at the end.
	flushTime = 3 * time.Second
	// complainTime is the least time between two lines of the log about a collector that fails.
	complainTime = 5 * time.Minute
)

// maxCause bounds what the log has of a collector's answer, in bytes.
const maxCause = 200

// Options of a Tracer.
type Options struct {
	Version  string // of the program: service.version
	Instance string // service.instance.id; "" for none
	Log      *slog.Logger
}

// Tracer makes spans and sends them in batches from one goroutine, which holds up nothing: spans that do not fit into
// its queue are lost. A nil Tracer makes none.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	stop     context.CancelFunc // ends the exports under way
}

// FromEnvironment makes a Tracer by the variables of OpenTelemetry's specification ("OpenTelemetry Environment Variable
// Specification", "OpenTelemetry Protocol Exporter"). It is nil unless OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT name a collector. The SDK reads the rest of them.
func FromEnvironment(o Options) (*Tracer, error) {
	if asked, err := asked(); err != nil || !asked {
		return nil, err
	}
	about := []attribute.KeyValue{
		attribute.String("service.name", "tandem"), attribute.String("service.version", o.Version),
	}
	if o.Instance != "" {
		about = append(about, attribute.String("service.instance.id", o.Instance))
	}
	ctx := context.Background()
	// The later ones count.
	of, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(about...), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	to, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_…: %w", err)
	}
	e := &exporter{SpanExporter: to, log: o.Log, complain: rate.Sometimes{Interval: complainTime}}
	t := &Tracer{}
	e.ctx, t.stop = context.WithCancel(ctx)
	t.provider = sdk.NewTracerProvider(sdk.WithBatcher(e), sdk.WithResource(of))
	t.tracer = t.provider.Tracer("tandem/webrtc")
	return t, nil
}

// asked reports whether the environment asks for traces, and refuses what it asks for in vain.
func asked() (bool, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	name, endpoint := firstSet("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	switch _, exporter := firstSet("OTEL_TRACES_EXPORTER"); {
	case exporter == "none", endpoint == "":
		return false, nil
	case exporter != "" && exporter != "otlp":
		return false, errors.New("OTEL_TRACES_EXPORTER: known are otlp and none")
	}
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false, fmt.Errorf("%s: want an http or https URL, such as http://127.0.0.1:4318", name)
	}
	name, protocol := firstSet("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	if protocol != "" && protocol != "http/protobuf" {
		return false, fmt.Errorf("%s: only http/protobuf is spoken, to a collector's port 4318", name)
	}
	return true, nil
}

// firstSet returns the first of some variables that is not empty, and its value; the last name, if none is.
func firstSet(names ...string) (name, value string) {
	for _, name = range names {
		if value = strings.TrimSpace(os.Getenv(name)); value != "" {
			return name, value
		}
	}
	return name, ""
}

// Close sends the spans that have ended, for at most 3 s.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the exporter has said what failed
	t.stop()
}

// exporter says what fails, rarely.
type exporter struct {
	sdk.SpanExporter
	ctx      context.Context // of all exports
	log      *slog.Logger
	complain rate.Sometimes
}

// ExportSpans sends spans. What fails is lost, as the SDK would have it, whose own way to tell is of the whole process.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	if err := e.SpanExporter.ExportSpans(ctx, spans); err != nil {
		e.complain.Do(func() { e.log.Warn("traces did not reach the collector", "cause", short(err)) })
	}
	return nil
}

// short returns what the log has of an error: a collector's answer may be long, and a URL may have a password.
func short(err error) string {
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	s := err.Error()
	return strings.ToValidUTF8(s[:min(len(s), maxCause)], "")
}
