package train

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/dsp/fourier"
	"gonum.org/v1/gonum/dsp/window"

	"tandem/capture"
	"tandem/internal/atomicfile"
	"tandem/train/dataset"
	"tandem/train/plot"
	"tandem/train/sample"
)

// shown is a sample on the page, as it is and as it is augmented.
type shown struct {
	Name, Set       string
	Emotion, Gender string
	Views           []view // the first as it is
}

// view shows what a network may be given of a sample.
type view struct {
	Crops    template.URL // a PNG of the crops side by side
	Sound    template.URL // WAV
	Spectrum template.URL // a PNG
}

const (
	shownOfAKind = 6 // samples of each kind: stills, voices, talking faces
	augmented    = 3 // views of each
)

// show draws samples of each kind, of as many data sets as there are, and augments them.
func (o *Options) show(data *Data) ([]shown, error) {
	training := data.Only(dataset.SplitTrain)
	batches, err := newBatcher(o.Recipe, o.Recipe.archFor(data.Spec), training)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(o.Recipe.Seed, 0x5a41))
	var all []shown
	for _, kind := range [][]int{
		slices.Concat(batches.stills[0].samples, batches.stills[1].samples), flatten(batches.voices),
		flatten(batches.talking),
	} {
		for _, i := range batches.several(kind, rng) {
			s, err := batches.view(i, rng)
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		}
	}
	return all, nil
}

func flatten(clips [][]int) []int { return slices.Concat(clips...) }

// several draws some samples, of one set after the other.
func (b *batcher) several(samples []int, rng *rand.Rand) (some []int) {
	bySet := map[string][]int{}
	for _, i := range samples {
		set := b.clip(i).Dataset
		bySet[set] = append(bySet[set], i)
	}
	for len(some) < min(shownOfAKind, len(samples)) {
		for _, set := range b.sets {
			if of := bySet[set]; len(of) > 0 && len(some) < shownOfAKind {
				k := rng.IntN(len(of))
				some = append(some, of[k])
				bySet[set] = slices.Delete(of, k, k+1)
			}
		}
	}
	return some
}

// view returns a sample as it is and with some of the recipe's augmentations.
func (b *batcher) view(i int, rng *rand.Rand) (shown, error) {
	s, c, labels := &b.data.Samples[i], b.clip(i), b.recipe.Labels()
	out := shown{Name: c.PortableID(), Set: c.Dataset}
	if c.Emotion >= 0 {
		out.Emotion = labels.Emotions[c.Emotion]
	}
	if c.Gender >= 0 {
		out.Gender = labels.Genders[c.Gender]
	}
	spec := b.arch.Spec
	for k := range augmented + 1 {
		var v view
		if s.Video != nil && b.recipe.Modal != "audio" {
			frames := len(s.Video) / sample.CropBytes(spec)
			crops := slices.Clone(s.Video)
			if k > 0 {
				b.recipe.Augment.Face.Apply(crops, s.Video, frames, spec.CropSize, spec.Channels, rng)
			}
			var err error
			if v.Crops, err = pngURL(strip(crops, frames, spec.CropSize, spec.Channels)); err != nil {
				return out, err
			}
		}
		if s.Audio != nil && b.recipe.Modal != "video" {
			sound := make([]float32, len(s.Audio))
			for t, x := range s.Audio {
				sound[t] = float32(x) / (math.MaxInt16 + 1)
			}
			if k > 0 {
				b.recipe.Augment.Audio.Apply(sound, s.Audio, rng)
			}
			v.Sound = dataURL("audio/wav", wav(sound))
			var err error
			if v.Spectrum, err = pngURL(spectrogram(sound)); err != nil {
				return out, err
			}
		}
		out.Views = append(out.Views, v)
	}
	return out, nil
}

// strip returns crops side by side.
func strip(crops []byte, frames, size, channels int) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, frames*size, size))
	for f := range frames {
		for y := range size {
			for x := range size {
				at := ((f*size+y)*size + x) * channels
				p := color.NRGBA{crops[at], crops[at], crops[at], 0xff}
				if channels == 3 {
					p.G, p.B = crops[at+1], crops[at+2]
				}
				m.SetNRGBA(f*size+x, y, p)
			}
		}
	}
	return m
}

