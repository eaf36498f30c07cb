package sample

import (
	"fmt"
	"image"
	"path/filepath"
	"testing"
	"time"

	"tandem/train/dataset"
	"tandem/train/traintest"
)

// TestCacheOfOtherBuildsIsRead holds all that decides whether a cache that another build made is read. What changes
// here needs a new cutVersion.
func TestCacheOfOtherBuildsIsRead(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	traintest.WriteFile(t, a, "a file")
	traintest.WriteFile(t, b, "another")
	for i, tc := range []struct {
		clip     dataset.Clip
		anySound bool
		want     string
	}{
		{
			dataset.Clip{Video: a, Audio: b, Dataset: "mine"},
			false,
			"1da6a33fa673f6c9562d78f104ec86b1149fbbcc3009b3860148ed88a4260ebf",
		},
		{
			dataset.Clip{Video: a, Dataset: "fer2013"},
			false,
			"e02cf25bf1f973054ae3736bb33876d91b427629400fb2ade4fd4ec74a8a7e96",
		},
		{
			dataset.Clip{Audio: b, Start: time.Second, End: 2500 * time.Millisecond, Crop: image.Rect(1, 2, 3, 4)},
			false,
			"2b5aa2b5bf0c3614abd2b1c7a510e86a7daf640ffdb9d444baa6e720618e69a5",
		},
		{dataset.Clip{Audio: b}, true, "92a2bbd32d5432f966335a475fd1dd46fbbf9ad762f12c93056c67f7ccd84f3b"},
	} {
		key, err := keyOf(t.Context(), &tc.clip, traintest.Spec, tc.anySound, OpenFileHashes(""))
		if got := fmt.Sprintf("%x", key); err != nil || got != tc.want {
			t.Errorf("key %d: %s, %v; want %s", i, got, err, tc.want)
		}
	}
	windows := clipWindows{audio: []int16{1, -2, 300}, windows: []storedWindow{
		{audioAt: 0},
		{audioAt: -1, still: true, video: []byte{7, 8}, mask: []bool{true, true}},
		{audioAt: 1, video: []byte{1, 2, 3}, mask: []bool{true, false, true}},
	}}
	const want = "0300000003000000000000000100feff2c01" + // three samples, three windows
		"00000000" + "0000" + "00000000" + "ffffffff" + "0102" + "0101" + "02000000" + "0708" +
		"01000000" + "0003" + "010001" + "03000000" + "010203"
	if got := fmt.Sprintf("%x", appendWindows(nil, &windows)); got != want {
		t.Errorf("entry %s, want %s", got, want)
	}
	c := openWindowCache(dir, traintest.Spec)
	c.put(cacheKey{1, 2}, &windows)
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	pack := filepath.Join(dir, "cuts-ec9a9ba64a94-fc6377029d6fdebd.pack") // of the keys, the places and the sums in it
	if got := packs(t, dir); len(got) != 1 || got[0] != pack {
		t.Errorf("packs %v, want %s", got, pack)
	}
}
