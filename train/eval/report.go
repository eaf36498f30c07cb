package eval

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tandem/internal/atomicfile"
	"tandem/train/metrics"
)

// reportVersion is the version of report.json; consumers ignore fields that they do not know.
const reportVersion = 1

// Report is the content of report.json, which tandem eval writes.
type Report struct {
	Version int       `json:"v"`
	Created time.Time `json:"created"`
	Model   string    `json:"model"` // SHA-256 of the model file in hex
	// Precision is that of the network's convolutions: "fp32" or "int8".
	Precision string `json:"precision,omitempty"`
	Split     string `json:"split"`
	// SplitBy is how the data was divided, if not as the sets say, and SharedSpeakers names who stands in several
	// splits.
	SplitBy        string   `json:"split_by,omitempty"`
	SharedSpeakers []string `json:"shared_speakers,omitempty"`
	// TrainedOnShared names the sets of which the model says that speakers stood in several splits when it was trained.
	TrainedOnShared []string `json:"trained_on_shared,omitempty"`
	// DividedOtherwise names the sets that the model was trained on as its file says, but of which the clips or their
	// splits are others here; where Seen is known, it says more.
	DividedOtherwise []string `json:"divided_otherwise,omitempty"`
	// Seen tells which of the clips judged the model knows; nil where its file does not tell.
	Seen     *Seen `json:"seen,omitempty"`
	CacheErr error `json:"-"` // Prepared's

	Modalities Modalities           `json:"senses"`
	Labels     ReportLabels         `json:"labels"`
	Clips      int                  `json:"clips"` // judged
	Skipped    []string             `json:"skipped,omitempty"`
	Seed       uint64               `json:"seed"` // of the bootstrap
	Sets       map[string]SetReport `json:"sets"`
	All        SetReport            `json:"all"` // the clips of all sets together
	// Details tells more of each set.
	Details map[string]Detail `json:"details,omitempty"`
	// Comparisons is the number of differences with a p value, for all of which together p_holm is corrected.
	Comparisons int `json:"comparisons,omitempty"`
	// Against compares with another model, if that was asked for (CompareWith).
	Against *Against `json:"against,omitempty"`
	Speed   Speed    `json:"speed"`

	answers []clipAnswer // of the judged clips, by set
}

// Detail judges a set by what is more than its clips as a whole.
type Detail struct {
	// Windows judges each window by itself; nil where each clip is one.
	Windows *SetReport `json:"windows,omitempty"`
	// Modalities judges by one sense, by both, and with one corrupted; each time the clips that have the senses in
	// question.
	Modalities map[Condition]SetReport `json:"senses,omitempty"`
	Fusion     *FusionReport           `json:"fusion,omitempty"`
	// Groups judges the clips of some people only: by kind of group ("age") and group ("18–29").
	Groups map[string]map[string]SetReport `json:"groups,omitempty"`
}

// Speed is the cost of an evaluation.
type Speed struct {
	Windows int     `json:"windows"`            // recognised, under all conditions together
	Seconds float64 `json:"seconds"`            // that took, in all
	Rate    float64 `json:"windows_per_second"` // one by the other
	Judging float64 `json:"judging_seconds"`    // scores and intervals
}

// ReportLabels names the rows and columns of the confusion matrices.
type ReportLabels struct {
	Emotions []string `json:"emotions"`
	Genders  []string `json:"genders"`
}

// SetReport judges one data set; a task without labels is nil.
type SetReport struct {
	Emotion *metrics.Scores `json:"emotion,omitempty"`
	Gender  *metrics.Scores `json:"gender,omitempty"`
	// Joint is the sum of both tasks' NLL, nil where one has no labels.
	Joint *float64 `json:"joint_nll,omitempty"`
}

// correct corrects the p values of all comparisons for their number.
func (r *Report) correct() {
	var all []*metrics.Significance
	for _, set := range slices.Sorted(maps.Keys(r.Details)) {
		if f := r.Details[set].Fusion; f != nil {
			for _, task := range []*Fusion{f.Emotion, f.Gender} {
				if task != nil {
					all = append(all, &task.Accuracy.Significance, &task.UAR.Significance, &task.NLL.Significance)
				}
			}
		}
	}
	all = append(all, r.Against.significances()...)
	r.Comparisons = metrics.Correct(all)
}

// Write writes report.json and report.html into dir, which it makes.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	page, err := r.HTML()
	if err != nil {
		return err
	}
	for name, b := range map[string][]byte{"report.json": append(data, '\n'), "report.html": page} {
		if err := atomicfile.WriteBytes(filepath.Join(dir, name), b); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}
