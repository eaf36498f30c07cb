#!/usr/bin/env bash
# Runs the benchmarks, shows their raw lines as they come, and ends with one table. docs/benchmarks.md says what each
# figure is. Started by `make bench`.
# usage: [TAGS=...] ./bench.sh [go test flags, such as -short for a quick look]
set -euo pipefail
cd "$(dirname "$0")"
raw=$(mktemp)
trap 'rm -f "$raw"' EXIT

failed=0
run() { go test ${TAGS:+-tags "$TAGS"} -timeout 20m -run '^$' "$@" ./... | tee -a "$raw" || failed=1; }
# What does not depend on the run is measured within half a second each; the rest counts its own rounds.
# What training takes is bench-train.sh's, and for the paper's network in docs/paper.md.
run -bench . -skip '^Benchmark(Training|StepBesidePyTorch|Prepare|Weightings|PaperStep)$' -benchtime 0.5s "$@"

commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
awk -v cores="$(nproc)" -v cpu="$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | sort -u | paste -sd,)" \
	-v load="$(cut -d' ' -f1 /proc/loadavg)" -v commit="$commit" '
	/^Benchmark/ {
		name = $1
		sub(/^Benchmark/, "", name)
		sub(/-[0-9]+$/, "", name)
		for (i = 3; i < NF; i += 2) value[name, $(i + 1)] = $i
	}
	function line(label, name, unit, shown, scale, target,   v) {
		if (!((name, unit) in value)) v = "not measured"
		else v = sprintf("%.3g", value[name, unit] * scale)
		if (v ~ /e\+/) v = sprintf("%.0f", value[name, unit] * scale)
		printf "  %-62s %12s %-9s %s\n", label, v, v == "not measured" ? "" : shown, target
	}
	function head(text) { printf "\n%s\n", text }
	END {
		printf "\n==== %s cores (%s), commit %s, load at the end %s ====\n", cores, cpu, commit, load
		a = "Analyze"
		head("(a) CPU for a second of 640x480 at 30 a second, VP8 and Opus; medians of rounds that take turns")
		line("decode alone, all pictures as RGB", a, "decode-cpu-ms/s", "ms", 1)
		line("decode alone, only the pictures that analyze asks for", a, "decode-sparse-cpu-ms/s", "ms", 1)
		line("analyze, whole", a, "analyze-cpu-ms/s", "ms", 1)
		line("analyze / decode of all pictures", a, "analyze/decode", "x", 1, "target: at most 2")
		line("analyze with one thread for the network", a, "single-cpu-ms/s", "ms", 1)
		line("  of it decoding", a, "part-decode-cpu-ms/s", "ms", 1)
		line("  of it finding faces", a, "part-faces-cpu-ms/s", "ms", 1)
		line("  of it inference", a, "part-inference-cpu-ms/s", "ms", 1)
		line("  of it the rest: crops, windows, events, garbage", a, "part-rest-cpu-ms/s", "ms", 1)
		line("inference for each window in there", a, "inference-cpu-ms/window", "ms", 1)
		v = "Conversation"
		head("(a) the same as a process, all faces followed, recognised and asked who speaks; CPU for a second")
		line("one face", v, "1-faces-cpu-ms/s", "ms", 1)
		line("two faces", v, "2-faces-cpu-ms/s", "ms", 1)
		line("two faces, not asked", v, "2-faces-unasked-cpu-ms/s", "ms", 1)
		line("two faces / one", v, "2/1-faces", "x", 1, "target: at most 1.6")
		line("four faces", v, "4-faces-cpu-ms/s", "ms", 1)
		line("four faces / one", v, "4/1-faces", "x", 1, "target: at most 2.5")
		head("(b) faces, one thread, wall clock")
		line("complete search of one picture, 640x480 with a face", "FindFaces/640x480/face=true", "ns/op", "ms", 1e-6)
		line("complete search of one picture, 640x480 without one", "FindFaces/640x480/face=false", "ns/op", "ms", 1e-6)
		line("complete search of one picture, 1920x1080 with a face", "FindFaces/1920x1080/face=true", "ns/op", "ms", 1e-6)
		line("following a face of 200 pixels, each tick", "FollowFaces/200_pixels", "ns/op", "ms", 1e-6)
		line("following a face of 26 pixels, each tick", "FollowFaces/26_pixels", "ns/op", "ms", 1e-6)
		line("faces and crops for a second of 640x480, nobody in it", "Faces/none", "ms/s", "ms", 1)
		line("  one near face", "Faces/one_near", "ms/s", "ms", 1, "target: at most 8")
		line("  one far face, 26 pixels", "Faces/one_far", "ms/s", "ms", 1, "target: at most 8")
		line("  one face, with a free place for another", "Faces/one_of_two", "ms/s", "ms", 1)
		line("  four faces, all followed", "Faces/four", "ms/s", "ms", 1)
		head("(b) one of each, one thread, wall clock")
		line("crop of a face of 200 pixels", "Crop/face_of_200_pixels", "ns/op", "ms", 1e-6)
		line("encoding of one face crop", "Encode/face", "ns/op", "ms", 1e-6)
		line("encoding of one window of sound", "Encode/sound", "ns/op", "ms", 1e-6)
		line("inference of one window, whole (8 crops and the sound)", "Window/batch=1", "ns/op", "ms", 1e-6)
		line("the same for each of 8 windows in a batch", "Window/batch=8", "ns/op", "ms", 1e-6 / 8)
		line("the next window of a stream, with one new crop", "Stream", "ns/op", "ms", 1e-6)
		l = "Length"
		head("(c) the program as a process, 10 s and " value[l, "long-minutes"] + 0 " min of the same")
		line("CPU of starting and ending", l, "start-cpu-ms", "ms", 1)
		line("CPU for a second of media after that, 10 s", l, "short-cpu-ms/s", "ms", 1)
		line("CPU for a second of media after that, long", l, "long-cpu-ms/s", "ms", 1)
		line("long / 10 s", l, "long/short-cpu", "x", 1, "target: flat")
		line("peak memory, 0.1 s", l, "start-peak-MB", "MB", 1)
		line("peak memory, 10 s", l, "short-peak-MB", "MB", 1)
		line("peak memory, long", l, "long-peak-MB", "MB", 1)
		line("memory in the second quarter of the long run", l, "long-early-MB", "MB", 1)
		line("memory in its last quarter", l, "long-late-MB", "MB", 1, "target: flat")
		line("times faster than real time, long", l, "long-x-realtime", "x", 1)
	}' "$raw"
((failed == 0)) || { echo "bench: a benchmark failed, see above" >&2; exit 1; }
