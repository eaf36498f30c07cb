package infer

import (
	"context"
	_ "embed" // the speaker model
	"errors"
	"fmt"

	ort "github.com/yalue/onnxruntime_go"

	"tandem/pipeline"
)

// Speaker tells by lips and sound which of several faces speaks, with a model that keeps SpeakerContract. Any number of
// goroutines may use one.
type Speaker struct {
	contract SpeakerContract
	// lips makes lip_features of mouths, hidden of each, and session takes them in the mouths' place. Of a model that
	// is not run in two parts lips is nil, and session is all of it.
	lips    *session
	hidden  int
	session *session
}

var _ pipeline.SpeakerDetector = (*Speaker)(nil)

// NewSpeaker checks a model's contract, loads it and runs it once, so that one that cannot run is refused here. Close
// frees it.
func NewSpeaker(model []byte) (*Speaker, error) {
	c, err := LoadSpeakerModel(model)
	if err != nil {
		return nil, err
	}
	whole, err := newSession(model, speakerInputs, speakerOutputs, 1)
	if errors.Is(err, ErrNoRuntime) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%w: ONNX Runtime refuses the speaker model: %w", ErrContract, err)
	}
	sp := &Speaker{contract: c, session: whole}
	sound, faces := speakerSample(c)
	answer, err := sp.Speaking(context.Background(), sound, faces)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: the speaker model does not run: %w", ErrContract, err), sp.Close())
	}
	if err := sp.splitInTwo(model, answer); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrContract, err), sp.Close())
	}
	return sp, nil
}

// Contract returns what the model's file says of itself.
func (s *Speaker) Contract() SpeakerContract { return s.contract }

// Mouths returns how mouths are cut for the model.
func (s *Speaker) Mouths() pipeline.MouthSpec { return s.contract.Mouths }

// Close waits for the runs under way and frees the model. Later ones return ErrClosed.
func (s *Speaker) Close() error { return errors.Join(s.lips.close(), s.session.close()) }

// Speaking returns, for each face and slot, the log-odds by which the slot speaks for sound, of
// SpeakerContract.AudioSamples, being the face's voice; 0 where there is no mouth. A mouth that has a cache is read
// once for all windows in which it stands, if its face's light and contrast stay nearly the same.
func (s *Speaker) Speaking(ctx context.Context, sound []float32, faces []pipeline.Lips) ([][]float64, error) {
	m := s.contract.Mouths
	if len(sound) != s.contract.AudioSamples() {
		return nil, fmt.Errorf("the sound of %d slots has %d samples, must have %d", m.Slots, len(sound),
			s.contract.AudioSamples())
	}
	if len(faces) == 0 {
		return nil, nil
	}
	for i, f := range faces {
		if pixels := m.Slots * m.Size * m.Size; len(f.Pixels) != pixels || len(f.There) != m.Slots {
			return nil, fmt.Errorf("face %d has %d bytes for %d slots, must have %d for %d", i, len(f.Pixels),
				len(f.There), pixels, m.Slots)
		}
	}
	out, err := s.run(ctx, sound, faces)
	if err != nil {
		return nil, err
	}
	answer := make([][]float64, len(faces))
	for i := range answer {
		answer[i] = make([]float64, m.Slots)
		for k := range answer[i] {
			v := out[i*m.Slots+k]
			if v-v != 0 {
				return nil, fmt.Errorf("the speaker model's answer for face %d is %v", i, v)
			}
			if faces[i].There[k] {
				answer[i][k] = s.contract.Gain*float64(v) + s.contract.Bias
			}
		}
	}
	return answer, nil
}

// run returns the model's answers, a number for each face and slot.
func (s *Speaker) run(ctx context.Context, sound []float32, faces []pipeline.Lips) ([]float32, error) {
	m := s.contract.Mouths
	there := make([]float32, len(faces)*m.Slots)
	for i, f := range faces {
		for k, is := range f.There {
			if is {
				there[i*m.Slots+k] = 1
			}
		}
	}
	clean := make([]float32, len(sound))
	for i, v := range sound {
		if v-v == 0 {
			clean[i] = min(max(v, -1), 1)
		}
	}
	out := make([]float32, len(there))
	n, t, side := int64(len(faces)), int64(m.Slots), int64(m.Size)
	var ts tensors
	defer ts.free()
	var errs [4]error
	var in [3]ort.Value
	var to [1]ort.Value
	if s.lips == nil {
		mouths := make([]byte, 0, len(faces)*m.Slots*m.Size*m.Size)
		for _, f := range faces {
			mouths = append(mouths, f.Pixels...)
		}
		in[0], errs[0] = tensor(&ts, mouths, n, t, side, side)
	} else {
		features, err := s.readLips(ctx, faces)
		if err != nil {
			return nil, err
		}
		in[0], errs[0] = tensor(&ts, features, n*t, int64(s.hidden))
	}
	in[1], errs[1] = tensor(&ts, there, n, t)
	in[2], errs[2] = tensor(&ts, clean, 1, int64(len(clean)))
	to[0], errs[3] = tensor(&ts, out, n, t)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return out, s.session.run(ctx, in[:], to[:])
}
