package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"

	"github.com/spf13/pflag"

	"tandem/capture/av"
	"tandem/infer"
	"tandem/webrtc"
	"tandem/webrtc/peer"
	"tandem/webrtc/signal"
	"tandem/webrtc/tracing"
)

var serveCommand = &command{
	name: "serve", maxArgs: 0,
	about: "Serve a page and WHIP: browsers send camera and microphone, events come back",
	long: `Open the address that it prints in a browser, or point a WHIP client at ADDRESS/whip. docs/whip.md describes
the HTTP API, docs/deploy.md how to run it for others. It listens on this machine alone by default; on any
other address it wants --token, or --allow-anonymous. No media is stored.

  tandem serve
  tandem serve --addr :8443 --tls-cert cert.pem --tls-key key.pem --token SECRET`,
	options: func() options { return &serveOptions{} },
}

type serveOptions struct {
	networkFlags
	pipelineFlags
	metricsFlag
	logFlags
	accessFlags
	webhookFlags
	addr, token, instance  string
	allowAnonymous, public bool
	trustedProxies         []string
	logJSON                bool
	allowOrigins           []string
	tlsCert, tlsKey        string
	udpPort, tcpPort       int
	publicIPs, iceServers  []string
	turnSecret             string
	maxSessions            int
	maxPerAddress          int
	maxBitrate             float64 // Mbit/s
	maxSize                string
	idle, maxTime          float64 // seconds

	server webrtc.Options // after check
}

func (o *serveOptions) bind(f *pflag.FlagSet) {
	f.StringVar(&o.addr, "addr", "127.0.0.1:8080",
		"`ADDRESS` to listen on; one that others can reach wants --token")
	f.StringVar(&o.token, "token", "",
		"`SECRET` that clients must bear (better in TANDEM_TOKEN, which other users can't see)")
	o.accessFlags.bind(f)
	f.BoolVar(&o.allowAnonymous, "allow-anonymous", false, "let anyone in who can reach the address")
	f.StringArrayVar(&o.allowOrigins, "allow-origin", nil,
		"`ORIGIN` of pages elsewhere that may use the server, such as https://example.org; repeatable")
	f.StringVar(&o.tlsCert, "tls-cert", "", "certificate `FILE` (PEM): serve HTTPS")
	f.StringVar(&o.tlsKey, "tls-key", "", "`FILE` of the certificate's key (PEM)")
	f.IntVar(&o.udpPort, "udp-port", 0, "one UDP `PORT` for all media (default: one for each session)")
	f.IntVar(&o.tcpPort, "tcp-port", 0, "one TCP `PORT` for the media of clients that can't use UDP (default: none)")
	f.StringArrayVar(&o.publicIPs, "public-ip", nil,
		"`ADDRESS` at which clients reach this machine through a NAT; repeatable")
	f.BoolVar(&o.public, "public", false, "send media packets to public addresses only, whatever clients name")
	f.StringArrayVar(&o.iceServers, "ice-server", nil,
		"STUN or TURN `SERVER`: stun:HOST:PORT, turn:HOST:PORT or turn:USER:PASSWORD@HOST:PORT; repeatable")
	f.StringVar(&o.turnSecret, "turn-secret", "",
		"`SECRET` shared with the TURN servers without USER: each client gets a password of its own, for a time")
	f.IntVar(&o.maxSessions, "max-sessions", 0,
		fmt.Sprintf("at most `N` sessions at a time (default: %d a core)", webrtc.DefaultSessionsPerCore))
	f.IntVar(&o.maxPerAddress, "max-per-address", webrtc.DefaultMaxPerAddress,
		"at most `N` sessions of one client address (IPv6: of one /64); -1 for no bound")
	f.Float64Var(&o.maxBitrate, "max-bitrate", webrtc.DefaultMaxBitrate/1e6,
		"`MBIT` a second that a track may use; one that sends twice as much ends its session")
	f.StringVar(&o.maxSize, "max-size", "1920x1080", "largest picture, `WIDTHxHEIGHT`; larger ones end the session")
	f.Float64Var(&o.idle, "idle", webrtc.DefaultIdle.Seconds(),
		"end a session from which nothing came for `SECONDS`")
	f.Float64Var(&o.maxTime, "max-time", webrtc.DefaultMaxTime.Seconds(), "end a session after `SECONDS`")
	f.StringArrayVar(&o.trustedProxies, "trusted-proxy", nil,
		"`NETWORK` of the proxy in front, such as 10.0.0.0/8 or 127.0.0.1: its X-Forwarded-For tells clients' "+
			"addresses; repeatable")
	o.metricsFlag.bind(f)
	o.webhookFlags.bind(f)
	f.StringVar(&o.instance, "instance", "",
		"`NAME` to put before session ids, for a balancer in front of several servers")
	o.networkFlags.bind(f, "auto")
	f.IntVar(&o.threads, "threads", 0,
		"threads `N` for one batch through the network (default: 1; as many batches as cores run at a time)")
	o.pipelineFlags.bind(f, " a session")
	o.logFlags.bind(f)
	f.BoolVar(&o.logJSON, "log-json", false, "log as JSON")
}

