package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"golang.org/x/time/rate"

	"tandem/webrtc/events"
)

// DefaultSubject begins the NATS subjects of events: DefaultSubject.ROOM.PARTICIPANT.
const DefaultSubject = Topic

const (
	// natsBuffer bounds the bytes that wait while there is no NATS server; what comes then is lost.
	natsBuffer = 1 << 20
	// natsWait is the longest wait between two attempts to reach a NATS server.
	natsWait = 8 * time.Second
)

// CheckNATS refuses what is no URL of a NATS server, and what is no subject to publish to: no wildcards, no space, no
// empty token.
func CheckNATS(server, subject string) error {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
		// The URL may have a password.
		return errors.New("want the URL of a NATS server, such as nats://nats.example.org:4222")
	}
	for token := range strings.SplitSeq(subject, ".") {
		if token == "" || token != subjectToken(token) {
			return fmt.Errorf("subject %q: want words with dots between, without spaces, * and >", subject)
		}
	}
	return nil
}

// subjectToken makes a name one token of a subject: dots, wildcards, spaces and what can't be seen become _.
func subjectToken(name string) string {
	if name == "" {
		return "_"
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(".*>", r) || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, name)
}

// openNATS makes a connection that is sought for as long as it takes, from now on.
func openNATS(server string, log *slog.Logger) (*nats.Conn, error) {
	lost := rate.Sometimes{Interval: complainTime}
	say := func(_ *nats.Conn, err error) {
		if err != nil {
			lost.Do(func() {
				log.Warn("no NATS server: events wait, and those past a megabyte are lost", "cause", err)
			})
		}
	}
	return nats.Connect(server, nats.Name("tandem agent"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(func(attempts int) time.Duration {
			return min(500*time.Millisecond<<min(attempts, 10), natsWait)
		}),
		nats.ReconnectBufSize(natsBuffer), nats.Timeout(postTime), nats.FlusherTimeout(postTime), nats.NoEcho(),
		nats.IgnoreAuthErrorAbort(), nats.NoCallbacksAfterClientClose(),
		nats.DisconnectErrHandler(say), nats.ReconnectErrHandler(say),
		nats.ErrorHandler(func(c *nats.Conn, _ *nats.Subscription, err error) { say(c, err) }),
		nats.ConnectHandler(func(*nats.Conn) { log.Info("connected with NATS") }),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("connected with NATS again") }))
}

// closeNATS sends what waits, for so long at most.
func closeNATS(c *nats.Conn) {
	if c.IsConnected() {
		_ = c.FlushTimeout(postTime)
	}
	c.Close()
}

// subject publishes the events of one session to NATS.
type subject struct {
	to       *nats.Conn
	name     string
	log      *slog.Logger
	complain rate.Sometimes
}

func newSubject(j *job, identity string) *subject {
	return &subject{
		to: j.a.nats, log: j.log, complain: rate.Sometimes{Interval: complainTime},
		name: j.a.o.Subject + "." + subjectToken(j.key.room) + "." + subjectToken(identity),
	}
}

// publish is called for each event.
func (s *subject) publish(m events.Message) {
	if err := s.to.Publish(s.name, m.JSON); err != nil {
		s.complain.Do(func() { s.log.Warn("an event was not published to NATS", "cause", err) })
	}
}
