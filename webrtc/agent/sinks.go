package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"

	"tandem/pipeline"
	"tandem/webrtc/events"
)

const (
	// postTime bounds one request to the webhook or to the server.
	postTime = 5 * time.Second
	// attributeTime is the least time between two changes of a participant's attributes.
	attributeTime = time.Second
	// complainTime is the least time between two lines of the log about one sink.
	complainTime = 10 * time.Second
)

// The attributes of participants.
const (
	emotionAttribute = "tandem.emotion"
	genderAttribute  = "tandem.gender"
)

// webhook posts events to a URL, signed as LiveKit signs its own: the token in Authorization has the body's SHA-256.
type webhook struct {
	a          *Agent
	log        *slog.Logger
	complained time.Time
}

func newWebhook(a *Agent, log *slog.Logger) *webhook { return &webhook{a: a, log: log} }

var webhooks = sync.OnceValue(func() *http.Client { return &http.Client{Timeout: postTime} })

func (w *webhook) post(m events.Message) {
	if err := w.try(m.JSON); err != nil && time.Since(w.complained) > complainTime {
		w.complained = time.Now()
		w.log.Warn("an event did not reach the webhook", "cause", err)
	}
}

func (w *webhook) try(body []byte) error {
	sum := sha256.Sum256(body)
	token, err := auth.NewAccessToken(w.a.o.Key, w.a.o.Secret).SetValidFor(5 * time.Minute).
		SetSha256(base64.StdEncoding.EncodeToString(sum[:])).ToJWT()
	if err != nil {
		return err
	}
	r, err := http.NewRequest(http.MethodPost, w.a.o.Webhook, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", token)
	r.Header.Set("Content-Type", "application/json")
	res, err := webhooks().Do(r)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode >= 300 {
		return fmt.Errorf("it answers %s", res.Status)
	}
	return nil
}

// attributes sets those of a participant to the labels of the last window, and takes them back at the end.
type attributes struct {
	s          *session
	have       map[string]string
	changed    time.Time
	complained time.Time
}

func newAttributes(s *session) *attributes { return &attributes{s: s, have: map[string]string{}} }

// set is called for each event. It may wait, since the reader that calls it is no other's.
func (t *attributes) set(m events.Message) {
	want := map[string]string{}
	switch m.Kind {
	case events.Window:
		e, err := pipeline.ParseEvent(m.JSON)
		if err != nil || e.Window == nil || e.Window.Emotion == nil {
			return
		}
		want[emotionAttribute] = e.Window.Emotion.Label
		if e.Window.Gender != nil {
			want[genderAttribute] = e.Window.Gender.Label
		}
	case events.End:
		for name := range t.have {
			want[name] = "" // which takes it away
		}
	}
	for name, value := range want {
		if t.have[name] == value {
			delete(want, name)
		}
	}
	if len(want) == 0 || m.Kind != events.End && time.Since(t.changed) < attributeTime {
		return // the next window may bring it still
	}
	t.changed = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), postTime)
	defer cancel()
	_, err := t.s.j.a.api.UpdateParticipant(ctx, &livekit.UpdateParticipantRequest{
		Room: t.s.j.key.room, Identity: t.s.identity, Attributes: want,
	})
	if err != nil {
		if m.Kind != events.End && time.Since(t.complained) > complainTime { // at the end the participant may be gone
			t.complained = time.Now()
			t.s.j.log.Warn("the participant's attributes can't be set", "cause", err)
		}
		return
	}
	for name, value := range want {
		t.have[name] = value
	}
}
