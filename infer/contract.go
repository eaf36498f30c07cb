package infer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/capture"
	"tandem/pipeline"
)

// MaxModelBytes is the largest model file that is read: the largest that tandem trains (docs/paper.md) has 137 MB.
const MaxModelBytes = 192 << 20

// schema is the version of the contract that this package reads and writes.
const schema = 1

// What a model takes for its sound: what a voice detector calls a voice, or all that is no silence.
const HearsVoice, HearsAny = "voice", "any"

// keyPrefix stands before every key in an ONNX file's metadata_props.
const keyPrefix = "tandem."

// Contract is all that a runner needs to know of a model. It stands in the ONNX file: in its metadata_props,
// under keys that begin with "tandem.", and in its inputs and outputs:
//
//	audio       float32        [B, SampleRate*Window]   sound, normalised by AudioNorm; zeros where masked
//	video       uint8/float32  [B, T, S, S, C]          crops, oldest first; zero bytes where masked
//	audio_mask  float32        [B, 1]                   1 = present
//	video_mask  float32        [B, T]                   1 = present
//	emotion     float32        [B, len(Emotions)]       logits before temperature
//	gender      float32        [B, len(Genders)]        logits before temperature
//
// and, for windows that begin empty, as those of a stream's first seconds and of short clips do, there may be
//
//	audio_covered  float32     [B, 1]                   share of the window, at its end, that sound can be in: (0, 1]
//
// without which the runner gives the model full windows only. The samples before that share are zeros.
//
// B is dynamic. A network that reads each crop by itself first, or the sound, may have inner tensors
//
//	face_features   float32    [B*T, D]                 what it makes of each crop, of video alone
//	sound_features  float32    [B, D]                   what it makes of the sound, of audio and audio_covered alone
//
// through which alone these inputs reach the outputs. It is run in parts then, so that a crop that stands in many
// windows is read once, and the sound of windows that have none is not read; the rows of crops that video_mask leaves
// out, and of sound that audio_mask leaves out, are zeros.
type Contract struct {
	Emotions    []string      // `emotions`: names of the emotion output, in order
	Genders     []string      // `genders`: names of the gender output, in order
	SampleRate  int           // `sample_rate`, Hz; must be capture.SampleRate
	Window      time.Duration // `window_seconds`
	Hop         time.Duration // `hop_seconds`
	VideoFrames int           // `video_frames`: T
	CropSize    int           // `crop_size`: S, pixels
	CropMargin  float64       // `crop_margin`: side of a crop, in the face units of pipeline.Spec
	// PixelScale (`pixel_scale`, "lo,hi") gives what pixel values 0 and 255 become. A network with a uint8 video
	// input does it itself; for one with a float32 input the runner does.
	PixelScale [2]float64
	AudioNorm  AudioNorm // `audio_norm`: "none" or "rms:LEVEL"
	// AnySound (`hears`, optional: "voice" or "any") is that of a model of other sounds than voices: it is given all
	// that is no silence; false: sound that a voice detector calls a voice.
	AnySound bool
	// Senses (`senses`, optional) is "audio" or "video" for a model that has learned from that sense alone; "": from
	// both. One whose graph reads but one of the inputs has that one, whatever its metadata says.
	Senses string
	// EmotionTemperature and GenderTemperature (`temperature.emotion`, `temperature.gender`) divide the logits
	// before the softmax, for calibrated probabilities.
	EmotionTemperature, GenderTemperature float64
	// EmotionAlone and GenderAlone (`temperature.emotion.audio`, `temperature.emotion.video` and the same of gender,
	// all optional) take their places for windows with one modality alone.
	EmotionAlone, GenderAlone ModalityTemperatures
	// Calibration (`calibration`, JSON, optional) says by what each temperature was fitted, by the name that its key
	// has behind "temperature.".
	Calibration map[string]Calibration
	// TaskWeights (`task_weights`, "emotion=W,gender=W") are those of the two losses at the end of training, and
	// Weighting (`weighting`) is how they came about, as in `tandem train --weighting`.
	TaskWeights   TaskWeights
	Weighting     string
	Data          []DataSet       // `data`, JSON: what it was trained on
	Trained       *Trained        // `trained_on`, JSON, optional: which clips and speakers these are
	Metrics       json.RawMessage // `metrics`, JSON
	MetricsSplit  string          // `metrics_split`, optional: "test" or "val", by which these are; "": not known
	Created       time.Time       // `created`, RFC 3339, UTC, to the second
	TandemVersion string          // `tandem_version`
	// Int8Ranges (`int8_ranges`, JSON, optional) are needed for a run in 8 bits; nil if the model cannot be run so.
	Int8Ranges Int8Ranges

	// These are read off the inputs by LoadModel; they are not in the metadata.
	Channels   int  // C: 1 grey, 3 RGB
	FloatVideo bool // video is float32, not uint8
	Covered    bool // there is an input audio_covered
}

