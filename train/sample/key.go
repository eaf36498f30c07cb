package sample

import (
	"context"
	"crypto/sha256"
	"fmt"

	"tandem/capture"
	"tandem/pipeline"
	"tandem/train/dataset"
)

// cutVersion is part of every cache key: raising it makes every cache stale. Raise it with any change to the cropping,
// the detectors of faces and voices, the sound's filter, the windows, or the layout of the cache, so that the same clip
// is cut again.
const cutVersion = 9

// cacheKey is a hash of all that decides a clip's windows.
type cacheKey [sha256.Size]byte

// keyOf returns the key of a clip's windows: SHA-256 over the content of its files, its part and crop, spec, whether
// any sound counts, and cutVersion.
func keyOf(
	ctx context.Context, c *dataset.Clip, spec pipeline.Spec, anySound bool, hashes *FileHashes,
) (cacheKey, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %+v %v %v %v %v\n", cutVersion, capture.SampleRate, spec, SilenceDBFS, c.Start, c.End, c.Crop)
	if usual := canonicalFace(c.Dataset); usual != nil {
		fmt.Fprintf(h, "%+v\n", *usual)
	}
	if anySound {
		fmt.Fprintln(h, "any sound")
	}
	if c.Row != nil {
		fmt.Fprintf(h, "row %d %d\n", c.Row.Offset, c.Row.Length)
	}
	for _, path := range c.Files() {
		if path == "" {
			fmt.Fprintln(h)
			continue
		}
		sum, _, err := hashes.Sum(ctx, path)
		if err != nil {
			return cacheKey{}, err
		}
		fmt.Fprintf(h, "%x\n", sum)
	}
	return cacheKey(h.Sum(nil)), nil
}

// contentOf returns the hash of a clip's content, whatever it is called and however it is cut: of its files and its
// part of them.
func contentOf(ctx context.Context, c *dataset.Clip, hashes *FileHashes) (Content, error) {
	h := sha256.New()
	fmt.Fprintln(h, c.Start, c.End)
	if c.Row != nil {
		fmt.Fprintln(h, "row", c.Row.Offset, c.Row.Length)
	}
	for _, path := range c.Files() {
		if path == "" {
			fmt.Fprintln(h)
			continue
		}
		sum, _, err := hashes.Sum(ctx, path)
		if err != nil {
			return Content{}, err
		}
		fmt.Fprintf(h, "%x\n", sum)
	}
	return Content(h.Sum(nil)), nil
}
