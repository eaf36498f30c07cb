package cli

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/pflag"

	"tandem/webrtc"
)

// metricsFlag is the address of what the operator of a server asks for.
type metricsFlag struct{ metricsAddr string }

func (m *metricsFlag) bind(f *pflag.FlagSet) {
	f.StringVar(&m.metricsAddr, "metrics-addr", "",
		"`ADDRESS` of its own for /metrics, without token, and Go's profiles, for this machine alone")
}

func (m *metricsFlag) check() error {
	if m.metricsAddr != "" {
		if _, _, err := net.SplitHostPort(m.metricsAddr); err != nil {
			return fmt.Errorf("--metrics-addr %q: want HOST:PORT, such as 127.0.0.1:9090", m.metricsAddr)
		}
	}
	return nil
}

// listen opens the address; nil: there is none.
func (m *metricsFlag) listen(c *console) (net.Listener, error) {
	if m.metricsAddr == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", m.metricsAddr)
	if err != nil {
		return nil, fmt.Errorf("--metrics-addr %s: %w", m.metricsAddr, withoutAddress(err))
	}
	c.say("metrics at http://%s/metrics, profiles at /debug/pprof/ there", l.Addr())
	return l, nil
}

// withMetrics runs work until ctx ends, and serves what the operator asks for as long as it does, which may drain.
// metrics may be nil.
func withMetrics(
	ctx context.Context, s *webrtc.Server, metrics net.Listener, work func(context.Context) error,
) error {
	if metrics == nil {
		return work(ctx)
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	drained, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() {
		defer end()
		ended <- s.ServeMetrics(drained, metrics)
	}()
	err := work(ctx)
	stop()
	if failed := <-ended; failed != nil {
		err = errors.Join(err, fmt.Errorf("--metrics-addr: %w", failed))
	}
	return err
}
