package av

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"syscall"
	"unicode/utf8"
)

// StandardInput is the name of standard input.
const StandardInput = "-"

// stdinPath is where standard input can be opened anew, so that a file that it is redirected from can be sought in.
const stdinPath = "/dev/stdin"

// LocalPath returns the path of an input that is no URL: that of a file: URL (RFC 8089) without its escapes, that of
// standard input for "-", else the input itself.
func LocalPath(input string) string {
	if input == StandardInput {
		return stdinPath
	}
	const scheme = "file:/"
	if len(input) < len(scheme) || !strings.EqualFold(input[:len(scheme)], scheme) {
		return input
	}
	u, err := url.Parse(input)
	if err != nil || u.RawQuery != "" || u.Fragment != "" || u.Host != "" && !strings.EqualFold(u.Host, "localhost") {
		// People put "file://" before a path as it is, with a "%", "?" or "#" in it.
		return strings.TrimPrefix(input[len("file:"):], "//")
	}
	return u.Path
}

// textHeaded is how those media files begin whose header is text, so that only their contents would tell them from a
// text: YUV4MPEG2; the portable anymap's family (P1 to P7, PF: a letter, a digit, white space, the width); NIST SPHERE;
// AMR (RFC 4867, section 5); Radiance HDR; FITS.
var textHeaded = regexp.MustCompile(
	`^(YUV4MPEG2 |P[1-6fF]\s+(#[^\n]*\n\s*)*\d|P7\n(#[^\n]*\n)*[A-Z]+ |NIST_1A\n|#!AMR|#\?(RADIANCE|RGBE)\n|SIMPLE  =)`)

// sniff refuses text, of which libav would draw some as a picture and follow some, playlists, to other places.
func sniff(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return cause(err)
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := f.Read(head)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it is empty", ErrNotMedia)
	}
	if err != nil {
		return cause(err)
	}
	if head = head[:n]; utf8.Valid(head[:max(n-utf8.UTFMax, 1)]) && !textHeaded.Match(head) &&
		strings.HasPrefix(http.DetectContentType(head), "text/") {
		return fmt.Errorf("%w: it is a text file", ErrNotMedia)
	}
	return nil
}

// cause leaves out the path that an os error repeats.
func cause(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}
