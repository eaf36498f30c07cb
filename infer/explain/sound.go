package explain

import (
	"context"
	"math"

	"gonum.org/v1/gonum/dsp/fourier"

	"tandem/capture"
	"tandem/pipeline"
)

// The short-time Fourier transform in which sound is hidden and shown.
const (
	soundFrame = 512 // samples, 32 ms
	soundHop   = 128
	soundBins  = soundFrame / 2 // shown, from 0 to 8 kHz; the last bin is left out
)

// hann is the window of analysis and of synthesis. The sum of its squares over frames that overlap by three quarters
// is 1.5 everywhere.
var hann = func() (w [soundFrame]float64) {
	for i := range w {
		w[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/soundFrame)
	}
	return w
}()

// firstFrame is where the first frame of a window begins, so that its first sample is in as many frames as all others.
const firstFrame = soundHop - soundFrame

// frames returns how many frames hold some of n samples.
func frames(n int) int { return (n-1-firstFrame)/soundHop + 1 }

// spectrum writes the coefficients of a frame to c, [soundFrame/2+1].
func spectrum(fft *fourier.FFT, c []complex128, sound []float32, frame int) {
	var x [soundFrame]float64
	for i := range x {
		if at := firstFrame + frame*soundHop + i; at >= 0 && at < len(sound) {
			x[i] = hann[i] * float64(sound[at])
		}
	}
	fft.Coefficients(c, x[:])
}

// hideTile takes the frames from t0 and the bins from f0, up to but not with t1 and f1, out of a sound.
func hideTile(fft *fourier.FFT, sound []float32, t0, t1, f0, f1 int) {
	out := make([]float64, len(sound))
	c := make([]complex128, soundFrame/2+1)
	var x [soundFrame]float64
	for t := t0; t < t1; t++ {
		spectrum(fft, c, sound, t)
		clear(c[:f0])
		clear(c[f1:])
		fft.Sequence(x[:], c)
		for i := range x {
			if at := firstFrame + t*soundHop + i; at >= 0 && at < len(sound) {
				out[at] += hann[i] * x[i] / soundFrame / 1.5
			}
		}
	}
	for i, v := range out {
		sound[i] -= float32(v)
	}
}

// bandEdges are the bins that divide the spectrum into soundBands of equal width on the mel scale
// 2595 log10(1 + f/700) (O'Shaughnessy 1987), from 60 Hz on.
func bandEdges() (edges [soundBands + 1]int) {
	mel := func(f float64) float64 { return 2595 * math.Log10(1+f/700) }
	lo, hi := mel(60), mel(capture.SampleRate/2)
	for i := range edges {
		f := 700 * (math.Pow(10, (lo+(hi-lo)*float64(i)/soundBands)/2595) - 1)
		edges[i] = int(math.Round(f * soundFrame / capture.SampleRate))
	}
	edges[soundBands] = soundFrame/2 + 1
	return edges
}

// sound hides tiles of time and frequency, of what the window covers.
func (e *Explanation) sound(ctx context.Context, r pipeline.Recognizer) (*Map, [2]Part, error) {
	n := len(e.Window.Audio)
	all := frames(n)
	seconds := func(s float64) int { return int(s * capture.SampleRate / soundHop) }
	first := 0
	if c := e.Window.Covered; c > 0 {
		first = max(all-int(math.Ceil(c.Seconds()*capture.SampleRate/soundHop))-1, 0)
	}
	edges := bandEdges()
	var patches []patch
	for t := first; ; t += seconds(soundStride) {
		for b := range soundBands - 1 {
			patches = append(patches, patch{
				t, edges[b], min(t+seconds(soundTile), all), min(edges[b+2], soundBins),
			})
		}
		if t+seconds(soundTile) >= all {
			break
		}
	}
	fft := fourier.NewFFT(soundFrame)
	return e.occlude(ctx, r, all, soundBins, patches, func(w *pipeline.Window, p patch) {
		f1 := p.y1
		if f1 == soundBins {
			f1++ // the last bin is hidden with its neighbour
		}
		hideTile(fft, w.Audio, p.x0, p.x1, p.y0, f1)
	})
}

// levels returns the level in dB of each cell of the sound's map, [soundBins*frames], the loudest at 0.
func (e *Explanation) levels() []float64 {
	all := frames(len(e.Window.Audio))
	out := make([]float64, soundBins*all)
	fft, c := fourier.NewFFT(soundFrame), make([]complex128, soundFrame/2+1)
	loudest := math.Inf(-1)
	for t := range all {
		spectrum(fft, c, e.Window.Audio, t)
		for f := range soundBins {
			v := 10 * math.Log10(real(c[f])*real(c[f])+imag(c[f])*imag(c[f])+1e-12)
			out[f*all+t] = v
			loudest = max(loudest, v)
		}
	}
	for i := range out {
		out[i] -= loudest
	}
	return out
}
