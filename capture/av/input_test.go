package av_test

import (
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/av"
)

func TestFormats(t *testing.T) {
	const d = 3 * time.Second
	tests := []struct {
		name         string
		noV, noA     bool
		fps          float64
		w            av.WriterOptions
		video, audio string
		late         time.Duration
	}{
		{name: "a.mp4", audio: "aac"},
		{name: "a.mov", audio: "aac"},
		{name: "a.webm", fps: 30, video: "vp8", audio: "opus"},
		{name: "a.mkv", audio: "opus"},
		{name: "a.avi", video: "mpeg4"},
		{name: "a.flv", fps: 30, late: 25 * time.Millisecond}, // MP3's priming, for which FLV has no sign
		{name: "a.mpg", video: "mpeg1video", audio: "mp2"},
		{name: "15fps.mp4", fps: 15},
		{name: "60fps.webm", fps: 60},
		{name: "picture.mp4", noA: true},
		{name: "picture.webm", noA: true, fps: 30},
		{name: "sound.mp4", noV: true, audio: "aac"},
		{name: "sound.webm", noV: true, audio: "opus"},
		{name: "a.wav", noV: true, audio: "pcm_s16le"},
		{name: "a.flac", noV: true, audio: "flac"},
		{name: "a.mp3", noV: true, audio: "mp3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := capture.PatternOptions{
				Width: 320, Height: 240, FPS: tt.fps, Duration: d, NoVideo: tt.noV,
				NoAudio: tt.noA,
			}
			fps := tt.fps
			if fps == 0 {
				fps = 25
			}
			frame := time.Duration(float64(time.Second) / fps)
			m := read(t, write(t, tt.name, p, tt.w), av.Options{})
			if m.err != nil {
				t.Fatal(m.err)
			}
			m.ordered(t)
			if m.stats != (av.Stats{}) {
				t.Errorf("stats %+v of a sound file", m.stats)
			}
			i := m.info
			if i.HasVideo == tt.noV || i.HasAudio == tt.noA || i.Still {
				t.Errorf("info %+v", i)
			}
			if tt.video != "" && i.VideoCodec != tt.video || tt.audio != "" && i.AudioCodec != tt.audio {
				t.Errorf("codecs %q and %q", i.VideoCodec, i.AudioCodec)
			}
			if !near(i.Duration, d, 200*time.Millisecond) {
				t.Errorf("duration %v, want about %v", i.Duration, d)
			}
			if !tt.noV {
				checkPictures(t, m, int(d/frame), fps, tt.late)
			}
			if n := len(m.wave()); !tt.noA && (n < av.SampleRate*29/10 || n > av.SampleRate*32/10) {
				t.Errorf("%d samples of sound", n)
			}
			for _, marks := range [][]time.Duration{m.flashes(), m.beeps()} {
				t.Log(marks)
				if len(marks) == 0 && (tt.noA || tt.noV) {
					continue
				}
				if len(marks) != 2 {
					t.Fatalf("marks at %v, want 2", marks)
				}
				for k, at := range marks {
					if want := time.Duration(k+1)*time.Second + tt.late; !near(at, want, frame) {
						t.Errorf("mark %d at %v: more than a frame from %v", k, at, want)
					}
				}
			}
		})
	}
}

// checkPictures checks that n pictures of 320 x 240 follow each other at fps, the first of them late.
func checkPictures(t *testing.T, m media, n int, fps float64, late time.Duration) {
	t.Helper()
	if i := m.info; i.Width != 320 || i.Height != 240 || i.FPS < fps-0.1 || i.FPS > fps+0.1 {
		t.Errorf("%d x %d at %.2f frames a second", i.Width, i.Height, i.FPS)
	}
	if len(m.frames) != n {
		t.Errorf("%d pictures, want %d", len(m.frames), n)
	}
	frame := time.Duration(float64(time.Second) / fps)
	for k, f := range m.frames {
		if want := time.Duration(float64(k)/fps*1e9) + late; !near(f.Time, want, frame/2) {
			t.Fatalf("picture %d at %v, want %v", k, f.Time, want)
		}
	}
}