func (o *serveOptions) check(*pflag.FlagSet) error {
	if err := cmp.Or(
		o.logFlags.check(), o.networkFlags.check(), o.pipelineFlags.check(), o.metricsFlag.check(),
		o.accessFlags.check(), o.webhookFlags.check(),
	); err != nil {
		return err
	}
	switch {
	case o.maxSessions < 0:
		return fmt.Errorf("--max-sessions %d: give 1 or more", o.maxSessions)
	case o.maxPerAddress == 0 || o.maxPerAddress < -1:
		return fmt.Errorf("--max-per-address %d: give 1 or more, or -1 for no bound", o.maxPerAddress)
	case !(o.maxBitrate > 0 && o.maxBitrate <= 1000):
		return fmt.Errorf("--max-bitrate %v: give Mbit/s above 0", o.maxBitrate)
	case !(o.idle >= 1 && o.idle <= 86400):
		return fmt.Errorf("--idle %v: give seconds from 1 on", o.idle)
	case !(o.maxTime >= 1 && o.maxTime <= 7*86400):
		return fmt.Errorf("--max-time %v: give seconds from 1 on, a week at most", o.maxTime)
	case o.udpPort < 0 || o.udpPort > 65535:
		return fmt.Errorf("--udp-port %d: give 1 to 65535", o.udpPort)
	case o.tcpPort < 0 || o.tcpPort > 65535:
		return fmt.Errorf("--tcp-port %d: give 1 to 65535", o.tcpPort)
	}
	var err error
	o.server, err = o.serverOptions()
	return err
}

// serverOptions returns what the flags say of the server, but for its log and its networks.
func (o *serveOptions) serverOptions() (webrtc.Options, error) {
	host, _, err := net.SplitHostPort(o.addr)
	if err != nil {
		return webrtc.Options{}, fmt.Errorf("--addr %q: want HOST:PORT, such as 127.0.0.1:8080", o.addr)
	}
	loopback := host == "localhost"
	if a, err := netip.ParseAddr(host); err == nil {
		loopback = a.IsLoopback()
	}
	if !loopback && o.token == "" && !o.accessFlags.any() && !o.allowAnonymous {
		return webrtc.Options{}, fmt.Errorf("--addr %s can be reached from elsewhere: "+
			"give --token SECRET or --tokens FILE, or --allow-anonymous if anyone may use it", o.addr)
	}
	if (o.tlsCert == "") != (o.tlsKey == "") {
		return webrtc.Options{}, errors.New("--tls-cert and --tls-key go together")
	}
	so := webrtc.Options{
		Pipeline: o.pipelineOptions(),
		Token:    o.token, AllowOrigins: o.allowOrigins,
		MaxSessions: o.maxSessions, MaxPerAddress: o.maxPerAddress,
		MaxBitrate: int(o.maxBitrate * 1e6),
		Idle:       seconds(o.idle), MaxTime: seconds(o.maxTime),
		Instance: o.instance, MetricsApart: o.metricsAddr != "",
		Webhook: o.webhook, WebhookSecret: o.webhookSecret,
		Network: peer.Options{
			Loopback: loopback, UDPPort: o.udpPort, TCPPort: o.tcpPort, PublicIPs: o.publicIPs, PublicOnly: o.public,
		},
	}
	if so.MaxPixels, err = parseSize(o.maxSize); err != nil {
		return so, fmt.Errorf("--max-size %w", err)
	}
	if so.TrustedProxies, err = parseNetworks(o.trustedProxies); err != nil {
		return so, fmt.Errorf("--trusted-proxy %w", err)
	}
	if loopback && so.TrustedProxies == nil {
		// A page whose name was made to point here must not use it.
		so.AllowHosts = []string{"localhost"}
	}
	for _, s := range o.iceServers {
		server, err := signal.ParseICEServer(s)
		if err != nil {
			return so, fmt.Errorf("--ice-server: %w", err)
		}
		so.Network.ICEServers.List = append(so.Network.ICEServers.List, server)
	}
	so.Network.ICEServers.Secret = o.turnSecret
	if err := so.Network.ICEServers.Check(); err != nil {
		return so, fmt.Errorf("--ice-server, --turn-secret: %w", err)
	}
	return so, nil
}

