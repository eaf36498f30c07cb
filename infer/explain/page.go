package explain

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"

	"tandem/capture"
)

//go:embed explain.html
var page string

// view is an explanation on the page.
type view struct {
	*Explanation
	Title string
	Tasks []taskView
	Plain struct{ Face, Sound template.URL }
}

type taskView struct {
	Name, Label string
	Probability float64
	Lines       []string
	Face, Sound template.URL
}

// Write writes a page of explanations, which opens without a network. It shows the faces of those who are explained.
func Write(w io.Writer, input, model string, all []*Explanation) error {
	t, err := template.New("explain").Funcs(template.FuncMap{
		"percent": func(p float64) string { return fmt.Sprintf("%.0f %%", 100*p) },
	}).Parse(page)
	if err != nil {
		return err
	}
	var views []view
	for _, e := range all {
		v := view{Explanation: e, Title: e.Title()}
		if err := v.draw(); err != nil {
			return err
		}
		views = append(views, v)
	}
	return t.Execute(w, struct {
		Input, Model string
		Views        []view
	}{input, model, views})
}

// Title names the window: its time, and its subject if it has a face.
func (e *Explanation) Title() string {
	s := fmt.Sprintf("%.2f to %.2f s", e.Window.Start.Seconds(), e.Window.End.Seconds())
	if e.Face != nil {
		s += fmt.Sprintf(", subject %d", e.Window.Subject)
	}
	return s
}

// Lines says in words what a task's answer rests on.
func (e *Explanation) Lines(task int) (lines []string) {
	label := e.LabelOf(task)
	if e.FaceAlone != nil {
		lines = append(lines, fmt.Sprintf("by the face alone %s is %.2f, by the sound alone %.2f, by both %.2f", label,
			e.FaceAlone[task], e.SoundAlone[task], e.Answer.Probability[task]))
	}
	const little = 0.01
	if e.Face != nil {
		if p := e.MostOfFace[task]; p.Lost > little {
			lines = append(lines, fmt.Sprintf("face: hiding the %s costs most, %.2f", Place((p.Y0+p.Y1)/2), p.Lost))
		} else {
			lines = append(lines, "face: no part by itself matters")
		}
	}
	if e.Sound != nil {
		if p := e.MostOfSound[task]; p.Lost > little {
			hz := func(share float64) float64 { return share * capture.SampleRate / 2 }
			lines = append(lines, fmt.Sprintf("sound: hiding %.0f to %.0f Hz from %.2f to %.2f s costs most, %.2f",
				hz(p.Y0), hz(p.Y1), max(e.Time(p.X0), e.Window.Start).Seconds(),
				min(e.Time(p.X1), e.Window.End).Seconds(), p.Lost))
		} else {
			lines = append(lines, "sound: no part by itself matters")
		}
	}
	return lines
}

func (v *view) draw() (err error) {
	for task, name := range Tasks {
		t := taskView{
			Name: name, Label: v.LabelOf(task), Probability: v.Answer.Probability[task], Lines: v.Lines(task),
		}
		if v.Explanation.Face != nil {
			if t.Face, err = pngURL(v.facePicture(v.Explanation.Face.Lost[task])); err != nil {
				return err
			}
		}
		if v.Explanation.Sound != nil {
			if t.Sound, err = pngURL(v.soundPicture(v.Explanation.Sound.Lost[task])); err != nil {
				return err
			}
		}
		v.Tasks = append(v.Tasks, t)
	}
	if v.Explanation.Face != nil {
		if v.Plain.Face, err = pngURL(v.facePicture(nil)); err != nil {
			return err
		}
	}
	if v.Explanation.Sound != nil {
		v.Plain.Sound, err = pngURL(v.soundPicture(nil))
	}
	return err
}

// strongest is the largest magnitude of a map, at least so much that noise does not look like a finding.
func strongest(lost []float64) float64 {
	most := 0.02
	for _, v := range lost {
		most = max(most, math.Abs(v))
	}
	return most
}

// tint mixes a colour into a pixel: orange where hiding costs, blue where it helps (Okabe and Ito 2008).
func tint(p color.NRGBA, share float64) color.NRGBA {
	to := color.NRGBA{0xe6, 0x6f, 0x00, 0xff}
	if share < 0 {
		to = color.NRGBA{0x00, 0x72, 0xd2, 0xff}
	}
	k := 0.75 * math.Pow(min(math.Abs(share), 1), 0.8)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + k*(float64(b)-float64(a)))) }
	return color.NRGBA{mix(p.R, to.R), mix(p.G, to.G), mix(p.B, to.B), 0xff}
}

// facePicture is the window's last crop, with a map over it unless lost is nil.
func (v *view) facePicture(lost []float64) image.Image {
	most := strongest(lost)
	s, channels := v.Spec.CropSize, v.Spec.Channels
	last := 0
	for t, shown := range v.Window.VideoMask {
		if shown {
			last = t
		}
	}
	crop := v.Window.Video[last*s*s*channels:]
	m := image.NewNRGBA(image.Rect(0, 0, s, s))
	for i := range s * s {
		p := color.NRGBA{crop[i*channels], crop[i*channels], crop[i*channels], 0xff}
		if channels == 3 {
			p.G, p.B = crop[3*i+1], crop[3*i+2]
		}
		if lost != nil {
			p = tint(p, lost[i]/most)
		}
		m.SetNRGBA(i%s, i/s, p)
	}
	return m
}

// soundPicture is the window's spectrogram, low frequencies at the bottom, with a map over it unless lost is nil.
func (v *view) soundPicture(lost []float64) image.Image {
	most := strongest(lost)
	const rangeDB = 80
	levels, all := v.levels(), v.Explanation.Sound.Width
	m := image.NewNRGBA(image.Rect(0, 0, all, soundBins))
	for i, level := range levels {
		grey := uint8(255 * min(max(1+level/rangeDB, 0), 1))
		p := color.NRGBA{grey, grey, grey, 0xff}
		if lost != nil {
			p = tint(p, lost[i]/most)
		}
		m.SetNRGBA(i%all, soundBins-1-i/all, p)
	}
	return m
}

func pngURL(m image.Image) (template.URL, error) {
	var b bytes.Buffer
	err := png.Encode(&b, m)
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())), err
}
