//go:build !nocamera

package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"tandem/capture/av"
)

// relay copies a FIFO into a pipe of our own, because OpenCV's read of a FIFO cannot be ended from here while a pipe's
// can: by closing its other end.
type relay struct {
	fifo, in *os.File
	out      *os.File // what OpenCV reads
	done     chan struct{}
	once     sync.Once

	mu    sync.Mutex
	fault error
}

// newRelay waits for someone to write to the FIFO.
func newRelay(path string, timeout time.Duration) (*relay, error) {
	fifo, err := av.OpenFIFO(context.Background(), path, timeout)
	if err != nil {
		return nil, err
	}
	r := &relay{fifo: fifo, done: make(chan struct{})}
	if r.out, r.in, err = os.Pipe(); err != nil {
		fifo.Close()
		return nil, err
	}
	go r.copy()
	return r, nil
}

func (r *relay) copy() {
	defer close(r.done)
	defer r.in.Close()
	buf := make([]byte, 1<<16)
	for {
		r.fifo.SetReadDeadline(time.Now().Add(cameraReadTimeout))
		n, err := r.fifo.Read(buf)
		if n > 0 {
			if _, err := r.in.Write(buf[:n]); err != nil {
				return
			}
		}
		switch {
		case err == io.EOF || errors.Is(err, os.ErrClosed):
			return
		case os.IsTimeout(err):
			err = fmt.Errorf("no picture for %v", cameraReadTimeout)
			fallthrough
		case err != nil:
			r.mu.Lock()
			r.fault = err
			r.mu.Unlock()
			return
		}
	}
}

// err returns what went wrong with the FIFO, nil if it ended or goes on.
func (r *relay) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault
}

func (r *relay) fd() uintptr { return r.out.Fd() }

// close ends the copying, and so OpenCV's read.
func (r *relay) close() {
	r.once.Do(func() {
		r.fifo.Close()
		r.in.Close()
	})
}

// wait ends the relay when OpenCV reads no more.
func (r *relay) wait() {
	<-r.done
	r.out.Close()
}
