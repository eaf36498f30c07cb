package sample

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"tandem/internal/atomicfile"
	"tandem/pipeline"
)

// A pack is a file of clips' windows, by their cacheKey: written whole or not at all, never changed, so that any number
// of runs may share a folder. Little-endian: packMagic; the entries (appendWindows), each begun at a multiple of 8; the
// index: for each entry its key, its offset u64, its length u32 and its CRC-32C u32; the number of entries u32, the
// index's CRC-32C u32, packMagic.
const (
	packMagic  = "tandem-cuts-2\n\r\n"
	indexEntry = sha256.Size + 16
	packFooter = 8 + len(packMagic)
)

// packBytes is the size at which a pack is written, and so bounds the memory it takes until then; packAge is the time
// after which it is written whatever its size, and so bounds the work that is lost when a run is killed. Variables for
// tests.
var (
	packBytes = 32 << 20
	packAge   = 30 * time.Second
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// windowCache keeps the windows of clips from run to run. They are read from mapped files, which the system reads in
// and drops as it has memory; without a folder, or once writing has failed, they are held in memory. It is safe for
// concurrent use.
type windowCache struct {
	dir    string
	prefix string // of the names of packs with windows of this spec and cutVersion
	spec   pipeline.Spec

	mu      sync.Mutex
	entries map[cacheKey][]packEntry // several where packs of several runs have the clip
	checked map[cacheKey]checkedEntry
	pending []byte // the next pack
	begun   time.Time
	index   []byte // and its index
	err     error  // why nothing is written any more
}

// packEntry is the windows of one clip as appendWindows writes them, and their CRC-32C.
type packEntry struct {
	data []byte
	sum  uint32
}

// checkedEntry is an entry whose sum was found to be right, and the SHA-256 of it: both of one reading.
type checkedEntry struct {
	data []byte
	hash Content
}

// openWindowCache reads the indices of all packs of spec in dir; "" keeps all in memory. Damaged packs are removed.
func openWindowCache(dir string, spec pipeline.Spec) *windowCache {
	shape := sha256.Sum256(fmt.Appendf(nil, "%d %+v", cutVersion, spec))
	c := &windowCache{
		dir: dir, prefix: fmt.Sprintf("cuts-%x-", shape[:6]), spec: spec, entries: map[cacheKey][]packEntry{},
		checked: map[cacheKey]checkedEntry{},
	}
	if dir == "" {
		return c
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return c // flush will return what is wrong with the folder
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), c.prefix) && strings.HasSuffix(e.Name(), ".pack"):
			if c.addPack(path) == errCache {
				os.Remove(path)
			}
		case strings.HasPrefix(e.Name(), ".cuts-"): // a write that was killed, unless it goes on
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Hour {
				os.Remove(path)
			}
		}
	}
	return c
}

// addPack maps a pack and takes over its index.
func (c *windowCache) addPack(path string) error {
	data, err := mapFile(path)
	if err != nil {
		return err
	}
	return eachInPack(data, func(key cacheKey, k packEntry) { c.entries[key] = append(c.entries[key], k) })
}

// eachInPack calls each for each entry of a pack, whose sums are not checked; errCache if it is no pack.
func eachInPack(data []byte, each func(cacheKey, packEntry)) error {
	if len(data) < len(packMagic)+packFooter || string(data[:len(packMagic)]) != packMagic ||
		string(data[len(data)-len(packMagic):]) != packMagic {
		return errCache
	}
	le := binary.LittleEndian
	foot := data[len(data)-packFooter:]
	n := int(le.Uint32(foot))
	body := data[:len(data)-packFooter]
	if n > (len(body)-len(packMagic))/indexEntry {
		return errCache
	}
	body, index := body[:len(body)-n*indexEntry], body[len(body)-n*indexEntry:]
	if crc32.Checksum(index, castagnoli) != le.Uint32(foot[4:]) {
		return errCache
	}
	for ; len(index) > 0; index = index[indexEntry:] {
		at, length := le.Uint64(index[sha256.Size:]), uint64(le.Uint32(index[sha256.Size+8:]))
		if at > uint64(len(body)) || length > uint64(len(body))-at {
			return errCache
		}
		each(cacheKey(index[:sha256.Size]), packEntry{
			data: body[at : at+length : at+length],
			sum:  le.Uint32(index[sha256.Size+12:]),
		})
	}
	return nil
}

