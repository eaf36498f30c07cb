package eval

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"time"

	"tandem/pipeline"
	"tandem/train/traintest"
)

var corruptSpec = pipeline.Spec{Window: time.Second, Hop: time.Second, VideoFrames: 3, CropSize: 16, Channels: 1}

// aWindow has a tone and three crops, of which the second is missing.
func aWindow(still bool) *pipeline.Window {
	w := &pipeline.Window{
		Audio: make(
			[]float32,
			16000,
		), AudioPresent: true, Video: make([]byte, 3*256), VideoMask: []bool{true, false, true},
	}
	for i := range w.Audio {
		w.Audio[i] = 0.2 * float32(math.Sin(float64(i)/9))
	}
	for i := range 256 {
		w.Video[i], w.Video[512+i] = byte(i), byte(i)
	}
	shareFeatures(w, still)
	return w
}

func TestConditions(t *testing.T) {
	for _, still := range []bool{true, false} {
		whole := aWindow(still)
		before := aWindow(still)
		black := new(pipeline.FeatureCache)
		for _, c := range Conditions {
			w := applyCondition(c, whole, corruptSpec, black, "clip", 0)
			again := applyCondition(c, whole, corruptSpec, black, "clip", 0)
			if !slices.Equal(w.Audio, again.Audio) || !bytes.Equal(w.Video, again.Video) {
				t.Errorf("%s is not the same twice", c)
			}
			if !slices.Equal(whole.Audio, before.Audio) || !bytes.Equal(whole.Video, before.Video) ||
				!slices.Equal(whole.VideoMask, before.VideoMask) {
				t.Fatalf("%s alters the window itself", c)
			}
			sound, picture := slices.Equal(w.Audio, whole.Audio), bytes.Equal(w.Video, whole.Video)
			wantSound, wantPicture := true, true
			switch c {
			case Condition(AudioOnly):
				wantPicture = false
				if w.VideoPresent() || !w.AudioPresent {
					t.Errorf("%s: %v", c, w.VideoMask)
				}
				continue
			case Condition(VideoOnly):
				wantSound = false
				if w.AudioPresent || !w.VideoPresent() {
					t.Errorf("%s: has sound", c)
				}
			case AudioNoise:
				wantSound = false
			case VideoBlack, VideoBlur, VideoNoise:
				wantPicture = false
				if w.FeatureCaches[0] == whole.FeatureCaches[0] {
					t.Errorf("%s: what is known of the whole crop passes for the altered one's", c)
				}
				if !slices.Equal(w.Video[256:512], make([]byte, 256)) {
					t.Errorf("%s: a missing crop is altered", c)
				}
				same := bytes.Equal(w.Video[:256], w.Video[512:])
				if memo := w.FeatureCaches[0] == w.FeatureCaches[2]; memo && !same || still && !memo {
					t.Errorf("%s of a still %v: crops the same %v, memos %v", c, still, same, memo)
				}
			}
			if sound != wantSound || picture != wantPicture {
				t.Errorf("%s: sound as before %v, picture %v", c, sound, picture)
			}
		}
	}
}

func TestCorruptionsAreAsStrongAsSaid(t *testing.T) {
	whole := aWindow(false)
	power := func(v []float32) float64 {
		sum := 0.0
		for _, x := range v {
			sum += float64(x) * float64(x)
		}
		return sum / float64(len(v))
	}
	noisy := applyCondition(AudioNoise, whole, corruptSpec, nil, "clip", 1)
	noise := make([]float32, len(noisy.Audio))
	for i := range noise {
		noise[i] = noisy.Audio[i] - whole.Audio[i]
	}
	traintest.Near(t, "noise to sound", power(noise)/power(whole.Audio), 1, 0.05)
	for i := range whole.Video[:256] {
		whole.Video[i] = 128
	}
	grainy, sum := applyCondition(VideoNoise, whole, corruptSpec, nil, "clip", 1), 0.0
	for _, v := range grainy.Video[:256] {
		sum += (float64(v) - 128) * (float64(v) - 128)
	}
	traintest.Near(t, "σ of the grain", math.Sqrt(sum/256), 51, 5)
	if other := applyCondition(VideoNoise, whole, corruptSpec, nil, "clip", 2); bytes.Equal(other.Video, grainy.Video) {
		t.Error("two windows have the same noise")
	}
}

// uncalibrated gives softmax(z) of softmax(z/T).
func TestUncalibrated(t *testing.T) {
	z := []float64{1.5, -0.3, 0.2}
	soft := func(temperature float64) []float32 {
		sum := 0.0
		for _, v := range z {
			sum += math.Exp(v / temperature)
		}
		var p []float32
		for _, v := range z {
			p = append(p, float32(math.Exp(v/temperature)/sum))
		}
		return p
	}
	got := uncalibrate(pipeline.Prediction{Emotion: soft(0.7), Gender: soft(3)}, 0.7, 3)
	for i, want := range soft(1) {
		traintest.Near(t, "emotion", float64(got.Emotion[i]), float64(want), 1e-6)
		traintest.Near(t, "gender", float64(got.Gender[i]), float64(want), 1e-6)
	}
}
