#!/usr/bin/env bash
# Installs what building and running tandem need and this machine lacks: Debian packages by apt-get, and a Go that
# can build the module. It looks for what a package brings rather than for the package, so nothing is installed
# twice, and on another system it says what is missing.
# usage: assets/setup.sh [test] [nocamera]    test: also what the tests use; nocamera: nothing for cameras
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
test= camera=1
for arg in "$@"; do
	case $arg in
	test) test=1 ;;
	nocamera) camera= ;;
	*)
		echo "setup: no such choice: $arg" >&2
		exit 2
		;;
	esac
done

packages=() reasons=()
# need PACKAGE WHY CHECK...: notes a package if the check fails.
need() {
	local package=$1 why=$2
	shift 2
	"$@" >/dev/null 2>&1 && return
	packages+=("$package")
	reasons+=("$why")
}
library() { command -v pkg-config && pkg-config --exists "$1"; }

# go_works tells whether the go on PATH can build this module, perhaps by fetching a newer one by itself.
go_works() { (cd "$root" && go list -m) >/dev/null 2>&1; }

need g++ "compiles the parts in C and C++" command -v g++
need pkg-config "finds the libraries" command -v pkg-config
need ca-certificates "lets npm and go check whom they talk to" test -e /etc/ssl/certs/ca-certificates.crt
need libavformat-dev "reads and writes media files" library libavformat
need libavcodec-dev "decodes and encodes media" library libavcodec
need libavutil-dev "belongs to libavcodec" library libavutil
need libswscale-dev "converts pictures" library libswscale
need libswresample-dev "converts sound" library libswresample
need portaudio19-dev "microphones" library portaudio-2.0
[[ -z $camera ]] || need libopencv-dev "cameras and windows (not with TAGS=nocamera)" library opencv4
! "$here/fetch.sh" --missing || need npm "fetches ONNX Runtime and the detectors of faces and voices, once" command -v npm
if [[ -n $test ]]; then
	need ffmpeg "makes media for the tests" command -v ffmpeg
	need pulseaudio "a microphone made of software, for the tests" command -v pulseaudio
	need pulseaudio-utils "feeds that microphone" command -v paplay
	need libasound2-plugins "connects ALSA to that microphone" \
		bash -c 'compgen -G "/usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so"'
	need xvfb "a screen made of software, for the tests" command -v Xvfb
	# Ubuntu has none as a package but a snap, which does not install everywhere: its tests are skipped there, loudly.
	grep -qs '^ID=ubuntu' /etc/os-release || need chromium "a browser, for the tests" bash -c 'command -v chromium || command -v google-chrome'
	grep -qs '^ID=ubuntu' /etc/os-release || need firefox-esr "another browser, for the tests" bash -c 'command -v firefox-esr || command -v firefox'
	need curl "runs the API's examples in the tests" command -v curl
	need dpkg-dev "tells what the package depends on (make dist)" command -v dpkg-shlibdeps
	need debootstrap "a clean root to try the package in" command -v debootstrap
	need nodejs "runs the Dockerfile's linter in the tests" command -v node
	need systemd "checks the unit in the tests" command -v systemd-analyze
	need parallel "runs the archives' example in the tests" bash -c 'parallel --version | grep GNU'
	need bash-completion "completes command lines in the tests" test -e /usr/share/bash-completion/bash_completion
	need fish "completes them too" command -v fish
	need zsh "and so does this" command -v zsh
	need mandoc "reads the manual pages in the tests" command -v mandoc
	need imagemagick "takes pictures of that screen" command -v import
	need python3-numpy "runs the example in Python in the tests" \
		bash -c 'python3 -c "import numpy" || /usr/bin/python3 -c "import numpy"'
fi
[[ -x $here/.fetched/go/bin/go ]] && PATH=$here/.fetched/go/bin:$PATH
if ! command -v go >/dev/null; then
	need golang-go "Go itself; if it is too old it only fetches the right one" false
fi

if ((${#packages[@]})); then
	echo "setup: this machine lacks:" >&2
	for i in "${!packages[@]}"; do printf '  %-20s %s\n' "${packages[i]}" "${reasons[i]}" >&2; done
	if ! command -v apt-get >/dev/null; then
		echo "setup: there is no apt-get here: install the like of these packages by your system's means, then try again" >&2
		exit 1
	fi
	by_hand="apt-get update && apt-get install --no-install-recommends ${packages[*]}"
	as_root=()
	if ((EUID != 0)); then
		if ! command -v sudo >/dev/null; then
			echo "setup: not root, and no sudo; as root run: $by_hand" >&2
			exit 1
		fi
		as_root=(sudo)
	fi
	apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=400 "$@" >&2 </dev/null; }
	echo "setup: installing them with apt-get" >&2
	if ! { apt update && apt install -y --no-install-recommends "${packages[@]}"; }; then
		echo "setup: apt-get failed, as said above: check the network and apt's sources, then try again, or as root run: $by_hand" >&2
		exit 1
	fi
fi

go_works && exit 0
# Go publishes itself as a module, so that even an old go can fetch a new one, checked against the module checksum
# database. Go 1.21 and newer do this alone, but distributions switch it off; 1.19 cannot.
version=$(awk '$1 == "go" { print $2; exit }' "$root/go.mod")
case $(uname -m) in
x86_64) arch=amd64 ;;
aarch64) arch=arm64 ;;
*) arch=$(uname -m) ;;
esac
module=golang.org/toolchain@v0.0.1-go$version.linux-$arch
echo "setup: $(go version 2>/dev/null || echo 'no Go') cannot build this: fetching Go $version as a Go module" >&2
if ! answer=$(cd / && GOFLAGS='' GO111MODULE=on GOTOOLCHAIN=local go mod download -json "$module"); then
	grep '"Error"' <<<"${answer-}" >&2 || true
	echo "setup: cannot fetch $module; check the network and GOPROXY, or install Go $version or newer yourself and put it on PATH" >&2
	exit 1
fi
dir=$(sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p' <<<"$answer")
chmod +x "$dir"/bin/* "$dir"/pkg/tool/*/* # modules have no executable files
mkdir -p "$here/.fetched"
ln -sfn "$dir" "$here/.fetched/go"
PATH=$here/.fetched/go/bin:$PATH
if ! go_works; then
	echo "setup: the Go $version that was fetched does not run here; install Go $version or newer yourself" >&2
	exit 1
fi
