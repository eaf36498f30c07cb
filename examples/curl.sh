#!/usr/bin/env bash
# The HTTP API with curl, from the first look at a server to the erasing of a session; docs/whip.md describes it.
# Fails at the first status that is not as described.
#
#	tandem serve &
#	examples/curl.sh http://127.0.0.1:8080 [CLIP.webm]
#
# With TOKEN in the environment the server was started with --token "$TOKEN". The session is made by examples/publish,
# of a clip of VP8 and Opus; without one, ffmpeg draws one of six seconds.
set -euo pipefail

server=${1:?give the server, such as http://127.0.0.1:8080}
server=${server%/}
clip=${2-}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'jobs -p | xargs -r kill 2>/dev/null; rm -rf "$work"' EXIT
auth=()
[[ -z ${TOKEN-} ]] || auth=(-H "Authorization: Bearer $TOKEN")

# call STATUS CURL'S ARGUMENTS... prints what it does, and the body that came.
call() {
	local want=$1 got
	shift
	echo "== curl $*"
	got=$(curl -sS --max-time 30 "${auth[@]}" -D "$work/head" -o "$work/body" -w '%{http_code}' "$@")
	head -c 400 "$work/body" && echo
	[[ $got == "$want" ]] || { echo "status $got, want $want" >&2; cat "$work/head" >&2; exit 1; }
}
# expect PATTERN [FILE] looks for a line in what came last.
expect() { grep -qiE "$1" "${2:-$work/body}" || { echo "there is no $1 in ${2:-the body}" >&2; exit 1; }; }

# Is it there?
call 200 "$server/healthz"
call 200 "$server/readyz"
call 200 "$server/config"
expect '"emotions":\['
call 200 -X OPTIONS "$server/whip"
expect '^accept-post: application/sdp' "$work/head"

# What it refuses, and how it says so.
call 415 -H 'Content-Type: text/plain' -d 'hello' "$server/whip"
expect '"status":415'
expect '^content-type: application/problem\+json' "$work/head"
call 400 -H 'Content-Type: application/sdp' -d 'hello' "$server/whip"
call 204 "$server/whip"
call 405 -X PUT "$server/whip"
call 404 -X DELETE "$server/sessions/nobody"
if [[ -n ${TOKEN-} ]]; then
	auth=()
	call 401 "$server/metrics"
	expect '^www-authenticate: bearer' "$work/head"
	auth=(-H "Authorization: Bearer $TOKEN")
fi

# A session. An offer takes a WebRTC client; the rest of it curl can see.
if [[ -z $clip ]]; then
	clip=$work/clip.webm
	ffmpeg -v error -f lavfi -i testsrc=s=320x240:r=15:d=6 -f lavfi -i sine=d=6 \
		-c:v libvpx -deadline realtime -b:v 500k -g 30 -c:a libopus "$clip"
fi
echo "== go run -tags nocamera ./examples/publish --url $server/whip $clip"
go build -tags nocamera -o "$work/publish" ./examples/publish
"$work/publish" --url "$server/whip" --token "${TOKEN-}" "$clip" >"$work/published" 2>"$work/log" &
publisher=$!
for _ in {1..100}; do
	session=$(sed -n 's/^session: //p' "$work/log")
	[[ -n $session ]] && break
	kill -0 $publisher 2>/dev/null || { cat "$work/log" >&2; exit 1; }
	sleep 0.1
done
echo "$session"
call 200 "$session/status"
expect '"state":"(connecting|running)"'
call 409 "$session/events.csv"
call 428 -X PATCH -H 'Content-Type: application/trickle-ice-sdpfrag' -d 'a=end-of-candidates' "$session"

# Its events, from the start on and until the publisher ends the session.
call 200 -N -H 'Accept: text/event-stream' "$session/events"
expect '^event: start'
expect '^event: window'
expect '^event: end'
wait $publisher || { cat "$work/log" >&2; exit 1; }

# What is left of it, for ten minutes or until it is erased.
call 200 "$session/events.csv"
expect '^source,t,start,end,subject,emotion'
call 200 "$session/status"
expect '"state":"ended"'
call 200 -X DELETE "$session"
call 404 "$session/events.csv"

call 200 "$server/metrics"
expect '^tandem_windows_total [1-9]'
echo "all as described"
