package access_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"tandem/webrtc/access"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A file has tokens with names and rights, in the clear or hashed, and can be read again; one that is wrong changes
// nothing.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(fmt.Sprintf("# ours\n\nward-3 publish,read phone-token\r\n\tops  admin sha256:%x",
		sha256.Sum256([]byte("ops-token"))))
	f, err := access.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(token, name string, rights access.Rights) {
		t.Helper()
		g, err := f.Check(t.Context(), token)
		if g != (access.Grant{Name: name, Rights: rights}) || (err == nil) != (name != "") {
			t.Errorf("%q gives %+v, %v", token, g, err)
		}
		if err != nil && !errors.Is(err, access.ErrUnknown) {
			t.Error(err)
		}
	}
	check("phone-token", "ward-3", access.Publish|access.Read)
	check("ops-token", "ops", access.Admin)
	check("phone-toke", "", 0)
	check("", "", 0)
	for _, wrong := range []string{"ward-3 publish", "", strings.Repeat("#", 2<<20)} {
		write(wrong)
		if err := f.Reload(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%.20q: %v", wrong, err)
		}
	}
	check("phone-token", "ward-3", access.Publish|access.Read)
	write("ward-3 read phone-token\n")
	if err := f.Reload(); err != nil || f.Len() != 1 {
		t.Errorf("%d tokens, %v", f.Len(), err)
	}
	check("phone-token", "ward-3", access.Read)
	check("ops-token", "", 0)
	if _, err := access.OpenFile(filepath.Join(t.TempDir(), "nosuch")); err == nil {
		t.Error("a file that isn't there is read")
	}
}

func TestMalformedLists(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "no token",
		"# nothing":                           "no token",
		"a publish":                           "line 1: want NAME RIGHTS TOKEN",
		"a publish one two":                   "line 1: want NAME RIGHTS TOKEN",
		"\na/b publish secret-1":              "line 2: a name",
		"a publish,write secret-1":            `line 1: "write" is no right`,
		"a publish, secret-1":                 `line 1: "" is no right`,
		"a publish secret1":                   "at least 8",
		"a publish s\u00e9cret-secret":        "printable",
		"a publish sha256:1234":               "64 hexadecimal",
		"a publish secret-1\nb read secret-1": "line 2: its token is a's",
	} {
		if l, err := access.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %q", text, l, err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error repeats the token: %v", text, err)
		}
	}
}

// A list that parses has names and rights, and no error repeats a long token.
func FuzzParse(f *testing.F) {
	f.Add("ward-3 publish,read phone-token\nops admin sha256:" + strings.Repeat("0f", 32))
	f.Add("# a\r\n\t\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := access.Parse(text)
		if (err == nil) != (len(l) > 0) {
			t.Errorf("%d tokens, %v", len(l), err)
		}
		for _, g := range l {
			if g.Name == "" || g.Rights == 0 || g.Rights.String() == "" {
				t.Errorf("%+v", g)
			}
		}
	})
}

type broken struct{ error }

func (b broken) Check(context.Context, string) (access.Grant, error) { return access.Grant{}, b.error }

// The first that knows a token decides; what is expired is told from what nobody knows.
func TestAny(t *testing.T) {
	a := access.Any{access.Shared("one"), broken{access.ErrExpired}, access.Shared("two")}
	for _, token := range []string{"one", "two"} {
		if g, err := a.Check(t.Context(), token); err != nil || g.Rights != access.Guest || g.May(access.Admin) {
			t.Errorf("%s: %+v, %v", token, g, err)
		}
	}
	if _, err := a.Check(t.Context(), "three"); !errors.Is(err, access.ErrExpired) {
		t.Error(err)
	}
	if _, err := a[:1].Check(t.Context(), "three"); !errors.Is(err, access.ErrUnknown) {
		t.Error(err)
	}
}
