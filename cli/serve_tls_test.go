package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/infer/infertest"
)

// writeFile writes a file of the test.
func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeCertificate writes a certificate of a serial number and its key.
func writeCertificate(t *testing.T, file, key string, serial int64) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	b, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b}))
	writeFile(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

// serialAt returns the serial number of the certificate that a server shows.
func serialAt(t *testing.T, address string) int64 {
	t.Helper()
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// Handshakes go by the files as they were last read, and by the old pair where the new does not fit together.
func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	file, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, file, key, 1)
	c, err := openCertificate(file, key)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := c.listen(plain)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake() // the client says what failed
			conn.Close()
		}
	}()
	defer func() { l.Close(); <-done }()
	writeCertificate(t, file, filepath.Join(dir, "other.pem"), 2)
	if err := c.read(); err == nil || !strings.Contains(err.Error(), "--tls-key") {
		t.Errorf("a certificate of another key: %v", err)
	}
	if got := serialAt(t, l.Addr().String()); got != 1 {
		t.Errorf("certificate %d is shown, want 1", got)
	}
	writeCertificate(t, file, key, 3)
	if err := c.read(); err != nil {
		t.Fatal(err)
	}
	if got := serialAt(t, l.Addr().String()); got != 3 {
		t.Errorf("certificate %d is shown, want 3", got)
	}
}

// SIGHUP has the certificate and the speaker model read again. What is wrong changes nothing.
func TestServeReloadsTheCertificateAndTheSpeakerModel(t *testing.T) {
	dir := t.TempDir()
	file, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	speaker := filepath.Join(dir, "speaker.onnx")
	good := infertest.SpeakerModel(infertest.SpeakerContract())
	writeCertificate(t, file, key, 1)
	writeFile(t, speaker, good)
	cmd, url, stderr := serve(t, "--tls-cert", file, "--tls-key", key, "--speaker-model", speaker)
	address := strings.TrimPrefix(url, "https://")
	for i, b := range [][]byte{[]byte("nonsense"), good} {
		serial := int64(i + 2)
		writeFile(t, speaker, b)
		writeCertificate(t, file, key, serial)
		cmd.Process.Signal(syscall.SIGHUP)
		for end := time.Now().Add(20 * time.Second); serialAt(t, address) != serial; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("certificate %d is not shown", serial)
			}
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	said := stderr()
	if err := cmd.Wait(); err != nil || strings.Count(said, "the old goes on") != 1 ||
		strings.Count(said, `reloaded what="speaker model"`) != 1 ||
		strings.Count(said, "reloaded what=certificate") != 2 {
		t.Errorf("it ends by %v: %s", err, said)
	}
}
