package access

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
)

// Bounds of a file of tokens.
const (
	maxFile   = 1 << 20 // bytes
	minSecret = 8       // characters of a token
)

// List has tokens by their digests.
type List map[digest]Grant

var tokenName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Parse reads a list: on each line a name, rights separated by commas, and a token, with blanks between. Lines that are
// empty or begin with # are skipped. Names are of letters, digits and "._-", and may come more than once, so that a
// token can be changed for a new one; tokens may not. A token has at least 8 printable characters and no blank;
// "sha256:HEX" stands for one that is not to be read here. Errors name the line, and repeat no token.
func Parse(text string) (List, error) {
	list, n := List{}, 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, fmt.Errorf("line %d: want NAME RIGHTS TOKEN", n)
		}
		if !tokenName.MatchString(fields[0]) {
			return nil, fmt.Errorf(`line %d: a name has up to 64 letters, digits and "._-"`, n)
		}
		rights, err := parseRights(fields[1])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		d, err := parseToken(fields[2])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if other, there := list[d]; there {
			return nil, fmt.Errorf("line %d: its token is %s's already: no two names share one", n, other.Name)
		}
		list[d] = Grant{fields[0], rights}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("it has no token: want lines of NAME RIGHTS TOKEN")
	}
	return list, nil
}

func parseToken(s string) (d digest, err error) {
	if sum, hashed := strings.CutPrefix(s, "sha256:"); hashed {
		b, err := hex.DecodeString(sum)
		if err != nil || len(b) != len(d) {
			return d, fmt.Errorf("after sha256: come 64 hexadecimal digits")
		}
		return digest(b), nil
	}
	if len(s) < minSecret {
		return d, fmt.Errorf("a token has at least %d characters, or it is guessed", minSecret)
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return d, fmt.Errorf("a token is of printable ASCII characters")
		}
	}
	return digestOf(s), nil
}

// File is a list of tokens in a file, which can be read again.
type File struct {
	path string
	list atomic.Pointer[List]
}

// OpenFile reads a list.
func OpenFile(path string) (*File, error) {
	f := &File{path: path}
	return f, f.Reload()
}

// Reload reads the file again. After an error the tokens are those of before.
func (f *File) Reload() error {
	r, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return err
	}
	if len(b) > maxFile {
		return fmt.Errorf("%s: the file is larger than %d KiB", f.path, maxFile>>10)
	}
	list, err := Parse(string(b))
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	f.list.Store(&list)
	return nil
}

// Len returns the number of tokens.
func (f *File) Len() int { return len(*f.list.Load()) }

// Check does as Checker wants it.
func (f *File) Check(_ context.Context, token string) (Grant, error) {
	if g, ok := (*f.list.Load())[digestOf(token)]; ok {
		return g, nil
	}
	return Grant{}, ErrUnknown
}