// parseNetworks reads networks, such as 10.0.0.0/8, and addresses, which stand for themselves alone.
func parseNetworks(list []string) (out []netip.Prefix, err error) {
	for _, s := range list {
		n, err := netip.ParsePrefix(s)
		if a, err2 := netip.ParseAddr(s); err2 == nil && a.Zone() == "" {
			n, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil || n.Addr().Is4In6() {
			return nil, fmt.Errorf("%q: want a network, such as 10.0.0.0/8, or an address", s)
		}
		out = append(out, n.Masked())
	}
	return out, nil
}

// parseSize returns how many pixels WIDTHxHEIGHT are.
func parseSize(s string) (int, error) {
	var w, h int
	n, err := fmt.Sscanf(s+"\n", "%dx%d\n", &w, &h)
	if n != 2 || err != nil || w < 1 || h < 1 || w > 1<<14 || h > 1<<14 {
		return 0, fmt.Errorf("%q: want WIDTHxHEIGHT, such as 1920x1080", s)
	}
	return w * h, nil
}

func (o *serveOptions) run(ctx context.Context, c *console) error {
	av.LimitHeaps(runtime.GOMAXPROCS(0))
	var cert *certificate
	var err error
	if o.tlsCert != "" {
		if cert, err = openCertificate(o.tlsCert, o.tlsKey); err != nil {
			return err
		}
	}
	if o.logJSON {
		c.log = slog.New(slog.NewJSONHandler(c.err, &slog.HandlerOptions{Level: o.level}))
	}
	l, err := net.Listen("tcp", o.addr)
	if err != nil {
		return fmt.Errorf("--addr %s: %w", o.addr, withoutAddress(err))
	}
	defer l.Close()
	// Sessions share the machine, so that each network runs on one thread unless asked otherwise.
	rec, err := openRecognition(o.model, o.inferOptions(max(o.threads, 1)))
	if err != nil {
		return err
	}
	defer func() { rec.Close() }() // of the model that is in use then
	so := o.server
	swap := infer.NewSwappable(rec.Recognizer)
	so.Log, so.Recognizer, so.Faces, so.Model = c.log, swap, rec.finder, rec.model.sha256
	if err := rec.openSpeaker(&o.speakerFlags); err != nil {
		return err
	}
	rec.use(&so.Pipeline)
	var again []reload
	if rec.speaker != nil && o.speakerModel != "" {
		speaker := infer.NewSwappableSpeaker(rec.speaker)
		so.Pipeline.Speaker = speaker
		again = append(again, reload{"speaker model", func() error { return rec.swapSpeaker(o.speakerModel, speaker) }})
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	var tokens []reload
	if so.Access, tokens, err = o.accessFlags.open(ctx, c.log); err != nil {
		return err
	}
	again = append(again, tokens...)
	so.Tracer, err = tracing.FromEnvironment(tracing.Options{Version: version(), Instance: o.instance, Log: c.log})
	if err != nil {
		return err
	}
	defer so.Tracer.Close() // after the server, whose sessions end their spans
	s, err := webrtc.NewServer(so)
	if err != nil {
		return err
	}
	defer s.Close()
	if o.model != "" {
		again = append(again, reload{"model", func() error { return o.swapModel(rec, swap, s) }})
	}
	if cert != nil {
		again = append(again, reload{"certificate", cert.read})
	}
	defer reloadOnHangup(ctx, c.log, again)()
	defer end()
	metrics, err := o.metricsFlag.listen(c)
	if err != nil {
		return err
	}
	scheme := "http"
	if cert != nil {
		scheme, l = "https", cert.listen(l)
	}
	c.say("open %s://%s in a browser, or send to /whip there; Ctrl-C ends", scheme, browsable(l.Addr()))
	if !webrtc.PageIsWhole() {
		c.log.Warn("the page has no chart: run `make assets` and build again")
	}
	return withMetrics(ctx, s, metrics, func(ctx context.Context) error { return s.Serve(ctx, l) })
}

// swapModel reads the model's file again, and has the sessions of s run by it from their next window on.
func (o *serveOptions) swapModel(rec *recognition, swap *infer.Swappable, s *webrtc.Server) error {
	m, err := readModel(o.model)
	if err != nil || m.sha256 == rec.model.sha256 {
		return err
	}
	next, err := infer.NewRecognizer(m.bytes, o.inferOptions(max(o.threads, 1)))
	if err != nil {
		return fmt.Errorf("%s: %w", o.model, err)
	}
	before, err := swap.Swap(next)
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", o.model, err), next.Close())
	}
	rec.Recognizer, rec.model = next, m
	s.SetModel(m.sha256, next.Precision())
	return before.Close()
}

// withoutAddress returns the cause of a network error, without the address.
func withoutAddress(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// browsable returns an address that a browser on this machine can open.
func browsable(a net.Addr) string {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil || !ap.Addr().IsUnspecified() && !ap.Addr().IsLoopback() {
		return a.String()
	}
	// Browsers give pages on localhost the camera without TLS.
	return fmt.Sprintf("localhost:%d", ap.Port())
}
