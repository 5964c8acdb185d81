# Bankhouse. `make` lists what there is.
NODE := node_modules/.bin/node
VITEST := $(NODE) node_modules/vitest/vitest.mjs run
# One at a time on a machine; -o keeps the lock out of what outlives the command. A folder, so that no file is left behind.
LOCK = $(shell command -v flock >/dev/null && [ -d /run/lock ] && echo flock -n -o -E 75 /run/lock)
BUSY = { [ $$? -ne 75 ] || echo 'Another make up or make down is running on this machine: wait for it and run this again.' >&2; exit 1; }
.DEFAULT_GOAL := help
.PHONY: help up down test verify unit integration e2e bench images tools bundle deps clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

up: deps ## a cluster, the platform and two sample banks that answer
	@$(LOCK) $(NODE) tools/up.ts || $(BUSY)

down: deps ## ends the cluster and removes every trace of it
	@$(LOCK) $(NODE) tools/down.ts || $(BUSY)

test: deps ## everything: static checks, unit, integration, end to end
	@$(LOCK) $(NODE) tools/test.ts || $(BUSY)

verify: deps ## generated files, formatting, lint, types
	@$(NODE) tools/verify.ts

unit: deps ## tests of pure logic
	@$(VITEST) --project unit

integration: deps tools ## tests on a real API server and a real Postgres
	@$(VITEST) --project integration

e2e: up ## tests on the running platform, and its upgrade
	@$(VITEST) --project e2e
	@$(VITEST) --project upgrade

bench: up ## measures what docs/benchmarks.md reports; LARGE=1 also with 100,000 recordings, AGAINST= a worktree to be no slower than
	@$(NODE) test/load/bench.ts $(if $(LARGE),--large)
	@$(NODE) test/load/reads.ts $(if $(AGAINST),--against $(AGAINST)) || bad=1; \
	for each in gateway gateway-memory hostile operator-create operator-start operator-outage moving; do $(NODE) test/load/$$each.ts || bad=1; done; [ -z "$$bad" ]

images: deps ## the container images, without a cluster
	@$(NODE) tools/images.ts

tools: deps ## the programs of the cluster, built from source
	@$(NODE) tools/build.ts

bundle: deps ## dist/, one file per process
	@$(NODE) tools/bundle.ts

clean: down ## also what was built and downloaded into this folder
	@rm -rf .cluster dist

deps:
	@command -v node >/dev/null || { echo 'Node.js is missing: install Node.js 20 or newer and run this again.' >&2; exit 1; }
	@node tools/deps.mjs
