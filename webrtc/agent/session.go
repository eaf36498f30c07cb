package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"

	"tandem/pipeline"
	"tandem/webrtc"
	"tandem/webrtc/events"
)

// maxBuffered is the number of bytes that may wait to be sent into a room before windows are left out.
const maxBuffered = 64 << 10

// session has one participant's stream, and sends its events to where they go.
type session struct {
	j        *job
	identity string
	sid      string // the participant's, which is another for one who comes again
	stream   *webrtc.Stream
	to       []string // identities of who gets the events; nil for all
	prefix   []byte   // of each message, before the event's own fields
	layers   layers
	wg       sync.WaitGroup

	mu         sync.Mutex
	subscribed []*lksdk.RemoteTrackPublication
	camera     *lksdk.RemoteTrackPublication // the latest
}

// newSession begins a session, whose place has been taken.
func (j *job) newSession(p *lksdk.RemoteParticipant) *session {
	s := &session{j: j, identity: p.Identity(), sid: p.SID(), layers: layers{crop: j.a.o.CropSize}}
	if !slices.Contains(j.a.o.To, ToAll) {
		for _, recipient := range j.a.o.To {
			if recipient == ToPublisher {
				recipient = s.identity
			}
			s.to = append(s.to, recipient)
		}
	}
	who, err := json.Marshal(struct {
		Room        string `json:"room"`
		Participant string `json:"participant"`
	}{j.key.room, s.identity})
	if err != nil { // of two strings
		panic(err)
	}
	s.prefix = append(who[:len(who)-1], ',')
	s.stream = j.a.o.Server.NewStream(webrtc.StreamOptions{
		ID: p.SID(), Source: j.key.room + "/" + s.identity, HasVideo: true, HasAudio: true,
	})
	readers := []func(events.Message){s.publish}
	if j.a.hook != nil {
		readers = append(readers, newHook(j.a.hook, j.log).post)
	}
	if j.a.nats != nil {
		readers = append(readers, newSubject(j, s.identity).publish)
	}
	if j.a.o.Attributes {
		readers = append(readers, newAttributes(s).set)
	}
	// Each has a queue of its own: one that is slow loses windows, and holds up none of the others.
	for _, read := range readers {
		r := s.stream.Events()
		s.wg.Go(func() {
			defer r.Close()
			for {
				m, err := r.Next(context.Background())
				if errors.Is(err, io.EOF) {
					return
				}
				read(events.Message{Kind: m.Kind, JSON: append(slices.Clone(s.prefix), m.JSON[1:]...)})
			}
		})
	}
	s.wg.Go(func() { _ = s.stream.Run() })
	return s
}

// end ends the session, waits until its events are out, and gives its place back.
func (s *session) end(why error) {
	s.stream.End(why)
	s.wg.Wait()
	if s.j.key.target == "" {
		s.j.a.give()
	}
}

// subscribe subscribes to those of the participant's cameras and microphones that it has not subscribed to yet.
func (s *session) subscribe(p *lksdk.RemoteParticipant) {
	for _, t := range p.TrackPublications() {
		pub, ok := t.(*lksdk.RemoteTrackPublication)
		if !ok || !wanted(pub.Source()) {
			continue
		}
		s.mu.Lock()
		done := slices.Contains(s.subscribed, pub)
		if !done {
			if pub.Source() == livekit.TrackSource_CAMERA {
				s.camera = pub
			}
			s.subscribed = slices.DeleteFunc(s.subscribed, func(old *lksdk.RemoteTrackPublication) bool {
				return old.Source() == pub.Source() // it has taken that one's place
			})
			s.subscribed = append(s.subscribed, pub)
		}
		s.mu.Unlock()
		if done {
			continue
		}
		if err := pub.SetSubscribed(true); err != nil {
			s.j.log.Debug("subscribing", "cause", err)
		}
		if pub.Source() == livekit.TrackSource_CAMERA {
			s.setLayer(pub, s.layers.first(layersOf(pub.TrackInfo())))
		}
	}
}

// unsubscribe has the server send nothing more of the participant.
func (s *session) unsubscribe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pub := range s.subscribed {
		if err := pub.SetSubscribed(false); err != nil {
			s.j.log.Debug("unsubscribing", "cause", err)
		}
	}
}

// setLayer asks for a layer of a camera that sends several.
func (s *session) setLayer(pub *lksdk.RemoteTrackPublication, l *livekit.VideoLayer) {
	if l == nil {
		return
	}
	s.j.log.Debug("layer", "width", l.Width, "height", l.Height)
	if err := pub.SetVideoQuality(l.Quality); err != nil {
		s.j.log.Debug("asking for a layer", "cause", err)
	}
}

// publish sends an event into the room, and looks at it for the layer that is needed.
func (s *session) publish(m events.Message) {
	s.follow(m)
	if m.Kind == events.Window && s.j.buffered() > maxBuffered {
		return
	}
	err := s.j.room.LocalParticipant.PublishDataPacket(&lksdk.UserDataPacket{Payload: m.JSON, Topic: Topic},
		lksdk.WithDataPublishReliable(m.Kind != events.Window), lksdk.WithDataPublishDestination(s.to))
	if err != nil {
		s.j.log.Debug("sending an event", "cause", err)
	}
}

// follow changes the layer if the face in an event needs another one.
func (s *session) follow(m events.Message) {
	if m.Kind != events.Window {
		return
	}
	s.mu.Lock()
	camera := s.camera
	s.mu.Unlock()
	if camera == nil {
		return
	}
	e, err := pipeline.ParseEvent(m.JSON)
	if err != nil || e.Window == nil {
		return
	}
	if l := s.layers.next(layersOf(camera.TrackInfo()), e.Window); l != nil {
		s.setLayer(camera, l)
	}
}
