package cli

import (
	"strings"
	"testing"
)

func TestModel(t *testing.T) {
	path := testModel(t)
	code, stdout, stderr := runTandem(t, "model", path)
	for _, want := range []string{
		"weighting", "softmax", "float32 [B, 40960]", "uint8 [B, 8, 16, 16, 3]", "female,male", "sha256",
	} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("exit code %d, %s; standard output lacks %q:\n%s", code, stderr, want, stdout)
		}
	}
	code, stdout, _ = runTandem(t, "model", "--json", "--model", path)
	if code != 0 || !strings.Contains(stdout, `"tandem.crop_size": "16"`) {
		t.Errorf("exit code %d, JSON:\n%s", code, stdout)
	}
}
