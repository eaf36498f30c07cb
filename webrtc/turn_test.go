package webrtc_test

import (
	"context"
	"encoding/json"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v5"

	"tandem/webrtc"
	"tandem/webrtc/client"
	"tandem/webrtc/peer"
	"tandem/webrtc/signal"
)

// turnServer runs one that takes the credentials of a secret, until the test ends. It returns its address and the names
// in those that it took.
func turnServer(t *testing.T, secret string) (address string, names func() map[string]bool) {
	t.Helper()
	l, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	quiet := &logging.DefaultLoggerFactory{DefaultLogLevel: logging.LogLevelDisabled}
	right := turn.LongTermTURNRESTAuthHandler(secret, quiet.NewLogger(""))
	var mu sync.Mutex
	seen := map[string]bool{}
	s, err := turn.NewServer(turn.ServerConfig{
		Realm: "test", LoggerFactory: quiet,
		AuthHandler: func(r *turn.RequestAttributes) (string, []byte, bool) {
			name, key, ok := right(r)
			if ok {
				mu.Lock()
				defer mu.Unlock()
				seen[name] = true
			}
			return name, key, ok
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn: l,
			RelayAddressGenerator: &turn.RelayAddressGeneratorStatic{
				RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1",
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return l.LocalAddr().String(), func() map[string]bool {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(seen)
	}
}

// A client that a TURN server alone can help is told credentials of its own, in Link headers and /config, which the
// TURN server takes; by those of another secret it does not get through.
func TestEphemeralTURNCredentials(t *testing.T) {
	clip := load(t, write(t, "a.webm", pattern))
	address, names := turnServer(t, "shared")
	i, err := signal.ParseICEServer("turn:" + address + "?transport=udp")
	if err != nil {
		t.Fatal(err)
	}
	servers := signal.ICEServers{List: []signal.ICEServer{i}, Secret: "shared"}
	_, url, _ := server(t, webrtc.Options{Network: peer.Options{ICEServers: servers}, MaxTime: time.Hour})
	s := dial(t, client.Options{URL: url + "/whip", Discover: true, Relay: true})
	publish(t, s, clip, true)
	windows(t, s, 1)
	if got := names(); !got["client"] || !got["tandem"] {
		t.Errorf("the TURN server took %v", got)
	}
	var c struct {
		ICE []signal.ICEServer `json:"ice_servers"`
	}
	if _, body := get(t, url+"/config"); json.Unmarshal([]byte(body), &c) != nil || len(c.ICE) != 1 ||
		!strings.HasSuffix(c.ICE[0].Username, ":client") || c.ICE[0].Credential == "" {
		t.Errorf("/config: %s", body)
	}
	servers.Secret = "another"
	_, url, _ = server(t, webrtc.Options{Network: peer.Options{ICEServers: servers}})
	o := client.Options{URL: url + "/whip", Discover: true, Relay: true, Loopback: true}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if s, err := client.Dial(ctx, o); err == nil {
		s.Close(t.Context())
		t.Error("it is connected by credentials of another secret")
	}
}
