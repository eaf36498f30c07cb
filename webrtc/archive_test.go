package webrtc

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// What is left of a session goes after its time, though nobody looks and no other session ends.
func TestArchiveForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(time.Minute)
		defer a.close()
		a.add("first", record{})
		time.Sleep(40 * time.Second)
		a.add("second", record{})
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := a.size(); got != 1 {
			t.Errorf("%d after 70 s", got)
		}
		if _, ok := a.find("second"); !ok {
			t.Error("the second went first")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := a.size(); got != 0 {
			t.Errorf("%d in the end", got)
		}
	})
}

// size is how many records are kept, or -1 if the archive is at odds with itself.
func (a *archive) size() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.kept) != len(a.ids) {
		return -1
	}
	return len(a.ids)
}

// No more than maxKept are kept, and what is erased is gone once.
func TestArchiveBound(t *testing.T) {
	a := newArchive(time.Hour)
	for i := range maxKept + 2 {
		a.add(strconv.Itoa(i), record{})
	}
	for id, want := range map[string]bool{"0": false, "1": false, "2": true, strconv.Itoa(maxKept + 1): true} {
		if _, ok := a.find(id); ok != want {
			t.Errorf("%s is there: %v", id, ok)
		}
	}
	if !a.erase("2") || a.erase("2") || a.size() != maxKept-1 {
		t.Errorf("%d after erasing", a.size())
	}
	a.close()
	if a.size() != 0 {
		t.Errorf("%d after the end", a.size())
	}
}
