package train

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestRunFolderTellsTheRun(t *testing.T) {
	needBackend(t)
	o, data := quickRun(t.TempDir())
	report := filepath.Join(o.Run, "report.html")
	whileItRuns := ""
	o.Progress = func(p Progress) {
		if p.Stage == "train" && p.Done == 7 {
			b, _ := os.ReadFile(report)
			whileItRuns = string(b)
		}
	}
	if _, err := trainOn(t.Context(), o.Train, data); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(whileItRuns, "Under way: epoch 1 of at most 2") {
		t.Errorf("after the first epoch the report is %.200q", whileItRuns)
	}
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	sum := dataOf(t, data).Fingerprints[0]
	for _, want := range []string{
		"Finished: epoch 2", sum.SHA256[:12], "synthetic", "&#34;label_smoothing&#34;",
		"<title>run: a training run of tandem</title>", "temperature of emotion: ", " clips",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	// It needs nothing but itself.
	if links := regexp.MustCompile(`(?i)<(script|link|img|iframe|object)|src=|url\(|@import`).FindAllString(page,
		-1); links != nil {
		t.Errorf("the report would load %v", links)
	}
	for _, name := range []string{
		"losses", "weights", "learning-rate", "gradient-norm", "validation-uar", "validation-nll", "confusion-emotion",
		"confusion-gender",
		"calibration-emotion-before", "calibration-emotion", "calibration-gender-before", "calibration-gender",
	} {
		svg, err := os.ReadFile(filepath.Join(o.Run, "plots", name+".svg"))
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(page, string(svg)) {
			t.Errorf("the report lacks the chart %s", name)
		}
		d := xml.NewDecoder(strings.NewReader(string(svg)))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%s.svg: %v", name, err)
				break
			}
		}
	}
	a, err := o.readAbout()
	if err != nil {
		t.Fatal(err)
	}
	if a.Tandem != "test" || len(a.Data) != 1 || a.Data[0] != sum || a.Begun.IsZero() || a.Go == "" {
		t.Errorf("run.json says %+v", a)
	}
}
