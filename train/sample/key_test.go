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
			"39ba16ce184cf621652a4ccf1e89e2a4373b02ec29ac4c34c02dc639a7580a04",
		},
		{
			dataset.Clip{Video: a, Dataset: "fer2013"},
			false,
			"ec7025d03049a36928fdf6c1e1a6e55374b2b1f5d1d9cbdc51f060a785b6bfd2",
		},
		{
			dataset.Clip{Audio: b, Start: time.Second, End: 2500 * time.Millisecond, Crop: image.Rect(1, 2, 3, 4)},
			false,
			"f7bb644605544482089fc04ce28bdf36671c314bb1fb6d0cdc8355db3f182080",
		},
		{dataset.Clip{Audio: b}, true, "3fc8fa8c1c3313c4988905e0b5368e6603e6fbc9d83f959884b87446d2f1d65f"},
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
	pack := filepath.Join(dir, "cuts-2c47bdd492ea-fc6377029d6fdebd.pack") // of the keys, the places and the sums in it
	if got := packs(t, dir); len(got) != 1 || got[0] != pack {
		t.Errorf("packs %v, want %s", got, pack)
	}
}