// TaskWeights are the final weights of the two losses.
type TaskWeights struct{ Emotion, Gender float64 }

// DataSet is one set that a model was trained on.
type DataSet struct {
	Name    string `json:"name"`
	Split   string `json:"split"` // hash of the split, by which a later evaluation knows whether it is the same
	Licence string `json:"licence"`
	// SplitBy is how it was divided, if not as the set prescribes (`tandem train --split-by`), and SharedSpeakers how
	// many speakers stand in several of its splits: with any, the metrics do not hold for other speakers.
	SplitBy        string `json:"split_by,omitempty"`
	SharedSpeakers int    `json:"shared_speakers,omitempty"`
}

// Spec is the shape of the windows that the model takes.
func (c Contract) Spec() pipeline.Spec {
	return pipeline.Spec{
		Window: c.Window, Hop: c.Hop, VideoFrames: c.VideoFrames,
		CropSize: c.CropSize, Channels: c.Channels, CropMargin: c.CropMargin, Partial: c.Covered,
	}
}

// Labels names the model's outputs.
func (c Contract) Labels() pipeline.Labels {
	return pipeline.Labels{Emotions: slices.Clone(c.Emotions), Genders: slices.Clone(c.Genders)}
}

// AudioNorm is the root mean square to which a window's sound is scaled before it goes to the network; 0 leaves the
// sound as it is.
type AudioNorm float64

// Apply writes src, normalised, to dst of the same length. Digital silence stays silence.
func (n AudioNorm) Apply(dst, src []float32) {
	copy(dst, src)
	if n == 0 {
		return
	}
	var sum float64
	for _, v := range src {
		sum += float64(v) * float64(v)
	}
	rms := math.Sqrt(sum / float64(len(src)))
	if !(rms > 1e-7) {
		return
	}
	gain := float32(float64(n) / rms)
	for i := range dst {
		dst[i] *= gain
	}
}

func (n AudioNorm) String() string {
	if n == 0 {
		return "none"
	}
	return "rms:" + formatFloat(float64(n))
}

// Metadata returns the contract as an ONNX file's metadata_props. ParseContract is its inverse.
func (c Contract) Metadata() map[string]string {
	data := c.Data
	if data == nil {
		data = []DataSet{}
	}
	sets, err := json.Marshal(data)
	if err != nil {
		panic(err) // strings only
	}
	m := map[string]string{
		"schema":              strconv.Itoa(schema),
		"emotions":            strings.Join(c.Emotions, ","),
		"genders":             strings.Join(c.Genders, ","),
		"sample_rate":         strconv.Itoa(c.SampleRate),
		"window_seconds":      formatFloat(c.Window.Seconds()),
		"hop_seconds":         formatFloat(c.Hop.Seconds()),
		"video_frames":        strconv.Itoa(c.VideoFrames),
		"crop_size":           strconv.Itoa(c.CropSize),
		"crop_margin":         formatFloat(c.CropMargin),
		"pixel_scale":         formatFloat(c.PixelScale[0]) + "," + formatFloat(c.PixelScale[1]),
		"audio_norm":          c.AudioNorm.String(),
		"temperature.emotion": formatFloat(c.EmotionTemperature),
		"temperature.gender":  formatFloat(c.GenderTemperature),
		"task_weights": "emotion=" + formatFloat(c.TaskWeights.Emotion) + ",gender=" +
			formatFloat(c.TaskWeights.Gender),
		"weighting":      c.Weighting,
		"data":           string(sets),
		"metrics":        string(c.Metrics),
		"created":        c.Created.UTC().Format(time.RFC3339),
		"tandem_version": c.TandemVersion,
	}
	for key, t := range c.aloneTemperatures() {
		if *t != 0 {
			m[key] = formatFloat(*t)
		}
	}
	if c.AnySound {
		m["hears"] = HearsAny
	}
	if c.MetricsSplit != "" {
		m["metrics_split"] = c.MetricsSplit
	}
	if c.Trained != nil {
		known, err := json.Marshal(c.Trained)
		if err != nil {
			panic(err) // base 64 only
		}
		m["trained_on"] = string(known)
	}
	if c.Senses != "" {
		m["senses"] = c.Senses
	}
	if c.Calibration != nil {
		by, err := json.Marshal(c.Calibration)
		if err != nil {
			panic(err) // finite numbers only
		}
		m["calibration"] = string(by)
	}
	if c.Int8Ranges != nil {
		ranges, err := json.Marshal(c.Int8Ranges)
		if err != nil {
			panic(err) // finite numbers only
		}
		m["int8_ranges"] = string(ranges)
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[keyPrefix+k] = v
	}
	return out
}

