package cli

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/capture"
	"tandem/capture/capturetest"
	"tandem/infer"
	"tandem/pipeline"
)

// talk is a clip of the data in which one talks.
type talk struct{ file, speaker, emotion string }

// clip is the part of a talk that is shown and heard: without the black pictures by which some begin.
type clip struct {
	begin, length time.Duration // length is whole pictures of a conversation
	level         float64       // of its sound, dBFS
}

// talks returns the videos of a set and a split by their speakers, in the manifest's order, or skips without data.
func talks(t *testing.T, set, split string) map[string][]talk {
	t.Helper()
	if dataSets == "" {
		t.Skip("TANDEM_DATA is not set: no data sets here")
	}
	f, err := os.Open(filepath.Join(dataSets, "manifest.csv"))
	if err != nil {
		t.Skip("skipped: ", err)
	}
	defer f.Close()
	rows := csv.NewReader(f)
	rows.FieldsPerRecord = -1
	of := map[string][]talk{}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		// video, audio, dataset, speaker, gender, emotion, split
		if row[0] != "" && row[2] == set && row[6] == split {
			of[row[3]] = append(of[row[3]], talk{filepath.Join(dataSets, row[0]), row[3], row[5]})
		}
	}
	return of
}

// The places of a conversation: two faces side by side, and pipeline.UnknownSpeaker for a voice whose face is not seen.
const (
	onTheLeft = iota
	onTheRight
)

// said is a part of a conversation: a clip, said at a place while the others stand still.
type said struct {
	talk
	clip
	place    int
	from, to time.Duration
}

// conversation is a made video of two faces, 720 x 270 pixels, 25 pictures a second.
type conversation struct {
	file  string
	parts []said
}

// converse makes a conversation in which two say their clips in turns that r draws, and among them those of unseen are
// heard.
func converse(t *testing.T, r *rand.Rand, left, right, unseen []talk) conversation {
	t.Helper()
	stills := [2]string{left[0].file, right[0].file}
	first := [2]float64{measured(t, stills[0]).begin.Seconds(), measured(t, stills[1]).begin.Seconds()}
	c := conversation{file: filepath.Join(t.TempDir(), "conversation.mp4")}
	var in []string
	var graph, all strings.Builder
	const fit = "fps=25,scale=360:270:force_original_aspect_ratio=decrease,pad=360:270:-1:-1:gray,setsar=1"
	at := time.Duration(0)
	for n := 0; len(left)+len(right)+len(unseen) > 0; n++ {
		place := pipeline.UnknownSpeaker
		from := &unseen
		switch k := r.IntN(len(left) + len(right) + len(unseen)); {
		case k < len(left):
			place, from = onTheLeft, &left
		case k < len(left)+len(right):
			place, from = onTheRight, &right
		}
		next := (*from)[0]
		*from = (*from)[1:]
		clip, gain := measured(t, next.file), 0.0
		if place == pipeline.UnknownSpeaker { // of another set, whose voices may be quieter
			gain = unseenLevel - clip.level
		}
		to := at + clip.length
		c.parts = append(c.parts, said{next, clip, place, at, to})
		begin, seconds := clip.begin.Seconds(), clip.length.Seconds()
		at = to
		speaks := len(in) / 2 // the input's number
		in = append(in, "-i", next.file)
		fmt.Fprintf(&graph, "[%d:a]aresample=48000,aformat=channel_layouts=mono,volume=%.1fdB,atrim=start=%.3f,"+
			"asetpts=PTS-STARTPTS,apad,atrim=0:%.2f[a%d];", speaks, gain, begin, seconds, n)
		for side, picture := range stills {
			input, from, stands := speaks, begin, ""
			if side != place {
				input, from = len(in)/2, first[side]
				in = append(in, "-i", picture)
				stands = "trim=end_frame=1,tpad=stop_mode=clone:stop=-1,"
			}
			fmt.Fprintf(&graph, "[%d:v]trim=start=%.3f,setpts=PTS-STARTPTS,%s%s,trim=0:%.2f[v%d_%d];", input, from,
				stands, fit, seconds, n, side)
		}
		fmt.Fprintf(&graph, "[v%d_0][v%d_1]hstack[v%d];", n, n, n)
		fmt.Fprintf(&all, "[v%d][a%d]", n, n)
	}
	fmt.Fprintf(&graph, "%sconcat=n=%d:v=1:a=1[v][a]", all.String(), len(c.parts))
	ffmpeg(t, append(in, "-filter_complex", graph.String(), "-map", "[v]", "-map", "[a]", "-c:v", "libx264", "-preset",
		"veryfast", "-crf", "16", "-c:a", "aac", "-b:a", "128k", c.file)...)
	return c
}

