package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	batch "k8s.io/api/batch/v1"
	"sigs.k8s.io/yaml"

	"tandem/capture"
	"tandem/capture/av"
	"tandem/capture/capturetest"
)

// archiveFolder is a folder with clips and their list, list.txt, in which commands find this test's binary as tandem.
type archiveFolder struct {
	*testing.T
	dir   string
	env   []string
	clips int
}

func newArchiveFolder(t *testing.T) archiveFolder {
	model := testModel(t)
	dir, bin := t.TempDir(), t.TempDir()
	self := fmt.Sprintf("#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", processVariable, os.Args[0])
	f := archiveFolder{t, dir, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "TANDEM_MODEL="+model), 3}
	err := errors.Join(
		os.WriteFile(filepath.Join(bin, "tandem"), []byte(self), 0o755),
		os.Mkdir(filepath.Join(dir, "clips"), 0o755),
	)
	list := ""
	for i := range f.clips {
		name := fmt.Sprintf("clips/%d.wav", i)
		list += name + "\n"
		capturetest.WritePattern(t, filepath.Join(dir, name),
			capture.PatternOptions{NoVideo: true, Duration: time.Second}, av.WriterOptions{})
	}
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, "list.txt"), []byte(list), 0o644)); err != nil {
		t.Fatal(err)
	}
	return f
}

// run runs a command in the folder.
func (f archiveFolder) run(env []string, name string, args ...string) {
	f.Helper()
	cmd := exec.CommandContext(f.Context(), name, args...)
	cmd.Dir, cmd.Env = f.dir, append(f.env, env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		f.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// done fails unless each clip has a file of results.
func (f archiveFolder) done() {
	f.Helper()
	files, err := filepath.Glob(filepath.Join(f.dir, "results/clips/*.wav.parquet"))
	if err != nil || len(files) != f.clips {
		f.Fatalf("%d clips have results, want %d", len(files), f.clips)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if n := parquetRows(f.T, b); len(n) != 1 {
			f.Errorf("%s: %v", file, n)
		}
	}
}

// The commands on the page are run as they stand there.
func TestArchiveByParallel(t *testing.T) {
	if out, err := exec.Command("parallel", "--version").Output(); err != nil || !bytes.Contains(out, []byte("GNU")) {
		t.Skip("skipped: there is no GNU parallel")
	}
	page, err := os.ReadFile(inRoot(t, "docs/archives.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/archives.md has no block of commands")
	}
	f := newArchiveFolder(t)
	f.run(nil, "bash", "-euo", "pipefail", "-c", string(block[1]))
	f.done()
	jobs, err := os.ReadFile(filepath.Join(f.dir, "jobs.tsv"))
	if err != nil || bytes.Count(jobs, []byte("\n")) != 1+4 {
		t.Errorf("%v: %s", err, jobs)
	}
}

// The script for Slurm is run as the tasks of an array would run it, and one of them again.
func TestArchiveBySlurm(t *testing.T) {
	f := newArchiveFolder(t)
	for _, task := range []string{"0", "1", "1"} {
		f.run([]string{"SLURM_ARRAY_TASK_ID=" + task, "SLURM_CPUS_PER_TASK=1"},
			inRoot(t, "examples/archive/slurm.sh"), "list.txt", "results", "2")
	}
	f.done()
}

// The job is one by Kubernetes' types, without a field that they lack, and its command is one that tandem takes, with
// as many shares as it has indices.
func TestArchiveByKubernetes(t *testing.T) {
	b, err := os.ReadFile(inRoot(t, "examples/archive/job.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var job batch.Job
	if err := yaml.UnmarshalStrict(b, &job); err != nil {
		t.Fatal(err)
	}
	spec := job.Spec
	if spec.CompletionMode == nil || *spec.CompletionMode != batch.IndexedCompletion || spec.Completions == nil {
		t.Fatal("the job is not indexed")
	}
	pod := spec.Template.Spec
	shares := regexp.MustCompile(`--shard=\$\(JOB_COMPLETION_INDEX\)/(\d+)`).FindStringSubmatch(
		strings.Join(pod.Containers[0].Args, " "))
	if shares == nil || shares[1] != strconv.Itoa(int(*spec.Completions)) {
		t.Errorf("%d indices, and the command has shares %q", *spec.Completions, shares)
	}
	for index := range *spec.Completions {
		args := strings.NewReplacer("$(JOB_COMPLETION_INDEX)", strconv.Itoa(int(index))).Replace(
			strings.Join(pod.Containers[0].Args, "\x00"))
		name, rest, _ := strings.Cut(args, "\x00")
		if _, err := findCommand(name).parse(strings.Split(rest, "\x00")); err != nil {
			t.Fatalf("index %d: %v", index, err)
		}
	}
	mounted := map[string]bool{}
	for _, v := range pod.Volumes {
		mounted[v.Name] = true
	}
	for _, m := range pod.Containers[0].VolumeMounts {
		if !mounted[m.Name] {
			t.Errorf("the volume %s is mounted and not there", m.Name)
		}
	}
}