// ParseContract reads a contract from metadata_props and checks each key. Keys it does not know are ignored. All
// that is wrong is reported at once, each with its key, in an error that wraps ErrContract.
func ParseContract(metadata map[string]string) (Contract, error) {
	p := parser{metadata: metadata}
	var c Contract
	if got := p.integer("schema", 0, math.MaxInt32); len(p.errs) == 0 && got != schema {
		// Another schema may mean other things by the same keys, so nothing else is worth reporting.
		return Contract{}, fmt.Errorf("%w: %sschema is %d, but this tandem reads %d: "+
			"use the version of tandem that made the model, or train it again", ErrContract, keyPrefix, got, schema)
	}
	c.Emotions = p.labels("emotions")
	c.Genders = p.labels("genders")
	c.SampleRate = p.integer("sample_rate", capture.SampleRate, capture.SampleRate)
	c.Window = p.seconds("window_seconds", 100*time.Millisecond, 30*time.Second)
	c.Hop = p.seconds("hop_seconds", 10*time.Millisecond, 30*time.Second)
	if c.Hop > c.Window && c.Window > 0 {
		p.fail("hop_seconds", "is longer than window_seconds, so sound between windows would be lost")
	}
	c.VideoFrames = p.integer("video_frames", 1, 256)
	c.CropSize = p.integer("crop_size", 8, 512)
	c.CropMargin = p.number("crop_margin", 0.5, 20)
	c.PixelScale = p.pixelScale()
	c.AudioNorm = p.audioNorm()
	if s, ok := metadata[keyPrefix+"hears"]; ok {
		if s != HearsVoice && s != HearsAny {
			p.fail("hears", "is %s, want %s or %s", quote(s), HearsVoice, HearsAny)
		}
		c.AnySound = s == HearsAny
	}
	c.EmotionTemperature = p.number("temperature.emotion", 0.01, 100)
	c.GenderTemperature = p.number("temperature.gender", 0.01, 100)
	for key, t := range c.aloneTemperatures() {
		if _, ok := metadata[keyPrefix+key]; ok {
			*t = p.number(key, 0.01, 100)
		}
	}
	c.TaskWeights = p.taskWeights()
	c.Weighting = p.text("weighting")
	if s, ok := p.value("data"); ok {
		if err := json.Unmarshal([]byte(s), &c.Data); err != nil {
			p.fail("data", `is not a JSON array of {"name","split","licence"}: %v`, err)
		}
	}
	if s, ok := p.value("metrics"); ok {
		if !json.Valid([]byte(s)) {
			p.fail("metrics", "is not JSON")
		}
		c.Metrics = json.RawMessage(s)
	}
	if s, ok := p.value("created"); ok {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			p.fail("created", "is %s, not a time by RFC 3339", quote(s))
		}
		c.Created = t.UTC()
	}
	c.TandemVersion = p.text("tandem_version")
	p.training(&c)
	if s, ok := metadata[keyPrefix+"int8_ranges"]; ok {
		if err := json.Unmarshal([]byte(s), &c.Int8Ranges); err != nil {
			p.fail("int8_ranges", "is not a JSON object of [least, greatest]: %v", err)
		}
	}
	if len(p.errs) > 0 {
		return Contract{}, fmt.Errorf("%w: %w", ErrContract, errors.Join(p.errs...))
	}
	return c, nil
}

// training reads the optional keys that say what a model has learned from and how it was calibrated.
func (p *parser) training(c *Contract) {
	c.MetricsSplit = p.metadata[keyPrefix+"metrics_split"]
	if s, ok := p.metadata[keyPrefix+"trained_on"]; ok {
		if err := json.Unmarshal([]byte(s), &c.Trained); err != nil {
			p.fail("trained_on", "is not a JSON object of keys: %v", err)
		}
	}
	if s, ok := p.metadata[keyPrefix+"senses"]; ok {
		if c.Senses = s; s != "audio" && s != "video" {
			p.fail("senses", `is %s, must be "audio" or "video", or not there`, quote(s))
		}
	}
	if s, ok := p.metadata[keyPrefix+"calibration"]; ok {
		if err := json.Unmarshal([]byte(s), &c.Calibration); err != nil {
			p.fail("calibration", "is not a JSON object of what temperatures were fitted by: %v", err)
		}
	}
}

