package pipeline

import (
	"bytes"
	"math"
	"testing"

	"tandem/capture"
)

var cropSpec = Spec{
	Window: testSpec.Window, Hop: testSpec.Hop, VideoFrames: 8, CropSize: 48, Channels: 1,
	CropMargin: 3,
}

// paint makes a picture from a function of place in continuous pixels, four points a pixel.
func paint(w, h int, at func(x, y float64) [3]float64) *capture.Frame {
	f := &capture.Frame{Width: w, Height: h, Pix: make([]byte, 3*w*h)}
	for y := range h {
		for x := range w {
			var sum [3]float64
			for i := range 4 {
				v := at(float64(x)+float64(i%2)/2+0.25, float64(y)+float64(i/2)/2+0.25)
				for c := range v {
					sum[c] += v[c] / 4
				}
			}
			for c := range sum {
				f.Pix[3*(y*w+x)+c] = byte(math.Round(sum[c]))
			}
		}
	}
	return f
}

// turned is a face with its eyes around a place, unit pixels apart, turned clockwise by an angle; what is at
// (u, v) of it, in units, is where place says.
func turned(x, y, unit, angle float64) (face Face, place func(u, v float64) Point) {
	sin, cos := math.Sincos(angle)
	place = func(u, v float64) Point { return Point{x + unit*(u*cos-v*sin), y + unit*(u*sin+v*cos)} }
	face = Face{
		X: x - unit, Y: y - unit, W: 2 * unit, H: 2 * unit, Score: 1,
		LeftEye: place(-0.5, 0), RightEye: place(0.5, 0), Mouth: place(0, 0.9), Nose: place(0, 0.5),
	}
	return face, place
}

// A face with a dot at each eye and at the mouth is cropped upright, whatever its size and turn: the dots come
// out where they must.
func TestCropIsUprightByTheEyes(t *testing.T) {
	for _, unit := range []float64{8, 12, 30, 64} {
		for _, angle := range []float64{0, 0.3, -0.7, 1.5, math.Pi} {
			face, place := turned(160.3, 159.6, unit, angle)
			dots := []Point{place(-0.5, 0), place(0.5, 0), place(0, 0.9)}
			radius := max(unit/10, 1.2)
			f := paint(320, 320, func(x, y float64) [3]float64 {
				for _, d := range dots {
					if math.Hypot(x-d.X, y-d.Y) < radius {
						return [3]float64{255, 255, 255}
					}
				}
				return [3]float64{}
			})
			crop := Crop(f, face, cropSpec)
			// The centre of mass of each dot, in parts of the crop.
			for i, want := range []Point{{0.5 - 0.5/3, CropEyeY}, {0.5 + 0.5/3, CropEyeY}, {0.5, CropEyeY + 0.9/3}} {
				var m, mx, my float64
				for j, v := range crop {
					x, y := (float64(j%48)+0.5)/48, (float64(j/48)+0.5)/48
					if math.Hypot(x-want.X, y-want.Y) < 0.14 {
						m, mx, my = m+float64(v), mx+float64(v)*x, my+float64(v)*y
					}
				}
				if d := math.Hypot(mx/m-want.X, my/m-want.Y) * 48; m == 0 || d > 0.25 {
					t.Errorf("unit %v, angle %v: dot %d is %.2f pixels off", unit, angle, i, d)
				}
			}
		}
	}
}

func TestCropKeepsTheSizeOfATurnedHead(t *testing.T) {
	f := paint(200, 200, func(x, y float64) [3]float64 { return [3]float64{x, y, 0} })
	face, place := turned(100, 100, 30, 0)
	face.LeftEye, face.RightEye = place(-0.1, 0.02), place(0.1, -0.02) // a profile: 0.9 to the mouth rules
	a := cropArea(f, face, cropSpec)
	if math.Abs(a.side-0.9*30*3) > 0.1 {
		t.Errorf("a side of %v, want 81", a.side)
	}
	face.LeftEye, face.RightEye = place(0.01, -0.05), place(-0.01, 0.05) // the eyes' line is noise now
	if a = cropArea(f, face, cropSpec); math.Abs(a.right.X-1) > 1e-3 {
		t.Errorf("right is %v", a.right)
	}
}

// A fine pattern must become even grey, not a moiré.
func TestCropDoesNotAlias(t *testing.T) {
	for _, unit := range []float64{64, 72, 88, 100, 150} {
		for _, angle := range []float64{0, 0.2} {
			f := &capture.Frame{Width: 640, Height: 480, Pix: make([]byte, 3*640*480)}
			for i := range f.Pix {
				if x, y := i/3%640, i/3/640; (x+y)%2 == 0 {
					f.Pix[i] = 255
				}
			}
			face, _ := turned(320, 200, unit, angle)
			for i, v := range Crop(f, face, cropSpec) {
				if v < 96 || v > 160 {
					t.Errorf("unit %v, angle %v: pixel %d is %d, want about 128", unit, angle, i, v)
					break
				}
			}
		}
	}
}

