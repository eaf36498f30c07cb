package capture

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gordonklaus/portaudio"
)

// ErrNoCamera is returned by a program that was built without OpenCV (-tags nocamera).
var ErrNoCamera = errors.New("this program was built without camera support, and there is no tandem-live beside it")

// DeviceKind is the kind of media that a Device captures.
type DeviceKind string

// The kinds of devices.
const (
	CameraDevice     DeviceKind = "camera"
	MicrophoneDevice DeviceKind = "microphone"
)

// Device is something that can be captured here.
type Device struct {
	Kind    DeviceKind
	ID      string // what OpenCamera or OpenMicrophone takes
	Name    string // what people call it
	Default bool
}

// Devices lists the cameras (on Linux) and the microphones, of which there may be none. When the sound system cannot
// be asked it returns the cameras and an error.
func Devices() ([]Device, error) {
	devs := cameras("/sys/class/video4linux")
	mics, err := microphones()
	return append(devs, mics...), err
}

// cameras lists what Video4Linux knows. A camera has several nodes, of which the first has the pictures.
func cameras(sys string) []Device {
	var devs []Device
	names, _ := filepath.Glob(filepath.Join(sys, "video*"))
	number := func(path string) int {
		n, _ := strconv.Atoi(strings.TrimPrefix(filepath.Base(path), "video"))
		return n
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(number(a), number(b)) })
	for _, dir := range names {
		if index, err := os.ReadFile(filepath.Join(dir, "index")); err == nil &&
			strings.TrimSpace(string(index)) != "0" {
			continue
		}
		name, _ := os.ReadFile(filepath.Join(dir, "name"))
		d := Device{
			Kind: CameraDevice, ID: strconv.Itoa(number(dir)), Name: strings.TrimSpace(string(name)),
			Default: len(devs) == 0,
		}
		if d.Name == "" {
			d.Name = "/dev/video" + d.ID
		}
		devs = append(devs, d)
	}
	return devs
}

func microphones() ([]Device, error) {
	var found []Device
	err := withPortAudio(portAudioTimeout, func() error {
		if err := startPortAudio(); err != nil {
			return err
		}
		defer portaudio.Terminate()
		all, err := portaudio.Devices()
		if err != nil {
			return err
		}
		first, _ := portaudio.DefaultInputDevice()
		for _, d := range all {
			if d.MaxInputChannels > 0 {
				found = append(found, Device{Kind: MicrophoneDevice, ID: d.Name, Name: d.Name, Default: d == first})
			}
		}
		return nil
	}, func() {})
	if err != nil {
		return nil, fmt.Errorf("microphones: %w", err)
	}
	return found, nil
}