// parser reads values by key and gathers what is wrong with them.
type parser struct {
	metadata map[string]string
	errs     []error
}

func (p *parser) fail(key, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf("%s%s %s", keyPrefix, key, fmt.Sprintf(format, args...)))
}

func (p *parser) value(key string) (string, bool) {
	s, ok := p.metadata[keyPrefix+key]
	if !ok {
		p.fail(key, "is missing from the model's metadata: export the model with `tandem train`")
	}
	return s, ok
}

func (p *parser) text(key string) string {
	s, ok := p.value(key)
	if ok && strings.TrimSpace(s) == "" {
		p.fail(key, "is empty")
	}
	return s
}

func (p *parser) integer(key string, low, high int) int {
	s, ok := p.value(key)
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		if low == high {
			p.fail(key, "is %s, must be %d", quote(s), low)
		} else {
			p.fail(key, "is %s, must be a whole number from %d to %d", quote(s), low, high)
		}
		return 0
	}
	return n
}

func (p *parser) number(key string, low, high float64) float64 {
	s, ok := p.value(key)
	if !ok {
		return 0
	}
	v, err := parseFloat(s)
	if err != nil || v < low || v > high {
		p.fail(key, "is %s, must be a number from %g to %g", quote(s), low, high)
		return 0
	}
	return v
}

func (p *parser) seconds(key string, low, high time.Duration) time.Duration {
	return time.Duration(math.Round(p.number(key, low.Seconds(), high.Seconds()) * float64(time.Second)))
}

func (p *parser) labels(key string) []string {
	s, ok := p.value(key)
	if !ok {
		return nil
	}
	labels := strings.Split(s, ",")
	seen := map[string]bool{}
	for _, l := range labels {
		if l == "" || l != strings.TrimSpace(l) || seen[l] {
			p.fail(key, "is %s, must be names without spaces around them, separated by commas, each once", quote(s))
			return nil
		}
		seen[l] = true
	}
	if len(labels) < 2 || len(labels) > 64 {
		p.fail(key, "has %d names, must have 2 to 64", len(labels))
		return nil
	}
	return labels
}

func (p *parser) pixelScale() (scale [2]float64) {
	s, ok := p.value("pixel_scale")
	if !ok {
		return scale
	}
	lo, hi, _ := strings.Cut(s, ",")
	var errLo, errHi error
	scale[0], errLo = parseFloat(lo)
	scale[1], errHi = parseFloat(hi)
	if errLo != nil || errHi != nil || scale[0] == scale[1] {
		p.fail("pixel_scale", `is %s, must be what 0 and 255 become, as "0,1"`, quote(s))
		return [2]float64{}
	}
	return scale
}

func (p *parser) audioNorm() AudioNorm {
	s, ok := p.value("audio_norm")
	if !ok || s == "none" {
		return 0
	}
	if level, ok := strings.CutPrefix(s, "rms:"); ok {
		if v, err := parseFloat(level); err == nil && v > 0 && v <= 100 {
			return AudioNorm(v)
		}
	}
	p.fail("audio_norm", `is %s, must be "none" or "rms:LEVEL" with a level above 0, at most 100`, quote(s))
	return 0
}

func (p *parser) taskWeights() (w TaskWeights) {
	s, ok := p.value("task_weights")
	if !ok {
		return w
	}
	e, g, _ := strings.Cut(s, ",")
	e, okE := strings.CutPrefix(e, "emotion=")
	g, okG := strings.CutPrefix(g, "gender=")
	var errE, errG error
	w.Emotion, errE = parseFloat(e)
	w.Gender, errG = parseFloat(g)
	if !okE || !okG || errE != nil || errG != nil {
		p.fail("task_weights", `is %s, must be as "emotion=0.5,gender=0.5"`, quote(s))
		return TaskWeights{}
	}
	return w
}

// quote shows a value from a file in an error: escaped, and short however long it is.
func quote(s string) string {
	const most = 60
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

func formatFloat(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// parseFloat refuses what is not finite.
func parseFloat(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
		err = strconv.ErrRange
	}
	return v, err
}
