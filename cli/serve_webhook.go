package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"tandem/webrtc/webhook"
)

// webhookFlags say who is told of sessions.
type webhookFlags struct{ webhook, webhookSecret string }

func (o *webhookFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&o.webhook, "webhook", "",
		"POST an event to `URL` when a session starts and when it has ended; wants --webhook-secret")
	f.StringVar(&o.webhookSecret, "webhook-secret", "",
		"`SECRET` that signs these events (better in TANDEM_WEBHOOK_SECRET, which other users can't see)")
}

func (o *webhookFlags) check() error {
	switch {
	case o.webhook == "" && o.webhookSecret == "":
		return nil
	case o.webhook == "":
		return errors.New("--webhook-secret is of use with --webhook alone")
	case o.webhookSecret == "":
		return errors.New("--webhook wants --webhook-secret, or anyone could post events in the server's name")
	}
	if err := webhook.CheckURL(o.webhook); err != nil {
		return fmt.Errorf("--webhook %w", err)
	}
	return nil
}
