package cli

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync/atomic"
)

// certificate is that of a server, with its key, from two files that may be read again.
type certificate struct {
	file, key string
	now       atomic.Pointer[tls.Certificate]
}

func openCertificate(file, key string) (*certificate, error) {
	c := &certificate{file: file, key: key}
	return c, c.read()
}

// read takes what the files hold now for the handshakes from now on. After an error all is as before.
func (c *certificate) read() error {
	next, err := tls.LoadX509KeyPair(c.file, c.key)
	if err != nil {
		return fmt.Errorf("--tls-cert %s, --tls-key %s: %w", c.file, c.key, err)
	}
	c.now.Store(&next)
	return nil
}

// listen returns a listener that speaks TLS on another one.
func (c *certificate) listen(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.now.Load(), nil },
		MinVersion:     tls.VersionTLS12, NextProtos: []string{"http/1.1"},
	})
}
