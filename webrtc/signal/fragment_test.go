package signal_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tandem/webrtc/problem"
	"tandem/webrtc/signal"
	"tandem/webrtc/signal/signaltest"
)

const hostCandidate = "1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1"

func TestParseFragment(t *testing.T) {
	head := "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
	credentials := signal.Fragment{Ufrag: "EsAw", Pwd: "P2uYro0UCOQ4zxjKXaWCBui1"}
	with := func(m ...signal.FragmentMedia) signal.Fragment {
		f := credentials
		f.Media = m
		return f
	}
	for _, c := range []struct {
		name, body string
		want       signal.Fragment
	}{
		{"credentials", head, credentials},
		{
			"drafts of RFC 9725", signaltest.Trickle,
			with(signal.FragmentMedia{Kind: "audio", Mid: "0", Candidates: []string{hostCandidate}, End: true}),
		},
		{
			"LF, no last", strings.TrimSuffix(strings.ReplaceAll(signaltest.Trickle, "\r\n", "\n"), "\n"),
			with(signal.FragmentMedia{Kind: "audio", Mid: "0", Candidates: []string{hostCandidate}, End: true}),
		},
		{
			"RFC 8840", "a=group:BUNDLE a b\r\na=ice-options:trickle  ice2\r\nm=audio 9 RTP/AVP 0\r\na=mid:a\r\n" +
				head + "a=candidate:" + hostCandidate +
				"\r\nm=video 9 RTP/AVP 0\r\na=mid:b\r\na=end-of-candidates\r\n",
			func() signal.Fragment {
				f := with(signal.FragmentMedia{Kind: "audio", Mid: "a", Candidates: []string{hostCandidate}},
					signal.FragmentMedia{Kind: "video", Mid: "b", End: true})
				f.Options = "trickle ice2"
				return f
			}(),
		},
		{
			"prefix twice", head + "a=candidate:candidate:" + hostCandidate + "\r\n",
			with(signal.FragmentMedia{Candidates: []string{hostCandidate}}),
		},
		{
			"no m-line", head + "a=candidate:" + hostCandidate + "\r\n",
			with(signal.FragmentMedia{Candidates: []string{hostCandidate}}),
		},
		{"unknown lines", head + "v=0\r\nb=AS:3\r\na=unheard-of:5\r\na=flag\r\n", credentials},
		{"of no use", "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n" + strings.Join([]string{
			"a=candidate:1 1 udp 1 a2b3.local 5000 typ host", "a=candidate:1 1 udp 1 host.example.org 5000 typ host",
			"a=candidate:1 2 udp 1 192.0.2.1 5000 typ host",
			"a=candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active", "a=candidate:1 1 udp 1 192.0.2.1 0 typ host",
			"a=candidate:1 1 udp 1 192.0.2.1 5000 typ future", "a=candidate:1 1 sctp 1 192.0.2.1 5000 typ host",
		}, "\r\n"), signal.Fragment{Media: []signal.FragmentMedia{{Kind: "audio", Mid: "0"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := signal.ParseFragment(c.body)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

// Fragments as clients write them, each with how many of its candidates are of use.
func TestFragmentSpecimens(t *testing.T) {
	const (
		upper = "a=group:BUNDLE 0 1|m=audio 9 UDP/TLS/RTP/SAVPF 111|a=mid:0|"
		four  = "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw " +
			"network-id 1|" +
			"a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0 ufrag EsAw " +
			"network-id 2|a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0 " +
			"ufrag EsAw network-id 1|a=candidate:2154773085 1 tcp 1518214911 198.51.100.2 9 typ host tcptype active " +
			"generation 0 ufrag EsAw network-id 2|"
	)
	for _, c := range []struct {
		client, body string
		use          int
		end          bool
	}{
		{
			"RFC 9725, figure 3", upper + "a=ice-ufrag:EsAw|a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1|" + four +
				"a=end-of-candidates|", 2, true,
		},
		{
			"RFC 9725, figure 4", "a=ice-options:trickle ice2|" + upper +
				"a=ice-ufrag:ysXw|a=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k|" + four, 2, false,
		},
		{
			"RFC 9725, answer of figure 4", "a=ice-lite|a=ice-options:trickle ice2|" + upper +
				"a=ice-ufrag:289b31b754eaa438|a=ice-pwd:0b66f472495ef0ccac7bda653ab6be49ea13114472a5d10a|" +
				"a=candidate:1 1 udp 2130706431 198.51.100.1 39132 typ host|a=end-of-candidates|", 1, true,
		},
		{
			"whip.js, of Medooze, in Chromium", "a=ice-ufrag:8Pdx|a=ice-pwd:Zf0tWq3hYbN5uKsLm1RvEg7x|" +
				"m=video 9 UDP/TLS/RTP/SAVPF 0|a=mid:0|" +
				"a=candidate:2750136412 1 udp 2113937151 6d0f2c1b-7a3e-4c58-9b21-e4f5a6b7c8d9.local 57120 typ host " +
				"generation 0 ufrag 8Pdx network-cost 999|" +
				"a=candidate:842163049 1 udp 1677729535 203.0.113.7 57120 typ srflx raddr 0.0.0.0 rport 0 " +
				"generation 0 ufrag 8Pdx network-cost 999|a=end-of-candidates|", 1, true,
		},
		{ // the empty candidate ends a generation (W3C WebRTC section 4.8.1.1)
			"whip.js, in Firefox", "a=ice-ufrag:6f1d2c3b|a=ice-pwd:0a1b2c3d4e5f60718293a4b5c6d7e8f9|" +
				"m=audio 9 UDP/TLS/RTP/SAVPF 0|a=mid:0|" +
				"a=candidate:0 1 UDP 2122252543 2c7e1a90-5b4d-4f6e-8a3b-9c0d1e2f3a4b.local 48211 typ host|" +
				"a=candidate:2 1 TCP 2105524479 2c7e1a90-5b4d-4f6e-8a3b-9c0d1e2f3a4b.local 9 typ host tcptype active|" +
				"a=candidate:1 1 UDP 1686052863 203.0.113.7 48211 typ srflx raddr 0.0.0.0 rport 0|a=|", 1, false,
		},
		{ // which names a m-line of sound whichever comes first
			"whip-client, of Meetecho, with GStreamer", "a=ice-ufrag:hT5rLq8WvYx2NbKcZp0sDmEf3gJa7uQi|" +
				"a=ice-pwd:R1o6BdVn9eTzKxPq4LwCy8MhUj2SgFa5|m=audio 9 RTP/AVP 0|a=mid:video0|" +
				"a=candidate:1 1 UDP 2015363327 192.0.2.10 40000 typ host|" +
				"a=candidate:2 1 TCP 1015021823 192.0.2.10 9 typ host tcptype active|" +
				"a=candidate:3 1 TCP 1010827519 192.0.2.10 40001 typ host tcptype passive|" +
				"a=candidate:4 1 UDP 2015363583 fe80::1c2d:3e4f:5a6b:7c8d 40002 typ host|a=end-of-candidates|", 3, true,
		},
		{
			"credentials after the m-line, LF", "m=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:0\na=ice-ufrag:n8Fw\n" +
				"a=ice-pwd:4qVbZ1sYtP0mKxRcLg7UdJ\na=candidate:1 1 UDP 2122317823 192.0.2.20 50642 typ host\n", 1,
			false,
		},
	} {
		f, err := signal.ParseFragment(strings.ReplaceAll(c.body, "|", "\r\n"))
		if err != nil || f.Ufrag == "" || len(f.Candidates()) != c.use ||
			slices.ContainsFunc(f.Media, func(m signal.FragmentMedia) bool { return m.End }) != c.end {
			t.Errorf("%s: %+v, %v", c.client, f, err)
		}
	}
}

func TestMalformedFragments(t *testing.T) {
	head := "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
	media := "m=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
	for name, body := range map[string]string{
		"empty":               "",
		"says nothing":        media,
		"no line":             head + "hello\r\n",
		"no letter":           head + "=x\r\n",
		"lone CR":             head + "a=x\ra=y\r\n",
		"NUL":                 head + "a=x\x00\r\n",
		"ufrag alone":         "a=ice-ufrag:EsAw\r\n",
		"pwd alone":           "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n",
		"short ufrag":         strings.Replace(head, "EsAw", "EsA", 1),
		"long ufrag":          strings.Replace(head, "EsAw", strings.Repeat("E", 257), 1),
		"odd ufrag":           strings.Replace(head, "EsAw", "Es w", 1),
		"short pwd":           strings.Replace(head, "P2uYro0UCOQ4zxjKXaWCBui1", "P2uYro0UCOQ4zxjKXaWCB", 1),
		"two sessions":        head + "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=ice-ufrag:Other\r\n",
		"odd kind":            head + "m=fax 9 RTP/AVP 0\r\n",
		"mid before m":        head + "a=mid:0\r\n",
		"two mids":            head + media + "a=mid:1\r\n",
		"odd mid":             head + "m=audio 9 RTP/AVP 0\r\na=mid:a b\r\n",
		"bad candidate":       head + media + "a=candidate:\r\n",
		"candidate, no typ":   head + media + "a=candidate:1 1 udp 1 192.0.2.1 5000 host host\r\n",
		"candidate, port":     head + media + "a=candidate:1 1 udp 1 192.0.2.1 70000 typ host\r\n",
		"candidate, priority": head + media + "a=candidate:1 1 udp 4294967296 192.0.2.1 5000 typ host\r\n",
		"long candidate": head + media + "a=candidate:1 1 udp 1 192.0.2.1 5000 typ host x " +
			strings.Repeat("y", 1024) + "\r\n",
		"many candidates": head + media +
			strings.Repeat("a=candidate:"+hostCandidate+"\r\n", signal.MaxCandidates+1),
		"many m-lines": head + strings.Repeat("m=audio 9 RTP/AVP 0\r\n", 17),
		"many lines":   head + strings.Repeat("a=x\r\n", 600),
	} {
		f, err := signal.ParseFragment(body)
		var e *problem.Error
		if !errors.As(err, &e) || e.Status != 400 {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

// A fragment of the server's has no candidates of RTCP, which pion puts into its descriptions whatever was agreed on.
func TestLocalFragment(t *testing.T) {
	const host = "1 udp 2122194687 192.0.2.10 61764 typ host"
	offer := signaltest.Bundle(signaltest.Opus(0) + "a=candidate:1 " + host + "\r\na=candidate:1 2" + host[1:] + "\r\n")
	f, err := signal.LocalFragment(offer)
	if want := []string{"1 " + host}; err != nil || !slices.Equal(f.Candidates(), want) || f.Options != "trickle" {
		t.Errorf("candidates %q, want %q; options %q; %v", f.Candidates(), want, f.Options, err)
	}
}

func FuzzFragment(f *testing.F) {
	f.Add(signaltest.Trickle)
	f.Add(signaltest.Restart)
	f.Add(
		"a=group:BUNDLE a b\na=ice-lite\na=ice-options:trickle ice2\nm=audio 9 RTP/AVP 0\na=mid:a\na=candidate:" +
			hostCandidate +
			"\na=candidate:2 1 UDP 1 ::ffff:192.0.2.1 5000 typ srflx raddr 0.0.0.0 rport 0\nm=application 9 " +
			"UDP/DTLS/SCTP webrtc-datachannel\na=mid:b\na=end-of-candidates\n",
	)
	f.Add("a=candidate:" + hostCandidate)
	f.Fuzz(func(t *testing.T, body string) {
		got, err := signal.ParseFragment(body)
		if err != nil {
			return
		}
		for _, c := range got.Candidates() {
			if ap, err := signal.ParseCandidate(c); err != nil || !ap.IsValid() {
				t.Errorf("candidate %q: %v, %v", c, ap, err)
			}
		}
		// What is written reads as the same, unless all that was said were candidates of no use.
		if got.Ufrag == "" && len(got.Candidates()) == 0 {
			return
		}
		again, err := signal.ParseFragment(got.String())
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%q reads as %+v, is written as %q, and reads as %+v (%v)", body, got, got, again, err)
		}
	})
}
