// Tandem watches a face and listens to the voice, and tells which emotion they show and which gender they present.
package main

import (
	"context"
	"os"
	"runtime"

	"tandem/cli"
)

// Window toolkits ask for the process's first thread. Only while a program initializes is its main goroutine sure to be
// there, so it is now that it must be bound to it.
func init() {
	if cli.OpensWindow(os.Args[1:]) {
		runtime.LockOSThread()
	}
}

func main() {
	cli.ExecLive(os.Args)
	ctx := cli.WithSignals(context.Background())
	os.Exit(cli.Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
