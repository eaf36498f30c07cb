package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/pflag"

	"tandem/webrtc/access"
)

// accessFlags say who may use the server, beside --token.
type accessFlags struct {
	tokens                       string
	jwks, jwtAudience, jwtIssuer string
}

func (o *accessFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&o.tokens, "tokens", "",
		"`FILE` of tokens with names and rights, read again on SIGHUP; each line is NAME RIGHTS TOKEN")
	f.StringVar(&o.jwks, "jwks", "",
		"take JWTs that are signed by a key of the set (JWKS) at `URL`; wants --jwt-audience")
	f.StringVar(&o.jwtAudience, "jwt-audience", "", "`NAME` of this service, which JWTs must have in aud")
	f.StringVar(&o.jwtIssuer, "jwt-issuer", "", "`NAME` that JWTs must have in iss (default: any)")
}

func (o *accessFlags) check() error {
	switch {
	case o.jwks != "" && o.jwtAudience == "":
		return errors.New("--jwks wants --jwt-audience, or tokens for other services would be taken")
	case o.jwks == "" && o.jwtAudience+o.jwtIssuer != "":
		return errors.New("--jwt-audience and --jwt-issuer are of use with --jwks alone")
	}
	return nil
}

// any reports whether there are any tokens.
func (o *accessFlags) any() bool { return o.tokens+o.jwks != "" }

// open returns what knows the tokens, nil for none, and what of it is to be reloaded. Keys are fetched until ctx ends.
func (o *accessFlags) open(ctx context.Context, log *slog.Logger) (access.Checker, []reload, error) {
	if !o.any() {
		return nil, nil, nil
	}
	var known access.Any
	var again []reload
	if o.tokens != "" {
		f, err := access.OpenFile(o.tokens)
		if err != nil {
			return nil, nil, fmt.Errorf("--tokens: %w", err)
		}
		known = append(known, f)
		again = append(again, reload{"tokens", f.Reload})
	}
	if o.jwks != "" {
		j, err := access.NewJWT(ctx, access.JWTOptions{
			URL: o.jwks, Audience: o.jwtAudience, Issuer: o.jwtIssuer, Log: log,
		})
		if err != nil {
			return nil, nil, fmt.Errorf("--jwks: %w", err)
		}
		known = append(known, j)
	}
	return known, again, nil
}
