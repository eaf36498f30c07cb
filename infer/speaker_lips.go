package infer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute-onnx/support/protos"
	ort "github.com/yalue/onnxruntime_go"
	"google.golang.org/protobuf/proto"

	"tandem/pipeline"
)

// The tensors at which a speaker model can be cut in two; see SpeakerContract.
const (
	lipPairs    = "lip_pairs"
	lipFeatures = "lip_features"
)

// lipDrift is by how much a face's mean brightness, in its standard deviations, and these deviations, as a share, may
// differ from those by which a mouth was read before it is read again. Most of what the network costs is reading lips,
// and of a window's slots nine in ten were in the window before.
const lipDrift = 0.02

// splitSpeaker cuts a speaker model into what reads a mouth and the rest; it returns nil if it lacks the tensors for
// it, and an error if it cannot be cut there.
func splitSpeaker(m *protos.ModelProto) (lips, rest *protos.ModelProto, err error) {
	for _, name := range []string{lipPairs, lipFeatures} {
		makes := func(n *protos.NodeProto) bool { return slices.Contains(n.GetOutput(), name) }
		if !slices.ContainsFunc(m.GetGraph().GetNode(), makes) {
			return nil, nil, nil
		}
	}
	lips = extract(m, []string{lipFeatures}, lipPairs)
	rest = extract(m, speakerOutputs, lipFeatures)
	if len(lips.Graph.Input) > 0 {
		return nil, nil, fmt.Errorf("%q depends on input %q by other ways than %q", lipFeatures,
			lips.Graph.Input[0].GetName(), lipPairs)
	}
	if slices.ContainsFunc(rest.Graph.Input, named("mouths")) {
		return nil, nil, fmt.Errorf("the output depends on input %q by other ways than %q", "mouths", lipFeatures)
	}
	features := tensorInfo(lipFeatures, "N", "D")
	lips.Graph.Input = []*protos.ValueInfoProto{tensorInfo(lipPairs, "N", "P", "two")}
	lips.Graph.Output = []*protos.ValueInfoProto{features}
	rest.Graph.Input = []*protos.ValueInfoProto{features}
	for _, v := range m.GetGraph().GetInput() { // those that nothing depends on are passed all the same
		if v.GetName() != "mouths" {
			rest.Graph.Input = append(rest.Graph.Input, v)
		}
	}
	rest.Graph.Output = m.GetGraph().GetOutput()
	return lips, rest, nil
}

// speakerSample is a window of two faces by which a model is tried: one mouth of the first is missing, and they differ
// in everything else.
func speakerSample(c SpeakerContract) (sound []float32, faces []pipeline.Lips) {
	m := c.Mouths
	faces = make([]pipeline.Lips, 2)
	for f := range faces {
		faces[f] = pipeline.Lips{Pixels: make([]byte, m.Slots*m.Size*m.Size), There: make([]bool, m.Slots)}
		for i := range faces[f].Pixels {
			faces[f].Pixels[i] = byte(120 + 20*f + (i*i*(7+f)+i/3)%97)
		}
		for k := range faces[f].There {
			faces[f].There[k] = f == 1 || k != m.Slots/2
		}
	}
	sound = make([]float32, c.AudioSamples())
	for i := range sound {
		sound[i] = 0.1 * float32(math.Sin(float64(i)*0.3+math.Sin(float64(i)*0.001)))
	}
	return sound, faces
}

// splitInTwo has the speaker run in two parts, if the model has the tensors for it. The parts must answer to
// speakerSample what the whole does, want.
func (s *Speaker) splitInTwo(model []byte, want [][]float64) error {
	m, _, err := readModel(model)
	if err != nil {
		return err
	}
	lips, rest, err := splitSpeaker(m)
	if err != nil || lips == nil {
		return err
	}
	two := &Speaker{contract: s.contract}
	for _, part := range []struct {
		m       *protos.ModelProto
		in, out []string
		to      **session
	}{
		{lips, []string{lipPairs}, []string{lipFeatures}, &two.lips},
		{rest, []string{lipFeatures, "there", "audio"}, speakerOutputs, &two.session},
	} {
		b, err := proto.Marshal(part.m)
		if err == nil {
			*part.to, err = newSession(b, part.in, part.out, 1)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("the speaker model cut in two: %w", err), two.Close())
		}
	}
	sound, faces := speakerSample(s.contract)
	var got [][]float64
	if two.hidden, err = two.findHidden(); err == nil {
		got, err = two.Speaking(context.Background(), sound, faces)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("the speaker model cut in two: %w", err), two.Close())
	}
	for f := range want {
		for k, w := range want[f] {
			if math.Abs(got[f][k]-w) > 1e-3*(1+math.Abs(w)) {
				return errors.Join(fmt.Errorf("%q is not of each mouth and its change alone: face %d, slot %d: %v, "+
					"and %v of the whole model", lipFeatures, f, k, got[f][k], w), two.Close())
			}
		}
	}
	whole := s.session
	s.lips, s.hidden, s.session = two.lips, two.hidden, two.session
	return whole.close()
}

