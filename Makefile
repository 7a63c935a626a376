# deflectd: what can be done here. `make help` lists it.
SHELL   := /bin/bash
GO      ?= go
CACHE   ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/deflectd
TOOLS   := $(CACHE)/bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 20s

# Pinned: a linter that changes under us is noise.
LINT     := $(TOOLS)/golangci-lint-v2.15.0
SPECLINT := $(TOOLS)/openapi-lint-v1.26.3

.DEFAULT_GOAL := help
.PHONY: help
help: ## say what can be done
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: deps ## see one real call become a text: real Asterisk, real Redis, a real SIP caller
	@$(GO) build -o bin/demo ./deploy/demo
	@exec bin/demo

.PHONY: test
test: ## run every test, against real Asterisk, Redis, SIP callers and a real browser
	@deploy/lab/deps.sh race browser
	$(GO) vet ./...
	$(GO) test -race -shuffle=on -timeout 20m ./...

.PHONY: test-cluster
test-cluster: ## run what keeps its facts in Redis once more, on a real Redis Cluster of three nodes
	@deploy/lab/deps.sh race browser
	DEFLECTD_TEST_REDIS=cluster $(GO) test -race -shuffle=on -timeout 20m ./campaigns/...

.PHONY: screenshots
screenshots: ## take pictures of every page, light, dark and on a phone, into dist/screenshots
	@deploy/lab/deps.sh browser
	DEFLECTD_SCREENSHOTS=$(CURDIR)/dist/screenshots $(GO) test ./cmd/deflectd -run '^TestPage$$' -count=1

.PHONY: crash
crash: deps ## kill the daemon 200 times while 2,000 texts go out, and account for every one (about 8 minutes)
	$(GO) test ./cmd/deflectd -run '^TestKilledAnytime$$' -v -timeout 30m -kills 200 -texts 2000

.PHONY: build
build: ## build bin/deflectd
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/deflectd ./cmd/deflectd

.PHONY: deps
deps: ## install what tests and demo need and this machine lacks (Asterisk, Redis, sipp)
	@deploy/lab/deps.sh

.PHONY: bench
bench: deps ## measure a call on real Asterisk: dialplan, FastAGI, deflectd (about 20 minutes)
	$(GO) run ./deploy/bench

.PHONY: fuzz
fuzz: ## fuzz every parser of outside input, FUZZTIME (20s) each
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz || true); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

.PHONY: lint
lint: $(LINT) $(SPECLINT) ## hold the code to .golangci.yml, and the description of the API to the rules of OpenAPI
	$(LINT) run ./...
	$(SPECLINT) docs/openapi.json

$(SPECLINT): deploy/lint/main.go deploy/lint/go.mod
	$(GO) -C deploy/lint build -o $@ .

$(LINT):
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	mv $(TOOLS)/golangci-lint $@

.PHONY: generate
generate: ## write anew what is generated: OpenAPI, sample configuration, reference pages
	$(GO) test ./config ./campaigns/report ./campaigns/admin -run 'InStep' -update

.PHONY: clean
clean: ## remove what was built (not the tools in the cache)
	rm -rf bin dist
