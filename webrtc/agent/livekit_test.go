package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	lksdk "github.com/livekit/server-sdk-go/v2"
	pion "github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"

	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/logger"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
	"tandem/infer/infertest"
	"tandem/pipeline"
	"tandem/webrtc"
	"tandem/webrtc/agent"
	"tandem/webrtc/webrtctest"
)

// livekitServer is built for the tests; newer ones need forks that the module proxy does not have.
const livekitServer = "github.com/livekit/livekit-server/cmd/server@v1.11.0"

const key, secret = "devkey", "secret-of-the-tests-0123456789abcdef"

// sfu is a LiveKit server that runs.
type sfu struct {
	t      testing.TB
	binary string
	url    string
	config string
	cmd    *exec.Cmd
}

// startSFU starts a LiveKit server on free ports of this machine; it ends with the test.
func startSFU(t testing.TB) *sfu {
	t.Helper()
	binary := webrtctest.Program(t, livekitServer)
	port := webrtctest.FreePort(t)
	s := &sfu{t: t, binary: binary, url: fmt.Sprintf("ws://127.0.0.1:%d", port)}
	s.config = fmt.Sprintf(`{port: %d, bind_addresses: ["127.0.0.1"], keys: {%s: %s}, logging: {level: warn},
rtc: {tcp_port: %d, udp_port: %d, use_external_ip: false, stun_servers: ["127.0.0.1:1"]}}`,
		port, key, secret, webrtctest.FreePort(t), webrtctest.FreePort(t))
	s.start()
	// Connections of participants whose server died go on asking for their addresses, for five seconds.
	t.Cleanup(func() { s.kill(); time.Sleep(6 * time.Second) })
	return s
}

func (s *sfu) start() {
	s.t.Helper()
	s.cmd = exec.Command(s.binary, "--config-body", s.config)
	out := &webrtctest.Log{}
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	up := func() bool {
		r, err := http.Get("http" + s.url[2:])
		if err != nil {
			return false
		}
		r.Body.Close()
		return true
	}
	for end := time.Now().Add(20 * time.Second); !up(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("the LiveKit server does not answer: %s", out)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func (s *sfu) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// worker is an agent that runs.
type worker struct {
	log  *webrtctest.Log
	stop func() error // once
}

// registered waits until the agent is.
func (w *worker) registered(t testing.TB) {
	t.Helper()
	eventually(t, "the agent is registered", 10*time.Second, func() bool {
		return strings.Contains(w.log.String(), "registered with LiveKit")
	})
}

// newAgent makes an agent, with a server of its own.
func newAgent(
	o agent.Options, rec pipeline.Recognizer, faces pipeline.FaceFinder, log io.Writer,
) (*agent.Agent, *webrtc.Server, error) {
	o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	server, err := webrtc.NewServer(webrtc.Options{
		Recognizer: rec, Faces: faces, Model: "model", Pipeline: pipeline.DefaultOptions(), Log: o.Log,
	})
	if err != nil {
		return nil, nil, err
	}
	if o.Consent, err = agent.ParseConsent(agent.DefaultConsent); err != nil {
		return nil, nil, err
	}
	o.Key, o.Secret, o.Server, o.CropSize = key, secret, server, rec.Spec().CropSize
	a, err := agent.New(o)
	return a, server, err
}

// startAgent runs an agent with a recognizer, nil for the default model; it ends with the test.
func startAgent(t *testing.T, o agent.Options, rec pipeline.Recognizer) *worker {
	t.Helper()
	if rec == nil {
		var err error
		if rec, err = infertest.Default(); err != nil {
			t.Fatal(err)
		}
	}
	faces, err := infertest.Faces()
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{log: &webrtctest.Log{}}
	a, server, err := newAgent(o, rec, faces, w.log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	w.stop = sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-ended, server.Close())
	})
	t.Cleanup(func() {
		if err := w.stop(); err != nil {
			t.Errorf("the agent ended with %v", err)
		}
		if t.Failed() {
			t.Log(w.log.String())
		}
	})
	return w
}

