package infer_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"tandem/infer"
)

func TestKeys(t *testing.T) {
	var all []infer.Key
	for i := range 5000 {
		all = append(all, infer.KeyOf("clip", fmt.Sprint(i)))
	}
	keys := infer.NewKeys(append(all, all[:100]...))
	b, err := json.Marshal(keys)
	if err != nil {
		t.Fatal(err)
	}
	var back infer.Keys
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, keys) {
		t.Errorf("written and read again they are others: %v", err)
	}
	if back.Len() != 5000 || len(b) > 5000*6 {
		t.Errorf("%d keys in %d bytes", back.Len(), len(b))
	}
	for i, key := range all {
		if !back.Has(key) || back.Has(infer.KeyOf("clip", fmt.Sprint(5000+i))) ||
			back.Has(infer.KeyOf("speaker", fmt.Sprint(i))) {
			t.Fatalf("key %d: in the set %v, or one that is not in it is", i, back.Has(key))
		}
	}
	if infer.NewKeys(all[:10]).Union(infer.NewKeys(all[5:20])).Len() != 20 {
		t.Error("the union of two has not all of both, each once")
	}
}

// A model that began with another knows the clips and speakers of both.
func TestTrainedUnion(t *testing.T) {
	of := func(names ...string) *infer.Trained {
		var keys []infer.Key
		for _, n := range names {
			keys = append(keys, infer.SpeakerKey(n))
		}
		return &infer.Trained{Speakers: infer.NewKeys(keys)}
	}
	both := of("anna").Union(of("ben"))
	if both.Incomplete || !both.Speakers.Has(infer.SpeakerKey("anna")) || !both.Speakers.Has(infer.SpeakerKey("ben")) {
		t.Errorf("%+v", both)
	}
	if u := of("anna").Union(nil); !u.Incomplete || !u.Speakers.Has(infer.SpeakerKey("anna")) {
		t.Errorf("with one that is not known: %+v", u)
	}
	if u := (*infer.Trained)(nil).Union(nil); u == nil || !u.Incomplete {
		t.Errorf("of nothing that is known: %+v", u)
	}
}

func FuzzKeys(f *testing.F) {
	for _, s := range []string{`""`, `"AQID"`, `"gICAgICAgA=="`, `"AA=="`, `"AAA="`, `[]`, `"?"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var keys infer.Keys
		if json.Unmarshal(b, &keys) != nil {
			return
		}
		out, err := json.Marshal(keys)
		if err != nil {
			t.Fatal(err)
		}
		var back infer.Keys
		if err := json.Unmarshal(out, &back); err != nil || back.Len() != keys.Len() {
			t.Fatalf("%s is written as %s, which reads as %d keys, not %d: %v", b, out, back.Len(), keys.Len(), err)
		}
	})
}
