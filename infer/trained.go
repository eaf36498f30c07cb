package infer

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
)

// keyBits is the length of a Key: of a hundred thousand keys one in ten million others is among them by chance.
const keyBits = 40

// Key is a hash of what a model was trained on, from 0 to 2^40-1: of a clip's content, or of a speaker's name. It tells
// neither.
type Key uint64

// KeyOf returns the key of a text that names a content or a speaker; what says which.
func KeyOf(what, text string) Key {
	sum := sha256.Sum256([]byte(what + "\x00" + text))
	return Key(binary.BigEndian.Uint64(sum[:8]) >> (64 - keyBits))
}

// SpeakerKey returns the key of a speaker, who is the same in all data sets under one name.
func SpeakerKey(name string) Key { return KeyOf("speaker", name) }

// Keys is a set of keys.
type Keys struct{ sorted []Key }

// NewKeys returns the set of keys, of which each may come several times.
func NewKeys(keys []Key) Keys {
	sorted := slices.Clone(keys)
	slices.Sort(sorted)
	return Keys{slices.Compact(sorted)}
}

// Has reports whether a key is in the set.
func (k Keys) Has(key Key) bool {
	_, ok := slices.BinarySearch(k.sorted, key)
	return ok
}

// Len returns how many keys there are.
func (k Keys) Len() int { return len(k.sorted) }

// Union returns the keys of both.
func (k Keys) Union(o Keys) Keys { return NewKeys(slices.Concat(k.sorted, o.sorted)) }

// MarshalJSON writes the differences from key to key as unsigned varints (encoding/binary), in base 64: some four bytes
// a key.
func (k Keys) MarshalJSON() ([]byte, error) {
	var b []byte
	before := Key(0)
	for _, key := range k.sorted {
		b = binary.AppendUvarint(b, uint64(key-before))
		before = key
	}
	return json.Marshal(base64.StdEncoding.EncodeToString(b))
}

// UnmarshalJSON reads what MarshalJSON has written.
func (k *Keys) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return err
	}
	k.sorted = nil
	var key uint64
	for len(b) > 0 {
		step, n := binary.Uvarint(b)
		if n <= 0 || step >= 1<<keyBits || key+step >= 1<<keyBits || step == 0 && len(k.sorted) > 0 {
			return errors.New("keys that are none, or not in order")
		}
		key += step
		k.sorted = append(k.sorted, Key(key))
		b = b[n:]
	}
	return nil
}

// Trained knows the clips and speakers that a model has learned from and those that it was chosen by, so that who
// judges it by one of them is told.
type Trained struct {
	Clips    Keys `json:"clips"`    // of the training split, by their content
	Speakers Keys `json:"speakers"` // of these, by their names
	// Chosen are the clips of the validation split, by which epochs were chosen and temperatures fitted.
	Chosen Keys `json:"chosen"`
	// Incomplete says that it began with a network (--init) of which this is not known.
	Incomplete bool `json:"incomplete,omitempty"`
}

// Union returns the clips and speakers of a model that has learned from those of both; nil is one that does not tell.
func (t *Trained) Union(o *Trained) *Trained {
	if t == nil || o == nil {
		var known Trained
		for _, k := range []*Trained{t, o} {
			if k != nil {
				known = *k
			}
		}
		known.Incomplete = true
		return &known
	}
	return &Trained{
		t.Clips.Union(o.Clips), t.Speakers.Union(o.Speakers), t.Chosen.Union(o.Chosen), t.Incomplete || o.Incomplete,
	}
}
