//go:build !nocamera

package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"time"

	"gocv.io/x/gocv"

	"tandem/capture/av"
)

// How long a camera may take to open, and then for each picture.
const (
	cameraOpenTimeout = 10 * time.Second
	cameraReadTimeout = 3 * time.Second
	// cameraPatience is how long a read may take in all: longer than OpenCV's time-out where that is known to work.
	cameraPatience = cameraReadTimeout + 500*time.Millisecond
)

// Properties of OpenCV's FFmpeg backend that gocv does not name.
const (
	capOpenTimeout gocv.VideoCaptureProperties = 53 // CAP_PROP_OPEN_TIMEOUT_MSEC
	capReadTimeout gocv.VideoCaptureProperties = 54 // CAP_PROP_READ_TIMEOUT_MSEC
)

// HasCamera is whether this program was built with OpenCV, which opens cameras and windows.
const HasCamera = true

// OpenCamera opens a camera by its number ("0"), a device or FIFO by its path, or a URL. Its pictures bear the time
// at which they arrived. A reader that is behind loses the oldest. When the stream ends, Read returns io.EOF; when
// the camera goes away or gives nothing for three seconds, an error that says so.
//
// Opening gives up after ten seconds.
func OpenCamera(spec string) (Source, error) {
	av.Quiet() // OpenCV reads with libav too
	c := &camera{name: "camera " + spec}
	if err := c.open(spec); err != nil {
		c.close()
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	info := Info{
		Name: c.name, HasVideo: true, FPS: c.cap.Get(gocv.VideoCaptureFPS),
		Width: int(c.cap.Get(gocv.VideoCaptureFrameWidth)), Height: int(c.cap.Get(gocv.VideoCaptureFrameHeight)),
	}
	if info.FPS < 1 || info.FPS > 1000 { // drivers make things up
		info.FPS = 0
	}
	c.frames = c.cap
	return newLive(info, time.Now(), c.run), nil
}

// frameReader is the part of OpenCV's capture that reading needs.
type frameReader interface {
	Read(*gocv.Mat) bool
	Close() error
}

// camera belongs to the goroutine that opens it, and then to the one that reads.
type camera struct {
	name   string
	cap    *gocv.VideoCapture
	frames frameReader // cap, once it is open
	relay  *relay      // of a FIFO
	device bool        // a camera proper: it never ends of itself
	paced  bool        // a file, which would otherwise come all at once
}

func (c *camera) open(spec string) error {
	timeouts := []gocv.VideoCaptureProperties{ // name, value, name, value
		capOpenTimeout, gocv.VideoCaptureProperties(cameraOpenTimeout.Milliseconds()),
		capReadTimeout, gocv.VideoCaptureProperties(cameraReadTimeout.Milliseconds()),
	}
	target := spec
	switch n, err := strconv.Atoi(spec); {
	case err == nil:
		path := fmt.Sprintf("/dev/video%d", n)
		if _, err := os.Stat(path); err != nil && runtime.GOOS == "linux" {
			return fmt.Errorf("there is no %s; see tandem devices", path)
		}
		c.device = true
		c.cap, err = gocv.VideoCaptureDevice(n)
		return c.opened(err)
	case av.IsURL(spec):
	default:
		st, err := os.Stat(spec)
		switch {
		case err != nil:
			return errors.Unwrap(err)
		case st.IsDir():
			return errors.New("is a directory, not a camera")
		case st.Mode()&os.ModeNamedPipe != 0:
			if c.relay, err = newRelay(spec, cameraOpenTimeout); err != nil {
				return err
			}
			target = fmt.Sprintf("pipe:%d", c.relay.fd())
		case st.Mode()&os.ModeDevice != 0:
			c.device = true
			c.cap, err = gocv.OpenVideoCaptureWithAPI(spec, gocv.VideoCaptureV4L2)
			return c.opened(err)
		default:
			c.paced = true
		}
	}
	var err error
	c.cap, err = gocv.OpenVideoCaptureWithAPIParams(target, gocv.VideoCaptureFFmpeg, timeouts)
	return c.opened(err)
}

func (c *camera) opened(err error) error {
	if err == nil && c.cap.IsOpened() {
		return nil
	}
	switch {
	case c.relay != nil && c.relay.err() != nil:
		return c.relay.err()
	case c.device:
		return errors.New("cannot be opened: is it in use, or are you not allowed to read it?")
	}
	return errors.New("cannot be opened: no video that OpenCV understands, or no answer in time")
}

// run has pictures read until the stream ends or ctx does. OpenCV's own time-outs do not bound each of its reads: that
// of a Video4Linux device waits for ten seconds, unless the environment of the process says otherwise. A read that goes
// on for too long is left behind, and what it reads from is closed when it returns.
func (c *camera) run(ctx context.Context, l *live) error {
	if c.relay != nil {
		defer context.AfterFunc(ctx, c.relay.close)()
	}
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	arrived, done := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		err := c.read(reading, l, arrived)
		c.close()
		done <- err
	}()
	quiet := time.NewTimer(cameraPatience)
	defer quiet.Stop()
	ended := ctx.Done()
	for {
		select {
		case err := <-done:
			return err
		case <-arrived:
			quiet.Reset(cameraPatience)
		case <-ended:
			ended = nil
			quiet.Reset(cameraPatience) // for the read under way
		case <-quiet.C:
			return fmt.Errorf("%s: no picture for %v", c.name, cameraReadTimeout)
		}
	}
}

// read reads pictures until the stream ends or ctx does, and signals each on arrived.
func (c *camera) read(ctx context.Context, l *live, arrived chan<- struct{}) error {
	bgr, rgb := gocv.NewMat(), gocv.NewMat()
	defer bgr.Close()
	defer rgb.Close()
	for n := 0; ; n++ {
		if c.paced && l.info.FPS > 0 {
			due := l.start.Add(time.Duration(float64(n) / l.info.FPS * float64(time.Second)))
			if err := sleepUntil(ctx, due); err != nil {
				return err
			}
		}
		began := time.Now()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !c.frames.Read(&bgr) || bgr.Empty() {
			return c.ended(began)
		}
		now := time.Now()
		select {
		case arrived <- struct{}{}:
		default:
		}
		if err := gocv.CvtColor(bgr, &rgb, gocv.ColorBGRToRGB); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		l.put(Media{Frame: &Frame{
			Time: now.Sub(l.start), Width: rgb.Cols(), Height: rgb.Rows(), Pix: rgb.ToBytes(), Arrived: now,
		}})
	}
}

// ended returns why there are no more pictures.
func (c *camera) ended(began time.Time) error {
	switch {
	case c.relay != nil && c.relay.err() != nil:
		return fmt.Errorf("%s: %w", c.name, c.relay.err())
	case time.Since(began) > cameraReadTimeout-500*time.Millisecond:
		return fmt.Errorf("%s: no picture for %v", c.name, cameraReadTimeout)
	case c.device:
		return fmt.Errorf("%s: no more pictures: it has been unplugged", c.name)
	}
	return io.EOF
}

func (c *camera) close() {
	if c.relay != nil {
		c.relay.close()
	}
	if c.frames != nil {
		c.frames.Close()
	} else if c.cap != nil {
		c.cap.Close()
	}
	c.frames, c.cap = nil, nil
	if c.relay != nil {
		c.relay.wait()
		c.relay = nil
	}
}
