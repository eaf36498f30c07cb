package train

import (
	"context"
	"runtime"
	"sync"
)

// batchMakers makes batches ahead of training, several at a time: on all cores but one, since a step may need the
// processor too. Batches come in their order; at most one more than there are makers waits.
type batchMakers struct {
	ready chan chan *batch // of each batch, in order, where it will be
	wg    sync.WaitGroup
}

// newBatchMakers begins to make the batches from first up to, but not with, end. It ends with ctx; see wait.
func newBatchMakers(ctx context.Context, b *batcher, first, end int) *batchMakers {
	n := max(1, runtime.GOMAXPROCS(0)-1)
	m := &batchMakers{ready: make(chan chan *batch, n)}
	free := make(chan *batcher, n)
	for range n {
		own := *b // a deck holds the order of its last pass
		free <- &own
	}
	m.wg.Go(func() {
		for number := first; number < end; number++ {
			var maker *batcher
			select {
			case maker = <-free:
			case <-ctx.Done():
				return
			}
			to := make(chan *batch, 1)
			m.wg.Go(func() {
				to <- maker.batch(number)
				free <- maker
			})
			select {
			case m.ready <- to:
			case <-ctx.Done():
				return
			}
		}
	})
	return m
}

// next waits for the next batch; nil once ctx has ended.
func (m *batchMakers) next(ctx context.Context) *batch {
	select {
	case to := <-m.ready:
		select {
		case b := <-to:
			return b
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
	return nil
}

// wait returns when nothing is being made any more; the context must have ended, or all batches been taken.
func (m *batchMakers) wait() { m.wg.Wait() }
