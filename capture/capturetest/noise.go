package capturetest

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"time"

	"tandem/capture"
)

// Noise is a kind of sound in which there is no voice.
type Noise struct {
	Name string
	// Make returns n samples, of no particular level.
	Make func(r *rand.Rand, n int) []float32
}

// Noises has what microphones hear beside voices: noise of rooms and streets, hum, signals and simple music, all made,
// none recorded.
var Noises = []Noise{
	{"white", white},
	{"pink", pink},
	{"brown", brown},
	{"white in a telephone's band", telephoneNoise},
	{"wind", wind},
	{"rain", rain},
	{"clicks", clicks},
	{"bias", func(_ *rand.Rand, n int) []float32 { return each(n, func(float64) float64 { return 1 }) }},
	{"hum of 50 Hz", harmonics(50, 1)},
	{"hum of 60 Hz", harmonics(60, 1)},
	{"hum of 100 Hz", harmonics(100, 1)},
	{"hum of 50 Hz with harmonics", harmonics(50, 20)},
	{"hum of 60 Hz with harmonics", harmonics(60, 20)},
	{"hum of 100 Hz with harmonics", harmonics(100, 12)},
	{"tone of 440 Hz", harmonics(440, 1)},
	{"tone of 1 kHz", harmonics(1000, 1)},
	{"square of 200 Hz", square},
	{"sweep of 20 Hz to 7 kHz", sweep},
	{"beeps", beeps},
	{"telephone ringing", ringing},
	{"melody of plucked strings", melody},
	{"chords of an organ", chords},
	{"drums", drums},
	{"violin", violin},
	{"siren", siren},
	{"whistle", whistle},
	{"motor", motor},
}

// Level scales some sound to a level in dB of full scale, full scale being an RMS of 1, and returns it.
func Level(x []float32, dBFS float64) []float32 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	gain := math.Pow(10, dBFS/20) / math.Sqrt(sum/float64(len(x)))
	for i := range x {
		x[i] = float32(gain * float64(x[i]))
	}
	return x
}

// Add adds y to x, as far as both go, and returns x.
func Add(x, y []float32) []float32 {
	for i := range min(len(x), len(y)) {
		x[i] += y[i]
	}
	return x
}

// Sound returns a recording of some samples, in chunks of 20 ms.
func Sound(x []float32) capture.Source { return &soundSource{x: x} }

type soundSource struct {
	x  []float32
	at int
}

func (s *soundSource) Info() capture.Info   { return capture.Info{Name: "sound", HasAudio: true} }
func (s *soundSource) Drops() capture.Drops { return capture.Drops{} }
func (s *soundSource) Close() error         { return nil }

func (s *soundSource) Read(ctx context.Context) (capture.Media, error) {
	const chunk = capture.SampleRate / 50
	if ctx.Err() != nil {
		return capture.Media{}, context.Cause(ctx)
	}
	if s.at >= len(s.x) {
		return capture.Media{}, io.EOF
	}
	from := s.at
	s.at = min(from+chunk, len(s.x))
	data := append([]float32(nil), s.x[from:s.at]...)
	at := time.Duration(from) * time.Second / capture.SampleRate
	return capture.Media{Samples: &capture.Samples{Time: at, Data: data}}, nil
}

// each returns n samples of a function of the time in seconds.
func each(n int, f func(t float64) float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(f(float64(i) / capture.SampleRate))
	}
	return x
}

// harmonics returns a tone with so many harmonics, the nth of amplitude 1/n and a phase of its own.
func harmonics(hertz float64, count int) func(*rand.Rand, int) []float32 {
	return func(r *rand.Rand, n int) []float32 {
		phases := make([]float64, count)
		for i := range phases {
			phases[i] = r.Float64()
		}
		return each(n, func(t float64) (v float64) {
			for i, p := range phases {
				k := float64(i + 1)
				v += math.Sin(2*math.Pi*(k*hertz*t+p)) / k
			}
			return v
		})
	}
}

func white(r *rand.Rand, n int) []float32 {
	return each(n, func(float64) float64 { return r.NormFloat64() })
}

// pink is white noise through Paul Kellet's filter, 3 dB less an octave.
func pink(r *rand.Rand, n int) []float32 {
	var b [3]float64
	return each(n, func(float64) float64 {
		w := r.NormFloat64()
		b[0] = 0.99765*b[0] + w*0.0990460
		b[1] = 0.963*b[1] + w*0.2965164
		b[2] = 0.57*b[2] + w*1.0526913
		return b[0] + b[1] + b[2] + w*0.1848
	})
}

// brown is white noise with 6 dB less an octave from 10 Hz on.
func brown(r *rand.Rand, n int) []float32 {
	b := 0.0
	return each(n, func(float64) float64 {
		b = 0.996*b + r.NormFloat64()
		return b
	})
}

// telephoneNoise is white noise between about 300 and 3400 Hz.
func telephoneNoise(r *rand.Rand, n int) []float32 {
	var low, lower float64
	return each(n, func(float64) float64 {
		low += 0.74 * (r.NormFloat64() - low)
		lower += 0.11 * (low - lower)
		return low - lower
	})
}

// wind is brown noise in gusts.
func wind(r *rand.Rand, n int) []float32 {
	x := brown(r, n)
	rate := 0.2 + 0.2*r.Float64()
	return gated(x, func(t float64) float64 { return 1 + 0.9*math.Sin(2*math.Pi*rate*t)*math.Sin(2*math.Pi*0.7*t) })
}

// gated multiplies a sound by a function of the time in seconds.
func gated(x []float32, by func(t float64) float64) []float32 {
	for i := range x {
		x[i] *= float32(by(float64(i) / capture.SampleRate))
	}
	return x
}

