package access_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tandem/webrtc/access"
)

// provider serves the public half of a key.
func provider(t *testing.T) (url string, key ed25519.PrivateKey) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"k1","x":%q}]}`,
			base64.RawURLEncoding.EncodeToString(public))
	}))
	t.Cleanup(s.Close)
	return s.URL, key
}

// JWTs are taken that the provider has signed for this service, for as long as they say, with the rights of their
// scope.
func TestJWT(t *testing.T) {
	url, key := provider(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	j, err := access.NewJWT(ctx, access.JWTOptions{URL: url, Audience: "tandem", Issuer: "id"})
	if err != nil {
		t.Fatal(err)
	}
	good := jwt.MapClaims{
		"sub": "ada", "aud": []string{"x", "tandem"}, "iss": "id", "scope": "openid publish read",
		"exp": time.Now().Add(time.Hour).Unix(),
	}
	sign := func(changes jwt.MapClaims) string {
		t.Helper()
		c := maps.Clone(good)
		for name, v := range changes {
			if c[name] = v; v == nil {
				delete(c, name)
			}
		}
		token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c)
		token.Header["kid"] = "k1"
		s, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ago := time.Now().Add(-time.Hour).Unix()
	for name, c := range map[string]struct {
		change jwt.MapClaims
		rights access.Rights
		err    error
	}{
		"good":            {nil, access.Publish | access.Read, nil},
		"admin":           {jwt.MapClaims{"scope": "admin"}, access.Admin, nil},
		"no scope":        {jwt.MapClaims{"scope": nil}, 0, nil},
		"expired":         {jwt.MapClaims{"exp": ago}, 0, access.ErrExpired},
		"not yet":         {jwt.MapClaims{"nbf": time.Now().Add(time.Hour).Unix()}, 0, access.ErrExpired},
		"for ever":        {jwt.MapClaims{"exp": nil}, 0, access.ErrUnknown},
		"nobody's":        {jwt.MapClaims{"sub": nil}, 0, access.ErrUnknown},
		"for another":     {jwt.MapClaims{"aud": "x"}, 0, access.ErrUnknown},
		"of another":      {jwt.MapClaims{"iss": "x"}, 0, access.ErrUnknown},
		"scope of a list": {jwt.MapClaims{"scope": []string{"read"}}, 0, access.ErrUnknown},
	} {
		g, err := j.Check(t.Context(), sign(c.change))
		if !errors.Is(err, c.err) || g.Rights != c.rights || err == nil && g.Name != "ada" {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}

	forged := sign(nil)
	_, other, _ := ed25519.GenerateKey(nil)
	key = other
	expired := sign(jwt.MapClaims{"exp": ago})
	none := jwt.NewWithClaims(jwt.SigningMethodNone, good)
	none.Header["kid"] = "k1"
	unsigned, err := none.SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	shared := jwt.NewWithClaims(jwt.SigningMethodHS256, good)
	shared.Header["kid"] = "k1"
	symmetric, err := shared.SignedString([]byte("k1"))
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"another's signature": sign(nil), "expired by another": expired, "none": unsigned, "shared": symmetric,
		"cut": forged[:len(forged)-4], "opaque": "secret", "dots": "..", "empty": "",
	} {
		if g, err := j.Check(t.Context(), token); !errors.Is(err, access.ErrUnknown) {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
}

func TestJWTOptions(t *testing.T) {
	broken := httptest.NewServer(http.NotFoundHandler())
	defer broken.Close()
	for _, url := range []string{"", "file:///etc/keys", "https:", broken.URL} {
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := access.NewJWT(ctx, access.JWTOptions{URL: url, Audience: "tandem"}); err == nil {
			t.Errorf("%q: no error", url)
		}
		cancel()
	}
}
