// Publish sends a file to a tandem server as a browser would send its camera, and prints what comes back: one event of
// docs/output.md a line. The file must hold VP8 or H.264 and Opus; for any other it says how to convert it.
//
//	tandem serve &
//	go run -tags nocamera ./examples/publish --url http://127.0.0.1:8080/whip clip.webm
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"tandem/webrtc/client"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
}

func run() error {
	url := flag.String("url", "http://127.0.0.1:8080/whip", "the WHIP endpoint")
	token := flag.String("token", "", "the server's token")
	loop := flag.Bool("loop", false, "send the file again and again, until Ctrl-C")
	flag.Parse()
	if flag.NArg() != 1 {
		return fmt.Errorf("give the one file to send")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	clip, err := client.LoadClip(ctx, flag.Arg(0))
	if err != nil {
		return err
	}
	s, err := client.Dial(ctx, client.Options{
		URL: *url, Token: *token, Codecs: clip.Codecs(), Discover: true, Loopback: true,
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "session:", s.URL())
	printed := make(chan error, 1)
	go func() {
		out := json.NewEncoder(os.Stdout)
		for e := range s.Events() { // until the session has ended
			if err := out.Encode(e); err != nil {
				stop()
				printed <- err
				return
			}
		}
		printed <- nil
	}()
	err = s.Publish(ctx, clip, client.PublishOptions{Loop: *loop})
	if ctx.Err() != nil {
		err = nil // asked for
	}
	// The server still has to say what it saw last, and the end event.
	bye, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if closed := s.Close(bye); err == nil {
		err = closed
	}
	if failed := <-printed; err == nil {
		err = failed
	}
	return err
}
