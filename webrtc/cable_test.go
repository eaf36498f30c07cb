package webrtc_test

import (
	"net"
	"sync/atomic"
	"testing"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
)

// cable is the machine's network with a plug that can be pulled: then nothing comes in, and what goes out is lost.
type cable struct {
	*stdnet.Net
	out *atomic.Bool
}

func newCable(t *testing.T) cable {
	t.Helper()
	n, err := stdnet.NewNet()
	if err != nil {
		t.Fatal(err)
	}
	return cable{n, &atomic.Bool{}}
}

func (c cable) ListenUDP(network string, at *net.UDPAddr) (transport.UDPConn, error) {
	conn, err := c.Net.ListenUDP(network, at)
	if err != nil {
		return nil, err
	}
	return cableConn{conn, c.out}, nil
}

type cableConn struct {
	transport.UDPConn
	out *atomic.Bool
}

func (c cableConn) ReadFrom(b []byte) (n int, from net.Addr, err error) {
	for {
		if n, from, err = c.UDPConn.ReadFrom(b); err != nil || !c.out.Load() {
			return n, from, err
		}
	}
}

func (c cableConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if c.out.Load() {
		return len(b), nil
	}
	return c.UDPConn.WriteTo(b, to)
}
