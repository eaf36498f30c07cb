// The few things about libav that are clumsy or impossible to say from Go: callbacks, pointers to pointers,
// macros. All else is called from Go directly.
#ifndef TANDEM_AV_SHIM_H
#define TANDEM_AV_SHIM_H

#include <stdint.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/audio_fifo.h>
#include <libavutil/opt.h>
#include <libavutil/time.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>

// tav_guard ends blocking I/O: at once when stop is set, or when av_gettime_relative() passes deadline
// (microseconds, 0 = never). Both are read and written atomically, from any thread.
typedef struct {
	int64_t deadline;
	int32_t stop;
} tav_guard;

// tav_take_log routes libav's log away from stderr. The last error of each thread is kept for tav_last_log.
void tav_take_log(void);
const char *tav_last_log(void);
void tav_clear_log(void);

void tav_set_guard(AVFormatContext *fmt, tav_guard *guard);

// tav_display_matrix is the 3x3 matrix that turns the picture upright, from the picture or else from its
// stream (which may be NULL); NULL if there is none.
const int32_t *tav_display_matrix(const AVFrame *picture, const AVStream *stream);

// tav_to_rgb scales a picture to w x h packed RGB. Vector code may write up to 64 bytes past the end of rgb.
int tav_to_rgb(struct SwsContext **sws, const AVFrame *picture, int w, int h, uint8_t *rgb);
// tav_from_rgb is the other way round, into a picture whose buffers, size and format are set.
int tav_from_rgb(struct SwsContext **sws, AVFrame *picture, const uint8_t *rgb, int w, int h);

// tav_to_mono makes a resampler from sound like that in frame to float at rate, and returns how many channels come out.
// Of two that went in it is both, packed; where there is a centre, that and the mean of the others, and *centre is set;
// else one, the mean of the channels as their layout weighs them, never louder than the loudest.
int tav_to_mono(SwrContext **swr, const AVFrame *frame, int rate, int *centre);
// tav_resample returns the number of samples written to out, which has room for n. frame NULL drains.
int tav_resample(SwrContext *swr, float *out, int n, const AVFrame *frame);
// tav_resample_mono is the same for mono float sound, NULL draining.
int tav_resample_mono(SwrContext *swr, float *out, int n, const float *in, int samples);

// tav_from_mono makes a resampler from mono float at rate to what an encoder takes, the same in every channel.
int tav_from_mono(SwrContext **swr, int rate, AVCodecContext *enc);
// tav_push resamples n samples (NULL drains) into a FIFO in the encoder's format.
int tav_push(SwrContext *swr, AVAudioFifo *fifo, const AVCodecContext *enc, const float *in, int n);
// tav_pull takes n samples out of the FIFO into a frame with buffers.
int tav_pull(AVAudioFifo *fifo, AVFrame *frame, int n);

#endif