// spectrogram returns levels by time and frequency, up to 8 kHz: 32 ms windows every 16 ms, 80 dB from black to white.
func spectrogram(sound []float32) image.Image {
	const frame, hop, rangeDB = 512, 256, 80
	fft := fourier.NewFFT(frame)
	columns := max(1, (len(sound)-frame)/hop+1)
	m := image.NewGray(image.Rect(0, 0, columns, frame/2))
	levels := make([][]float64, columns)
	loudest := math.Inf(-1)
	for t := range columns {
		x := make([]float64, frame)
		for i := range min(frame, len(sound)-t*hop) {
			x[i] = float64(sound[t*hop+i])
		}
		for _, c := range fft.Coefficients(nil, window.Hann(x))[:frame/2] {
			level := 10 * math.Log10(real(c)*real(c)+imag(c)*imag(c)+1e-12)
			levels[t] = append(levels[t], level)
			loudest = max(loudest, level)
		}
	}
	for t, column := range levels {
		for f, level := range column {
			share := min(max(1+(level-loudest)/rangeDB, 0), 1)
			m.SetGray(t, frame/2-1-f, color.Gray{uint8(math.Round(255 * share))})
		}
	}
	return m
}

// wav returns sound at the pipeline's rate as a WAV file of 16 bits.
func wav(sound []float32) []byte {
	var b bytes.Buffer
	size := uint32(2 * len(sound))
	b.WriteString("RIFF")
	for _, v := range []any{
		36 + size, [4]byte([]byte("WAVE")), [4]byte([]byte("fmt ")), uint32(16), uint16(1), uint16(1),
		uint32(capture.SampleRate), uint32(2 * capture.SampleRate), uint16(2), uint16(16),
		[4]byte([]byte("data")), size,
	} {
		_ = binary.Write(&b, binary.LittleEndian, v) // a buffer takes all
	}
	for _, v := range sound {
		_ = binary.Write(&b, binary.LittleEndian, int16(math.Round(float64(min(max(v, -1), 1))*math.MaxInt16)))
	}
	return b.Bytes()
}

func pngURL(m image.Image) (template.URL, error) {
	var b bytes.Buffer
	err := png.Encode(&b, m)
	return dataURL("image/png", b.Bytes()), err
}

func dataURL(kind string, b []byte) template.URL {
	return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(b))
}

//go:embed sanity.html
var sanityPage string

// Write writes a page of it, which opens without a network. It has pictures and sounds of the data.
func (t *Sanity) Write(path string) error {
	x := make([]float64, len(t.Overfit.Emotion))
	for i := range x {
		x[i] = float64(i + 1)
	}
	logRates := make([]float64, len(t.Rates.Rates))
	for i, r := range t.Rates.Rates {
		logRates[i] = math.Log10(r)
	}
	losses, smooth := slices.Clone(t.Rates.Losses), slices.Clone(t.Rates.Smooth)
	for i := range losses { // an explosion would hide the fall before it
		for _, of := range [][]float64{losses, smooth} {
			if of[i] > 2*t.Rates.Smooth[0] {
				of[i] = math.NaN()
			}
		}
	}
	var c charts
	svg, err := plot.Lines("One batch by heart", "step", "nats", []plot.Series{
		{Name: "emotion", X: x, Y: t.Overfit.Emotion}, {Name: "gender", X: x, Y: t.Overfit.Gender},
	})
	c.add("overfit", svg, err)
	svg, err = plot.Lines("Loss by learning rate", "log10 of the learning rate", "nats, both tasks", []plot.Series{
		{Name: "each step", X: logRates, Y: losses}, {Name: "smoothed", X: logRates, Y: smooth},
	})
	c.add("rates", svg, err)
	if c.err != nil {
		return c.err
	}
	recipe, err := json.MarshalIndent(t.Recipe, "", "  ")
	if err != nil {
		return err
	}
	lines, _ := t.Findings()
	page, err := template.New("sanity").Parse(sanityPage)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := page.Execute(&b, struct {
		*Sanity
		Lines  []string
		Charts []chart
		Shown  []shown
		Recipe string
	}{t, lines, c.all, t.shown, string(recipe)}); err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(path, b.Bytes()); err != nil {
		return fmt.Errorf("page of the checks: %w", err)
	}
	return nil
}
