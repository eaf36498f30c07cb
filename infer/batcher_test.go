package infer_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tandem/infer"
	"tandem/pipeline"
)

// slowNet answers each window by its subject's number, and takes its time.
type slowNet struct {
	hop     time.Duration
	fixed   time.Duration // a batch
	each    time.Duration // a window
	batches atomic.Int64
	bad     int // the subject whose windows fail
}

func (n *slowNet) Spec() pipeline.Spec     { return pipeline.Spec{Hop: n.hop} }
func (n *slowNet) Labels() pipeline.Labels { return pipeline.Labels{} }
func (n *slowNet) Recognize(ctx context.Context, ws []*pipeline.Window) ([]pipeline.Prediction, error) {
	n.batches.Add(1)
	select {
	case <-time.After(n.fixed + time.Duration(len(ws))*n.each):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	var ps []pipeline.Prediction
	for _, w := range ws {
		if n.bad > 0 && w.Subject == n.bad {
			return nil, fmt.Errorf("subject %d is bad", w.Subject)
		}
		ps = append(ps, pipeline.Prediction{Emotion: []float32{float32(w.Subject)}})
	}
	return ps, nil
}

// stream asks once a hop for a while, as a live pipeline does, and tells how many were answered and how many late.
func stream(t *testing.T, s *infer.Stream, id int, hop time.Duration, hops int) (served, late int) {
	start := time.Now()
	for k := range hops {
		time.Sleep(time.Until(start.Add(time.Duration(k) * hop)))
		if time.Since(start) >= time.Duration(k+1)*hop {
			late++ // the pipeline's own queue drops it
			continue
		}
		ps, err := s.Recognize(t.Context(), []*pipeline.Window{{Subject: id}})
		switch {
		case errors.Is(err, pipeline.ErrLate):
			late++
		case err != nil:
			t.Errorf("stream %d: %v", id, err)
		case ps[0].Emotion[0] != float32(id):
			t.Errorf("stream %d got the answer of %v", id, ps[0].Emotion[0])
		default:
			served++
		}
	}
	return served, late
}

// With twice as much to do as can be done, all streams lose alike and none waits longer than a hop and a batch.
func TestBatcherIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const streams, hops, hop = 20, 200, 250 * time.Millisecond
		net := &slowNet{hop: hop, each: 2 * hop / streams} // half of the windows fit
		b := infer.NewBatcher(net, 1, 4)
		defer b.Close()
		var served, late [streams]int
		var wg sync.WaitGroup
		for i := range streams {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * hop / streams / 3) // in clumps
				served[i], late[i] = stream(t, b.Stream(), i, hop, hops)
			})
		}
		wg.Wait()
		total := 0
		for i := range streams {
			total += served[i]
			if served[i] < hops*40/100 || served[i] > hops*60/100 {
				t.Errorf("stream %d: %d of %d answered, %d late; half is fair", i, served[i], hops, late[i])
			}
		}
		if total < streams*hops*45/100 {
			t.Errorf("%d of %d answered although half of them fit", total, streams*hops)
		}
	})
}

// With time enough nothing is lost, and windows that are due together go together.
func TestBatcherBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const streams, hops, hop = 8, 40, 250 * time.Millisecond
		net := &slowNet{hop: hop, fixed: 10 * time.Millisecond, each: 5 * time.Millisecond}
		b := infer.NewBatcher(net, 1, 32)
		defer b.Close()
		var wg sync.WaitGroup
		for i := range streams {
			wg.Go(func() {
				if served, late := stream(t, b.Stream(), i, hop, hops); served != hops {
					t.Errorf("stream %d: %d of %d answered, %d late", i, served, hops, late)
				}
			})
		}
		wg.Wait()
		if n := net.batches.Load(); n > 3*hops {
			t.Errorf("%d batches for %d windows in %d clumps", n, streams*hops, hops)
		}
	})
}

// A stream whose windows make the network fail fails alone.
func TestBatcherSparesTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &slowNet{hop: 250 * time.Millisecond, fixed: 10 * time.Millisecond, bad: 3}
		b := infer.NewBatcher(net, 1, 32)
		defer b.Close()
		var wg sync.WaitGroup
		for i := 1; i <= 6; i++ {
			wg.Go(func() {
				_, err := b.Stream().Recognize(t.Context(), []*pipeline.Window{{Subject: i}})
				if (err != nil) != (i == net.bad) {
					t.Errorf("stream %d: %v", i, err)
				}
			})
		}
		wg.Wait()
	})
}

// A closed batcher and an ended context let go of who waits.
func TestBatcherEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &slowNet{hop: time.Hour, fixed: time.Hour}
		b := infer.NewBatcher(net, 1, 1)
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("enough")
		var wg sync.WaitGroup
		ask := func(ctx context.Context, want error) {
			wg.Go(func() {
				if _, err := b.Stream().Recognize(ctx, []*pipeline.Window{{}}); !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			})
		}
		ask(ctx, why)
		synctest.Wait()
		ask(ctx, why) // one in the network, one in the queue
		synctest.Wait()
		cancel(why)
		synctest.Wait()
		ask(t.Context(), infer.ErrClosed)
		synctest.Wait()
		b.Close()
		wg.Wait()
		if _, err := b.Stream().Recognize(t.Context(), []*pipeline.Window{{}}); !errors.Is(err, infer.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}
