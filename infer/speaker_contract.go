package infer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/gomlx/compute-onnx/support/protos"

	"tandem/capture"
	"tandem/pipeline"
)

// kindSpeaker is the value of the key `kind` in a speaker model; the models that recognise emotions have no such key.
const kindSpeaker = "speaker"

// SpeakerContract is all that a runner needs to know of a speaker model, which tells by lips and sound who speaks. Like
// Contract it stands in the ONNX file: in its metadata_props, under keys that begin with "tandem.", and in its inputs
// and outputs:
//
//	mouths    uint8    [B, T, S, S]   grey crops of a face's mouth, one a slot, oldest first; zeros where none is
//	there     float32  [B, T]         1 = there is a mouth
//	audio     float32  [1, samples]   the sound of these slots, the same for all faces
//	speaking  float32  [B, T]         by how much each slot speaks for the sound being the face's voice
//
// A model whose nodes make these two tensors is run in two parts, so that each mouth is read once for all windows in
// which it stands:
//
//	lip_pairs     float32  [B*T, S*S, 2]  each mouth, by its face's mean and deviation over the window, and its change
//	                                      since the slot before, 0 where there is none
//	lip_features  float32  [B*T, D]       what it makes of each of them alone
//
// B, the number of faces, is dynamic. Gain times a slot's number plus Bias is its log-odds.
type SpeakerContract struct {
	SampleRate int                // `sample_rate`, Hz; must be capture.SampleRate
	Mouths     pipeline.MouthSpec // `mouth_seconds`, `mouth_size`, `mouth_margin`, `mouth_slots`
	Gain, Bias float64            // `gain`, `bias`
	Data       []DataSet          // `data`, JSON: what it was trained on
	// Metrics (`metrics`, JSON) are shares of windows that are right, by set and scene.
	Metrics       json.RawMessage
	Created       time.Time // `created`, RFC 3339, UTC, to the second
	TandemVersion string    // `tandem_version`
}

// slotSamples returns how many samples belong to a slot.
func (c *SpeakerContract) slotSamples() int {
	return int(c.Mouths.Every * capture.SampleRate / time.Second)
}

// AudioSamples is how many samples of sound the model reads.
func (c *SpeakerContract) AudioSamples() int { return c.Mouths.Slots * c.slotSamples() }

// Metadata returns the contract as an ONNX file's metadata_props. ParseSpeakerContract is its inverse.
func (c *SpeakerContract) Metadata() map[string]string {
	data := c.Data
	if data == nil {
		data = []DataSet{}
	}
	sets, err := json.Marshal(data)
	if err != nil {
		panic(err) // strings only
	}
	return map[string]string{
		keyPrefix + "schema":         strconv.Itoa(schema),
		keyPrefix + "kind":           kindSpeaker,
		keyPrefix + "sample_rate":    strconv.Itoa(c.SampleRate),
		keyPrefix + "mouth_seconds":  formatFloat(c.Mouths.Every.Seconds()),
		keyPrefix + "mouth_size":     strconv.Itoa(c.Mouths.Size),
		keyPrefix + "mouth_margin":   formatFloat(c.Mouths.Margin),
		keyPrefix + "mouth_slots":    strconv.Itoa(c.Mouths.Slots),
		keyPrefix + "gain":           formatFloat(c.Gain),
		keyPrefix + "bias":           formatFloat(c.Bias),
		keyPrefix + "data":           string(sets),
		keyPrefix + "metrics":        string(c.Metrics),
		keyPrefix + "created":        c.Created.UTC().Format(time.RFC3339),
		keyPrefix + "tandem_version": c.TandemVersion,
	}
}

// ParseSpeakerContract reads a contract from metadata_props and checks each key, as ParseContract does.
func ParseSpeakerContract(metadata map[string]string) (SpeakerContract, error) {
	var c SpeakerContract
	if kind := metadata[keyPrefix+"kind"]; kind != kindSpeaker {
		return c, fmt.Errorf("%w: %skind is %s, must be %q: this is no speaker model; train one with "+
			"`tandem train --task speaker`", ErrContract, keyPrefix, quote(kind), kindSpeaker)
	}
	p := parser{metadata: metadata}
	p.integer("schema", schema, schema)
	c.SampleRate = p.integer("sample_rate", capture.SampleRate, capture.SampleRate)
	c.Mouths = pipeline.MouthSpec{
		Every:  p.seconds("mouth_seconds", 20*time.Millisecond, 200*time.Millisecond),
		Size:   p.integer("mouth_size", 8, 256),
		Margin: p.number("mouth_margin", 0.1, 10),
		Slots:  p.integer("mouth_slots", 4, 1024),
	}
	if n := c.Mouths.Every.Seconds() * float64(c.SampleRate); math.Abs(n-math.Round(n)) > 1e-3 {
		p.fail("mouth_seconds", "is no whole number of samples at %d Hz", c.SampleRate)
	}
	c.Gain = p.number("gain", 1e-3, 1e3)
	c.Bias = p.number("bias", -100, 100)
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
	if len(p.errs) > 0 {
		return SpeakerContract{}, fmt.Errorf("%w: %w", ErrContract, errors.Join(p.errs...))
	}
	return c, nil
}

// The names of a speaker model's inputs and outputs, in the order in which they are passed.
var (
	speakerInputs  = []string{"mouths", "there", "audio"}
	speakerOutputs = []string{"speaking"}
)

// LoadSpeakerModel reads a speaker model's bytes and checks the whole contract without running it, as LoadModel does.
// An error wraps ErrContract and names the key or the tensor.
func LoadSpeakerModel(b []byte) (SpeakerContract, error) {
	m, metadata, err := readModel(b)
	if err != nil {
		return SpeakerContract{}, err
	}
	c, err := ParseSpeakerContract(metadata)
	if err != nil {
		return SpeakerContract{}, err
	}
	if err := c.checkGraph(m.GetGraph()); err != nil {
		return SpeakerContract{}, fmt.Errorf("%w: %w", ErrContract, err)
	}
	if _, _, err := splitSpeaker(m); err != nil {
		return SpeakerContract{}, fmt.Errorf("%w: %w", ErrContract, err)
	}
	return c, nil
}

// checkGraph compares inputs and outputs with the metadata.
func (c *SpeakerContract) checkGraph(g *protos.GraphProto) error {
	inputs, err := valuesByName("input", g.GetInput(), speakerInputs, nil)
	if err != nil {
		return err
	}
	outputs, err := valuesByName("output", g.GetOutput(), speakerOutputs, nil)
	if err != nil {
		return err
	}
	const f32, u8 = protos.TensorProto_FLOAT, protos.TensorProto_UINT8
	s := c.Mouths
	const why = "tandem.mouth_slots, tandem.mouth_size and tandem.mouth_seconds"
	return errors.Join(
		checkTensor("input", inputs["mouths"], u8, why, dynamic, s.Slots, s.Size, s.Size),
		checkTensor("input", inputs["there"], f32, why, dynamic, s.Slots),
		checkTensor("input", inputs["audio"], f32, why, 1, c.AudioSamples()),
		checkTensor("output", outputs["speaking"], f32, why, dynamic, s.Slots),
	)
}
