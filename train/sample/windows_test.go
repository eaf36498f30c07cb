package sample

import (
	"bytes"
	"testing"
	"time"

	"tandem/pipeline"
)

var fuzzSpec = pipeline.Spec{
	Window: time.Millisecond, Hop: time.Millisecond, VideoFrames: 2, CropSize: 3, Channels: 1, CropMargin: 2,
}

func FuzzCache(f *testing.F) {
	voice := clipWindows{audio: make([]int16, fuzzSpec.AudioSamples()+10), windows: []storedWindow{{audioAt: 10}, {
		audioAt: -1, still: true, video: make([]byte, CropBytes(fuzzSpec)), mask: make([]bool, fuzzSpec.VideoFrames),
	}}}
	b := appendWindows(nil, &voice)
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Add(appendWindows(nil, &clipWindows{}))
	f.Fuzz(func(t *testing.T, data []byte) {
		cut, err := parseWindows(data, fuzzSpec)
		if err != nil {
			return
		}
		if again := appendWindows(nil, &cut); !bytes.Equal(again, data) {
			t.Errorf("%d bytes are written again as %d others", len(data), len(again))
		}
	})
}
