package infertest

import (
	"sync"

	"tandem/infer"
)

// Default is the embedded model on one thread, loaded once for all tests of a package, which do not close it.
var Default = sync.OnceValues(func() (*infer.Recognizer, error) {
	return infer.NewRecognizer(infer.DefaultModel(), infer.Options{Threads: 1})
})

// Faces is the face detector, likewise.
var Faces = sync.OnceValues(infer.NewBlazeFace)
