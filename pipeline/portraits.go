package pipeline

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"sync"

	"tandem/capture"
)

// What a portrait is.
const (
	portraitSize    = 112 // pixels
	portraitMargin  = 3.2 // see Spec.CropMargin: the whole head
	portraitQuality = 80
	// mostPortraits bounds how many subjects have one, the first that come: of each some kilobytes are kept.
	mostPortraits = 256
	// betterBy is how much more worth a picture must be to take the place of the one that is kept.
	betterBy = 1.1
)

// Portraits keeps a picture of each subject of a run: of those that were seen the one in which the face is large, sure
// and turned to the camera. The zero value is ready to use, by any goroutine.
type Portraits struct {
	mu  sync.Mutex
	all map[int]portrait
}

type portrait struct {
	worth float64
	jpeg  []byte
}

// see looks at the faces of a picture.
func (p *Portraits) see(f *capture.Frame, faces []Tracked) {
	if f.Width < 1 || f.Height < 1 || len(f.Pix) != 3*f.Width*f.Height {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[int]portrait{}
	}
	for _, t := range faces {
		kept, ok := p.all[t.Subject]
		worth := worthOf(t.Face)
		if ok && worth < betterBy*kept.worth || !ok && len(p.all) >= mostPortraits {
			continue
		}
		p.all[t.Subject] = portrait{worth, portraitOf(f, t.Face)}
	}
}

// worthOf says how good a picture of a face is.
func worthOf(f Face) float64 {
	eyes := Point{f.RightEye.X - f.LeftEye.X, f.RightEye.Y - f.LeftEye.Y}
	between := Point{(f.RightEye.X + f.LeftEye.X) / 2, (f.RightEye.Y + f.LeftEye.Y) / 2}
	frontal := 0.0
	if d := eyes.X*eyes.X + eyes.Y*eyes.Y; d > 0 { // how far the nose lies beside the middle of the eyes
		aside := ((f.Nose.X-between.X)*eyes.X + (f.Nose.Y-between.Y)*eyes.Y) / d
		frontal = max(0, 1-2*math.Abs(aside))
	}
	return f.Score * min(f.W/portraitSize, 1) * (0.1 + frontal)
}

func portraitOf(f *capture.Frame, face Face) []byte {
	pix := cropped(f, cropArea(f, face, Spec{CropMargin: portraitMargin}), CropEyeY, portraitSize, 3)
	m := image.NewRGBA(image.Rect(0, 0, portraitSize, portraitSize))
	for i := range portraitSize * portraitSize {
		m.Set(i%portraitSize, i/portraitSize, color.RGBA{pix[3*i], pix[3*i+1], pix[3*i+2], 255})
	}
	var b bytes.Buffer
	if jpeg.Encode(&b, m, &jpeg.Options{Quality: portraitQuality}) != nil {
		return nil // a buffer takes all, and the picture has a size that JPEG knows
	}
	return b.Bytes()
}

// of returns a subject's picture as JPEG, nil if there is none.
func (p *Portraits) of(subject int) []byte {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[subject].jpeg
}
