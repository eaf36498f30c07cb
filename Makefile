# make run                 the camera if there is one, else a page to open in a browser (tandem serve)
# make run INPUT=clip.mp4  a file or a URL
# make build               build/tandem, with the library and the networks it needs beside it, and tandem-live with OpenCV
# make dist                a package for this release of Debian or Ubuntu, and a tarball: build/dist
# make test                each test once, in minutes; make test-long: those that take long by nature
# make check | bench | bench-peers | bench-train | bench-serve | fuzz | test-asan
# make soak DURATION=10m   sessions for so long (1h), and then what happens to servers: build/soak has samples and plot
#
# All of them first install what is missing (make setup) and fetch what is pinned (make assets), each once.
# TAGS=nocamera builds without OpenCV.

TAGS ?= gocv_specific_modules,gocv_videoio,gocv_highgui
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOFUMPT = mvdan.cc/gofumpt@v0.12.0
FUZZTIME ?= 10s

# Where `make setup` puts Go if the system has none that will do, and where Go's own installer does.
export PATH := $(CURDIR)/assets/.fetched/go/bin:$(PATH):/usr/local/go/bin
# Tests, benchmarks and `go run` have the library and the networks here; a binary has them beside itself.
export TANDEM_ORT ?= $(CURDIR)/assets/.fetched
# GoMLX would otherwise download a runtime of its own.
export GOMLX_NO_AUTO_INSTALL = 1

.PHONY: run build dist setup setup-test assets test test-long test-asan check bench bench-peers bench-train bench-serve soak fuzz clean
.NOTPARALLEL:

run: build
ifneq ($(INPUT),)
	build/tandem analyze "$(INPUT)"
else ifneq ($(wildcard /dev/video*),)
	build/tandem live
else
	@echo 'No camera here: serving a page instead. For a file: make run INPUT=clip.mp4' >&2
	build/tandem serve
endif

build: setup assets
	go build -tags nocamera -o build/tandem .
	@rm -f build/tandem-live
	$(if $(findstring nocamera,$(TAGS)),,go build -tags $(TAGS) -o build/tandem-live .)
	@cd assets/.fetched && for f in *.onnx libonnxruntime.*; do \
		ln -f "$$f" "../../build/$$f" 2>/dev/null || cp -f "$$f" "../../build/$$f" || exit 1; done

# A .deb and a tarball in build/dist.
dist: setup assets
	@packaging/dist.sh

setup:
	@assets/setup.sh $(findstring nocamera,$(TAGS))

setup-test:
	@assets/setup.sh test

assets: setup
	@assets/fetch.sh

# Each test once, in at most six minutes on two cores: all but TestLong….
test: setup-test assets
	@TAGS=$(TAGS) ./test.sh

# What takes long by nature: soaks, repeated trainings, every browser case. Prints the twenty slowest.
test-long: setup-test assets
	@TAGS=$(TAGS) ./test.sh long

# What decodes bytes from outside, with the C shim under the address sanitizer: all seeds of the fuzz targets. Leaks are
# looked for by a test of their own (TestLeaks).
test-asan: setup assets
	ASAN_OPTIONS=detect_leaks=0 go test -tags nocamera -asan -timeout 10m -run Fuzz ./capture/av ./webrtc/receive

check: setup assets
	go vet -tags $(TAGS) ./...
	go vet -tags nocamera ./...
	go run $(STATICCHECK) -tags $(TAGS) ./...
	@unformatted=$$(go run $(GOFUMPT) -l .) && test -z "$$unformatted" || { \
		echo "not formatted by gofumpt: $$unformatted" >&2; exit 1; }
	go mod tidy -diff

bench: build setup-test
	@TAGS=$(TAGS) ./bench.sh
	@$(MAKE) --no-print-directory bench-peers

# Beside what one would otherwise take. CLIP=face.mp4 for a video of one's own.
bench-peers: build setup-test
	@assets/fetch.sh --peers
	@./bench-peers.sh $(CLIP)

# What training costs. TANDEM_DATA names the data that the cache is measured with.
bench-train: setup-test assets
	@./bench-train.sh

# How many sessions this machine can serve, and at what cost.
bench-serve: setup-test assets
	go run -tags $(TAGS) ./webrtc/benchserve
	go test -tags nocamera -run '^$$' -bench Session -benchtime 1x ./webrtc/agent

# What a server holds over an hour of sessions, and how it stands losses, a full disk and the like. Small disks are mounted
# for that if there is the right to.
DURATION ?= 1h
soak: setup-test assets
	go run -tags $(TAGS) ./webrtc/benchserve soak -time $(DURATION) -out build/soak

fuzz: setup assets
	@grep -rho --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sort -u | sed 's/^func //' | while read -r target; do \
		dir=$$(dirname "$$(grep -rl --include='*_test.go' "^func $$target(" .)"); \
		echo "$$dir $$target"; \
		go test -tags $(TAGS) -timeout 10m -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "./$$dir" || exit 1; done

clean:
	rm -rf build