// findHidden returns how many features the model makes of a mouth.
func (s *Speaker) findHidden() (int, error) {
	p := int64(s.contract.Mouths.Size * s.contract.Mouths.Size)
	var ts tensors
	defer ts.free()
	in, err := tensor(&ts, make([]float32, 2*p), 1, p, 2)
	if err != nil {
		return 0, err
	}
	row, err := s.lips.row([]ort.Value{in}, lipFeatures, "mouth")
	return len(row), err
}

// light is the mean brightness of a face's mouths, from -1 to 1, and its standard deviation: what the model's input is
// brought to 0 and 1 by.
type light struct{ mean, deviation float64 }

// near reports if a mouth that was read by this light need not be read again by the other.
func (l light) near(m light) bool {
	return math.Abs(l.mean-m.mean) <= lipDrift*m.deviation && math.Abs(l.deviation/m.deviation-1) <= lipDrift
}

// lightOf measures a face's mouths, as the trained network does it.
func lightOf(f pipeline.Lips) light {
	pixels := len(f.Pixels) / len(f.There)
	var n, sum, squares int
	for k, there := range f.There {
		if there {
			for _, v := range f.Pixels[k*pixels : (k+1)*pixels] {
				sum += int(v)
				squares += int(v) * int(v)
			}
			n += pixels
		}
	}
	// Of x = v/127.5 - 1. One is added to the count so that it is never 0.
	count := float64(n + 1)
	x := float64(sum)/127.5 - float64(n)
	xx := float64(squares)/(127.5*127.5) - 2*float64(sum)/127.5 + float64(n)
	mean := x / count
	return light{mean, math.Sqrt((xx-2*mean*x+float64(n)*mean*mean)/count + 1e-3)}
}

// readLip is the value of a FeatureCache: the lip_features that a Speaker made of a mouth.
type readLip struct {
	by       *Speaker
	light    light
	follows  bool // there was a mouth in the slot before
	features []float32
}

// readLips returns the lip_features of all faces and slots, zeros where there is no mouth. Those that are not in their
// caches are made together.
func (s *Speaker) readLips(ctx context.Context, faces []pipeline.Lips) ([]float32, error) {
	m := s.contract.Mouths
	features := make([]float32, len(faces)*m.Slots*s.hidden)
	type fresh struct {
		face, slot int
		read       *readLip
	}
	var made []fresh
	var pairs []float32
	for i, f := range faces {
		now := lightOf(f)
		for k, there := range f.There {
			if !there {
				continue
			}
			follows := k > 0 && f.There[k-1]
			if c := f.Cache(k); c != nil {
				// What came before a window's first slot is not there for who reads it for the first time.
				r, ok := c.Load().(*readLip)
				if ok && r.by == s && r.light.near(now) && (r.follows == follows || k == 0) {
					copy(features[(i*m.Slots+k)*s.hidden:], r.features)
					continue
				}
			}
			pairs = appendPair(pairs, f, k, follows, now)
			made = append(made, fresh{i, k, &readLip{by: s, light: now, follows: follows}})
		}
	}
	if len(made) == 0 {
		return features, nil
	}
	var ts tensors
	defer ts.free()
	out := make([]float32, len(made)*s.hidden)
	n := int64(len(made))
	in, errIn := tensor(&ts, pairs, n, int64(m.Size*m.Size), 2)
	to, errOut := tensor(&ts, out, n, int64(s.hidden))
	if err := errors.Join(errIn, errOut); err != nil {
		return nil, err
	}
	if err := s.lips.run(ctx, []ort.Value{in}, []ort.Value{to}); err != nil {
		return nil, err
	}
	for j, u := range made {
		u.read.features = out[j*s.hidden : (j+1)*s.hidden]
		copy(features[(u.face*m.Slots+u.slot)*s.hidden:], u.read.features)
		if c := faces[u.face].Cache(u.slot); c != nil {
			c.Store(u.read)
		}
	}
	return features, nil
}

// appendPair adds a mouth, brought to no mean and a deviation of 1, and beside each pixel its change since the slot
// before, if it follows that.
func appendPair(to []float32, f pipeline.Lips, slot int, follows bool, by light) []float32 {
	pixels := len(f.Pixels) / len(f.There)
	now := f.Pixels[slot*pixels : (slot+1)*pixels]
	before := now // no change
	if follows {
		before = f.Pixels[(slot-1)*pixels : slot*pixels]
	}
	scale := 1 / by.deviation
	for i, v := range now {
		to = append(to, float32(((float64(v)/127.5-1)-by.mean)*scale),
			float32((float64(v)-float64(before[i]))/127.5*scale))
	}
	return to
}
