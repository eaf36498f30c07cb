package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"tandem/internal/atomicfile"
	"tandem/train/sample"
)

// Errors of a run's folder; errors.Is finds them.
var (
	ErrRunInUse  = errors.New("another run is under way there")
	ErrRunExists = errors.New("holds a run already")
	ErrRunOther  = errors.New("not the run that was begun")
)

// LockRun makes a run's folder and keeps others out of it until unlock is called. The lock is the kernel's (flock),
// which ends with the process that holds it, however that dies: no lock is ever stale. The file names the process for
// people.
func LockRun(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	path := filepath.Join(dir, "lock")
	l := flock.New(path)
	ok, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("run folder %s: its lock: %w", dir, err)
	}
	if !ok {
		who, _ := os.ReadFile(path)
		return nil, fmt.Errorf("run folder %s: %w (process %s): wait for its end, or choose another --run", dir,
			ErrRunInUse, strings.TrimSpace(string(who)))
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return nil, errors.Join(fmt.Errorf("run folder %s: %w", dir, err), l.Unlock())
	}
	return func() { _ = l.Unlock() }, nil // closing the file is all there is to it
}

// CheckFolder returns an error if o.Run holds a run that is not to be resumed (ErrRunExists), or one of another recipe
// (ErrRunOther). The number of epochs may be another, see run.lengthen.
func (o *Options) CheckFolder() error {
	file := filepath.Join(o.Run, recipeFile)
	old, err := ReadRecipe(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("run folder %s: %w", o.Run, err)
	case !o.Resume:
		return fmt.Errorf("run folder %s %w: go on with --resume, or choose another --run", o.Run, ErrRunExists)
	}
	old.Epochs = o.Recipe.Epochs
	if !reflect.DeepEqual(old, o.Recipe) {
		return fmt.Errorf("run folder %s: %w: its recipe is another than the one given; resume with %s", o.Run,
			ErrRunOther, file)
	}
	return nil
}

// lengthen says what another number of epochs than was set out with does to a run that goes on: its steps so far stay
// as they are, and a new stage begins, whose learning rate is that of the new schedule. It returns the former number, 0
// if it is the same.
func (r *run) lengthen() (was int, err error) {
	old, err := ReadRecipe(filepath.Join(r.Run, recipeFile))
	is := r.Recipe
	switch {
	case err != nil:
		return 0, fmt.Errorf("run folder %s: %w", r.Run, err)
	case old.Epochs == is.Epochs:
		return 0, nil
	case is.Epochs < r.st.Epoch:
		return 0, fmt.Errorf("run folder %s: %w: %d epochs are done, more than --epochs %d; give more, or begin anew "+
			"in another --run", r.Run, ErrRunOther, r.st.Epoch, is.Epochs)
	}
	r.Log(fmt.Sprintf("%d epochs instead of %d: from step %d on a new stage, whose learning rate is that of the new "+
		"schedule at this step, %.3g, where it was %.3g; this is not the run that %d epochs from the start would have "+
		"been", is.Epochs, old.Epochs, r.st.Step, is.rate(r.st.Step), old.rate(max(0, r.st.Step-1)), is.Epochs))
	if is.Patience > 0 && r.st.Epoch-r.st.Best >= is.Patience {
		r.Log(fmt.Sprintf("early stopping has ended this run, %d epochs after its best one (patience): it stays ended",
			r.st.Epoch-r.st.Best))
	}
	return old.Epochs, nil
}

// The files of a run's folder, beside its checkpoints.
const (
	recipeFile = "recipe.json"
	aboutFile  = "run.json"
	logFile    = "log.csv"
	StepsFile  = "steps.csv" // see ReadSteps
	bestFile   = "best.onnx"
)

// RecipeOf returns the path of the file that holds the recipe of the run in a folder.
func RecipeOf(run string) string { return filepath.Join(run, recipeFile) }

// about is run.json: where a run comes from.
type about struct {
	Version int                  `json:"v"`
	Begun   time.Time            `json:"begun"`
	Tandem  string               `json:"tandem_version"`
	Git     GitState             `json:"git"`
	Go      string               `json:"go"`
	Network string               `json:"network"` // as in the checkpoints
	Backend string               `json:"backend"`
	Data    []sample.Fingerprint `json:"data"`
	Init    *initName            `json:"init,omitempty"`
	Resumed []resumed            `json:"resumed,omitempty"`
}

// initName names the network that a run began with.
type initName struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// resumed is one of the times that a run went on.
type resumed struct {
	At   time.Time `json:"at"`
	Step int       `json:"step"`
	Git  GitState  `json:"git"`
	// Epochs is how many it was to have from then on, if that changed, and EpochsBefore until then.
	Epochs       int `json:"epochs,omitempty"`
	EpochsBefore int `json:"epochs_before,omitempty"`
}

// GitState is the commit that the binary was built from, "" where it was built outside of a repository.
type GitState struct {
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
}

// BuiltFrom returns the commit and the version of Go that this binary was built from.
func BuiltFrom() (g GitState, goVersion string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return g, ""
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			g.Revision = s.Value
		case "vcs.modified":
			g.Modified = s.Value == "true"
		}
	}
	return g, info.GoVersion
}

// describeRun writes run.json, or, in a run that goes on, returns an error if the data is not that with which it began;
// before is the number of epochs that it was to have, if that has changed, else 0.
func (r *run) describeRun(before int) error {
	git, goVersion := BuiltFrom()
	now := time.Now().UTC().Truncate(time.Second)
	a := about{
		Version: 1, Begun: now, Tandem: r.Version, Git: git, Go: goVersion, Network: r.network,
		Backend: r.backend, Data: r.data.Fingerprints,
	}
	if r.Init != nil {
		a.Init = &initName{r.Init.Name, r.Init.SHA256}
	}
	if r.st.Step > 0 {
		old, err := r.readAbout()
		if err != nil {
			return err
		}
		if err := sample.CheckSameData(old.Data, r.data.Fingerprints); err != nil {
			return fmt.Errorf("run folder %s: %w: %w; resume with the data as it was, or begin anew in another --run",
				r.Run, ErrRunOther, err)
		}
		if old.Backend != r.backend {
			r.Log(fmt.Sprintf("the run was begun with --backend %s: "+
				"with %s it will not be what it would have been, bit for bit", old.Backend, r.backend))
		}
		a = old
		again := resumed{At: now, Step: r.st.Step, Git: git}
		if before > 0 {
			again.Epochs, again.EpochsBefore = r.Recipe.Epochs, before
		}
		a.Resumed = append(a.Resumed, again)
	}
	return r.writeAbout(a)
}

func (o *Options) readAbout() (a about, err error) {
	file := filepath.Join(o.Run, aboutFile)
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	if err != nil {
		return a, fmt.Errorf("run folder: %s: %w", file, err)
	}
	return a, nil
}

func (o *Options) writeAbout(a about) error {
	b, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	if err := atomicfile.WriteBytes(filepath.Join(o.Run, aboutFile), append(b, '\n')); err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	return nil
}
