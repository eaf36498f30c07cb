package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"

	"tandem/webrtc"
	"tandem/webrtc/peer"
	"tandem/webrtc/whip"
)

var serveCommand = &command{
	name: "serve", maxArgs: 0,
	about: "Serve a page and WHIP: browsers send camera and microphone, events come back",
	long: `Open the address that it prints in a browser, or point a WHIP client at ADDRESS/whip. docs/whip.md describes
the HTTP API, docs/deploy.md how to run it for others. It listens on this machine alone by default; on any
other address it wants --token, or --allow-anonymous. No media is stored.

  tandem serve
  tandem serve --addr :8443 --tls-cert cert.pem --tls-key key.pem --token SECRET`,
	flags: (*options).serveFlags,
	run:   runServe,
}

func runServe(ctx context.Context, c *console, o *options) error {
	so, err := o.serverOptions()
	if err != nil {
		return err
	}
	var cert tls.Certificate
	if o.tlsCert != "" {
		if cert, err = tls.LoadX509KeyPair(o.tlsCert, o.tlsKey); err != nil {
			return fmt.Errorf("--tls-cert %s, --tls-key %s: %w", o.tlsCert, o.tlsKey, err)
		}
	}
	if o.logJSON {
		c.log = slog.New(slog.NewJSONHandler(c.err, &slog.HandlerOptions{Level: o.level}))
	}
	so.Log = c.log
	l, err := net.Listen("tcp", o.addr)
	if err != nil {
		return fmt.Errorf("--addr %s: %w", o.addr, errors.Unwrap(err))
	}
	defer l.Close()
	// Sessions share the machine, so that each network runs on one thread unless asked otherwise.
	threads := *o
	threads.threads = max(o.threads, 1)
	rec, err := openRecognition(&threads)
	if err != nil {
		return err
	}
	defer rec.Close()
	so.Recognizer, so.Faces, so.Model = rec, rec.finder, rec.model.sha256
	s, err := webrtc.NewServer(so)
	if err != nil {
		return err
	}
	defer s.Close()
	scheme := "http"
	if o.tlsCert != "" {
		scheme = "https"
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	}
	c.say("open %s://%s in a browser, or send to /whip there; Ctrl-C ends", scheme, browsable(l.Addr()))
	if !webrtc.PageIsWhole() {
		c.log.Warn("the page has no chart: run `make assets` and build again")
	}
	return s.Serve(ctx, l)
}

// browsable is an address that a browser on this machine can open.
func browsable(a net.Addr) string {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil || !ap.Addr().IsUnspecified() && !ap.Addr().IsLoopback() {
		return a.String()
	}
	// Browsers give pages on localhost the camera without TLS.
	return fmt.Sprintf("localhost:%d", ap.Port())
}

// serverOptions are the flags that a server heeds.
func (o *options) serverOptions() (webrtc.Options, error) {
	host, _, err := net.SplitHostPort(o.addr)
	if err != nil {
		return webrtc.Options{}, badUsage("--addr %q: want HOST:PORT, such as 127.0.0.1:8080", o.addr)
	}
	loopback := host == "localhost"
	if a, err := netip.ParseAddr(host); err == nil {
		loopback = a.IsLoopback()
	}
	if !loopback && o.token == "" && !o.allowAnonymous {
		return webrtc.Options{}, badUsage("--addr %s can be reached from elsewhere: give --token SECRET, or --allow-anonymous if anyone may use it", o.addr)
	}
	if (o.tlsCert == "") != (o.tlsKey == "") {
		return webrtc.Options{}, badUsage("--tls-cert and --tls-key go together")
	}
	so := webrtc.Options{
		Pipeline: o.pipelineOptions(),
		Token:    o.token, AllowOrigins: o.allowOrigins,
		MaxSessions: o.maxSessions, MaxPerAddress: o.maxPerAddress,
		MaxBitrate: int(o.maxBitrate * 1e6),
		Idle:       seconds(o.idle), MaxTime: seconds(o.maxTime),
		BehindProxy: o.behindProxy, Instance: o.instance,
		Network: peer.Options{Loopback: loopback, UDPPort: o.udpPort, PublicIPs: o.publicIPs, PublicOnly: o.public},
	}
	var w, h int
	if n, err := fmt.Sscanf(o.maxSize+"\n", "%dx%d\n", &w, &h); n != 2 || err != nil || w < 1 || h < 1 || w > 1<<14 || h > 1<<14 {
		return so, badUsage("--max-size %q: want WIDTHxHEIGHT, such as 1920x1080", o.maxSize)
	}
	so.MaxPixels = w * h
	if loopback && !o.behindProxy {
		// A page whose name was made to point here must not use it.
		so.AllowHosts = []string{"localhost"}
	}
	for _, s := range o.iceServers {
		server, err := whip.ParseICEServer(s)
		if err != nil {
			return so, badUsage("--ice-server: %s", strings.TrimPrefix(err.Error(), "ICE server: "))
		}
		so.Network.ICEServers = append(so.Network.ICEServers, server)
	}
	return so, nil
}
