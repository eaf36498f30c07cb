package agent

import (
	"encoding/json"
	"fmt"
	"strings"
)

// DefaultConsent asks participants, or their room, for an attribute that speaks for itself.
const DefaultConsent = "tandem.consent=yes"

// noConsent lifts the need for it.
const noConsent = "none"

// Consent is an attribute with a value by which a participant agrees to be analysed. The zero value asks for none.
type Consent struct{ key, value string }

// ParseConsent reads ATTRIBUTE=VALUE, or "none".
func ParseConsent(s string) (Consent, error) {
	if s == noConsent {
		return Consent{}, nil
	}
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" || value == "" {
		return Consent{}, fmt.Errorf("%q: want ATTRIBUTE=VALUE, such as %s, or %s", s, DefaultConsent, noConsent)
	}
	return Consent{key, value}, nil
}

// Required reports whether anything is asked for.
func (c Consent) Required() bool { return c.key != "" }

// Given reports whether a participant's attributes, or the JSON objects that the participant's or the room's metadata
// may be, have the value asked for. An attribute of another value is a refusal, whatever metadata says.
func (c Consent) Given(attributes map[string]string, metadata, room string) bool {
	if !c.Required() {
		return true
	}
	if v, ok := attributes[c.key]; ok {
		return v == c.value
	}
	if v, ok := c.in(metadata); ok {
		return v == c.value
	}
	v, _ := c.in(room)
	return v == c.value
}

// in returns the value in metadata: a string, or another value as it is written in JSON, such as true.
func (c Consent) in(metadata string) (string, bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(metadata), &object) != nil {
		return "", false
	}
	raw, ok := object[c.key]
	if !ok {
		return "", false
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, true
	}
	return string(raw), true
}
