package webrtc

import (
	"encoding/json"
	"time"

	"tandem/pipeline"
	"tandem/webrtc/webhook"
)

// Types of the webhook's events.
const (
	sessionStarted = "session_started"
	sessionEnded   = "session_ended"
)

// hookEvent is the body of a post to the webhook; docs/deploy.md has its fields.
type hookEvent struct {
	V        int       `json:"v"`
	Type     string    `json:"type"`
	Session  string    `json:"session"`
	Instance string    `json:"instance,omitempty"`
	Name     string    `json:"name,omitempty"` // of the token that opened it
	Time     time.Time `json:"time"`
	*hookEnd
}

// hookEnd has the fields that only the event of a session's end has.
type hookEnd struct {
	Seconds float64          `json:"seconds"`
	Cause   string           `json:"cause"`  // for programs: a label of reasons
	Reason  string           `json:"reason"` // the same for people
	Windows int              `json:"windows"`
	Dropped pipeline.Dropped `json:"dropped"`
}

// newHooks returns the queue of the events for the operator's URL; nil: there is none.
func newHooks(o Options, m *metrics) *webhook.Queue {
	if o.Webhook == "" {
		return nil
	}
	return webhook.NewQueue(webhook.NewPoster(o.Webhook, webhook.HMAC(o.WebhookSecret)), o.Log, func(delivered bool) {
		fate := "delivered"
		if !delivered {
			fate = "lost"
		}
		m.webhook.WithLabelValues(fate).Inc()
	})
}

// tellStarted has the operator told that the session has begun, and tellEnded that it is over.
func (x *session) tellStarted() { x.tell(hookEvent{Type: sessionStarted, Time: x.opened}) }

func (x *session) tellEnded(s status) {
	x.tell(hookEvent{Type: sessionEnded, Time: time.Now(), hookEnd: &hookEnd{
		Seconds: s.Age, Cause: s.Cause, Reason: s.Reason, Windows: s.Windows, Dropped: s.Dropped,
	}})
}

func (x *session) tell(e hookEvent) {
	if x.s.hooks == nil {
		return
	}
	e.V, e.Session, e.Instance, e.Name, e.Time = 1, x.id, x.s.o.Instance, x.name, e.Time.UTC()
	body, err := json.Marshal(e)
	if err != nil { // of strings and finite numbers
		panic(err)
	}
	x.s.hooks.Send(body)
}
