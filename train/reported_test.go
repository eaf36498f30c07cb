package train

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/train/dataset"
)

// Where there is a test split the finished model is judged by it, once, and its file and the run's page have those
// figures; without one they have the validation split's, and say so.
func TestRunReportsTheTestSplit(t *testing.T) {
	needBackend(t)
	for _, c := range []struct{ withTest, skip bool }{{true, false}, {false, false}, {true, true}} {
		o, data := quickRun(t.TempDir())
		o.SkipTest = c.skip
		judged := c.withTest && !c.skip
		o.Recipe.Epochs, o.Recipe.StepsPerEpoch = 1, 2
		var said []string
		o.Log = func(line string) { said = append(said, line) }
		tested := 0
		for i := range data.Clips {
			if c.withTest && i%4 == 1 {
				data.Clips[i].Split = dataset.SplitTest
				tested++
			}
		}
		result, err := trainOn(t.Context(), o.Train, data)
		if err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile(filepath.Join(o.Run, "report.html"))
		if err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: dataset.SplitTest, false: dataset.SplitVal}[judged]
		if got := result.Contract.MetricsSplit; got != want {
			t.Errorf("the model's metrics are said to be of the split %q, want %q", got, want)
		}
		log := strings.Join(said, "\n")
		for what, told := range map[string]bool{
			"page": strings.Contains(string(page), "Test: the finished model, judged once"),
			"log":  strings.Contains(log, "test split, by which nothing was chosen: emotion accuracy"),
		} {
			if told != judged {
				t.Errorf("%d test clips: the %s tells of them: %v\n%s", tested, what, told, log)
			}
		}
	}
}
