package capture

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"
)

// originer is a live source that knows the wall clock of its media time 0.
type originer interface{ origin() time.Time }

// Merge puts live sources, such as a camera and a microphone, on one clock, whose 0 is the earliest of theirs. When
// one ends, the others go on; after the last, Read returns io.EOF, or the errors of those that did not end well.
// The sources belong to the merged one, whose Close closes them.
//
// A source of another package is put on the clock by its first item, from when that arrived.
func Merge(sources ...Source) Source {
	info := Info{Live: true}
	var names []string
	start := time.Now()
	for _, s := range sources {
		i := s.Info()
		names = append(names, i.Name)
		if i.HasVideo && !info.HasVideo {
			info.HasVideo, info.Width, info.Height, info.FPS = true, i.Width, i.Height, i.FPS
		}
		info.HasAudio = info.HasAudio || i.HasAudio
		if o, ok := s.(originer); ok && o.origin().Before(start) {
			start = o.origin()
		}
	}
	info.Name = strings.Join(names, " + ")
	m := &merged{sources: sources}
	m.live = newLive(info, start, m.run)
	return m
}

type merged struct {
	*live
	sources []Source
}

// run copies every source into the queue.
func (m *merged) run(ctx context.Context, l *live) error {
	var wg sync.WaitGroup
	faults := make([]error, len(m.sources))
	for i, s := range m.sources {
		wg.Go(func() {
			defer s.Close()
			faults[i] = copyLive(ctx, s, l)
		})
	}
	wg.Wait()
	return errors.Join(faults...)
}

func copyLive(ctx context.Context, s Source, l *live) error {
	var offset time.Duration
	o, known := s.(originer)
	if known {
		offset = o.origin().Sub(l.start)
	}
	for {
		m, err := s.Read(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !known {
			known = true
			offset = max(m.arrivedAt().Sub(l.start), 0) - m.end()
		}
		l.put(m.shift(offset))
	}
}

// Drops counts what the sources have lost and what was lost on the way.
func (m *merged) Drops() Drops {
	d := m.live.Drops()
	for _, s := range m.sources {
		more := s.Drops()
		d.Frames += more.Frames
		d.Samples += more.Samples
	}
	return d
}

// arrivedAt is when m arrived, or now.
func (m Media) arrivedAt() time.Time {
	at := time.Now()
	if m.Frame != nil && !m.Frame.Arrived.IsZero() {
		at = m.Frame.Arrived
	} else if m.Samples != nil && !m.Samples.Arrived.IsZero() {
		at = m.Samples.Arrived
	}
	return at
}

// end is the time by which all of m has been.
func (m Media) end() time.Duration {
	if m.Frame != nil {
		return m.Frame.Time
	}
	return m.Samples.End()
}
