package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"tandem/infer"
	"tandem/pipeline"
)

// modelFile is a model and where it came from.
type modelFile struct {
	name   string // the file's, or "embedded"
	bytes  []byte
	sha256 string // hex
}

// readModel reads a model file, or the embedded one if path is "".
func readModel(path string) (*modelFile, error) {
	if path == "" {
		return &modelFile{name: "embedded", bytes: infer.DefaultModel(), sha256: infer.DefaultModelSHA256}, nil
	}
	b, err := readLimited(path, infer.MaxModelBytes)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	return &modelFile{name: path, bytes: b, sha256: hex.EncodeToString(sum[:])}, nil
}

// readLimited reads a file of at most limit bytes.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, bare(path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, bare(path, err)
	case int64(len(b)) > limit:
		return nil, fmt.Errorf("%s: the file is larger than %d MB, the most that a model may have", path, limit>>20)
	}
	return b, nil
}

// newFaceFinder returns a face finder for one of several goroutines.
func newFaceFinder() (pipeline.FaceFinder, error) {
	return infer.NewBlazeFace()
}

// voiceDetectors returns what makes the voice detector of one of several goroutines; nil for a model that takes any
// sound.
func voiceDetectors(c infer.Contract) func() (pipeline.VoiceDetector, error) {
	if c.AnySound {
		return nil
	}
	return func() (pipeline.VoiceDetector, error) { return infer.NewSilero() }
}

// recognition has the networks that all inputs of a command share.
type recognition struct {
	*infer.Recognizer
	finder *infer.BlazeFace
	silero *infer.Silero          // nil for a model that takes any sound
	voice  pipeline.VoiceDetector // silero, or nil
	model  *modelFile

	speaker       *infer.Speaker // nil: it is not asked who speaks
	speakerAlways bool
}

// openRecognition loads a model, the embedded one if its path is "", and the detectors of faces and voices.
func openRecognition(path string, o infer.Options) (*recognition, error) {
	m, err := readModel(path)
	if err != nil {
		return nil, err
	}
	rec, err := infer.NewRecognizer(m.bytes, o)
	if errors.Is(err, infer.ErrContract) {
		return nil, fmt.Errorf("%s: %w", m.name, err)
	} else if err != nil {
		return nil, err
	}
	finder, err := infer.NewBlazeFace()
	if err != nil {
		rec.Close()
		return nil, err
	}
	r := &recognition{Recognizer: rec, finder: finder, model: m}
	if rec.Contract().AnySound {
		return r, nil
	}
	if r.silero, err = infer.NewSilero(); err != nil {
		return nil, errors.Join(err, rec.Close(), finder.Close())
	}
	r.voice = r.silero
	return r, nil
}

func (r *recognition) Close() error {
	err := errors.Join(r.Recognizer.Close(), r.finder.Close())
	if r.silero != nil {
		err = errors.Join(err, r.silero.Close())
	}
	if r.speaker != nil {
		err = errors.Join(err, r.speaker.Close())
	}
	return err
}
