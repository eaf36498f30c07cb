package pipeline

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestQueueOfflineLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue[int](2, false, nil, func(int) { t.Error("dropped") })
		go func() {
			for i := range 100 {
				if err := q.push(t.Context(), i); err != nil {
					t.Error(err)
				}
			}
			q.close()
		}()
		for want := 0; ; want++ {
			time.Sleep(time.Millisecond) // a slow reader
			got, ok, err := q.pop(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				if want != 100 {
					t.Errorf("%d items came", want)
				}
				return
			}
			if got != want {
				t.Fatalf("got %d, want %d", got, want)
			}
		}
	})
}

func TestQueueLiveDropsTheOldest(t *testing.T) {
	var dropped, got []int
	q := newQueue(3, true, func(v int) bool { return v < 5 }, func(v int) { dropped = append(dropped, v) })
	for i := range 6 {
		if err := q.push(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	q.close()
	for {
		v, ok, _ := q.pop(t.Context())
		if !ok {
			break
		}
		got = append(got, v)
	}
	// 0 to 2 for want of room, 3 and 4 since they are stale.
	if !slices.Equal(dropped, []int{0, 1, 2, 3, 4}) || !slices.Equal(got, []int{5}) {
		t.Errorf("dropped %v, got %v", dropped, got)
	}
}

func TestQueueKeepsTheNewestThoughStale(t *testing.T) {
	q := newQueue(3, true, func(int) bool { return true }, func(int) { t.Error("dropped") })
	_ = q.push(t.Context(), 1)
	if v, ok, _ := q.pop(t.Context()); v != 1 || !ok {
		t.Errorf("got %v %v", v, ok)
	}
}

func TestQueueEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("because")
		ctx, cancel := context.WithCancelCause(t.Context())
		q := newQueue[int](1, false, nil, nil)
		p := newQueue[int](1, false, nil, nil)
		_ = q.push(ctx, 1)
		time.AfterFunc(time.Second, func() { cancel(why) })
		go func() {
			if _, _, err := p.pop(ctx); err != why {
				t.Errorf("pop: %v", err)
			}
		}()
		if err := q.push(ctx, 2); err != why {
			t.Errorf("push: %v", err)
		}
	})
}
