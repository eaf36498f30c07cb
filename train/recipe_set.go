package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Set changes one field of the recipe, as "learning_rate=0.001" or "augment.sound.reverb=0.2" says: a field by its name
// in the file, those within others behind a dot, and a value as in the file; text needs no quotes. The error names the
// field and what it takes, and leaves the recipe as it was.
func (r *Recipe) Set(assignment string) error {
	path, value, ok := strings.Cut(assignment, "=")
	if !ok || path == "" {
		return fmt.Errorf("%q: want FIELD=VALUE, such as learning_rate=0.001", assignment)
	}
	fields, err := r.fields()
	if err != nil {
		return err
	}
	names := strings.Split(path, ".")
	at, err := groupOf(fields, path, names)
	if err != nil {
		return err
	}
	name := names[len(names)-1]
	old, ok := at[name]
	if !ok {
		return unknownField(path, name, at)
	}
	var parsed any
	if err := json.Unmarshal([]byte(value), &parsed); err != nil {
		parsed = value
	}
	if want := kindOf(old); kindOf(parsed) != want {
		return fmt.Errorf("%s: %q is not %s", path, value, want)
	}
	at[name] = parsed
	b, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	changed := DefaultRecipe()
	if err := changed.read(b); err != nil {
		if mistyped := (*json.UnmarshalTypeError)(nil); errors.As(err, &mistyped) {
			return fmt.Errorf("%s: %q does not fit: it takes %s", path, value, goKind(mistyped.Type.Kind().String()))
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	// What is too long for a field is dropped in silence by the decoder.
	if fields, err = changed.fields(); err != nil {
		return err
	}
	if at, err = groupOf(fields, path, names); err != nil {
		return err
	}
	if !reflect.DeepEqual(at[name], parsed) {
		return fmt.Errorf("%s: %q does not fit: it takes values such as %v", path, value, old)
	}
	*r = changed
	return nil
}

// fields returns the recipe as its file has it.
func (r *Recipe) fields() (fields map[string]any, err error) {
	b, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(b, &fields)
	}
	return fields, err
}

// groupOf returns the group of fields in which the last of names stands.
func groupOf(fields map[string]any, path string, names []string) (map[string]any, error) {
	for _, name := range names[:len(names)-1] {
		inner, ok := fields[name].(map[string]any)
		if !ok {
			return nil, unknownField(path, name, fields)
		}
		fields = inner
	}
	return fields, nil
}

// unknownField returns the error for a field that is not among those of at.
func unknownField(path, name string, at map[string]any) error {
	var known []string
	for field := range at {
		known = append(known, field)
	}
	slices.Sort(known)
	return fmt.Errorf("%s: there is no field %q; there are %s", path, name, strings.Join(known, ", "))
}

// kindOf names what a JSON value is.
func kindOf(v any) string {
	switch v.(type) {
	case float64:
		return "a number"
	case bool:
		return "true or false"
	case []any, nil: // an empty list may be null
		return "a list, such as [1, 2]"
	case map[string]any:
		return "a group of fields: name one of them behind a dot"
	}
	return "text"
}

// goKind names the kind of a Go type.
func goKind(kind string) string {
	if strings.HasPrefix(kind, "int") || strings.HasPrefix(kind, "uint") {
		return "a whole number"
	}
	if strings.HasPrefix(kind, "float") {
		return "numbers"
	}
	return kind + "s"
}
