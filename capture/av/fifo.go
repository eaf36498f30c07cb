package av

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// openFIFO opens a FIFO for reading once someone has written to it. Reads from the descriptor do not block;
// libav's pipe protocol repeats them until the guard says stop.
func openFIFO(ctx context.Context, path string, timeout time.Duration) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := waitReadable(ctx, fd, timeout); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// openSocket is openFIFO for standard input that is a socket, as some programs give those they start: it has no path by
// which it could be opened anew.
func openSocket(ctx context.Context, _ string, timeout time.Duration) (int, error) {
	fd, err := unix.FcntlInt(os.Stdin.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = unix.SetNonblock(fd, true)
	if err == nil {
		err = waitReadable(ctx, fd, timeout)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// OpenFIFO opens a FIFO for reading once someone has written to it; it gives up after timeout or when ctx ends.
func OpenFIFO(ctx context.Context, path string, timeout time.Duration) (*os.File, error) {
	fd, err := openFIFO(ctx, path, timeout)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

func waitReadable(ctx context.Context, fd int, timeout time.Duration) error {
	r, w, err := os.Pipe() // wakes poll when ctx ends
	if err != nil {
		return err
	}
	defer r.Close()
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		w.Close()
		close(done)
	})
	defer func() {
		if stop() {
			w.Close()
		} else {
			<-done
		}
	}()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(r.Fd()), Events: unix.POLLIN}}
	until := time.Now().Add(timeout)
	for {
		left := time.Until(until)
		if left <= 0 {
			return fmt.Errorf("nobody writes to the pipe: %w after %v", ErrTimeout, timeout)
		}
		_, err := unix.Poll(fds, int(left.Milliseconds())+1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case fds[0].Revents&unix.POLLIN != 0:
			return nil
		case fds[0].Revents != 0:
			return fmt.Errorf("%w: the pipe's writer left without writing", ErrNotMedia)
		}
	}
}
