#include "shim.h"

#include <stdio.h>
#include <string.h>

#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>

static _Thread_local char last_log[256];

static void keep_log(void *from, int level, const char *format, va_list args) {
	(void)from;
	if (level > AV_LOG_ERROR) return;
	vsnprintf(last_log, sizeof last_log, format, args);
}

void tav_take_log(void) { av_log_set_callback(keep_log); }
const char *tav_last_log(void) { return last_log; }
void tav_clear_log(void) { last_log[0] = 0; }

static int interrupted(void *opaque) {
	tav_guard *g = opaque;
	if (__atomic_load_n(&g->stop, __ATOMIC_RELAXED)) return 1;
	int64_t deadline = __atomic_load_n(&g->deadline, __ATOMIC_RELAXED);
	return deadline && av_gettime_relative() > deadline;
}

void tav_set_guard(AVFormatContext *fmt, tav_guard *guard) {
	fmt->interrupt_callback = (AVIOInterruptCB){interrupted, guard};
}

const int32_t *tav_display_matrix(const AVFrame *picture, const AVStream *stream) {
	const size_t want = 9 * sizeof(int32_t);
	if (picture) {
		const AVFrameSideData *sd = av_frame_get_side_data(picture, AV_FRAME_DATA_DISPLAYMATRIX);
		if (sd && (size_t)sd->size >= want) return (const int32_t *)sd->data;
	}
	if (!stream) return NULL;
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100) // FFmpeg 6.1 moved it
	const AVPacketSideData *sd = av_packet_side_data_get(stream->codecpar->coded_side_data,
		stream->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
	return sd && sd->size >= want ? (const int32_t *)sd->data : NULL;
#else
	size_t size = 0;
	const uint8_t *data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
	return data && size >= want ? (const int32_t *)data : NULL;
#endif
}

static int full_range(const AVFrame *f) {
	switch (f->format) {
	case AV_PIX_FMT_YUVJ420P: case AV_PIX_FMT_YUVJ422P: case AV_PIX_FMT_YUVJ444P:
	case AV_PIX_FMT_YUVJ440P: case AV_PIX_FMT_YUVJ411P:
		return 1;
	}
	return f->color_range == AVCOL_RANGE_JPEG;
}

