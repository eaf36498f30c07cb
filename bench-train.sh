#!/usr/bin/env bash
# Measures training, shows the raw lines as they come, and ends with one table. docs/benchmarks.md says what each figure is. Started by
# `make bench-train`.
# usage: bench-train.sh [go test flags, such as -short for a quick look]
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go test -tags nocamera -c -o "$work/" ./train ./train/sample

failed=0
flags=("${@/#-/-test.}")
# run PACKAGE TIMES BENCHMARK: each in a process of its own, since memory is the most that the process has held.
run() {
	(cd "$1" && "$work/$(basename "$1").test" -test.run '^$' -test.timeout 20m -test.benchtime "$2" -test.bench "$3" \
		"${flags[@]}") | tee -a "$work/raw" || failed=1
}
run ./train 1x 'StepBesidePyTorch$'
for batch in 0.25 0.5 1 2; do run ./train 1x "Training/batch=$batch\$"; done
for clips in 500 5000 50000; do run ./train 1x "Training/clips=$clips\$"; done
run ./train/sample 1x 'Prepare$'
run ./train 8x 'Weightings$'

awk -v cores="$(nproc)" -v cpu="$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | sort -u | paste -sd,)" \
	-v load="$(cut -d' ' -f1 /proc/loadavg)" '
	/^Benchmark/ {
		name = $1
		sub(/^Benchmark/, "", name)
		sub(/-[0-9]+$/, "", name)
		for (i = 3; i < NF; i += 2) value[name, $(i + 1)] = $i
	}
	function show(name, unit,   v) {
		if (!((name, unit) in value)) return "-"
		v = sprintf("%.3g", value[name, unit])
		return v ~ /e/ ? sprintf("%.0f", value[name, unit]) : v
	}
	function line(label, name, unit, target) { printf "  %-42s %10s %-24s %s\n", label, show(name, unit), unit, target }
	function row(label, name) {
		printf "  %-22s %10s %10s %10s %10s\n", label, show(name, "ms/step"), show(name, "samples/s"), show(name, "%waiting"), show(name, "peak-MB")
	}
	END {
		printf "\n==== %s cores (%s), load at the end %s ====\n", cores, cpu, load
		t = "StepBesidePyTorch"
		print "\n(a) one step of the default network and batch, AdamW; medians of turns"
		line("tandem, all cores", t, "tandem-ms/step")
		line("PyTorch, all cores", t, "torch-all-cores-ms/step")
		line("PyTorch, one thread", t, "torch-one-thread-ms/step")
		line("tandem / the better of PyTorch", t, "tandem/torch", "target: at most 1.2")
		if (!((t, "tandem/torch") in value))
			print "  For the comparison install PyTorch: apt-get install --no-install-recommends python3-torch (over 400 MB)"
		print "\n(b) the default recipe with its loader; target: waiting below 5 %"
		printf "  %-22s %10s %10s %10s %10s\n", "", "ms/step", "samples/s", "% waiting", "peak MB"
		row("batch, a quarter", "Training/batch=0.25"); row("batch, half", "Training/batch=0.5")
		row("batch", "Training/batch=1"); row("batch, double", "Training/batch=2")
		row("500 clips", "Training/clips=500"); row("5000 clips", "Training/clips=5000"); row("50000 clips", "Training/clips=50000")
		p = "Prepare"
		print "\n(c) cutting clips into windows"
		if (!((p, "cold-clips/s") in value)) print "  TANDEM_DATA names no data: not measured"
		else {
			line("from a cold cache", p, "cold-clips/s")
			line("from a warm cache", p, "warm-clips/s")
			line("size of the cache", p, "cache-MB")
			line("memory in use for each window", p, "heap-B/window")
		}
		print "\n(d) a step by weighting"
		n = split("softmax softmax-prior uw uw-so dwa rlw famo gradnorm pcgrad cagrad", names, " ")
		for (i = 1; i <= n; i++) printf "  %-22s %10s ms %10s of static\n", names[i], show("Weightings/" names[i], "ms/step"), show("Weightings/" names[i], "of-static")
	}' "$work/raw"
((failed == 0)) || { echo "bench-train: a benchmark failed, see above" >&2; exit 1; }
