# SPDX-License-Identifier: Apache-2.0
# `make help` lists the targets: it reads the comments behind their names.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
CLANG   := 14

# The daemon takes privileges from all its threads, which cgo's would escape.
export CGO_ENABLED = 0

.PHONY: all build demo test race fuzz bench generate check-generated lint help

all: build

build: ## build ./bulkhead
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bulkhead ./cmd/bulkhead

demo: build ## three tiers on a wire: what is allowed flows, the rest is stopped (root)
	$(GO) run ./testenv/demo --bulkhead ./bulkhead

test: ## all tests; as root none is skipped, else the skipped are listed with their reasons
	./testenv/test.sh

race: ## the tests of all concurrent code under the race detector (gcc)
	CGO_ENABLED=1 $(GO) test -race ./flowtable/... ./dataplane/... ./ctrl/... ./cmd/...

FUZZTIME ?= 1m
fuzz: ## every fuzz target for FUZZTIME (1m) each
	./testenv/fuzz.sh $(FUZZTIME)

bench: ## every Go benchmark; BENCHTIME sets how long (1s)
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(or $(BENCHTIME),1s) ./...

generate: ## compile the kernel program again (clang 14)
	$(GO) generate ./dataplane/xdp

check-generated: ## compile the kernel program elsewhere and compare it with what is committed (clang 14)
	./testenv/check-generated.sh $(CLANG)

lint: ## gofmt, vet and staticcheck, for amd64 and arm64
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "gofmt would change these files"; exit 1; }
	$(GO) vet ./...
	GOARCH=arm64 $(GO) vet ./...
	$(GO) tool -modfile=.ci/tools.mod staticcheck ./...

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