// unseenLevel is the level to which voices are brought whose faces are not seen: about java-sed's.
const unseenLevel = -26

// measured finds a clip in a file.
func measured(t *testing.T, file string) (c clip) {
	t.Helper()
	src, err := capture.Open(t.Context(), file, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	const black, picture = 16, time.Second / 25
	var pictures, sound time.Duration
	power, n, seen := 1e-12, 0, false
	for {
		m, err := src.Read(t.Context())
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if m.Frame != nil {
			pictures = m.Frame.Time
			sum := 0
			for _, v := range m.Frame.Pix {
				sum += int(v)
			}
			if !seen && sum > black*len(m.Frame.Pix) {
				c.begin, seen = pictures, true
			}
			continue
		}
		sound = m.Samples.End()
		n += len(m.Samples.Data)
		for _, v := range m.Samples.Data {
			power += float64(v) * float64(v)
		}
	}
	c.length = (min(pictures, sound) - c.begin).Truncate(picture)
	c.level = 10 * math.Log10(power/float64(max(1, n)))
	return c
}

// spoken returns when a voice is heard in a clip by itself, as the voice detector hears it: pieces of 32 ms of which
// four or more follow each other, joined over pauses of less than 0.3 s.
func spoken(t *testing.T, silero *infer.Silero, file string) (turns []pipeline.Turn) {
	t.Helper()
	src, err := capture.Open(t.Context(), file, capture.Options{NoVideo: true})
	if err != nil {
		t.Fatal(err)
	}
	var sound []float32
	_, samples := capturetest.ReadAll(t, src)
	for _, m := range samples {
		sound = append(sound, m.Data...)
	}
	(&capture.HighPass{}).Filter(sound, sound)
	const piece, begins, ends = pipeline.VoicePiece, 0.5, 0.35
	stream, least, run := silero.NewVoiceStream(), begins, 0
	for at := 0; at+piece <= len(sound); at += piece {
		p, err := stream.Voice(t.Context(), sound[at:at+piece])
		if err != nil {
			t.Fatal(err)
		}
		if p < least {
			least, run = begins, 0
			continue
		}
		least = ends
		if run++; run < 4 {
			continue
		}
		from, to := soundAt(at+piece-run*piece), soundAt(at+piece)
		if n := len(turns); n > 0 && from-turns[n-1].To < 300*time.Millisecond {
			turns[n-1].To = to
		} else {
			turns = append(turns, pipeline.Turn{From: from, To: to})
		}
	}
	return turns
}

func soundAt(sample int) time.Duration {
	return time.Duration(sample) * time.Second / capture.SampleRate
}

// reference returns who speaks when in a conversation: places for subjects.
func (c *conversation) reference(t *testing.T, silero *infer.Silero) (turns []pipeline.Turn) {
	t.Helper()
	for _, p := range c.parts {
		for _, s := range spoken(t, silero, p.file) {
			shift := p.from - p.begin
			s = pipeline.Turn{Subject: p.place, From: max(s.From+shift, p.from), To: min(s.To+shift, p.to)}
			last := len(turns) - 1
			if last >= 0 && turns[last].Subject == p.place && s.From-turns[last].To < 300*time.Millisecond {
				turns[last].To = s.To
			} else if s.From < s.To {
				turns = append(turns, s)
			}
		}
	}
	return turns
}

// placed gives turns of subjects the places at which their faces are most often.
func placed(turns []pipeline.Turn, ws []*pipeline.WindowEvent) []pipeline.Turn {
	seen := map[int]int{} // how much more often on the right
	for _, w := range ws {
		if w.Face != nil {
			if w.Face.X+w.Face.W/2 < 360 {
				seen[w.Subject]--
			} else {
				seen[w.Subject]++
			}
		}
	}
	var out []pipeline.Turn
	for _, s := range turns {
		switch {
		case s.Subject == pipeline.UnknownSpeaker:
		case seen[s.Subject] < 0:
			s.Subject = onTheLeft
		default:
			s.Subject = onTheRight
		}
		out = append(out, s)
	}
	return out
}

// diarization is how much of the time that is spoken is told wrongly (NIST's diarization error), in steps of 10 ms.
type diarization struct{ spoken, missed, falsely, confused int }

func (d diarization) String() string {
	share := func(n int) float64 { return 100 * float64(n) / float64(max(1, d.spoken)) }
	return fmt.Sprintf("of %.1f s that are spoken %.1f %% missed, %.1f %% given to another, "+
		"%.1f %% more without speech", float64(d.spoken)/100, share(d.missed), share(d.confused), share(d.falsely))
}

// add counts what turns say of a conversation, up to its end, but for what lies closer to a begin or an end of the
// reference's than the collar.
func (d *diarization) add(reference, turns []pipeline.Turn, end, collar time.Duration) {
	const nobody, step = -2, 10 * time.Millisecond
	who := func(turns []pipeline.Turn, at time.Duration) int {
		for _, s := range turns {
			if s.From <= at && at < s.To {
				return s.Subject
			}
		}
		return nobody
	}
steps:
	for at := step / 2; at < end; at += step {
		for _, s := range reference {
			if (at-s.From).Abs() < collar || (at-s.To).Abs() < collar {
				continue steps
			}
		}
		is, told := who(reference, at), who(turns, at)
		if is != nobody {
			d.spoken++
		}
		switch {
		case is == told:
		case told == nobody:
			d.missed++
		case is == nobody:
			d.falsely++
		default:
			d.confused++
		}
	}
}

// turnsOf puts the windows of a run together.
func turnsOf(ws []*pipeline.WindowEvent) (all []pipeline.Turn) {
	turns := pipeline.Turns{Hop: 250 * time.Millisecond}
	for _, w := range ws {
		all = append(all, turns.Add(w)...)
	}
	return append(all, turns.Rest()...)
}

// conversations makes so many for each pair of a set's validation speakers, in which each says clipsEach. The voices
// that are heard without a face are another set's.
func conversations(t *testing.T, r *rand.Rand, set, voices string, each int) (all []conversation) {
	t.Helper()
	of, others := talks(t, set, "val"), talks(t, voices, "val")
	shuffled := func(all []talk) []talk {
		r.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
		return all
	}
	var unseen []talk
	for _, name := range slices.Sorted(maps.Keys(others)) {
		unseen = append(unseen, others[name]...)
	}
	shuffled(unseen)
	names := slices.Sorted(maps.Keys(of))
	for i := 0; i+1 < len(names); i += 2 {
		left, right := shuffled(of[names[i]]), shuffled(of[names[i+1]])
		for k := range each {
			part := func(of []talk) []talk { return of[k*clipsEach : (k+1)*clipsEach] }
			all = append(all, converse(t, r, part(left), part(right), unseen[:2]))
			unseen = unseen[2:]
		}
	}
	return all
}

const clipsEach = 6

// recall counts answers by the label that would be right.
type recall map[string]*struct{ right, all int }

func (r recall) add(label string, w *pipeline.WindowEvent) {
	if w.Emotion == nil || label == "calm" { // which is no label of the model's
		return
	}
	if r[label] == nil {
		r[label] = &struct{ right, all int }{}
	}
	r[label].all++
	if w.Emotion.Label == label {
		r[label].right++
	}
}

// unweighted returns the mean recall of the labels, and the number of answers.
func (r recall) unweighted() (mean float64, n int) {
	for _, l := range r {
		mean += float64(l.right) / float64(l.all) / float64(len(r))
		n += l.all
	}
	return mean, n
}

// alone analyses clips each by itself.
func alone(t *testing.T, clips []said) (windows [][]*pipeline.WindowEvent) {
	t.Helper()
	args := []string{"analyze", "--format", "jsonl", "--smooth", "0"}
	for _, c := range clips {
		args = append(args, c.file)
	}
	code, out, errs := runTandem(t, args...)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	events, err := pipeline.ReadAll(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Start != nil {
			windows = append(windows, nil)
		} else if e.Window != nil {
			windows[len(windows)-1] = append(windows[len(windows)-1], e.Window)
		}
	}
	return windows
}

// Conversations of two, of whom one talks while the other stands still, and of one who is not seen, all of the
// validation split: who speaks when is told, and the emotion of who speaks nearly as well as in the same clips alone.
func TestLongConversations(t *testing.T) {
	needTraining(t, "ffmpeg")
	silero, err := infer.NewSilero()
	if err != nil {
		t.Fatal(err)
	}
	defer silero.Close()
	const collar = 250 * time.Millisecond
	for i, c := range []struct {
		set, voices string
		each        int // conversations of each pair
	}{{"java-sed", "ravdess-warp", 4}, {"ravdess-warp", "java-sed", 1}} {
		r := rand.New(rand.NewPCG(31, uint64(i)))
		var sharp, loose diarization // without a collar, and with one of 0.25 s
		inScene, byItself := recall{}, recall{}
		var own []said
		for _, talk := range conversations(t, r, c.set, c.voices, c.each) {
			windows := windowsOf(t, talk.file, "--faces", "2")
			reference, turns := talk.reference(t, silero), placed(turnsOf(windows), windows)
			end := talk.parts[len(talk.parts)-1].to
			sharp.add(reference, turns, end, 0)
			loose.add(reference, turns, end, collar)
			for _, p := range talk.parts {
				if p.place == pipeline.UnknownSpeaker {
					continue
				}
				own = append(own, p)
				for _, w := range windows {
					if w.Face != nil && (w.Face.X+w.Face.W/2 < 360) == (p.place == onTheLeft) &&
						w.T >= p.from+leastInClip && w.T <= p.to {
						inScene.add(p.emotion, w)
					}
				}
			}
		}
		for k, windows := range alone(t, own) {
			for _, w := range windows {
				if w.T >= own[k].begin+leastInClip && w.T <= own[k].begin+own[k].length {
					byItself.add(own[k].emotion, w)
				}
			}
		}
		scene, n := inScene.unweighted()
		itself, m := byItself.unweighted()
		t.Logf("%s: without a collar: %v", c.set, sharp)
		t.Logf("%s: with one of 0.25 s: %v", c.set, loose)
		t.Logf("%s: emotion's unweighted recall %.3f of %d windows in the scenes, %.3f of %d in the clips alone: %.2f",
			c.set, scene, n, itself, m, scene/itself)
		if share := float64(loose.confused) / float64(loose.spoken); share > 0.12 || loose.spoken < 20*100 {
			t.Errorf("%s: %.1f %% of what is spoken is given to another, want 12 at most", c.set, 100*share)
		}
		if scene < 0.7*itself || n < 100 {
			t.Errorf("%s: emotion's recall in the scenes is %.2f of that in the clips alone", c.set, scene/itself)
		}
	}
}

// leastInClip is how much of a window must be of the clip whose emotion it is to tell: half.
const leastInClip = 1280 * time.Millisecond
