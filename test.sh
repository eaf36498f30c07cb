#!/usr/bin/env bash
# make test: every feature, each test once. make test-long: the tests that take long by nature (TestLong…), and at the
# end the twenty slowest. Goes on after a failure; the exit code is 0 only if all passed.
# usage: ./test.sh [long]    TAGS names the build's tags
set -uo pipefail
cd "$(dirname "$0")" || exit 1
tags=${TAGS:-gocv_specific_modules,gocv_videoio,gocv_highgui}
failed=0
go_test() { go test -tags "$tags" -timeout 25m "$@" || failed=1; }

# but PACKAGES REGEXP prints the packages that do not match.
but() { grep -vE "$2" <<<"$1"; }
only() { grep -E "$2" <<<"$1"; }
all=$(go list -tags "$tags" ./...) || exit 1

if [[ ${1-} == long ]]; then
	json=$(mktemp) && trap 'rm -f "$json"' EXIT
	# One package after the other: many of these look at the clock.
	go run gotest.tools/gotestsum@v1.13.0 --format pkgname --jsonfile "$json" -- \
		-tags "$tags" -timeout 40m -p 1 -run '^TestLong' $all || failed=1
	# Without a camera what can differ: devices, and what is said where there are none.
	go test -tags nocamera -timeout 10m -p 1 -skip '^TestLong' ./capture ./overlay/... || failed=1
	go test -tags nocamera -timeout 10m -run '^Test(Live|Devices)' ./cli || failed=1
	echo "== the slowest tests"
	go run gotest.tools/gotestsum@v1.13.0 tool slowest --num 20 --threshold 1ms --jsonfile "$json"
	exit "$failed"
fi

# The race detector runs over what has goroutines of its own, and over nothing twice. It takes the numbers that
# portaudio's binding passes to C as if they were pointers for broken ones (checkptr).
race=(-race -gcflags=github.com/gordonklaus/portaudio=-d=checkptr=0)
clock='/(capture|pipeline|infer|webrtc)(/|$)'
concurrent='/(overlay|train/(sample|audit|eval|compare))(/|$)'
# Of the packages below a part is raced: the command's live and serving side, and the trainer's run. The rest of them
# trains, which takes too long so.
cli_raced='^Test(Live|Interrupt|SecondInterrupt|Serve|BrokenPipe|URLThatHangs)'
train_raced='InterruptedRun|StepLog|RunFolder|NewData|Report'
# A raced program waits a second at its end, and many tests start one.
export GORACE=atexit_sleep_ms=20
# Under the detector these would measure it: pictures of 8K, and how many sessions there is time for.
web_plain='^Test(Sizes|Overload|AsAFile)'
# The search for faces in hundreds of drawn pictures and for voices in hundreds of sounds, one after the other: no
# goroutines, and five times as long so; the memory of long inputs, and 8 bits against 32.
plain='^Test(MemoryIsFlat|Int8SaysNearlyTheSame|NoisesAreNoVoices|VoicesAreHeard|RestingFace|NoFalseFaces|TwoHundredFaces|FourFaces|FaceInTheDark|FaceLeaves|PatternFaces)'
long='^TestLong'

output=$(mktemp) && trap 'rm -f "$output"' EXIT
# side_by_side A B runs two functions at a time, and prints what A printed after B is done.
side_by_side() {
	{
		"$1"
		exit "$failed"
	} >"$output" 2>&1 &
	"$2"
	wait $! || failed=1
	cat "$output"
}

# First what needs the processor, both cores of it.
trainer_and_detectors() {
	go_test -skip "$long|$train_raced" ./train
	go_test -run "$plain" ./capture ./infer ./pipeline
}
others() {
	go_test -skip "$long" $(but "$all" "$clock|$concurrent|/(train|cli)$")
	go_test -skip "$long|$cli_raced" ./cli
	go_test "${race[@]}" -skip "$long" -run "$train_raced" ./train
	go_test "${race[@]}" -skip "$long" -p 1 $(only "$(but "$all" "$clock")" "$concurrent")
}
side_by_side trainer_and_detectors others

# Then what looks at the clock, and mostly waits. Go runs as many parallel tests as there are cores: those that wait can
# be more.
serving() {
	go_test "${race[@]}" -skip "$long|$web_plain" -parallel 3 ./webrtc
	go_test "${race[@]}" -skip "$long|$plain" -p 1 -parallel 8 $(only "$all" '/webrtc/')
	go_test -skip "$long" -run "$web_plain" ./webrtc
}
capturing() {
	go_test "${race[@]}" -skip "$long|$plain" -p 1 -parallel 8 $(but "$(only "$all" "$clock")" '/webrtc(/|$)')
	go_test "${race[@]}" -skip "$long" -run "$cli_raced" ./cli
}
side_by_side serving capturing
exit "$failed"
