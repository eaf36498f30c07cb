package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/spf13/pflag"

	"tandem/capture/av"
	"tandem/webrtc"
	"tandem/webrtc/agent"
	"tandem/webrtc/webhook"
)

var agentCommand = &command{
	name: "agent", maxArgs: 0,
	about: "Work for a LiveKit server: recognise those who publish in its rooms",
	long: `It registers with the server as a worker, is given jobs by its load, joins rooms unseen, and sends events to
those who may see them. Only participants are analysed who say by an attribute that they agree (--consent).
Run as many as are needed, each on a machine of its own; Ctrl-C or SIGTERM drains. docs/agent.md has more.

  tandem agent --url wss://livekit.example.org --api-key KEY --api-secret SECRET
  LIVEKIT_URL=ws://127.0.0.1:7880 LIVEKIT_API_KEY=devkey LIVEKIT_API_SECRET=secret tandem agent --to all`,
	options: func() options { return &agentOptions{} },
}

// What --per may be.
const (
	perParticipant = "participant"
	perRoom        = "room"
)

type agentOptions struct {
	networkFlags
	pipelineFlags
	metricsFlag
	logFlags
	url, key, secret string
	per, consent     string
	to               []string
	show, logJSON    bool
	attributes       bool
	webhook          string
	nats, subject    string
	maxSessions      int
	drain            float64 // seconds

	agent agent.Options // after check
}

func (o *agentOptions) bind(f *pflag.FlagSet) {
	f.StringVar(&o.url, "url", "", "`URL` of the LiveKit server, such as wss://livekit.example.org")
	f.StringVar(&o.key, "api-key", "", "API `KEY` of the LiveKit server")
	f.StringVar(&o.secret, "api-secret", "",
		"the key's `SECRET` (better in the environment, which other users can't see)")
	for flag, name := range map[string]string{
		"url": "LIVEKIT_URL", "api-key": "LIVEKIT_API_KEY", "api-secret": "LIVEKIT_API_SECRET",
	} {
		setEnv(f, flag, name)
	}
	f.StringVar(&o.per, "per", perParticipant,
		"`WHAT` a job is for: each participant, or each room with all who publish in it")
	f.StringVar(&o.consent, "consent", agent.DefaultConsent,
		"`ATTRIBUTE=VALUE` of a participant, or in the JSON of its or the room's metadata, by which it agrees to be "+
			"analysed; none analyses everyone")
	f.StringArrayVar(&o.to, "to", []string{agent.ToPublisher},
		"`WHO` gets the events: publisher, whom they are about, all, or a participant's identity; repeatable")
	f.BoolVar(&o.show, "show", false, "be seen by others in the room")
	f.BoolVar(&o.attributes, "attributes", false,
		"set tandem.emotion and tandem.gender of participants, which all in the room see: wants --to all")
	f.StringVar(&o.webhook, "webhook", "", "POST each event to `URL` too")
	ownEnv(f, "webhook")
	f.StringVar(&o.nats, "nats", "",
		"publish each event to the NATS server at `URL` too, such as nats://localhost:4222")
	f.StringVar(&o.subject, "nats-subject", agent.DefaultSubject,
		"publish to `SUBJECT`.ROOM.PARTICIPANT of --nats")
	f.IntVar(&o.maxSessions, "max-sessions", 0,
		fmt.Sprintf("at most `N` sessions at a time (default: %d a core)", webrtc.DefaultSessionsPerCore))
	f.Float64Var(&o.drain, "drain", 0, "when it is to end, let jobs go on by themselves for `SECONDS`")
	o.networkFlags.bind(f, "auto")
	f.IntVar(&o.threads, "threads", 0,
		"threads `N` for one batch through the network (default: 1; as many batches as cores run at a time)")
	o.pipelineFlags.bind(f, " a participant")
	o.metricsFlag.bind(f)
	o.logFlags.bind(f)
	f.BoolVar(&o.logJSON, "log-json", false, "log as JSON")
}

func (o *agentOptions) check(*pflag.FlagSet) error {
	if err := cmp.Or(
		o.logFlags.check(), o.networkFlags.check(), o.pipelineFlags.check(), o.metricsFlag.check(),
	); err != nil {
		return err
	}
	everyone := false
	for _, to := range o.to {
		if to == "" {
			return errors.New("--to: give publisher, all or a participant's identity")
		}
		everyone = everyone || to == agent.ToAll
	}
	switch {
	case o.url == "":
		return errors.New("give --url URL of the LiveKit server, or LIVEKIT_URL in the environment")
	case o.key == "" || o.secret == "":
		return errors.New("give --api-key and --api-secret, " +
			"or LIVEKIT_API_KEY and LIVEKIT_API_SECRET in the environment")
	case o.per != perParticipant && o.per != perRoom:
		return fmt.Errorf("--per %q: known are %s and %s", o.per, perParticipant, perRoom)
	case o.attributes && !everyone:
		return errors.New("--attributes can be seen by all in the room: give --to all with it")
	case o.maxSessions < 0:
		return fmt.Errorf("--max-sessions %d: give 1 or more", o.maxSessions)
	case !(o.drain >= 0 && o.drain <= 7*86400):
		return fmt.Errorf("--drain %v: give seconds, a week at most", o.drain)
	}
	if o.webhook != "" {
		if err := webhook.CheckURL(o.webhook); err != nil {
			return fmt.Errorf("--webhook %w", err)
		}
	}
	if o.nats != "" {
		if err := agent.CheckNATS(o.nats, o.subject); err != nil {
			return fmt.Errorf("--nats: %w", err)
		}
	}
	consent, err := agent.ParseConsent(o.consent)
	if err != nil {
		return fmt.Errorf("--consent %w", err)
	}
	o.agent = agent.Options{
		URL: o.url, Key: o.key, Secret: o.secret, PerRoom: o.per == perRoom, Shown: o.show, To: o.to, Consent: consent,
		MaxSessions: o.maxSessions, Drain: seconds(o.drain), Attributes: o.attributes, Webhook: o.webhook,
		NATS: o.nats, Subject: o.subject,
	}
	return o.agent.Check()
}

func (o *agentOptions) run(ctx context.Context, c *console) (err error) {
	av.LimitHeaps(runtime.GOMAXPROCS(0))
	if o.logJSON {
		c.log = slog.New(slog.NewJSONHandler(c.err, &slog.HandlerOptions{Level: o.level}))
	}
	// Sessions share the machine, so that each network runs on one thread unless asked otherwise.
	rec, err := openRecognition(o.model, o.inferOptions(max(o.threads, 1)))
	if err != nil {
		return err
	}
	defer rec.Close()
	if err := rec.openSpeaker(&o.speakerFlags); err != nil {
		return err
	}
	so := webrtc.Options{
		Recognizer: rec, Faces: rec.finder, Model: rec.model.sha256, Pipeline: o.pipelineOptions(), Log: c.log,
	}
	rec.use(&so.Pipeline)
	s, err := webrtc.NewServer(so)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	ao := o.agent
	ao.Server, ao.CropSize, ao.Log = s, rec.Spec().CropSize, c.log
	a, err := agent.New(ao)
	if err != nil {
		return err
	}
	metrics, err := o.metricsFlag.listen(c)
	if err != nil {
		return err
	}
	c.say("working for %s; Ctrl-C ends", o.url)
	return withMetrics(ctx, s, metrics, a.Run)
}
