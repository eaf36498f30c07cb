package main

import (
	"math/rand/v2"
	"net"
	"sync/atomic"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
)

// lossyNet is the machine's network with losses: of the UDP packets that are sent and that come, each by itself.
type lossyNet struct {
	*stdnet.Net
	percent atomic.Int32
}

func newLossyNet() (*lossyNet, error) {
	n, err := stdnet.NewNet()
	return &lossyNet{Net: n}, err
}

func (n *lossyNet) lost() bool { return rand.Int32N(100) < n.percent.Load() }

// ListenUDP makes pion's sockets.
func (n *lossyNet) ListenUDP(network string, address *net.UDPAddr) (transport.UDPConn, error) {
	c, err := n.Net.ListenUDP(network, address)
	if err != nil {
		return nil, err
	}
	return lossyConn{c, n}, nil
}

type lossyConn struct {
	transport.UDPConn
	net *lossyNet
}

func (c lossyConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.UDPConn.ReadFrom(b)
		if err != nil || !c.net.lost() {
			return n, from, err
		}
	}
}

func (c lossyConn) WriteTo(b []byte, to net.Addr) (int, error) {
	if c.net.lost() {
		return len(b), nil
	}
	return c.UDPConn.WriteTo(b, to)
}
