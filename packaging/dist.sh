#!/usr/bin/env bash
# make dist: build/dist/tandem_VERSION_ARCH.deb, for the release of Debian or Ubuntu that it is made on, and
# build/dist/tandem-VERSION-linux-ARCH.tar.gz, the same files to unpack over /usr/local. Without OpenCV: tandem live
# needs a build from source.
set -euo pipefail
cd "$(dirname "$0")/.."
nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2 # later versions need modules that not every proxy has
command -v dpkg-shlibdeps >/dev/null || {
	echo "dist: dpkg-shlibdeps is missing, which tells what the package depends on: apt-get install dpkg-dev" >&2
	exit 1
}

# A commit without a version is older than every version.
VERSION=$(git describe --tags --match 'v[0-9]*' 2>/dev/null) && VERSION=${VERSION#v} ||
	VERSION=0~$(git log -1 --date=format:%Y%m%d%H%M --format=%cd.%h)
VERSION=${VERSION//-/+}
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
ARCH=$(go env GOARCH)
MAINTAINER=${MAINTAINER:-$(git log -1 --format='%an <%ae>')}
export VERSION SOURCE_DATE_EPOCH ARCH MAINTAINER

dist=build/dist tree=build/dist/tree
rm -rf "$dist"
mkdir -p "$tree"/{bin,lib/tandem,lib/systemd/system} "$tree"/share/{man/man1,doc/tandem} \
	"$tree"/share/{bash-completion/completions,zsh/site-functions,fish/vendor_completions.d}
go build -ldflags='-s -w' -tags nocamera -o "$tree/lib/tandem/tandem" .
for file in assets/.fetched/*.onnx assets/.fetched/libonnxruntime.*; do
	cp -L "$file" "$tree/lib/tandem/"
done
chmod 644 "$tree"/lib/tandem/*.onnx "$tree"/lib/tandem/libonnxruntime.*
ln -s ../lib/tandem/tandem "$tree/bin/tandem"
tandem=$tree/lib/tandem/tandem
"$tandem" man "$tree/share/man/man1"
gzip -9n "$tree"/share/man/man1/*.1
"$tandem" completion bash >"$tree/share/bash-completion/completions/tandem"
"$tandem" completion zsh >"$tree/share/zsh/site-functions/_tandem"
"$tandem" completion fish >"$tree/share/fish/vendor_completions.d/tandem.fish"
cp packaging/*.service "$tree/lib/systemd/system/"
cp NOTICE README.md "$tree/share/doc/tandem/"
cp packaging/copyright "$tree/share/doc/tandem/copyright"

# The packages that the libraries it is linked with come from, in versions that have what it calls.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/debian"
printf 'Source: tandem\n\nPackage: tandem\nArchitecture: any\n' >"$work/debian/control"
DEPENDS=$(cd "$work" && dpkg-shlibdeps -O --ignore-missing-info -e"$OLDPWD/$tandem" \
	-e"$OLDPWD/$tree"/lib/tandem/libonnxruntime.so.1 2>"$work/err") || {
	cat "$work/err" >&2
	exit 1
}
export DEPENDS=${DEPENDS#shlibs:Depends=}

umask 022
go run "$nfpm" package --config packaging/nfpm.yaml --packager deb --target "$dist/"
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --transform "s,^\.,tandem-$VERSION," \
	-czf "$dist/tandem-$VERSION-linux-$ARCH.tar.gz" -C "$tree" .
ls -sh "$dist"/*.deb "$dist"/*.tar.gz
