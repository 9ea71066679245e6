# wsd. `make start` and `make test` are all one needs: on a fresh machine with Node and make they install, build and run.
# Nothing is done twice: what is done leaves a stamp, in node_modules/ (npm ci, tap's plugins) or in build/ (the compiler).

BIN     := node_modules/.bin
SOURCES := $(shell find lib spec fixtures/rig -name '*.ts' 2>/dev/null | sort)

NPM       := node_modules/.stamp-npm
TAP_BUILT := node_modules/.stamp-tap
COMPILED  := build/.stamp-compiled
PORT      ?=
HOST      ?=
DATA      ?=
ECHO      ?=
SPEC      ?=
CASES     ?=
NODES     ?= 20.19.0 22 24 26
COLORS    := $(shell test -t 2 || echo --colors=off)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help start test check build conformance autobahn bench fuzz soak cuts kills nodes coverage clean FORCE

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

start: build ## run the daemon: a dispatch of packages (PORT=9000 HOST=0.0.0.0 DATA=folder choose others); ECHO=1: an echo
	@exec node bin/wsd serve $(if $(ECHO),--echo --deflate) $(if $(PORT),--port $(PORT)) $(if $(HOST),--host $(HOST)) $(if $(DATA),--data $(DATA))

test: check $(TAP_BUILT) ## check, then all specs and the coverage of lib (SPEC=spec/http: only those specs)
	@node build/spec/suite.js $(SPEC)

check: build ## the compiler, the formatter and the linters
	@$(BIN)/biome ci --error-on-warnings $(COLORS)
	@$(BIN)/oxlint --type-aware --deny-warnings

build: $(COMPILED) ## compile lib, spec and fixtures/rig to build/

conformance: build ## every conformance case, our server and our client (CASES='--quick': words for wsd conform)
	@node bin/wsd conform $(CASES)

autobahn: build ## the same cases against the names and numbers of the Autobahn suite
	@node build/spec/conform/autobahn.js

bench: build ## how fast: against other libraries where they are installed, or against BASE=<git ref> (ARGS=--help)
	@node build/spec/bench/main.js $(if $(BASE),--base $(BASE)) $(ARGS)

fuzz: build ## random and mutated bytes at every parser
	@node build/spec/fuzz/main.js

soak: build ## hours of load in minutes: memory, handles and timers must not grow
	@node build/spec/soak/main.js

cuts: build ## an hour or more: a conversation of sessions on real sockets, its connection cut after every single octet
	@WSD_LONG=1 node build/spec/link/cuts.spec.js

kills: build ## the daemon killed a hundred times under load: every save that was acknowledged must be there
	@WSD_LONG=1 node build/spec/daemon/kill.spec.js

nodes: check $(TAP_BUILT) ## all specs on other versions of Node, which npm gets (NODES='22 24': these; SPEC=spec/http: only those specs)
	@set -e; for version in $(NODES); do \
	  npm exec --yes --package=node@$$version -- sh -c 'echo "Node $$(node --version)" && node build/spec/suite.js $(SPEC)'; \
	done

coverage: build ## the coverage of the last `make test` again
	@node build/spec/suite.js --coverage

clean: ## remove what was built and installed
	rm -rf build build-* .tap node_modules

# npm ci only when the lock file has changed; the addresses of no registry stand in it.
$(NPM): package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# tap writes its own test class into node_modules from the plugins that package.json names: once per installation.
$(TAP_BUILT): $(NPM)
	$(BIN)/tap build
	@touch $@

# The compiler never deletes: when a source is gone, what it was compiled to must not run any longer.
build/.names: FORCE
	@mkdir -p build
	@printf '%s\n' $(SOURCES) > build/.names-now
	@if test -f $@ && test -n "$$(LC_ALL=C comm -23 $@ build/.names-now)"; then rm -rf build/lib build/spec build/fixtures build/.tsbuildinfo; fi
	@if cmp -s $@ build/.names-now; then rm build/.names-now; else mv build/.names-now $@; fi

$(COMPILED): $(NPM) build/.names tsconfig.json $(SOURCES)
	$(BIN)/tsc -p .
	@touch $@
