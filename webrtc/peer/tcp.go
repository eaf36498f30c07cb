package peer

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/pion/ice/v4"
	pion "github.com/pion/webrtc/v4"
	"golang.org/x/net/netutil"
)

// Bounds on what comes to the TCP port. A connection is one client's network path; each waits for its first message for
// a while only, and for a session that knows its name.
const (
	maxTCP        = 1024             // connections at a time; others wait in the system's queue
	firstTCP      = 5 * time.Second  // from the connection to its first message
	orphanTCP     = 10 * time.Second // from then to its session
	queueTCP      = 64               // packets that wait to be read
	writeTCP      = 256 << 10        // bytes that wait to be taken; what comes then is dropped, as UDP would
	acceptTCPWait = 100 * time.Millisecond
)

// listenTCP opens the TCP port.
func (n *Network) listenTCP() error {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{Port: n.o.TCPPort})
	if err != nil {
		return fmt.Errorf("TCP port %d: %w; is another server using it?", n.o.TCPPort, err)
	}
	n.tcp = ice.NewTCPMuxDefault(ice.TCPMuxParams{
		Listener: patientListener{netutil.LimitListener(l, maxTCP)}, Logger: logAdapter{n.log},
		ReadBufferSize: queueTCP, WriteBufferSize: writeTCP,
		FirstStunBindTimeout: firstTCP, AliveDurationForConnFromStun: orphanTCP,
	})
	return nil
}

// types are those of the candidates that the server has.
func (n *Network) types() []pion.NetworkType {
	t := []pion.NetworkType{pion.NetworkTypeUDP4, pion.NetworkTypeUDP6}
	if n.tcp != nil {
		t = append(t, pion.NetworkTypeTCP4, pion.NetworkTypeTCP6)
	}
	return t
}

// patientListener goes on after an error, as of a machine that gives no more sockets: pion would listen no more.
type patientListener struct{ net.Listener }

func (l patientListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return c, err
		}
		time.Sleep(acceptTCPWait)
	}
}
