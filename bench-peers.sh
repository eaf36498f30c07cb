#!/usr/bin/env bash
# What tandem costs beside two packages that one would otherwise take for emotion and gender of faces, run by node in
# turns with it on the same pictures, each in one thread; docs/benchmarks.md has the figures. Started by
# `make bench-peers`, which fetches them.
# usage: ./bench-peers.sh [CLIP]    a video of one face; without one a drawn face, which they may not take for one
set -euo pipefail
cd "$(dirname "$0")"
peers=assets/.fetched/peers/node_modules
rounds=3 pictures=40
command -v node >/dev/null || { echo "bench-peers: node is needed; run \`make setup-test\`" >&2; exit 1; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

clip=${1-$tmp/pattern.mkv}
[[ -n ${1-} ]] || build/tandem analyze --annotate "$clip" pattern:12s >/dev/null 2>&1
[[ -f $clip ]] || { echo "bench-peers: no file $clip" >&2; exit 1; }
# Four pictures a second, as often as tandem gives an answer.
ffmpeg -v error -stream_loop -1 -i "$clip" -vf fps=4,scale=640:480 -frames:v $pictures -pix_fmt rgb24 -f rawvideo "$tmp/frames.raw"
ffmpeg -v error -stream_loop -1 -i "$clip" -vf fps=4,scale=640:480 -frames:v $pictures "$tmp/%02d.png"
# The same as a film, with its sound where it has one.
ffmpeg -v error -stream_loop -1 -i "$clip" -t 30 -vf scale=640:480 -c:v libx264 -preset veryfast -c:a aac "$tmp/film.mp4"
ffmpeg -v error -stream_loop -1 -i "$clip" -t 1 -vf scale=640:480 -c:v libx264 -preset veryfast -c:a aac "$tmp/second.mp4"

# cpu COMMAND…: its CPU time in milliseconds, user and system.
cpu() {
	local TIMEFORMAT='%U %S'
	{ time "$@" >"$tmp/out" 2>"$tmp/err"; } 2>"$tmp/time" || { cat "$tmp/err" >&2; return 1; }
	awk '{ printf "%d\n", 1000 * ($1 + $2) }' "$tmp/time"
}
# less A B N: what each of N costs, of the time for all and for the first alone.
less() { awk -v a="$1" -v b="$2" -v n="$3" 'BEGIN { printf "%.1f\n", (a - b) / n }'; }
tandem() { cpu build/tandem analyze --threads 1 --format jsonl "$@"; }
note() { echo "$2" >>"$tmp/figures-$1"; }
median() { sort -g "$tmp/figures-$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for ((i = 1; i <= rounds; i++)); do
	echo "round $i of $rounds" >&2
	for peer in human face-api; do
		read -r n faces ms < <(NODE_PATH=$peers node bench-peers.cjs $peer $peers "$tmp/frames.raw" 2>"$tmp/err") ||
			{ cat "$tmp/err" >&2; exit 1; }
		note $peer "$ms"
		echo "$faces of $n" >"$tmp/faces-$peer"
	done
	all=$(tandem "$tmp"/[0-9][0-9].png)
	echo "$(grep -c '"emotion"' <(grep '"type":"window"' "$tmp/out")) of $pictures" >"$tmp/faces-tandem"
	note tandem "$(less "$all" "$(tandem "$tmp/01.png")" $((pictures - 1)))"
	note film "$(less "$(tandem "$tmp/film.mp4")" "$(tandem "$tmp/second.mp4")" 29)"
done

printf '\n==== CPU, one thread, medians of %d rounds that take turns; %s ====\n\n' $rounds \
	"$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | sort -u | paste -sd,)"
printf '%-40s %14s %18s %22s\n' '640x480' 'a picture, ms' 'recognised in' 'a second of video, ms'
for peer in human face-api; do
	ms=$(median $peer)
	printf '%-40s %14s %18s %22s\n' "@vladmandic/$peer (wasm)" "$ms" "$(<"$tmp/faces-$peer")" \
		"$(awk -v ms="$ms" 'BEGIN { print 4 * ms }') (4 looks)"
done
printf '%-40s %14s %18s %22s\n' "tandem (decoding and sound included)" "$(median tandem)" "$(<"$tmp/faces-tandem")" "$(median film)"