// participant joins a room; it leaves with the test.
func participant(
	t testing.TB, s *sfu, room, identity string, attributes map[string]string, cb *lksdk.RoomCallback,
) *lksdk.Room {
	t.Helper()
	if cb == nil {
		cb = &lksdk.RoomCallback{}
	}
	r, err := lksdk.ConnectToRoom(s.url, lksdk.ConnectInfo{
		APIKey: key, APISecret: secret, RoomName: room, ParticipantIdentity: identity,
		ParticipantAttributes: attributes,
	}, cb, lksdk.WithAutoSubscribe(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Disconnect)
	return r
}

// The library's log of the participants says much.
func init() { lksdk.SetLogger(logger.GetDiscardLogger()) }

var consenting = map[string]string{"tandem.consent": "yes"}

// inbox keeps the events that a participant gets.
type inbox struct {
	mu     sync.Mutex
	events []received
}

type received struct {
	payload []byte
	event   pipeline.Event
	topic   string
	from    string
}

func (i *inbox) callback() *lksdk.RoomCallback {
	return &lksdk.RoomCallback{ParticipantCallback: lksdk.ParticipantCallback{
		OnDataPacket: func(p lksdk.DataPacket, params lksdk.DataReceiveParams) {
			d, ok := p.(*lksdk.UserDataPacket)
			if !ok {
				return
			}
			e, err := pipeline.ParseEvent(d.Payload)
			if err != nil {
				return
			}
			i.mu.Lock()
			defer i.mu.Unlock()
			i.events = append(i.events, received{d.Payload, e, d.Topic, params.SenderIdentity})
		},
	}}
}

func (i *inbox) all() []received {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]received(nil), i.events...)
}

// starts returns how many start events there were.
func (i *inbox) starts() (n int) {
	for _, r := range i.all() {
		if r.event.Start != nil {
			n++
		}
	}
	return n
}

// windows are those of the window events.
func (i *inbox) windows() (out []*pipeline.WindowEvent) {
	for _, r := range i.all() {
		if r.event.Window != nil {
			out = append(out, r.event.Window)
		}
	}
	return out
}

// clip is coded media to be sent.
type clip []av.Packet

func loadClip(t testing.TB, path string) clip {
	t.Helper()
	in, err := av.Open(t.Context(), path, av.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var c clip
	for {
		p, err := in.ReadPacket(t.Context())
		if errors.Is(err, io.EOF) {
			return c
		}
		if err != nil {
			t.Fatal(err)
		}
		p.Payload = bytes.Clone(p.Payload)
		c = append(c, p)
	}
}

// writePattern encodes the test pattern into a file.
func writePattern(t testing.TB, o capture.PatternOptions) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.webm")
	capturetest.WritePattern(t, path, o, av.WriterOptions{})
	return path
}

// publisher sends a clip as camera and microphone.
type publisher struct {
	audio, video *pion.TrackLocalStaticSample
}

func publish(t testing.TB, r *lksdk.Room) *publisher {
	t.Helper()
	p := &publisher{}
	var err error
	p.audio, err = pion.NewTrackLocalStaticSample(
		pion.RTPCodecCapability{MimeType: pion.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "sound", "tandem")
	if err == nil {
		_, err = r.LocalParticipant.PublishTrack(p.audio,
			&lksdk.TrackPublicationOptions{Source: livekit.TrackSource_MICROPHONE})
	}
	if err == nil {
		p.video, err = pion.NewTrackLocalStaticSample(
			pion.RTPCodecCapability{MimeType: pion.MimeTypeVP8, ClockRate: 90000}, "pictures", "tandem")
	}
	if err == nil {
		_, err = r.LocalParticipant.PublishTrack(p.video, &lksdk.TrackPublicationOptions{
			Source: livekit.TrackSource_CAMERA, VideoWidth: 640, VideoHeight: 480,
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// loop sends a clip again and again until the test ends.
func (p *publisher) loop(t testing.TB, c clip) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			p.send(ctx, c)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

// send sends a clip in real time, once, until ctx ends.
func (p *publisher) send(ctx context.Context, c clip) {
	start := time.Now()
	next := func(i int) time.Duration { // until the next of its kind
		for _, n := range c[i+1:] {
			if (n.Codec == av.Opus) == (c[i].Codec == av.Opus) {
				return n.Time - c[i].Time
			}
		}
		return 20 * time.Millisecond
	}
	for i, u := range c {
		select {
		case <-time.After(time.Until(start.Add(u.Time))):
		case <-ctx.Done():
			return
		}
		track := p.video
		if u.Codec == av.Opus {
			track = p.audio
		}
		_ = track.WriteSample(media.Sample{Data: u.Payload, Duration: next(i)})
	}
}

// update sets a participant's consent.
func update(who, consent string) *livekit.UpdateParticipantRequest {
	return &livekit.UpdateParticipantRequest{
		Room: "room", Identity: who, Attributes: map[string]string{"tandem.consent": consent},
	}
}
