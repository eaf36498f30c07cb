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
			"RFC 9725", signaltest.Trickle,
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
	if want := []string{"1 " + host}; err != nil || !slices.Equal(f.Candidates(), want) {
		t.Errorf("candidates %q, want %q; %v", f.Candidates(), want, err)
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
