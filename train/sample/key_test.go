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
			"b1792a48c507ceccc9aa15c96d2ced07b560d0176439b6300c7c3203b575b4f9",
		},
		{
			dataset.Clip{Video: a, Dataset: "fer2013"},
			"1e6ea14e1692380fd3d31fc9bff0d6fc4f9751e6aef6808a13169e56bfc6efdd",
		},
		{
			dataset.Clip{Audio: b, Start: time.Second, End: 2500 * time.Millisecond, Crop: image.Rect(1, 2, 3, 4)},
			"3661918641cf0057830128b8112a48f47fb62f03f12b1cc12b5d4c809344a545",
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
	pack := filepath.Join(dir, "cuts-24679ecbae7b-ad61b5a424f4b74a.pack") // of the keys, the places and the sums in it
	if got := packs(t, dir); len(got) != 1 || got[0] != pack {
		t.Errorf("packs %v, want %s", got, pack)
	}
}