int tav_to_rgb(struct SwsContext **sws, const AVFrame *f, int w, int h, uint8_t *rgb) {
	const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(f->format);
	if (!desc) return AVERROR(EINVAL);
	struct SwsContext *before = *sws;
	*sws = sws_getCachedContext(*sws, f->width, f->height, f->format, w, h, AV_PIX_FMT_RGB24,
		SWS_BILINEAR, NULL, NULL, NULL);
	if (!*sws) return AVERROR(ENOSYS);
	if (*sws != before && !(desc->flags & AV_PIX_FMT_FLAG_RGB)) {
		const int *c = sws_getCoefficients(f->colorspace == AVCOL_SPC_UNSPECIFIED ? SWS_CS_DEFAULT : f->colorspace);
		sws_setColorspaceDetails(*sws, c, full_range(f), sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
	}
	uint8_t *dst[4] = {rgb};
	int stride[4] = {3 * w};
	int n = sws_scale(*sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, dst, stride);
	return n < 0 ? n : 0;
}

int tav_from_rgb(struct SwsContext **sws, AVFrame *f, const uint8_t *rgb, int w, int h) {
	*sws = sws_getCachedContext(*sws, w, h, AV_PIX_FMT_RGB24, f->width, f->height, f->format, SWS_BICUBIC, NULL, NULL, NULL);
	if (!*sws) return AVERROR(ENOSYS);
	const uint8_t *src[4] = {rgb};
	int stride[4] = {3 * w};
	int n = sws_scale(*sws, src, stride, 0, h, f->data, f->linesize);
	return n < 0 ? n : 0;
}

int tav_to_mono(SwrContext **swr, const AVFrame *f, int rate, int *centre) {
	AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO, two = AV_CHANNEL_LAYOUT_STEREO, in = {0};
	int r, n = f->ch_layout.nb_channels, out;
	int known = f->ch_layout.order == AV_CHANNEL_ORDER_NATIVE;
	double share[2 * 64];
	if (n < 1 || n > 64) return AVERROR(EINVAL);
	if (n == 2) // whatever the two are called
		r = av_channel_layout_copy(&in, &two);
	else if (known)
		r = av_channel_layout_copy(&in, &f->ch_layout);
	else {
		av_channel_layout_default(&in, n);
		r = 0;
	}
	*centre = n > 2 && in.order == AV_CHANNEL_ORDER_NATIVE &&
		av_channel_layout_index_from_channel(&in, AV_CHAN_FRONT_CENTER) >= 0;
	out = n == 2 || *centre ? 2 : 1;
	if (r >= 0)
		r = swr_alloc_set_opts2(swr, out == 2 ? &two : &mono, AV_SAMPLE_FMT_FLT, rate, &in, f->format,
			f->sample_rate, 0, NULL);
	if (r >= 0 && *centre) { // where films have their dialogue; beside it the mean of the others
		int others = 0;
		for (int i = 0; i < n; i++) {
			enum AVChannel c = av_channel_layout_channel_from_index(&in, i);
			share[i] = c == AV_CHAN_FRONT_CENTER;
			share[n + i] = c != AV_CHAN_FRONT_CENTER && c != AV_CHAN_LOW_FREQUENCY;
			others += share[n + i];
		}
		for (int i = 0; i < n && others; i++) share[n + i] /= others;
		r = swr_set_matrix(*swr, share, n);
	} else if (r >= 0 && out == 1) {
		// Without this, swr would sum the channels of float sound rather than average them.
		av_opt_set_double(*swr, "rematrix_maxval", 1.0, 0);
		if (in.order != AV_CHANNEL_ORDER_NATIVE) { // no layout to go by: plain mean
			for (int i = 0; i < n; i++) share[i] = 1.0 / n;
			r = swr_set_matrix(*swr, share, n);
		}
	}
	if (r >= 0) r = swr_init(*swr);
	av_channel_layout_uninit(&in);
	return r < 0 ? r : out;
}

int tav_resample(SwrContext *swr, float *out, int n, const AVFrame *f) {
	uint8_t *dst[1] = {(uint8_t *)out};
	return swr_convert(swr, dst, n, f ? (const uint8_t **)f->extended_data : NULL, f ? f->nb_samples : 0);
}

int tav_resample_mono(SwrContext *swr, float *out, int n, const float *in, int samples) {
	uint8_t *dst[1] = {(uint8_t *)out};
	const uint8_t *src[1] = {(const uint8_t *)in};
	return swr_convert(swr, dst, n, in ? src : NULL, samples);
}

int tav_from_mono(SwrContext **swr, int rate, AVCodecContext *enc) {
	AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
	double ones[64];
	int n = enc->ch_layout.nb_channels;
	if (n < 1 || n > 64) return AVERROR(EINVAL);
	for (int i = 0; i < n; i++) ones[i] = 1;
	int r = swr_alloc_set_opts2(swr, &enc->ch_layout, enc->sample_fmt, enc->sample_rate, &mono, AV_SAMPLE_FMT_FLT, rate, 0, NULL);
	if (r >= 0) r = swr_set_matrix(*swr, ones, 1);
	if (r >= 0) r = swr_init(*swr);
	return r;
}

int tav_push(SwrContext *swr, AVAudioFifo *fifo, const AVCodecContext *enc, const float *in, int n) {
	const uint8_t *src[1] = {(const uint8_t *)in};
	uint8_t **dst = NULL;
	int room = swr_get_out_samples(swr, n);
	if (room <= 0) return room;
	int r = av_samples_alloc_array_and_samples(&dst, NULL, enc->ch_layout.nb_channels, room, enc->sample_fmt, 0);
	if (r < 0) return r;
	r = swr_convert(swr, dst, room, in ? src : NULL, n);
	if (r > 0) r = av_audio_fifo_write(fifo, (void **)dst, r);
	av_freep(&dst[0]);
	av_freep(&dst);
	return r;
}

int tav_pull(AVAudioFifo *fifo, AVFrame *f, int n) { return av_audio_fifo_read(fifo, (void **)f->extended_data, n); }
