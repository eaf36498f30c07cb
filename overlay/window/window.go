//go:build !nocamera

package window

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"gocv.io/x/gocv"

	"tandem/overlay"
)

// window is a window on the screen. It belongs to the process's first thread.
type window struct {
	w    *gocv.Window
	bgr  []byte
	seen bool // it has been on the screen
}

// toolbar is the height, about, of what OpenCV puts above the picture where it is built with Qt.
const toolbar = 40

// openWindow opens a window for pictures of a size.
func openWindow(title string, w, h int) (*window, error) {
	if err := findDisplay(); err != nil {
		return nil, err
	}
	win := &window{w: gocv.NewWindow(title)}
	if err := win.w.ResizeWindow(w, h+toolbar); err != nil {
		win.close()
		return nil, err
	}
	return win, nil
}

// findDisplay looks whether there is a screen, since the toolkits behind OpenCV end the process if there is none.
func findDisplay() error {
	if runtime.GOOS != "linux" || os.Getenv("QT_QPA_PLATFORM") == "offscreen" {
		return nil
	}
	if name := os.Getenv("WAYLAND_DISPLAY"); name != "" {
		if !filepath.IsAbs(name) {
			name = filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), name)
		}
		if _, err := os.Stat(name); err == nil {
			return nil
		}
	}
	display := os.Getenv("DISPLAY")
	if display == "" {
		return errors.New("there is no screen (DISPLAY is not set)")
	}
	host, number, _ := strings.Cut(display, ":")
	number, _, _ = strings.Cut(number, ".")
	network, address := "unix", "/tmp/.X11-unix/X"+number
	if host != "" && host != "unix" {
		var n int
		if _, err := fmt.Sscan(number, &n); err != nil {
			return fmt.Errorf("there is no screen (DISPLAY is %q)", display)
		}
		network, address = "tcp", net.JoinHostPort(host, fmt.Sprint(6000+n))
	}
	conn, err := net.DialTimeout(network, address, 3*time.Second)
	if err != nil {
		return fmt.Errorf("there is no screen (DISPLAY is %q, which does not answer)", display)
	}
	return conn.Close()
}

// show puts a picture on the screen.
func (win *window) show(p *overlay.Canvas) {
	win.bgr = append(win.bgr[:0], p.Pix...)
	for i := 0; i+2 < len(win.bgr); i += 3 {
		win.bgr[i], win.bgr[i+2] = win.bgr[i+2], win.bgr[i]
	}
	mat, err := gocv.NewMatFromBytes(p.H, p.W, gocv.MatTypeCV8UC3, win.bgr)
	if err != nil {
		return
	}
	defer mat.Close()
	win.w.IMShow(mat)
}

// poll handles what the user did; open is false when the window was closed or a key asked for the end.
func (win *window) poll() (open bool) {
	switch win.w.WaitKey(1) {
	case 'q', 'Q', 27:
		return false
	}
	visible := win.w.GetWindowProperty(gocv.WindowPropertyVisible) >= 1
	win.seen = win.seen || visible
	return visible || !win.seen
}

func (win *window) close() { win.w.Close() }
