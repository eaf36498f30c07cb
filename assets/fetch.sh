#!/usr/bin/env bash
# Fetches what pinned.tsv lists into assets/.fetched, or where a name that begins with / says within the project, by `npm pack`, each package once, and checks every SHA-256.
# What is there and right is left alone, so that it costs nothing to call this before every build.
# usage: assets/fetch.sh [--missing|--peers]    --missing only says by its exit code (0) that something is to be fetched
#                                               --peers fetches what peers.tsv lists, for bench-peers.sh
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
fetched=$here/.fetched
root=$(dirname "$here")
platform=$(uname -s)-$(uname -m)
pins=$here/pinned.tsv
[[ ${1-} == --peers ]] && pins=$here/peers.tsv

die() {
	echo "assets: $*" >&2
	exit 1
}

sum() { sha256sum "$1" | cut -d' ' -f1; }

# place NAME: where a file goes.
place() {
	case $1 in
	/*) echo "$root$1" ;;
	*) echo "$fetched/$1" ;;
	esac
}

# wanted prints the rows that fit this platform and are not there yet.
wanted() {
	local package version archive_sum for_platform file file_sum name
	while IFS=$'\t' read -r package version archive_sum for_platform file file_sum name; do
		[[ $package == '#'* || -z $package ]] && continue
		[[ $for_platform == any || $for_platform == "$platform" ]] || continue
		[[ $file == . && $(cat "$(place "$name")/.sha256" 2>/dev/null) == "$archive_sum" ]] && continue
		if [[ -f $(place "$name") ]]; then
			[[ $(sum "$(place "$name")") == "$file_sum" ]] && continue
			echo "assets: $name is not the pinned one and is fetched again" >&2
		fi
		printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$package" "$version" "$archive_sum" "$file" "$file_sum" "$name"
	done <"$pins"
}

# archive PACKAGE VERSION: where a package lies that was fetched. The name of one may be @OWNER/NAME.
archive() { echo "$tmp/${1//\//-}-$2.tgz"; }

# pack PACKAGE VERSION SHA256: fetches a package into $tmp and says why if it cannot.
pack() {
	local archive
	archive=$(archive "$1" "$2")
	[[ -f $archive ]] && return
	echo "assets: fetching $1 $2 (npm pack)" >&2
	mkdir "$tmp/npm"
	if ! (cd "$tmp/npm" && npm pack --ignore-scripts "$1@$2") >"$tmp/out" 2>"$tmp/err" </dev/null; then
		grep -i 'npm err' "$tmp/err" | head -n 3 >&2 || true
		case $(<"$tmp/err") in
		*ENOSPC*) die "the disk is full: npm could not store $1@$2; free 400 MB here and in npm's cache" ;;
		*ENOTFOUND* | *EAI_AGAIN* | *ECONNREFUSED* | *ECONNRESET* | *ETIMEDOUT* | *ENETUNREACH* | *EHOSTUNREACH* | *ERR_SOCKET*)
			die "no connection to the npm registry: check the network and npm's registry and proxy settings, then run \`make assets\` again" ;;
		*E404* | *ETARGET*) die "the npm registry that npm is set to has no $1@$2" ;;
		*) die "npm pack $1@$2 failed, as said above" ;;
		esac
	fi
	mv "$tmp"/npm/*.tgz "$archive"
	rmdir "$tmp/npm"
	local got
	got=$(sum "$archive")
	[[ $got == "$3" ]] || die "$1@$2 has SHA-256 $got, pinned is $3: it is not the package that was checked, and is not used"
}

todo=$(wanted 2>/dev/null)
if [[ ${1-} == --missing ]]; then
	[[ -n $todo ]]
	exit
fi
case $platform in
Linux-x86_64 | Linux-aarch64) ;;
*) echo "assets: no ONNX Runtime is pinned for $platform; install version 1.27 or newer and set TANDEM_ORT to its library" >&2 ;;
esac
[[ -z $todo ]] && exit 0

command -v npm >/dev/null || die "npm is needed to fetch $(cut -f1 <<<"$todo" | sort -u | paste -sd' '); run \`make setup\`, or install it"
mkdir -p "$fetched"
exec 9>"$fetched/.lock"
flock 9 # two builds at once fetch once
todo=$(wanted)
[[ -z $todo ]] && exit 0
free=$(df -Pk "$fetched" | awk 'NR == 2 { print int($4 / 1024) }')
((free >= 300)) || die "$free MB are free at $fetched, 300 are needed"
tmp=$(mktemp -d "$fetched/tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

while IFS=$'\t' read -r package version archive_sum file file_sum name; do
	pack "$package" "$version" "$archive_sum"
	if [[ $file == . ]]; then # the whole package
		rm -rf "$(place "$name")"
		mkdir -p "$(place "$name")"
		tar -xzf "$(archive "$package" "$version")" -C "$(place "$name")" --strip-components=1 ||
			die "cannot unpack $package@$version (is the disk full?)"
		echo "$archive_sum" >"$(place "$name")/.sha256"
		continue
	fi
	tar -xzOf "$(archive "$package" "$version")" "package/$file" >"$tmp/file" ||
		die "cannot take $file out of $package@$version (is the disk full?)"
	got=$(sum "$tmp/file")
	[[ $got == "$file_sum" ]] || die "$file of $package@$version has SHA-256 $got, pinned is $file_sum (is the disk full?)"
	mv -f "$tmp/file" "$(place "$name")" # the same file system: it is there whole or not at all
done <<<"$todo"
