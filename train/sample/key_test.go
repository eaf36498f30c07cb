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
			"273d2b82543878e749168a01daa95ae53ab5697085e93a16c757a83c7b65e193",
		},
		{
			dataset.Clip{Video: a, Dataset: "fer2013"},
			"3f2199edaf67d5d935db8d94a9a30a7933ac3e22bc3bda48621bd19345d5d364",
		},
		{
			dataset.Clip{Audio: b, Start: time.Second, End: 2500 * time.Millisecond, Crop: image.Rect(1, 2, 3, 4)},
			"4ef113f9c03e28fcf65108238a68509623fdc14881d012aa249fa3d18c8623e8",
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
	pack := filepath.Join(dir, "cuts-d2f9bb393467-ad61b5a424f4b74a.pack") // of the keys, the places and the sums in it
	if got := packs(t, dir); len(got) != 1 || got[0] != pack {
		t.Errorf("packs %v, want %s", got, pack)
	}
}
