// Package packaging_test tries what tandem is shipped as: units of systemd, the package, the image, and manifests.
package packaging_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The units have nothing wrong in them, and next to no rights. Below Restart= they are the same.
func TestUnits(t *testing.T) {
	var rights []string
	for _, unit := range []string{"tandem.service", "tandem-agent.service"} {
		b, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(b), "\nRestart=")
		rights = append(rights, after)
	}
	if rights[0] == "" || rights[0] != rights[1] {
		t.Error("the units differ below Restart=")
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("skipped: ", err)
	}
	dir := t.TempDir()
	for _, unit := range []string{"tandem.service", "tandem-agent.service"} {
		b, _ := os.ReadFile(unit)
		// verify looks for the program and the manual page, which are not installed here.
		b = bytes.Replace(b, []byte("ExecStart=tandem "), []byte("ExecStart=/bin/true "), 1)
		b = bytes.Replace(b, []byte("Documentation="), []byte("#"), 1)
		path := filepath.Join(dir, unit)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("systemd-analyze", "verify", path).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
		rating := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=17", path)
		out, err := rating.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}
