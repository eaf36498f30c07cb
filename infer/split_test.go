package infer_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute-onnx/support/protos"

	"tandem/infer"
	"tandem/infer/infertest"
	"tandem/pipeline"
)

// slide makes windows of a stream: each has the crops of the one before but for the oldest, and a new one, with the
// caches that they share.
func slide(s pipeline.Spec, n int) []*pipeline.Window {
	ws := randomWindows(s, n)
	size := s.CropSize * s.CropSize * s.Channels
	for i, w := range ws {
		w.FeatureCaches = make([]*pipeline.FeatureCache, s.VideoFrames)
		for t := range w.VideoMask {
			w.VideoMask[t] = (i+t)%5 != 0
			if i > 0 && t+1 < s.VideoFrames {
				copy(w.Video[t*size:(t+1)*size], ws[i-1].Video[(t+1)*size:])
				w.FeatureCaches[t] = ws[i-1].FeatureCaches[t+1]
			} else if w.VideoMask[t] {
				w.FeatureCaches[t] = new(pipeline.FeatureCache)
			}
			if !w.VideoMask[t] {
				w.FeatureCaches[t] = nil
				clear(w.Video[t*size : (t+1)*size])
			}
		}
	}
	return ws
}

// A network that is run in two parts says what it says in one, with and without what is remembered of crops.
func TestSplit(t *testing.T) {
	for _, floatVideo := range []bool{false, true} {
		t.Run(fmt.Sprintf("float=%v", floatVideo), func(t *testing.T) {
			c := infertest.Contract()
			c.FloatVideo = floatVideo
			if !floatVideo {
				c.EmotionTemperature, c.GenderTemperature = 40, 40
			}
			r := newRecognizer(t, marshal(t, infertest.Split(c)), infer.Options{Threads: 1, MaxBatch: 4})
			other := newRecognizer(t, marshal(t, infertest.Split(c)), infer.Options{Threads: 1})
			plain := randomWindows(r.Spec(), 6)
			ws := slide(r.Spec(), 12)
			for _, batch := range [][]*pipeline.Window{plain, ws[:1], ws[1:7], ws[7:], ws} {
				for _, r := range []*infer.Recognizer{r, other, r} { // each has values of its own in the caches
					got, err := r.Recognize(t.Context(), batch)
					if err != nil {
						t.Fatal(err)
					}
					for i, w := range batch {
						emotion, gender := expect(c, w)
						near(t, fmt.Sprint("emotion of window ", i), got[i].Emotion, emotion)
						near(t, fmt.Sprint("gender of window ", i), got[i].Gender, gender)
					}
				}
			}
			for i, w := range ws {
				for k, m := range w.FeatureCaches {
					if (m != nil) != w.VideoMask[k] || m != nil && m.Load() == nil {
						t.Fatalf("nothing is remembered of crop %d of window %d", k, i)
					}
				}
			}
			// What is remembered is used: other pixels behind the same caches change nothing.
			blank := *ws[3]
			blank.Video = make([]byte, len(blank.Video))
			before, err := r.Recognize(t.Context(), ws[3:4])
			if err != nil {
				t.Fatal(err)
			}
			after, err := r.Recognize(t.Context(), []*pipeline.Window{&blank})
			if err != nil {
				t.Fatal(err)
			}
			near(t, "emotion", after[0].Emotion, widen(before[0].Emotion))

			blank.FeatureCaches = blank.FeatureCaches[1:]
			if _, err := r.Recognize(t.Context(), []*pipeline.Window{&blank}); err == nil {
				t.Error("took a window with too few caches")
			}
		})
	}
}

// A face_features that does not say of each crop what the crop alone says is refused, or live windows and whole ones
// would differ.
func TestSplitRefuses(t *testing.T) {
	needRuntime(t)
	find := func(m *protos.ModelProto, output string) *protos.NodeProto {
		return m.Graph.Node[slices.IndexFunc(m.Graph.Node,
			func(n *protos.NodeProto) bool { return n.Output[0] == output })]
	}
	for want, bend := range map[string]func(*protos.ModelProto){
		`"face_features" is not made of input "video"`: func(m *protos.ModelProto) {
			find(m, "brightness_flat").Input[0] = "w_video_emotion"
		},
		`"face_features" depends on input "audio"`: func(m *protos.ModelProto) {
			find(m, "face_features").Input[0] = "both"
			i := slices.Index(m.Graph.Node, find(m, "face_features"))
			m.Graph.Node = slices.Insert(m.Graph.Node, i,
				&protos.NodeProto{OpType: "ReduceMean", Input: []string{"audio"}, Output: []string{"loudness"}},
				&protos.NodeProto{
					OpType: "Add", Input: []string{"brightness_flat", "loudness"},
					Output: []string{"both"},
				})
		},
		`the outputs depend on input "video" by other ways`: func(m *protos.ModelProto) {
			find(m, "brightness").Input[0] = "brightness_flat"
		},
		`"sound_features" is not made of input "audio"`: func(m *protos.ModelProto) {
			find(m, "sound_features").Input = []string{"w_video_emotion"}
		},
		`"sound_features" depends on input "audio_mask"`: func(m *protos.ModelProto) {
			n := find(m, "sound_features")
			n.OpType, n.Input = "Mul", []string{"audio", "audio_mask"}
		},
		`the outputs depend on input "audio" by other ways`: func(m *protos.ModelProto) {
			find(m, "heard").Input[0] = "audio"
			find(m, "heard_gender").Input[0] = "sound_features"
		},
		"has other outputs too": func(m *protos.ModelProto) {
			n := find(m, "face_features")
			n.OpType, n.Output = "Dropout", append(n.Output, "mask")
		},
		"not a row for each crop": func(m *protos.ModelProto) { // normalised over the crops
			n := find(m, "face_features")
			i := slices.Index(m.Graph.Node, n)
			n.Output[0] = "raw"
			m.Graph.Node = slices.Insert(m.Graph.Node, i+1,
				&protos.NodeProto{OpType: "ReduceMean", Input: []string{"raw"}, Output: []string{"mean"}},
				&protos.NodeProto{OpType: "Sub", Input: []string{"raw", "mean"}, Output: []string{"face_features"}})
		},
	} {
		m := infertest.Split(infertest.Contract())
		bend(m)
		_, err := infer.NewRecognizer(marshal(t, m), infer.Options{})
		refused(t, err, want)
		if err != nil && strings.Contains(want, "input") {
			_, err = infer.LoadModel(marshal(t, m))
			refused(t, err, want)
		}
	}
}

// BenchmarkStream is one window of a stream with the embedded model on one thread: each has one new crop.
func BenchmarkStream(b *testing.B) {
	r := newRecognizer(b, infer.DefaultModel(), infer.Options{Threads: 1})
	ws := slide(r.Spec(), 64)
	for _, w := range ws {
		for t := range w.FeatureCaches {
			w.VideoMask[t] = true
			if w.FeatureCaches[t] == nil {
				w.FeatureCaches[t] = new(pipeline.FeatureCache)
			}
		}
	}
	i := 0
	for b.Loop() {
		w := ws[i%len(ws)]
		if i++; i > len(ws) { // forget the newest crop
			fresh := *w
			fresh.FeatureCaches = slices.Clone(w.FeatureCaches)
			fresh.FeatureCaches[len(fresh.FeatureCaches)-1] = new(pipeline.FeatureCache)
			w = &fresh
		}
		if _, err := r.Recognize(b.Context(), []*pipeline.Window{w}); err != nil {
			b.Fatal(err)
		}
	}
}