// get returns the windows of a clip and whether there are any; damaged ones count as not there. Each entry is read, to
// check and to hash it, by the first get that asks for it.
func (c *windowCache) get(key cacheKey) (clipWindows, bool) {
	c.mu.Lock()
	entries, known := c.entries[key], c.checked[key]
	c.mu.Unlock()
	if known.data != nil {
		windows, err := parseWindows(known.data, c.spec)
		windows.hash = known.hash
		return windows, err == nil
	}
	for _, k := range entries {
		if crc32.Checksum(k.data, castagnoli) != k.sum {
			continue
		}
		if windows, err := parseWindows(k.data, c.spec); err == nil {
			windows.hash = sha256.Sum256(k.data) // while it is at hand
			c.mu.Lock()
			c.checked[key] = checkedEntry{k.data, windows.hash}
			c.mu.Unlock()
			return windows, true
		}
	}
	return clipWindows{}, false
}

// put adds the windows of a clip; get finds them after the next flush.
func (c *windowCache) put(key cacheKey, windows *clipWindows) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 {
		c.pending, c.begun = append(c.pending, packMagic...), time.Now()
	}
	for len(c.pending)%8 != 0 {
		c.pending = append(c.pending, 0)
	}
	at := len(c.pending)
	c.pending = appendWindows(c.pending, windows)
	le := binary.LittleEndian
	c.index = append(c.index, key[:]...)
	c.index = le.AppendUint64(c.index, uint64(at))
	c.index = le.AppendUint32(c.index, uint32(len(c.pending)-at))
	c.index = le.AppendUint32(c.index, crc32.Checksum(c.pending[at:], castagnoli))
	if len(c.pending) >= packBytes || time.Since(c.begun) >= packAge {
		c.flush()
	}
}

// close writes what is pending, and returns why not all could be written. The cache can still be read.
func (c *windowCache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flush()
	return c.err
}

// flush writes the pending pack; c.mu must be held.
func (c *windowCache) flush() {
	if len(c.index) == 0 {
		return
	}
	le := binary.LittleEndian
	data := append(c.pending, c.index...)
	data = le.AppendUint32(data, uint32(len(c.index)/indexEntry))
	data = le.AppendUint32(data, crc32.Checksum(c.index, castagnoli))
	data = append(data, packMagic...)
	name := sha256.Sum256(c.index) // of the keys and the sums: a pack of the same name is the same pack
	c.pending, c.index = nil, nil
	if c.dir != "" && c.err == nil {
		path := filepath.Join(c.dir, fmt.Sprintf("%s%x.pack", c.prefix, name[:8]))
		if c.err = os.MkdirAll(c.dir, 0o755); c.err == nil {
			c.err = atomicfile.Write(path, func(f *os.File) error { _, err := f.Write(data); return err })
		}
		if c.err == nil {
			if c.err = c.addPack(path); c.err == nil {
				return
			}
		}
	}
	_ = eachInPack(data, func(key cacheKey, k packEntry) { c.entries[key] = append(c.entries[key], k) })
}

// mapped are the files that mapFile has mapped, by path, size and time. They stay so: samples that were given out point
// into them, and a file that is removed lives on for those who have mapped it.
var (
	mapped   = map[string][]byte{}
	mappedMu sync.Mutex
)

// mapFile maps a pack into memory, once; errCache if it cannot be one.
func mapFile(path string) ([]byte, error) {
	mappedMu.Lock()
	defer mappedMu.Unlock()
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s %d %d", path, info.Size(), info.ModTime().UnixNano())
	if data, ok := mapped[name]; ok {
		return data, nil
	}
	if info.Size() < int64(len(packMagic)+packFooter) || info.Size() > 1<<40 {
		return nil, errCache
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	mapped[name] = data
	return data, nil
}

// cacheFiles returns the paths of the cache's files in a folder and their bytes, with files of earlier versions and
// those that killed runs left; nothing else is touched.
func cacheFiles(dir string) ([]string, int64, error) {
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	var files []string
	var size int64
	for _, e := range entries {
		name := e.Name()
		pack, _ := filepath.Match("cuts-*.pack", name)
		old, _ := filepath.Match("*-????????????????.cut", name)
		left := strings.HasPrefix(name, ".cuts-") || strings.HasPrefix(name, "."+hashesName+".")
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && (pack || old || left || name == hashesName) {
			files = append(files, filepath.Join(dir, name))
			size += info.Size()
		}
	}
	return files, size, nil
}

// CacheSize returns the number of the cache's files in a folder and their size in bytes; 0 if there is no such folder.
func CacheSize(dir string) (files int, size int64, err error) {
	all, size, err := cacheFiles(dir)
	return len(all), size, err
}

// ClearCache removes the cache's files from a folder and returns their number and size in bytes. Runs that use them go
// on.
func ClearCache(dir string) (files int, size int64, err error) {
	all, size, err := cacheFiles(dir)
	for _, f := range all {
		if e := os.Remove(f); e != nil && !os.IsNotExist(e) && err == nil {
			err = e
		}
	}
	return len(all), size, err
}
