package tree_test

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	link    = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading = regexp.MustCompile(`^#{1,6} +(.*?)[ #]*$`)
)

// anchors returns the names that GitHub gives the headings of a page.
func anchors(text string) map[string]bool {
	names := map[string]bool{}
	code := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			code = !code
		}
		m := heading.FindStringSubmatch(strings.TrimSpace(line))
		if code || m == nil || line[0] != '#' {
			continue
		}
		name := slug(link.ReplaceAllString(m[1], "]"))
		for k, first := 1, name; names[name]; k++ {
			name = fmt.Sprintf("%s-%d", first, k)
		}
		names[name] = true
	}
	return names
}

// slug returns the name of a heading: its letters, digits, underscores and hyphens in lower case, a hyphen for each
// space.
func slug(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

func TestSlug(t *testing.T) {
	for heading, want := range map[string]string{
		"`tandem live`: webcam and microphone": "tandem-live-webcam-and-microphone",
		"In 8 bits":                            "in-8-bits",
		"What it costs (per session)":          "what-it-costs-per-session",
		"A – B":                                "a--b",
	} {
		if got := slug(heading); got != want {
			t.Errorf("%q: %q, want %q", heading, got, want)
		}
	}
	if got := anchors("# A\n```\n# no\n```\n## A\n## [b](c.md#d) e\n"); len(got) != 3 || !got["a-1"] || !got["b-e"] {
		t.Errorf("anchors %v", got)
	}
}

// Every relative link leads somewhere, to a heading if it names one.
func TestLinksLeadSomewhere(t *testing.T) {
	count := 0
	for page, text := range pages(t) {
		for i, line := range strings.Split(text, "\n") {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
					continue
				}
				count++
				file, anchor, _ := strings.Cut(m[1], "#")
				target := page
				if file != "" {
					target = path.Join(path.Dir(page), file)
				}
				if _, err := os.Stat(filepath.FromSlash(target)); err != nil {
					t.Errorf("%s:%d: %s: there is no %s", page, i+1, m[1], target)
				} else if anchor != "" && !anchors(readPage(t, target))[anchor] {
					t.Errorf("%s:%d: %s: %s has no such heading", page, i+1, m[1], target)
				}
			}
		}
	}
	if count < 50 {
		t.Errorf("the pages have %d links", count)
	}
}
