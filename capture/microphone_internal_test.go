package capture

import (
	"errors"
	"testing"
	"time"
)

// hungStream is a stream whose driver does not return from Abort until it is let go.
type hungStream struct{ letGo chan struct{} }

func (s hungStream) Abort() error {
	<-s.letGo
	return nil
}

func (s hungStream) Close() error { return nil }

// A microphone whose driver hangs when it is closed holds up neither the one who closes it nor, without bound, those
// who open another.
func TestMicrophoneHangsOnClose(t *testing.T) {
	if err := startPortAudio(); err != nil {
		t.Fatal(err)
	}
	defer func(d time.Duration) { portAudioTimeout = d }(portAudioTimeout)
	portAudioTimeout = time.Second
	s := hungStream{make(chan struct{})}
	m := &microphone{stream: s}
	began := time.Now()
	m.close()
	if took := time.Since(began); took > 2*microphoneTimeout {
		t.Errorf("closing took %v", took)
	}

	began = time.Now()
	err := withPortAudio(100*time.Millisecond, func() error { return nil }, func() {})
	if !errors.Is(err, errAudioBusy) || time.Since(began) > time.Second {
		t.Errorf("another opening: %v after %v", err, time.Since(began))
	}
	opened := make(chan error, 1)
	go func() {
		_, err := Devices()
		opened <- err
	}()
	select {
	case err := <-opened:
		if !errors.Is(err, errAudioBusy) {
			t.Errorf("listing microphones: %v", err)
		}
	case <-time.After(portAudioTimeout + 5*time.Second):
		t.Fatal("listing microphones blocks")
	}

	close(s.letGo)
	if err := withPortAudio(portAudioTimeout, func() error { return nil }, func() {}); err != nil {
		t.Errorf("after the driver has returned: %v", err)
	}
}

// A microphone that opens after nobody waits for it any longer is closed again.
func TestMicrophoneHangsOnOpen(t *testing.T) {
	letGo, undone := make(chan struct{}), make(chan struct{})
	err := withPortAudio(50*time.Millisecond, func() error {
		<-letGo
		return nil
	}, func() { close(undone) })
	if !errors.Is(err, errAudioHangs) {
		t.Errorf("a driver that hangs: %v", err)
	}
	close(letGo)
	select {
	case <-undone:
	case <-time.After(5 * time.Second):
		t.Error("what was opened too late stays open")
	}
}
