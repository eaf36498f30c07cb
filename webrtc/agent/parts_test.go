package agent

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"

	"tandem/pipeline"
	"tandem/webrtc/events"
	"tandem/webrtc/webhook"
	"tandem/webrtc/webrtctest"
)

func TestConsent(t *testing.T) {
	c, err := ParseConsent("agreed=yes")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		attributes     map[string]string
		metadata, room string
		want           bool
	}{
		{nil, "", "", false},
		{map[string]string{"agreed": "yes"}, "", "", true},
		{map[string]string{"agreed": "yes "}, "", "", false},
		{map[string]string{"Agreed": "yes"}, "", "", false},
		{nil, `{"agreed":"yes"}`, "", true},
		{nil, "", `{"agreed":"yes","other":[1]}`, true},
		{nil, `{"agreed":["yes"]}`, "", false},
		{nil, `agreed=yes`, `"agreed"`, false},
		// Who refuses has refused, whatever the room says.
		{map[string]string{"agreed": "no"}, `{"agreed":"yes"}`, `{"agreed":"yes"}`, false},
		{nil, `{"agreed":"no"}`, `{"agreed":"yes"}`, false},
	} {
		if got := c.Given(tt.attributes, tt.metadata, tt.room); got != tt.want {
			t.Errorf("%v %s %s: %v", tt.attributes, tt.metadata, tt.room, got)
		}
	}
	if c, err = ParseConsent("agreed=true"); err != nil || !c.Given(nil, `{"agreed":true}`, "") {
		t.Errorf("JSON's true is not true (%v)", err)
	}
	if c, err = ParseConsent("none"); err != nil || c.Required() || !c.Given(nil, "", "") {
		t.Errorf("none: %v, %v", c, err)
	}
	for _, bad := range []string{"", "agreed", "=yes", "agreed="} {
		if _, err := ParseConsent(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// Participants can put anything into their metadata: only an object with the value is consent.
func FuzzConsent(f *testing.F) {
	for _, s := range []string{"", "{}", `{"agreed":"yes"}`, `{"agreed":{"agreed":"yes"}}`, "[1", "\xff"} {
		f.Add(s)
	}
	c := Consent{"agreed", "yes"}
	f.Fuzz(func(t *testing.T, metadata string) {
		var m map[string]any
		want := json.Unmarshal([]byte(metadata), &m) == nil && m["agreed"] == "yes"
		if got := c.Given(nil, metadata, ""); got != want {
			t.Errorf("%q: %v", metadata, got)
		}
	})
}

func TestAlone(t *testing.T) {
	mic := []*livekit.TrackInfo{{Source: livekit.TrackSource_MICROPHONE}}
	who := func(
		identity string, kind livekit.ParticipantInfo_Kind, tracks []*livekit.TrackInfo,
	) *livekit.ParticipantInfo {
		return &livekit.ParticipantInfo{Identity: identity, Kind: kind, Tracks: tracks, Attributes: agreed}
	}
	standard, agent := livekit.ParticipantInfo_STANDARD, livekit.ParticipantInfo_AGENT
	consent := Consent{"tandem.consent", "yes"}
	room := &livekit.Room{Name: "room"}
	refusing := who("dan", standard, mic)
	refusing.Attributes = nil
	in := []*livekit.ParticipantInfo{
		who("ann", standard, mic), who("bob", standard, mic), who("tandem-bob", agent, nil),
		who("cid", standard, []*livekit.TrackInfo{{Source: livekit.TrackSource_SCREEN_SHARE}}),
		refusing, who("eve", agent, mic), who("tandem-fay", standard, nil), who("fay", standard, mic),
	}
	if got := alone(room, in, false, consent); !slices.Equal(got, []jobKey{{"room", "ann"}, {"room", "fay"}}) {
		t.Errorf("%v", got)
	}
	if got := alone(room, in, true, consent); !slices.Equal(got, []jobKey{{"room", ""}}) {
		t.Errorf("the room: %v", got)
	}
	if got := alone(room, append(in, who("tandem", agent, nil)), true, consent); got != nil {
		t.Errorf("the room, which has an agent: %v", got)
	}
}

// An agent that has given signs of life and gives none any more is dead.
func TestPulses(t *testing.T) {
	p, now := pulses{}, time.Now()
	see := func(beat string, after time.Duration) bool {
		now = now.Add(after)
		return p.dead(&livekit.ParticipantInfo{Sid: "PA_1", Attributes: map[string]string{beatAttribute: beat}}, now)
	}
	for i, tt := range []struct {
		beat  string
		after time.Duration
		dead  bool
	}{
		{"", 0, false},
		{"", time.Hour, false}, // of another make
		{"1", time.Second, false},
		{"1", deadTime, false},
		{"1", time.Second, true},
		{"2", time.Second, false},
		{"2", deadTime + time.Second, true},
	} {
		if got := see(tt.beat, tt.after); got != tt.dead {
			t.Errorf("%d: %v", i, got)
		}
	}
	if p.forget(now.Add(2 * time.Minute)); len(p) != 0 {
		t.Errorf("%v", p)
	}
}

func TestLayers(t *testing.T) {
	low := &livekit.VideoLayer{Quality: livekit.VideoQuality_LOW, Width: 320, Height: 180}
	mid := &livekit.VideoLayer{Quality: livekit.VideoQuality_MEDIUM, Width: 640, Height: 360}
	high := &livekit.VideoLayer{Quality: livekit.VideoQuality_HIGH, Width: 1280, Height: 720}
	all := []*livekit.VideoLayer{high, low, mid}
	at := time.Duration(0)
	// see returns the layer that is asked for when a face of a share of the picture's height is seen n times.
	see := func(c *layers, in *livekit.VideoLayer, share float64, n int) (asked *livekit.VideoLayer) {
		for range n {
			at += 250 * time.Millisecond
			w := &pipeline.WindowEvent{T: at}
			if share > 0 {
				w.Frame = &pipeline.FrameSize{W: int(in.Width), H: int(in.Height)}
				w.Face = &pipeline.FaceBox{H: share * float64(in.Height)}
			}
			if l := c.next(all, w); l != nil {
				asked = l
			}
		}
		return asked
	}
	c := &layers{crop: 48}
	if l := c.first(all); l != mid {
		t.Errorf("begins with %v", l)
	}
	if l := c.first([]*livekit.VideoLayer{high}); l != nil {
		t.Errorf("of one layer %v is chosen", l)
	}
	for _, tt := range []struct {
		in    *livekit.VideoLayer
		share float64
		n     int
		want  *livekit.VideoLayer
	}{
		{mid, 0.3, 100, nil},          // 108 lines of 360; 54 of 180 are not enough to spare
		{mid, 0.5, patience - 1, nil}, // close to the camera, for a moment
		{mid, 0.3, 1, nil},
		{mid, 0.5, patience, low},
		{low, 0.3, 100, nil}, // 54 lines are more than the crop
		{low, 0.2, 1, mid},   // 36 are less
		{mid, 0.1, 1, high},
		{high, 0.01, 100, nil}, // there is no larger
		{low, 0, patience, mid},
	} {
		if got := see(c, tt.in, tt.share, tt.n); got != tt.want {
			t.Errorf("%d times %v of %d lines: %v, want %v", tt.n, tt.share, tt.in.Height, got, tt.want)
		}
	}
}

// What the webhook gets can be checked as LiveKit's own webhooks are.
func TestWebhook(t *testing.T) {
	type post struct {
		body []byte
		err  error
	}
	got := make(chan post, 1)
	status := http.StatusOK
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		sum := sha256.Sum256(b)
		if err != nil {
			got <- post{b, err}
			return
		}
		var grants *auth.ClaimGrants
		if v, err2 := auth.ParseAPIToken(r.Header.Get("Authorization")); err2 != nil {
			err = err2
		} else if _, grants, err = v.Verify("secret"); err == nil &&
			(v.APIKey() != "key" || grants.Sha256 != base64.StdEncoding.EncodeToString(sum[:])) {
			err = errors.New("the token is of another body")
		}
		w.WriteHeader(status)
		got <- post{b, err}
	}))
	defer h.Close()
	to := webhook.NewPoster(h.URL, signLiveKit("key", "secret"))
	defer to.Close()
	l := &webrtctest.Log{}
	w := newHook(to, slog.New(slog.NewTextHandler(l, nil)))
	w.post(events.Message{Kind: events.Start, JSON: []byte(`{"room":"r"}`)})
	if p := <-got; p.err != nil || string(p.body) != `{"room":"r"}` {
		t.Errorf("%s %v", p.body, p.err)
	}
	status = http.StatusTeapot
	for range 2 {
		w.post(events.Message{Kind: events.End, JSON: []byte("{}")})
		<-got
	}
	if said := l.String(); strings.Count(said, "418") != 1 || strings.Contains(said, "secret") {
		t.Errorf("of two posts that are refused it says %q", said)
	}
}