// rain is drops, each a short burst that rings, at random times, over soft noise.
func rain(r *rand.Rand, n int) []float32 {
	x := Level(white(r, n), -40)
	for range n / 40 {
		at, size, pitch := r.IntN(n), r.ExpFloat64(), 1000+5000*r.Float64()
		for i := range min(160, n-at) {
			t := float64(i) / capture.SampleRate
			x[at+i] += float32(0.1 * size * math.Exp(-t*600) * math.Sin(2*math.Pi*pitch*t))
		}
	}
	return x
}

// clicks are single samples, as of keys and switches, some a second.
func clicks(r *rand.Rand, n int) []float32 {
	x := Level(white(r, n), -60)
	for range n / 3000 {
		at := r.IntN(n)
		for i := range min(40, n-at) {
			x[at+i] += float32(r.NormFloat64() * math.Exp(-float64(i)/8))
		}
	}
	return x
}

func square(_ *rand.Rand, n int) []float32 {
	return each(n, func(t float64) float64 { return math.Copysign(1, math.Sin(2*math.Pi*200*t)) })
}

// sweep rises from 20 Hz to 7 kHz in 10 s, again and again.
func sweep(_ *rand.Rand, n int) []float32 {
	phase := 0.0
	return each(n, func(t float64) float64 {
		phase += 20 * math.Pow(350, math.Mod(t, 10)/10) / capture.SampleRate
		return math.Sin(2 * math.Pi * phase)
	})
}

// beeps are those of a machine: 0.1 s of 1 kHz, twice a second.
func beeps(_ *rand.Rand, n int) []float32 {
	return each(n, func(t float64) float64 {
		if math.Mod(t, 0.5) > 0.1 {
			return 0
		}
		return math.Sin(2 * math.Pi * 1000 * t)
	})
}

// ringing is North America's: 440 and 480 Hz, two seconds of six.
func ringing(_ *rand.Rand, n int) []float32 {
	return each(n, func(t float64) float64 {
		if math.Mod(t, 6) > 2 {
			return 0
		}
		return math.Sin(2*math.Pi*440*t) + math.Sin(2*math.Pi*480*t)
	})
}

// melody is one of plucked strings (Karplus and Strong 1983), four notes a second.
func melody(r *rand.Rand, n int) []float32 {
	x := make([]float32, 0, n+capture.SampleRate)
	for len(x) < n {
		string := make([]float64, int(capture.SampleRate/(220*math.Pow(2, float64(r.IntN(25))/12))))
		for i := range string {
			string[i] = r.Float64() - 0.5
		}
		for i := range capture.SampleRate / 4 {
			j, k := i%len(string), (i+1)%len(string)
			x = append(x, float32(string[j]))
			string[j] = 0.498 * (string[j] + string[k])
		}
	}
	return x[:n]
}

// violin is a sawtooth with a vibrato of 5.5 Hz, two notes a second.
func violin(r *rand.Rand, n int) []float32 {
	phase, pitch := 0.0, 0.0
	last := -1
	return each(n, func(t float64) float64 {
		if note := int(2 * t); note != last {
			last, pitch = note, 220*math.Pow(2, float64(r.IntN(25))/12)
		}
		phase += pitch * (1 + 0.01*math.Sin(2*math.Pi*5.5*t)) / capture.SampleRate
		return (2*math.Mod(phase, 1) - 1) * min(1, 20*math.Mod(t, 0.5))
	})
}

// siren rises and falls between 400 and 1400 Hz every 3 s, with all harmonics.
func siren(_ *rand.Rand, n int) []float32 {
	phase := 0.0
	return each(n, func(t float64) float64 {
		phase += (900 + 500*math.Sin(2*math.Pi*t/3)) / capture.SampleRate
		return 2*math.Mod(phase, 1) - 1
	})
}

// whistle glides between 600 and 1800 Hz as a person whistles, with breath.
func whistle(r *rand.Rand, n int) []float32 {
	phase, x := 0.0, Level(white(r, n), -35)
	return Add(x, each(n, func(t float64) float64 {
		phase += (1200 + 400*math.Sin(2*math.Pi*0.7*t) + 200*math.Sin(2*math.Pi*1.9*t)) / capture.SampleRate
		return 0.3 * math.Sin(2*math.Pi*phase)
	}))
}

// chords are major ones of three tones with five harmonics each, one a second.
func chords(r *rand.Rand, n int) []float32 {
	x := make([]float32, 0, n+capture.SampleRate)
	for len(x) < n {
		root := 110 * math.Pow(2, float64(r.IntN(13))/12)
		x = append(x, Add(harmonics(root, 5)(r, capture.SampleRate),
			Add(harmonics(root*5/4, 5)(r, capture.SampleRate), harmonics(root*3/2, 5)(r, capture.SampleRate)))...)
	}
	return x[:n]
}

// drums are a low one and a hiss, in turns, four a second.
func drums(r *rand.Rand, n int) []float32 {
	return each(n, func(t float64) float64 {
		since := math.Mod(t, 0.25)
		if int(t*4)%2 == 0 {
			return math.Sin(2*math.Pi*90*since) * math.Exp(-since*12)
		}
		return 0.5 * r.NormFloat64() * math.Exp(-since*30)
	})
}

// motor is pulses whose rate drifts about 30 a second, over noise.
func motor(r *rand.Rand, n int) []float32 {
	phase, x := 0.0, Level(pink(r, n), -30)
	return Add(x, each(n, func(t float64) float64 {
		phase += (30 + 4*math.Sin(2*math.Pi*0.2*t)) / capture.SampleRate
		return 0.2 * math.Exp(-20*math.Mod(phase, 1))
	}))
}
