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
		clip dataset.Clip
		want string
	}{
		{
			dataset.Clip{Video: a, Audio: b, Dataset: "mine"},
			"fb8f8fdfb271ba74005d1f986986fc8ff7d2ab0132ca8e3e97923179c1ac28ce",
		},
		{
			dataset.Clip{Video: a, Dataset: "fer2013"},
			"d49093b4319e43e6974d7f9a94120a44add2fe00ec38b1adccca6d31b0d3b412",
		},
		{
			dataset.Clip{Audio: b, Start: time.Second, End: 2500 * time.Millisecond, Crop: image.Rect(1, 2, 3, 4)},
			"50ef62157272053a41c0b8c341748beb6437dbe065408a5d4e022a8d2de7eb16",
		},
	} {
		key, err := keyOf(t.Context(), &tc.clip, traintest.Spec, OpenFileHashes(""))
		if got := fmt.Sprintf("%x", key); err != nil || got != tc.want {
			t.Errorf("key %d: %s, %v; want %s", i, got, err, tc.want)
		}
	}
	windows := clipWindows{audio: []int16{1, -2, 300}, windows: []storedWindow{
		{audioAt: 0},
		{audioAt: -1, still: true, video: []byte{7, 8}, mask: []bool{true, true}},
		{audioAt: 1, video: []byte{1, 2, 3}, mask: []bool{true, false, true}},
	}}
	const want = "03000000030000000100feff2c01" + // three samples, three windows
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
	pack := filepath.Join(dir, "cuts-f189946db540-ad61b5a424f4b74a.pack") // of the keys, the places and the sums in it
	if got := packs(t, dir); len(got) != 1 || got[0] != pack {
		t.Errorf("packs %v, want %s", got, pack)
	}
}
