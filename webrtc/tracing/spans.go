package tracing

import (
	"context"
	"net/http"
	"slices"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"tandem/pipeline"
	"tandem/webrtc/middleware"
)

// methods are those that a span's name may have: others are the client's invention ("Semantic Conventions for HTTP
// Spans", http.request.method).
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodConnect, http.MethodOptions, http.MethodTrace,
}

// Handler makes a span of each request to a route, in the client's trace if it sends a traceparent (W3C Trace Context).
// It says neither who asked nor for which session.
func (t *Tracer) Handler(route string, next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method, name := r.Method, r.Method
		if !slices.Contains(methods, method) {
			method, name = "_OTHER", "HTTP"
		}
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := t.tracer.Start(ctx, name+" "+route, trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(
				attribute.String("http.request.method", method), attribute.String("http.route", route)))
		defer span.End()
		kept := &middleware.StatusKeeper{ResponseWriter: w}
		next.ServeHTTP(kept, r.WithContext(ctx))
		span.SetAttributes(attribute.Int("http.response.status_code", kept.Status()))
		if kept.Status() >= 500 {
			span.SetStatus(codes.Error, "")
		}
	})
}

// Step names one of the things that a session reaches once.
type Step int

// The steps of a session.
const (
	Connected  Step = iota // ICE and DTLS have
	FirstFrame             // is decoded
	FirstEvent             // of a window
)

var stepNames = [...]string{Connected: "connect", FirstFrame: "first frame", FirstEvent: "first event"}

// Session is the span of a session, from the answer to its offer to its end, with one for each step, from the answer
// until it is reached. A nil Session has none.
type Session struct {
	span  trace.Span
	steps [len(stepNames)]step
}

type step struct {
	span trace.Span // nil: it is not expected
	over atomic.Bool
}

// Session begins a session's span, in the trace of the request that ctx is of, for the steps that are expected.
func (t *Tracer) Session(ctx context.Context, id string, codecs []string, steps ...Step) *Session {
	if t == nil {
		return nil
	}
	s := &Session{}
	ctx, s.span = t.tracer.Start(ctx, "session", trace.WithAttributes(
		attribute.String("session.id", id), attribute.StringSlice("tandem.codecs", codecs)))
	for _, k := range steps {
		_, s.steps[k].span = t.tracer.Start(ctx, stepNames[k])
	}
	return s
}

// Reach ends a step's span. Only the first call counts; the others cost next to nothing.
func (s *Session) Reach(k Step) {
	if s == nil || s.steps[k].span == nil || s.steps[k].over.Load() || s.steps[k].over.Swap(true) {
		return
	}
	s.steps[k].span.End()
}

// Outcome has a session's end: Seconds that it lasted, Windows that it got.
type Outcome struct {
	Seconds float64
	Cause   string // why it ended, for programs
	Failed  bool   // by a fault of the server
	Windows int
	Dropped pipeline.Dropped
}

// End ends the session's span. Steps that were not reached are errors.
func (s *Session) End(o Outcome) {
	if s == nil {
		return
	}
	for k := range s.steps {
		if step := &s.steps[k]; step.span != nil && !step.over.Swap(true) {
			step.span.SetStatus(codes.Error, "not reached")
			step.span.End()
		}
	}
	s.span.SetAttributes(
		attribute.Float64("tandem.seconds", o.Seconds), attribute.String("tandem.cause", o.Cause),
		attribute.Int("tandem.windows", o.Windows), attribute.Int("tandem.dropped.windows", o.Dropped.Windows),
		attribute.Int("tandem.dropped.frames", o.Dropped.Frames),
		attribute.Int("tandem.dropped.samples", o.Dropped.Samples))
	if o.Failed {
		s.span.SetStatus(codes.Error, o.Cause)
	}
	s.span.End()
}
