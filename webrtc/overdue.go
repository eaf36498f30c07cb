package webrtc

import (
	"time"

	"tandem/webrtc/peer"
)

// overdue returns why a session ends that has been in a state for so long, and without media for so long; nil if it
// goes on. Only one that is connected can be idle, but what goes from state to state with no media in any, as by ICE
// restarts without end, holds its place no longer than one that is idle and then fails.
func overdue(state peer.State, lasted, silent, idle time.Duration) error {
	switch {
	case state == peer.Failed && lasted > reviveTime:
		return errLost
	case state == peer.Connected && min(lasted, silent) > idle, silent > idle+reviveTime:
		return errIdle
	}
	return nil
}
