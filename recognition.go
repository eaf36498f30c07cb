package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"tandem/infer"
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

// bare makes "open x: no such file" read "x: no such file".
func bare(path string, err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// recognition is what all inputs of a command share.
type recognition struct {
	*infer.Recognizer
	finder *infer.BlazeFace
	model  *modelFile
}

// openRecognition loads the model and the face detector.
func openRecognition(o *options) (*recognition, error) {
	m, err := readModel(o.model)
	if err != nil {
		return nil, err
	}
	rec, err := infer.NewRecognizer(m.bytes, infer.Options{Threads: o.threads, Int8: o.precision == "int8"})
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
	return &recognition{Recognizer: rec, finder: finder, model: m}, nil
}

func (r *recognition) Close() error { return errors.Join(r.Recognizer.Close(), r.finder.Close()) }
