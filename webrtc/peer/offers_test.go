package peer_test

import (
	"fmt"
	"slices"
	"strings"
)

// chromeOffer returns an offer as Chrome makes it for a page that sends camera and microphone and opens a data channel.
func chromeOffer() string {
	lines := slices.Concat([]string{
		"v=0", "o=- 5839473829104857362 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1 2",
		"a=extmap-allow-mixed", "a=msid-semantic: WMS stream",
	}, chromeAudio(), chromeVideo(), []string{"m=application 9 UDP/DTLS/SCTP webrtc-datachannel"}, chromeTransport(2),
		[]string{"a=sctp-port:5000", "a=max-message-size:262144", ""})
	return strings.Join(lines, "\r\n")
}

// chromeTransport returns the lines that all of Chrome's sections have.
func chromeTransport(mid int) []string {
	return []string{
		"c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0",
		"a=candidate:1521601408 1 udp 2122260223 3f1c8c0a-2f0e-4f2a-9c44-0a1b2c3d4e5f.local 54321 typ host " +
			"generation 0 network-id 1",
		"a=candidate:2799512213 1 tcp 1518280447 192.0.2.10 9 typ host tcptype active generation 0 network-id 1",
		"a=ice-ufrag:9uB2", "a=ice-pwd:Hc9YpQk1n0bRsvTf2uWxZaLe", "a=ice-options:trickle",
		"a=fingerprint:sha-256 " +
			"49:66:12:17:0D:1C:91:AE:57:4C:C6:36:DD:D5:97:D2:7D:62:C9:9A:7F:B9:A3:F4:70:03:E7:43:91:73:23:5E",
		"a=setup:actpass", fmt.Sprintf("a=mid:%d", mid),
	}
}

func chromeAudio() []string {
	return slices.Concat([]string{"m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126"}, chromeTransport(0), []string{
		"a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
		"a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
		"a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
		"a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
		"a=sendonly", "a=msid:stream audio", "a=rtcp-mux", "a=rtcp-rsize", "a=rtpmap:111 opus/48000/2",
		"a=rtcp-fb:111 transport-cc", "a=fmtp:111 minptime=10;useinbandfec=1", "a=rtpmap:63 red/48000/2",
		"a=fmtp:63 111/111", "a=rtpmap:9 G722/8000", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000",
		"a=rtpmap:13 CN/8000", "a=rtpmap:110 telephone-event/48000", "a=rtpmap:126 telephone-event/8000",
		"a=ssrc:1001 cname:Zm9vYmFyYmF6", "a=ssrc:1001 msid:stream audio",
	})
}

// chromeCodecs are those of pictures; each has a payload type for retransmissions, which is the next.
var chromeCodecs = []struct {
	pt         int
	name, fmtp string
}{
	{96, "VP8/90000", ""},
	{103, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f"},
	{107, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f"},
	{109, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"},
	{115, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"},
	{117, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f"},
	{39, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f"},
	{45, "AV1/90000", "level-idx=5;profile=0;tier=0"},
	{98, "VP9/90000", "profile-id=0"},
	{100, "VP9/90000", "profile-id=2"},
	{49, "H265/90000", "level-id=180;profile-id=1;tier-flag=0;tx-mode=SRST"},
}

func chromeVideo() []string {
	var formats, attributes []string
	for _, c := range chromeCodecs {
		formats = append(formats, fmt.Sprint(c.pt), fmt.Sprint(c.pt+1))
		attributes = append(attributes, fmt.Sprintf("a=rtpmap:%d %s", c.pt, c.name))
		for _, fb := range []string{"goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"} {
			attributes = append(attributes, fmt.Sprintf("a=rtcp-fb:%d %s", c.pt, fb))
		}
		if c.fmtp != "" {
			attributes = append(attributes, fmt.Sprintf("a=fmtp:%d %s", c.pt, c.fmtp))
		}
		attributes = append(attributes, fmt.Sprintf("a=rtpmap:%d rtx/90000", c.pt+1),
			fmt.Sprintf("a=fmtp:%d apt=%d", c.pt+1, c.pt))
	}
	media := "m=video 9 UDP/TLS/RTP/SAVPF " + strings.Join(formats, " ") + " 123 124 119"
	return slices.Concat([]string{media}, chromeTransport(1), []string{
		"a=extmap:14 urn:ietf:params:rtp-hdrext:toffset",
		"a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
		"a=extmap:13 urn:3gpp:video-orientation",
		"a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
		"a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid", "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
		"a=sendonly", "a=msid:stream video", "a=rtcp-mux", "a=rtcp-rsize",
	}, attributes, []string{
		"a=rtpmap:123 red/90000", "a=rtpmap:124 rtx/90000", "a=fmtp:124 apt=123", "a=rtpmap:119 ulpfec/90000",
		"a=ssrc-group:FID 2001 2002", "a=ssrc:2001 cname:Zm9vYmFyYmF6", "a=ssrc:2001 msid:stream video",
		"a=ssrc:2002 cname:Zm9vYmFyYmF6", "a=ssrc:2002 msid:stream video",
	})
}
