package webrtc_test

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v5/vnet"

	"tandem/pipeline"
	"tandem/webrtc"
	"tandem/webrtc/client"
	"tandem/webrtc/peer"
)

// wires is a network between a server and a client whose faults can be set.
type wires struct {
	server, client *vnet.Net
	loss           atomic.Int32 // percent
	cut            atomic.Bool
}

func newWires(t *testing.T, jitter time.Duration) *wires {
	t.Helper()
	log := logging.NewDefaultLoggerFactory()
	log.DefaultLogLevel = logging.LogLevelDisabled
	router, err := vnet.NewRouter(&vnet.RouterConfig{
		CIDR: "1.2.3.0/24", LoggerFactory: log, MinDelay: 10 * time.Millisecond, MaxJitter: jitter, QueueSize: 10000,
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &wires{}
	for _, n := range []struct {
		net **vnet.Net
		ip  string
	}{{&w.server, "1.2.3.4"}, {&w.client, "1.2.3.5"}} {
		if *n.net, err = vnet.NewNet(&vnet.NetConfig{StaticIPs: []string{n.ip}}); err != nil {
			t.Fatal(err)
		}
		if err := router.AddNet(*n.net); err != nil {
			t.Fatal(err)
		}
	}
	router.AddChunkFilter(func(vnet.Chunk) bool { return !w.cut.Load() && rand.Int32N(100) >= w.loss.Load() })
	if err := router.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { router.Stop() })
	return w
}

// A bad network costs pictures and windows, but the session goes on, says which senses it has, and recovers.
func TestLongBadNetworks(t *testing.T) {
	clip := load(t, write(t, "a.webm", pattern))
	for _, tt := range []struct {
		name          string
		loss          int32
		jitter        time.Duration
		share, senses float64       // of the windows that come at all, and of those that have both senses
		latency       time.Duration // 95 %
	}{
		{"5 % loss", 5, 0, .9, .8, 400 * time.Millisecond},
		// What is lost is not sent again, so 48 of 60 are to be expected, with a standard deviation of 3.
		{"20 % loss", 20, 0, .6, .1, 800 * time.Millisecond},
		{"200 ms jitter", 0, 200 * time.Millisecond, .9, .8, 600 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWires(t, tt.jitter)
			_, url, _ := server(t, webrtc.Options{Network: peer.Options{Net: w.server}})
			// A reliable channel would wait for what is lost.
			s := dial(t, client.Options{URL: url + "/whip", Net: w.client, Channel: client.LossyChannel})
			publish(t, s, clip, true)
			windows(t, s, 1)
			w.loss.Store(tt.loss)
			began := time.Now()
			var n, both int
			var late []time.Duration
			for time.Since(began) < 15*time.Second {
				select {
				case e, ok := <-s.Events():
					if !ok {
						t.Fatal("the session ended")
					}
					if e.Window != nil {
						n++
						if e.Window.Audio && e.Window.Video {
							both++
						}
						late = append(late, *e.Window.Latency)
					}
				case <-time.After(3 * time.Second):
					t.Fatal("nothing came for 3 s")
				}
			}
			p95 := percentile(late, 95)
			_, status := get(t, s.URL()+"/status")
			t.Logf("%d windows of 60, %d with both senses, latency %v (95 %%); %s", n, both, p95, status)
			if float64(n) < 60*tt.share || float64(both) < float64(n)*tt.senses || p95 > tt.latency {
				t.Errorf("too few, too blind or too late")
			}
			w.loss.Store(0)
			eventually(t, "both senses are back", 15*time.Second,
				func() bool { w := windows(t, s, 1)[0]; return w.Audio && w.Video })
		})
	}
}

func percentile(d []time.Duration, p int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	sorted := append([]time.Duration(nil), d...)
	for i := range sorted {
		for j := i; j > 0 && sorted[j] < sorted[j-1]; j-- {
			sorted[j], sorted[j-1] = sorted[j-1], sorted[j]
		}
	}
	return sorted[(len(sorted)*p+99)/100-1]
}

// After ten seconds without a network, and with a restart of ICE over one that has failed, the same session goes on.
func TestLongOutage(t *testing.T) {
	clip := load(t, write(t, "a.webm", pattern))
	for _, restart := range []bool{false, true} {
		name, outage := "10 s", 10*time.Second
		if restart {
			name, outage = "25 s and a restart", 25*time.Second
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWires(t, 0)
			_, url, _ := server(t, webrtc.Options{
				Network: peer.Options{Net: w.server}, Pipeline: pipeline.DefaultOptions(),
			})
			s := dial(t, client.Options{URL: url + "/whip", Net: w.client, Channel: client.ReliableChannel})
			publish(t, s, clip, true)
			before := windows(t, s, 2)[1]
			w.cut.Store(true)
			time.Sleep(outage)
			w.cut.Store(false)
			if restart {
				if err := s.Restart(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			var after *pipeline.WindowEvent
			eventually(t, "windows of both senses", 20*time.Second, func() bool {
				after = windows(t, s, 1)[0]
				return after.T > before.T+outage-2*time.Second && after.Audio && after.Video
			})
			if d := after.T - before.T; d > outage+15*time.Second {
				t.Errorf("media time went on by %v in an outage of %v", d, outage)
			}
		})
	}
}