// A slope stays one, at any scale, to a fraction of a grey level and half a pixel.
func TestCropOfASlope(t *testing.T) {
	f := paint(640, 480, func(x, y float64) [3]float64 { return [3]float64{x * 0.3, x * 0.3, x * 0.3} })
	for _, unit := range []float64{5, 20, 23, 40, 64, 90} {
		face, _ := turned(320, 240, unit, 0)
		crop := Crop(f, face, cropSpec)
		for i, v := range crop {
			x := 320 + ((float64(i%48)+0.5)/48-0.5)*unit*3
			if d := float64(v) - 0.3*x; math.Abs(d) > 1.2 {
				t.Fatalf("unit %v: column %d is %d, want %.1f", unit, i%48, v, 0.3*x)
			}
		}
	}
}

func TestCropColours(t *testing.T) {
	f := paint(64, 64, func(_, _ float64) [3]float64 { return [3]float64{200, 100, 50} })
	face, _ := turned(32, 32, 10, 0.1)
	for _, v := range Crop(f, face, cropSpec) {
		if v != 124 { // 0.299*200 + 0.587*100 + 0.114*50 = 124.2
			t.Fatalf("grey is %d, want 124", v)
		}
	}
	spec := cropSpec
	spec.Channels = 3
	crop := Crop(f, face, spec)
	if len(crop) != 48*48*3 {
		t.Fatalf("%d bytes", len(crop))
	}
	for i, v := range crop {
		if v != f.Pix[i%3] {
			t.Fatalf("byte %d is %d", i, v)
		}
	}
}

func TestCropBeyondTheBorder(t *testing.T) {
	f := paint(100, 100, func(_, y float64) [3]float64 {
		if y < 10 {
			return [3]float64{90, 90, 90}
		}
		return [3]float64{10, 10, 10}
	})
	face, _ := turned(50, 0, 30, 0) // the eyes are on the border
	crop := Crop(f, face, cropSpec)
	if crop[0] != 90 || crop[47] != 90 || crop[24] != 90 || crop[48*47] != 10 {
		t.Errorf("corners %d %d %d %d", crop[0], crop[47], crop[24], crop[48*47])
	}
}

func TestCropSurvivesAnything(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	p := func(v float64) Point { return Point{v, v} }
	faces := []Face{
		{},
		{LeftEye: p(nan)},
		{X: nan, Y: inf, W: -1, H: nan},
		{LeftEye: p(-1e300), RightEye: p(1e300), Mouth: p(1e308)},
		{LeftEye: p(1e9), RightEye: p(1e9 + 1), Mouth: p(1e9)},
		{LeftEye: p(0), RightEye: p(1e7), Mouth: p(3)},
		{LeftEye: p(5), RightEye: p(5), Mouth: p(5), X: 1, Y: 1, W: 8, H: 8},
		{X: -1e9, Y: 1e9, W: 1e12, H: 1},
	}
	for _, size := range [][2]int{{1, 1}, {1, 50}, {50, 1}, {64, 48}, {7680, 4320}} {
		f := &capture.Frame{Width: size[0], Height: size[1], Pix: bytes.Repeat([]byte{77}, 3*size[0]*size[1])}
		for i, face := range faces {
			for _, v := range Crop(f, face, cropSpec) {
				if v != 77 {
					t.Fatalf("face %d in %v: a pixel of %d", i, size, v)
				}
			}
		}
	}
	if crop := Crop(&capture.Frame{Width: 4, Height: 4}, Face{}, cropSpec); len(crop) != 48*48 {
		t.Errorf("a picture without pixels: %d bytes", len(crop))
	}
	if crop := Crop(&capture.Frame{}, Face{}, Spec{}); crop != nil {
		t.Errorf("a Spec of nothing: %d bytes", len(crop))
	}
}

func BenchmarkCrop(b *testing.B) {
	f := &capture.Frame{Width: 640, Height: 480, Pix: make([]byte, 3*640*480)}
	for _, c := range []struct {
		name  string
		unit  float64
		angle float64
	}{{"face of 96 pixels", 32, 0.1}, {"face of 200 pixels", 66, 0.1}, {"face of 300 pixels, tilted", 100, 0.6}} {
		b.Run(c.name, func(b *testing.B) {
			face, _ := turned(320, 200, c.unit, c.angle)
			b.ReportAllocs()
			for b.Loop() {
				Crop(f, face, cropSpec)
			}
		})
	}
}
