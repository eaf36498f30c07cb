package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"tandem/capture"
)

var devicesCommand = &command{
	name:  "devices",
	about: "List the cameras and microphones of this machine",
	long: `The ID is what tandem live takes by --camera and --mic; a part of a microphone's name
does as well. A star marks the default.`,
	options: func() options { return &devicesOptions{} },
}

type devicesOptions struct {
	logFlags
	json bool
}

func (o *devicesOptions) bind(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print JSON")
	o.logFlags.bind(f)
}

func (o *devicesOptions) check(*pflag.FlagSet) error { return o.logFlags.check() }

// deviceWire is a device in JSON.
type deviceWire struct {
	Kind    capture.DeviceKind `json:"kind"`
	ID      string             `json:"id"`
	Name    string             `json:"name"`
	Default bool               `json:"default"`
}

func (o *devicesOptions) run(_ context.Context, c *console) error {
	devs, err := capture.Devices()
	if err != nil {
		c.log.Warn("not all devices could be asked for", "cause", err)
	}
	if o.json {
		out := []deviceWire{}
		for _, d := range devs {
			out = append(out, deviceWire(d))
		}
		return writeJSON(c.out, out)
	}
	if len(devs) == 0 {
		_, err := fmt.Fprintln(c.out, "There is no camera and no microphone on this machine.")
		return err
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tID\tNAME")
	for _, d := range devs {
		star := ""
		if d.Default {
			star = " *"
		}
		fmt.Fprintf(w, "%s\t%s\t%s%s\n", d.Kind, d.ID, d.Name, star)
	}
	return w.Flush()
}
