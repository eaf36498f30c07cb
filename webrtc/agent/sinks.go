package agent

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"golang.org/x/time/rate"

	"tandem/pipeline"
	"tandem/webrtc/events"
	"tandem/webrtc/webhook"
)

const (
	// postTime bounds one request to the server.
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

// signLiveKit signs posts as LiveKit signs its own: the token in Authorization has the body's SHA-256.
func signLiveKit(key, secret string) webhook.Signer {
	return func(h http.Header, body []byte) error {
		sum := sha256.Sum256(body)
		token, err := auth.NewAccessToken(key, secret).SetValidFor(5 * time.Minute).
			SetSha256(base64.StdEncoding.EncodeToString(sum[:])).ToJWT()
		if err != nil {
			return err
		}
		h.Set("Authorization", token)
		return nil
	}
}

// hook posts the events of one session.
type hook struct {
	to       *webhook.Poster
	log      *slog.Logger
	complain rate.Sometimes
}

func newHook(to *webhook.Poster, log *slog.Logger) *hook {
	return &hook{to: to, log: log, complain: rate.Sometimes{Interval: complainTime}}
}

// post is called for each event. It may wait, since the reader that calls it is no other's.
func (w *hook) post(m events.Message) {
	if err := w.to.Post(context.Background(), m.JSON); err != nil {
		w.complain.Do(func() { w.log.Warn("an event did not reach the webhook", "cause", err) })
	}
}

// attributes sets those of a participant to the labels of the last window, and takes them back at the end.
type attributes struct {
	s        *session
	have     map[string]string
	changed  time.Time
	complain rate.Sometimes
}

func newAttributes(s *session) *attributes {
	return &attributes{s: s, have: map[string]string{}, complain: rate.Sometimes{Interval: complainTime}}
}

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
		if m.Kind != events.End { // at the end the participant may be gone
			t.complain.Do(func() { t.s.j.log.Warn("the participant's attributes can't be set", "cause", err) })
		}
		return
	}
	for name, value := range want {
		t.have[name] = value
	}
}
