package agent

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"
	pion "github.com/pion/webrtc/v4"
)

const (
	// joinTime bounds the way into a room.
	joinTime = 10 * time.Second
	// awaitTime is how long a job's participant may be missing from a room that the agent has just come into, or
	// come back into.
	awaitTime = 5 * time.Second
)

// codecs are those that tandem decodes. Of a publisher who sends another as well, the server sends one of these.
var codecs = []livekit.Codec{
	{Mime: "video/vp8"},
	{Mime: "video/h264"},
	{Mime: "video/h264", FmtpLine: "packetization-mode=0"},
	{Mime: "video/h264", FmtpLine: "profile-level-id=640032"},
	{Mime: "audio/opus"},
}

// job is the agent's stay in a room, for one participant or for all.
type job struct {
	id         string // the server's; "" for one that the agent took by itself
	key        jobKey
	url, token string // "" for the agent's own URL; a token always
	a          *Agent
	log        *slog.Logger

	ctx    context.Context // ends with the reason as its cause
	cancel context.CancelCauseFunc

	room   *lksdk.Room
	beats  int           // signs of life
	joined time.Time     // when the agent came, or came back
	dirty  chan struct{} // capacity 1: what is in the room has changed

	mu       sync.Mutex
	sessions map[string]*session // by the participants' identities
	wg       sync.WaitGroup      // tracks
}

// attend joins the room and stays until the job's end. It returns nil if the job was done.
func (j *job) attend() error {
	j.dirty = make(chan struct{}, 1)
	j.sessions = map[string]*session{}
	if err := j.join(); err != nil {
		return err
	}
	err := j.watch()
	j.mu.Lock()
	sessions := j.sessions
	j.sessions = nil // no track is added from now on
	j.mu.Unlock()
	var ending sync.WaitGroup
	for _, s := range sessions {
		ending.Go(func() { s.end(err) })
	}
	ending.Wait()
	j.flush()
	j.room.Disconnect()
	j.wg.Wait()
	switch {
	case errors.Is(err, errLeft), errors.Is(err, errWithdrawn),
		errors.Is(err, errTerminated), errors.Is(err, errShutdown):
		return nil
	}
	return err
}

// join joins the room, without subscribing to anything yet.
func (j *job) join() error {
	changed := func() {
		select {
		case j.dirty <- struct{}{}:
		default:
		}
	}
	back := func() {
		j.mu.Lock()
		j.joined = time.Now()
		j.mu.Unlock()
		changed()
	}
	j.room = lksdk.NewRoom(&lksdk.RoomCallback{
		OnParticipantConnected:    func(*lksdk.RemoteParticipant) { changed() },
		OnParticipantDisconnected: func(*lksdk.RemoteParticipant) { changed() },
		OnRoomMetadataChanged:     func(string) { changed() },
		OnReconnected:             back,
		OnDisconnectedWithReason: func(why lksdk.DisconnectionReason) {
			j.cancel(&disconnected{why})
		},
		ParticipantCallback: lksdk.ParticipantCallback{
			OnTrackPublished:    func(*lksdk.RemoteTrackPublication, *lksdk.RemoteParticipant) { changed() },
			OnMetadataChanged:   func(string, lksdk.Participant) { changed() },
			OnAttributesChanged: func(map[string]string, lksdk.Participant) { changed() },
			OnTrackSubscribed:   j.onTrack,
		},
	})
	url := j.url
	if url == "" {
		url = j.a.o.URL
	}
	ctx, cancel := context.WithTimeout(j.ctx, joinTime)
	defer cancel()
	err := j.room.JoinWithContextAndToken(ctx, url, j.token, lksdk.WithAutoSubscribe(false),
		lksdk.WithCodecs(codecs), lksdk.WithLogger(sdkLogger(j.log)))
	if err != nil {
		j.room.Disconnect()
		return err
	}
	back()
	j.log.Info("joined a room")
	return nil
}

// disconnected is why a job ends that the server, or the network, took out of its room.
type disconnected struct{ why lksdk.DisconnectionReason }

func (d *disconnected) Error() string { return "out of the room: " + string(d.why) }

// watch keeps the sessions to who is in the room, until the job ends, and returns why.
func (j *job) watch() error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	beat := time.NewTicker(beatTime)
	defer beat.Stop()
	j.beat()
	for {
		select {
		case <-j.ctx.Done():
			return context.Cause(j.ctx)
		case <-j.dirty:
		case <-tick.C:
		case <-beat.C:
			j.beat()
		}
		if j.room.ConnectionState() == lksdk.ConnectionStateReconnecting {
			continue // nobody is seen meanwhile
		}
		if err := j.reconcile(); err != nil {
			return err
		}
	}
}

