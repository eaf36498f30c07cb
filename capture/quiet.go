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
	"fmt"
	"sync"

	"github.com/gordonklaus/portaudio"
)

var quietSoundSystems = sync.OnceFunc(func() { C.quiet_sound_systems() })

// portAudio guards PortAudio's functions that open and close, none of which may run at the same time as another.
var portAudio sync.Mutex

// startPortAudio initialises PortAudio, which then knows the devices of this moment if no one else uses it.
func startPortAudio() error {
	quietSoundSystems()
	if err := portaudio.Initialize(); err != nil {
		return fmt.Errorf("the sound system does not start: %w", err)
	}
	return nil
}
