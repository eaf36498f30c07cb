// Package signaltest has offers and fragments for tests.
package signaltest

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

// Fragments as the drafts of RFC 9725 have them, and many clients: candidates, and the credentials of an ICE restart.
const (
	Trickle = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n" +
		"a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n" +
		"a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0 ufrag EsAw " +
		"network-id 1\r\n" +
		"a=end-of-candidates\r\n"
	Restart = "a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n"
)

// Section returns an m-line with the attributes that all of them have.
func Section(mid int, lines ...string) string {
	all := append(slices.Clone(lines), "c=IN IP4 0.0.0.0", "a=ice-ufrag:EsAw", "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1",
		"a=ice-options:trickle",
		"a=fingerprint:sha-256 "+
			"D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F",
		"a=setup:actpass", fmt.Sprintf("a=mid:%d", mid))
	return strings.Join(all, "\r\n") + "\r\n"
}

// Opus returns a section of sound.
func Opus(mid int) string {
	return Section(mid, "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0", "a=sendonly", "a=rtcp-mux", "a=rtpmap:111 opus/48000/2",
		"a=fmtp:111 minptime=10;useinbandfec=1", "a=rtpmap:63 red/48000/2", "a=rtpmap:0 PCMU/8000")
}

// Video returns a section of pictures: VP8, and H.264 in two packetization modes.
func Video(mid int) string {
	return Section(mid, "m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 104", "a=sendonly", "a=rtcp-mux",
		"a=rtpmap:96 VP8/90000", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96", "a=rtpmap:102 H264/90000",
		"a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", "a=rtpmap:104 H264/90000",
		"a=fmtp:104 level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f")
}

// Data returns a section of data channels.
func Data(mid int) string {
	return Section(mid, "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=sctp-port:5000")
}

// Bundle returns an offer of sections whose mids are 0, 1 and so on.
func Bundle(sections ...string) string {
	s := "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE"
	for i := range sections {
		s += fmt.Sprintf(" %d", i)
	}
	return s + "\r\n" + strings.Join(sections, "")
}

// Offer returns one of sound, pictures and data channels.
func Offer() string { return Bundle(Opus(0), Video(1), Data(2)) }

//go:embed offers
var offers embed.FS

// Specimen returns the offer of a client, by the name of its file in the folder offers without ".sdp": those of
// Chromium and Firefox as they wrote them, that of RFC 9725 (section 4.2), and those of Safari, GStreamer (webrtcbin
// and whipclientsink), libdatachannel, OBS Studio (which has an older libdatachannel), FFmpeg (8.0, and later with
// retransmissions) and aiortc in the form that their sources and their users' logs have, with addresses, keys and names
// of its own.
func Specimen(name string) string {
	b, err := offers.ReadFile("offers/" + name + ".sdp")
	if err != nil {
		panic(err) // a name that the test has wrong
	}
	return string(b)
}
