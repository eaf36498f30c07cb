//go:build !nocamera

package capture

import (
	"strings"
	"testing"
	"time"

	"gocv.io/x/gocv"
)

// stalled is a camera that gives nothing and does not time out, as a Video4Linux device by OpenCV's default.
type stalled struct{ letGo, closed chan struct{} }

func (s stalled) Read(*gocv.Mat) bool {
	<-s.letGo
	return false
}

func (s stalled) Close() error {
	close(s.closed)
	return nil
}

// A camera that gives nothing ends with an error after about three seconds, whatever OpenCV's own time-outs are, and is
// closed when OpenCV lets go of it.
func TestStalledCamera(t *testing.T) {
	t.Parallel()
	s := stalled{make(chan struct{}), make(chan struct{})}
	c := &camera{name: "camera test", frames: s}
	l := newLive(Info{Name: c.name, HasVideo: true}, time.Now(), c.run)
	began := time.Now()
	_, err := l.Read(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no picture for 3s") || time.Since(began) > 6*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	close(s.letGo)
	select {
	case <-s.closed:
	case <-time.After(5 * time.Second):
		t.Error("it stays open")
	}
}