// beat gives a sign of life to the other agents.
func (j *job) beat() {
	j.beats++
	j.room.LocalParticipant.SetAttributes(map[string]string{beatAttribute: strconv.Itoa(j.beats)})
}

// reconcile begins sessions for those who are to have one and ends those of others. It returns why the job is over.
func (j *job) reconcile() error {
	there, agreed := false, map[string]bool{}
	for _, p := range j.room.GetRemoteParticipants() {
		if j.key.target != "" && p.Identity() != j.key.target || isMachine(livekit.ParticipantInfo_Kind(p.Kind())) {
			continue
		}
		there = true
		if !j.a.o.Consent.Given(p.Attributes(), p.Metadata(), j.room.Metadata()) {
			continue
		}
		agreed[p.Identity()] = true
		if s := j.sessionOf(p); s != nil {
			s.subscribe(p)
		}
	}
	j.endOthers(agreed)
	switch {
	case j.key.target == "":
		return nil
	case !there:
		j.mu.Lock()
		defer j.mu.Unlock()
		if time.Since(j.joined) < awaitTime {
			return nil
		}
		return errLeft
	case !agreed[j.key.target]:
		return errWithdrawn
	}
	return nil
}

// isMachine reports whether a participant is of a kind that is nobody's face and voice.
func isMachine(kind livekit.ParticipantInfo_Kind) bool {
	return kind == livekit.ParticipantInfo_AGENT || kind == livekit.ParticipantInfo_EGRESS
}

// sessionOf returns a participant's session, and begins it if there is none and the participant publishes what it
// could be of. nil: there is none, or no place for it.
func (j *job) sessionOf(p *lksdk.RemoteParticipant) *session {
	j.mu.Lock()
	s := j.sessions[p.Identity()]
	j.mu.Unlock()
	if s != nil && s.sid == p.SID() && s.stream.Err() == nil {
		return s
	}
	if s != nil && s.sid == p.SID() { // a bound was broken: it ends, and is not begun again
		return nil
	}
	if s != nil {
		j.drop(s, errRejoined)
	}
	published := false
	for _, pub := range p.TrackPublications() {
		published = published || wanted(pub.Source())
	}
	if !published || j.key.target == "" && !j.a.take() {
		return nil
	}
	s = j.newSession(p)
	j.mu.Lock()
	j.sessions[s.identity] = s
	j.mu.Unlock()
	return s
}

// endOthers ends the sessions of those who have not agreed or are not there.
func (j *job) endOthers(agreed map[string]bool) {
	j.mu.Lock()
	var others []*session
	for identity, s := range j.sessions {
		if !agreed[identity] {
			others = append(others, s)
		}
	}
	j.mu.Unlock()
	for _, s := range others {
		why := errLeft
		if j.room.GetParticipantByIdentity(s.identity) != nil {
			why = errWithdrawn
		}
		s.unsubscribe()
		j.drop(s, why)
	}
}

// drop ends a session and forgets it.
func (j *job) drop(s *session, why error) {
	j.mu.Lock()
	delete(j.sessions, s.identity)
	j.mu.Unlock()
	s.end(why)
}

// wanted reports whether tracks of a source are subscribed to.
func wanted(s livekit.TrackSource) bool {
	return s == livekit.TrackSource_CAMERA || s == livekit.TrackSource_MICROPHONE
}

// onTrack is called for each track that comes, and takes it to the session of its participant.
func (j *job) onTrack(track *pion.TrackRemote, pub *lksdk.RemoteTrackPublication, p *lksdk.RemoteParticipant) {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.sessions[p.Identity()]
	receiver := pub.Receiver()
	if s == nil || receiver == nil || !wanted(pub.Source()) {
		return
	}
	j.wg.Go(func() {
		t := s.stream.Add(track, receiver, func(ssrc uint32) error {
			p.WritePLI(pion.SSRC(ssrc))
			return nil
		})
		if t == nil {
			return
		}
		pub.OnRTCP(t.Report)
		t.Run()
	})
}

// flush waits until what was sent has been acknowledged, for a second at most.
func (j *job) flush() {
	for end := time.Now().Add(time.Second); j.buffered() > 0 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
}

// buffered returns how many bytes of events wait to be sent.
func (j *job) buffered() int {
	pc := j.room.LocalParticipant.GetPublisherPeerConnection()
	if pc == nil || pc.SCTP() == nil || pc.ConnectionState() != pion.PeerConnectionStateConnected {
		return 0
	}
	return pc.SCTP().BufferedAmount()
}
