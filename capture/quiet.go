package capture

/*
#cgo linux LDFLAGS: -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

static void ignore_alsa(const char *file, int line, const char *function, int err, const char *fmt, ...) {
	(void)file; (void)line; (void)function; (void)err; (void)fmt;
}

static void ignore_jack(const char *msg) { (void)msg; }

// ALSA and JACK, which PortAudio tries one after the other, say on stderr what they do not find. They come with
// PortAudio or not at all, so they are looked up rather than linked.
static void quiet_sound_systems(void) {
	int (*alsa)(void *) = (int (*)(void *))dlsym(RTLD_DEFAULT, "snd_lib_error_set_handler");
	if (alsa) alsa((void *)ignore_alsa);
	void (*jack)(void (*)(const char *));
	if ((jack = (void (*)(void (*)(const char *)))dlsym(RTLD_DEFAULT, "jack_set_error_function"))) jack(ignore_jack);
	if ((jack = (void (*)(void (*)(const char *)))dlsym(RTLD_DEFAULT, "jack_set_info_function"))) jack(ignore_jack);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gordonklaus/portaudio"
)

var quietAudioLibraries = sync.OnceFunc(func() { C.quiet_sound_systems() })

// portAudio is taken by whoever opens or closes by PortAudio, none of whose functions that do may run at the same time
// as another.
var portAudio = make(chan struct{}, 1)

// portAudioTimeout is how long opening a microphone and listing them may take. A variable for tests.
var portAudioTimeout = 10 * time.Second

// Errors of withPortAudio.
var (
	errAudioBusy  = errors.New("the sound system is still busy with another microphone, whose driver does not answer")
	errAudioHangs = errors.New("the sound system does not answer")
)

// withPortAudio runs do while nothing else opens or closes. A driver whose device is gone may never return from either:
// after timeout withPortAudio returns errAudioHangs and leaves do behind, which keeps others out until it returns; they
// get errAudioBusy after their own timeout. If do then succeeds after all, undo is run.
func withPortAudio(timeout time.Duration, do func() error, undo func()) error {
	expired := time.NewTimer(timeout)
	defer expired.Stop()
	select {
	case portAudio <- struct{}{}:
	case <-expired.C:
		return errAudioBusy
	}
	result, left := make(chan error), make(chan struct{})
	go func() {
		defer func() { <-portAudio }()
		err := do()
		select {
		case result <- err:
		case <-left:
			if err == nil {
				undo()
			}
		}
	}()
	select {
	case err := <-result:
		return err
	case <-expired.C:
		close(left)
		return errAudioHangs
	}
}

// startPortAudio initialises PortAudio, which then knows the devices of this moment if no one else uses it.
func startPortAudio() error {
	quietAudioLibraries()
	if err := portaudio.Initialize(); err != nil {
		return fmt.Errorf("the sound system does not start: %w", err)
	}
	return nil
}
