package av

/*
#include "shim.h"
*/
import "C"

import "fmt"

// Resampler brings mono sound of one rate to SampleRate. It is for one goroutine.
type Resampler struct {
	swr   *C.SwrContext
	frame *C.AVFrame
}

// NewResampler makes a Resampler from rate in Hz. Close it.
func NewResampler(rate int) (*Resampler, error) {
	r := &Resampler{frame: C.av_frame_alloc()}
	if r.frame == nil {
		return nil, Error(-int(C.ENOMEM))
	}
	r.frame.format = C.AV_SAMPLE_FMT_FLT
	r.frame.sample_rate = C.int(rate)
	C.av_channel_layout_default(&r.frame.ch_layout, 1)
	var centre C.int // of one channel there is none
	if e := C.tav_to_mono(&r.swr, r.frame, SampleRate, &centre); e < 0 {
		r.Close()
		return nil, fmt.Errorf("sound at %d Hz cannot be resampled: %w", rate, Error(e))
	}
	return r, nil
}

// Resample takes the next samples and returns those that are ready. The first to come out is at the time of the
// first that went in.
func (r *Resampler) Resample(in []float32) []float32 {
	if len(in) == 0 {
		return nil
	}
	n := C.int(len(in))
	room := C.swr_get_out_samples(r.swr, n)
	if room <= 0 {
		return nil
	}
	out := make([]float32, room)
	got := C.tav_resample_mono(r.swr, (*C.float)(&out[0]), room, (*C.float)(&in[0]), n)
	return out[:max(got, 0)]
}

// Close frees the Resampler. It does nothing on nil.
func (r *Resampler) Close() {
	if r != nil {
		C.swr_free(&r.swr)
		C.av_frame_free(&r.frame)
	}
}
