package infer

import (
	"context"
	"errors"
	"fmt"

	"github.com/gomlx/compute-onnx/support/protos"
	ort "github.com/yalue/onnxruntime_go"
	"google.golang.org/protobuf/proto"

	"tandem/capture"
	"tandem/pipeline"
)

const (
	sileroFile = "silero_vad_v5.onnx"
	// sileroContext is how many samples before a piece the network is given with it.
	sileroContext = 64
	// sileroState is the size of what the network remembers: two vectors of 128.
	sileroState = 2 * 128
)

// Silero tells voices from other sound with Silero VAD, version 5 (Silero Team 2024, github.com/snakers4/silero-vad),
// as the project's own wrapper runs it: pieces of 32 ms with the 4 ms before each, and a state that goes on from one
// piece to the next.
//
// Any number of goroutines may use one; each stream has a state of its own.
type Silero struct{ session *session }

var _ pipeline.VoiceDetector = (*Silero)(nil)

// NewSilero loads the network. Its file lies beside the binary or beside the ONNX Runtime library that TANDEM_ORT
// names; where it is missing the error is ErrNoVoiceDetector, or ErrNoRuntime for the library. Close frees the network.
func NewSilero() (*Silero, error) {
	if err := Init(); err != nil {
		return nil, err
	}
	model, err := readAsset(sileroFile, ErrNoVoiceDetector)
	if err != nil {
		return nil, err
	}
	return newSilero(model)
}

// newSilero loads a model, if it has the inputs and outputs of Silero VAD and works on silence.
func newSilero(model []byte) (*Silero, error) {
	refused := func(err error) error {
		return fmt.Errorf("%s is not the voice detector that assets/ pins: %w; delete it and run `make assets`",
			sileroFile, err)
	}
	if err := checkSilero(model); err != nil {
		return nil, refused(err)
	}
	s, err := newSession(model, []string{"input", "state", "sr"}, []string{"output", "stateN"}, 1)
	if errors.Is(err, ErrNoRuntime) {
		return nil, err
	} else if err != nil {
		return nil, refused(err)
	}
	silero := &Silero{s}
	silence := make([]float32, pipeline.VoicePiece)
	if _, err := silero.NewVoiceStream().Voice(context.Background(), silence); err != nil {
		return nil, errors.Join(refused(err), silero.Close())
	}
	return silero, nil
}

// checkSilero compares a model's inputs and outputs, their types and how many dimensions they have, with those of
// Silero VAD. Of the sizes most are not in the file.
func checkSilero(model []byte) error {
	var m protos.ModelProto
	if err := proto.Unmarshal(model, &m); err != nil {
		return err
	}
	type value struct {
		name string
		of   protos.TensorProto_DataType
		rank int
	}
	const float, integer = protos.TensorProto_FLOAT, protos.TensorProto_INT64
	same := func(got []*protos.ValueInfoProto, want ...value) error {
		if len(got) != len(want) {
			return fmt.Errorf("%d tensors where %d are wanted", len(got), len(want))
		}
		for i, v := range got {
			g := value{v.GetName(), elemType(v), len(v.GetType().GetTensorType().GetShape().GetDim())}
			if g != want[i] {
				return fmt.Errorf("tensor %d is %s, %v of rank %d, where %s, %v of rank %d, is wanted",
					i, quote(g.name), g.of, g.rank, want[i].name, want[i].of, want[i].rank)
			}
		}
		return nil
	}
	return errors.Join(
		same(m.GetGraph().GetInput(), value{"input", float, 2}, value{"state", float, 3}, value{"sr", integer, 0}),
		same(m.GetGraph().GetOutput(), value{"output", float, 2}, value{"stateN", float, 3}))
}

// Close waits for the runs under way and frees the network. Later ones return ErrClosed.
func (s *Silero) Close() error { return s.session.close() }

// NewVoiceStream returns what listens to one timeline's sound.
func (s *Silero) NewVoiceStream() pipeline.VoiceStream {
	return &sileroStream{s.session, new(sileroMemory)}
}

// sileroStream is one stream.
type sileroStream struct {
	session *session
	memory  *sileroMemory
}

// sileroMemory is the state of one stream. It stands by itself since memory that ONNX Runtime is given may hold no
// pointer.
type sileroMemory struct {
	input       [sileroContext + pipeline.VoicePiece]float32 // begins with the end of the last piece
	state, next [sileroState]float32
	p           [1]float32
}

// Voice returns the probability that the next pipeline.VoicePiece samples are of a voice. What is not a number or is
// infinite counts as 0.
func (v *sileroStream) Voice(ctx context.Context, piece []float32) (float64, error) {
	if len(piece) != pipeline.VoicePiece {
		return 0, fmt.Errorf("a piece of %d samples, must be %d", len(piece), pipeline.VoicePiece)
	}
	m := v.memory
	for i, x := range piece {
		if x-x != 0 {
			x = 0
		}
		m.input[sileroContext+i] = min(max(x, -1), 1)
	}
	var ts tensors
	defer ts.free()
	var errs [4]error
	var in [3]ort.Value
	var out [2]ort.Value
	in[0], errs[0] = tensor(&ts, m.input[:], 1, int64(len(m.input)))
	in[1], errs[1] = tensor(&ts, m.state[:], 2, 1, sileroState/2)
	out[0], errs[2] = tensor(&ts, m.p[:], 1, 1)
	out[1], errs[3] = tensor(&ts, m.next[:], 2, 1, sileroState/2)
	rate, err := ort.NewScalar(int64(capture.SampleRate))
	if err := errors.Join(append(errs[:], err)...); err != nil {
		return 0, err
	}
	defer rate.Destroy()
	in[2] = rate
	if err := v.session.run(ctx, in[:], out[:]); err != nil {
		return 0, err
	}
	for _, x := range m.next {
		if x-x != 0 {
			return 0, errors.New("the network remembers what is no number")
		}
	}
	if !(m.p[0] >= 0 && m.p[0] <= 1) {
		return 0, fmt.Errorf("the network's probability is %v", m.p[0])
	}
	m.state = m.next
	copy(m.input[:sileroContext], m.input[pipeline.VoicePiece:])
	return float64(m.p[0]), nil
}

// Reset forgets the sound so far.
func (v *sileroStream) Reset() { *v.memory = sileroMemory{} }
