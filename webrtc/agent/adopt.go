package agent

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	pagent "github.com/livekit/protocol/agent"
	"github.com/livekit/protocol/livekit"
)

const (
	// lookTime is the time between two looks for participants without an agent, at least.
	lookTime = 1500 * time.Millisecond
	// lookTimeARoom is added to it for each room, so that many agents do not wear the server out with questions.
	lookTimeARoom = 20 * time.Millisecond
	// beatTime is the time between two signs of life of an agent in a room.
	beatTime = 2 * time.Second
	// deadTime is how long an agent without a sign of life is taken for alive: a machine that dies leaves its agents in
	// their rooms, as far as the server knows, for over 15 seconds.
	deadTime = 3 * beatTime
	// tooBusy is the load above which the agent looks for nobody: LiveKit's own default for giving no more jobs.
	tooBusy = 0.7
)

// beatAttribute is an attribute of agents that changes every beatTime.
const beatAttribute = "tandem.beat"

// pulses tells which agents are alive by the signs of life that this one has seen, on its own clock.
type pulses map[string]pulse // by the agents' SIDs

type pulse struct {
	beat        string
	since, last time.Time // when it was first and last seen
}

// dead reports whether an agent has given signs of life, and gives them no more.
func (p pulses) dead(agent *livekit.ParticipantInfo, now time.Time) bool {
	beat := agent.GetAttributes()[beatAttribute]
	seen, ok := p[agent.GetSid()]
	if !ok || seen.beat != beat {
		seen = pulse{beat: beat, since: now}
	}
	seen.last = now
	p[agent.GetSid()] = seen
	return beat != "" && now.Sub(seen.since) > deadTime
}

// forget drops the agents that are no more.
func (p pulses) forget(now time.Time) {
	maps.DeleteFunc(p, func(_ string, seen pulse) bool { return now.Sub(seen.last) > time.Minute })
}

// adopt takes, until ctx ends, those who should have an agent and have none. LiveKit's server gives a job once, when a
// participant first publishes: it does not give it again when the agent dies, when all were full, or when consent comes
// later.
func (a *Agent) adopt(ctx context.Context) {
	p := pulses{}
	var before map[jobKey]*livekit.Room // without an agent when last looked for
	wait := lookTime
	for {
		select {
		case <-time.After(wait/2 + rand.N(wait)):
		case <-ctx.Done():
			return
		}
		wait = lookTime
		if !a.free() {
			continue
		}
		found, rooms, err := a.withoutAgent(ctx, p)
		if err != nil {
			a.log.Debug("looking for participants without an agent", "cause", err)
			continue
		}
		wait += time.Duration(rooms) * lookTimeARoom
		for k, room := range found {
			// One that is new may be on its way to another agent.
			if before[k] != nil && a.free() {
				a.adoptOne(ctx, k, room, p)
			}
		}
		before = found
	}
}

// free reports whether the agent could do more.
func (a *Agent) free() bool {
	s := a.state()
	return s.GetStatus() == livekit.WorkerStatus_WS_AVAILABLE && a.o.Server.Load() < tooBusy
}

// withoutAgent returns who should have an agent and has none, with their rooms, and how many rooms there are.
func (a *Agent) withoutAgent(ctx context.Context, p pulses) (map[jobKey]*livekit.Room, int, error) {
	ctx, cancel := context.WithTimeout(ctx, postTime)
	defer cancel()
	list, err := a.api.ListRooms(ctx, &livekit.ListRoomsRequest{})
	if err != nil {
		return nil, 0, err
	}
	found := map[jobKey]*livekit.Room{}
	p.forget(time.Now())
	for _, room := range list.GetRooms() {
		keys, err := a.aloneIn(ctx, room, p)
		if err != nil {
			return nil, 0, err
		}
		for _, k := range keys {
			found[k] = room
		}
	}
	return found, len(list.GetRooms()), nil
}

// aloneIn returns those of a room.
func (a *Agent) aloneIn(ctx context.Context, room *livekit.Room, p pulses) ([]jobKey, error) {
	list, err := a.api.ListParticipants(ctx, &livekit.ListParticipantsRequest{Room: room.GetName()})
	if err != nil {
		return nil, err
	}
	now := time.Now()
	living := slices.DeleteFunc(list.GetParticipants(), func(x *livekit.ParticipantInfo) bool {
		return x.GetKind() == livekit.ParticipantInfo_AGENT && p.dead(x, now)
	})
	return alone(room, living, a.o.PerRoom, a.o.Consent), nil
}

// alone returns who of a room's participants should have an agent and has none: with perRoom the room as a whole.
func alone(room *livekit.Room, participants []*livekit.ParticipantInfo, perRoom bool, consent Consent) []jobKey {
	agents := map[string]bool{}
	for _, p := range participants {
		if p.GetKind() == livekit.ParticipantInfo_AGENT {
			agents[p.GetIdentity()] = true
		}
	}
	var out []jobKey
	for _, p := range participants {
		published := false
		for _, t := range p.GetTracks() {
			published = published || wanted(t.GetSource())
		}
		k := jobKey{room.GetName(), p.GetIdentity()}
		if perRoom {
			k.target = ""
		}
		if published && !isMachine(p.GetKind()) && !agents[identityFor(k.target)] &&
			consent.Given(p.GetAttributes(), p.GetMetadata(), room.GetMetadata()) {
			out = append(out, k)
			if perRoom {
				break
			}
		}
	}
	return out
}

// adoptOne takes a participant, or a room, unless another agent has meanwhile. Agents wait for a random time first, the
// less busy ones for a shorter one; should two come all the same, the server keeps one (identityFor).
func (a *Agent) adoptOne(ctx context.Context, k jobKey, room *livekit.Room, p pulses) {
	a.mu.Lock()
	_, doing := a.jobs[k]
	a.mu.Unlock()
	if doing {
		return // but not in the room yet, or out of it for a moment
	}
	pause := rand.Float64() * (0.05 + 0.25*float64(a.state().GetLoad()))
	select {
	case <-time.After(time.Duration(pause * float64(time.Second))):
	case <-ctx.Done():
		return
	}
	still, err := a.aloneIn(ctx, room, p)
	if err != nil || !slices.Contains(still, k) {
		return
	}
	if k.target != "" && !a.take() {
		return
	}
	j := &job{key: k}
	j.token, err = pagent.BuildAgentToken(a.o.Key, a.o.Secret, k.room, identityFor(k.target), "", "", nil,
		a.registration().GetAllowedPermissions())
	if err != nil { // the key and the secret were good for other tokens
		a.release(j)
		return
	}
	a.log.Info("taking a participant without an agent", "room", k.room, "participant", k.target)
	a.start(j)
}
