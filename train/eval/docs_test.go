package eval

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// Every field that a report can have, and every condition, stands in docs/report.md.
func TestDocsHoldToTheReport(t *testing.T) {
	b, err := os.ReadFile("../../docs/report.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(typ.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[typ] {
			return
		}
		seen[typ] = true
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name != "" && name != "-" && !strings.Contains(page, "`"+name+"`") {
				t.Errorf("docs/report.md does not name %s", name)
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[Report]())
	if len(seen) < 10 {
		t.Errorf("only %d types were seen", len(seen))
	}
	for _, c := range Conditions {
		if !strings.Contains(page, "`"+string(c)+"`") {
			t.Errorf("docs/report.md does not name the condition %s", c)
		}
	}
}
