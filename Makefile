.DEFAULT_GOAL := help
.PHONY: help install dev test announce-installs lint bench lock widget faults trace

PYTHON ?= python3
BIN := .venv/bin

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Installs what `mainstay` needs to run, and nothing that only its tests need.
.venv/run.stamp: requirements.txt pyproject.toml
	@./scripts/make-venv $(PYTHON)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
	@$(BIN)/python scripts/link_checkout.py
	@touch $@

.venv/dev.stamp: .venv/run.stamp requirements-dev.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

# The widget's own tools come from its lock file; Node comes with the development requirements.
widget/node_modules/.stamp: .venv/dev.stamp widget/package-lock.json
	cd widget && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent
	@touch $@

install: .venv/run.stamp ## create .venv/ from the lock file, with the mainstay command in it

dev: install ## start the service with an SQLite file and print the demo's address
	@$(BIN)/mainstay dev

announce-installs:
	@./scripts/announce-installs $(PYTHON)

test: announce-installs .venv/dev.stamp widget/node_modules/.stamp ## run every test: PostgreSQL, a worker, SMTP and a browser included
	@./scripts/need-browser
	PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix widget test
	# Python keeps what it compiles, whatever the shell says: many short processes read it again.
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 6

faults: .venv/dev.stamp ## kill, crash, refuse and poison at full size, and print the numbers
	FAULTS=full $(BIN)/python -m pytest -s tests/faults

lint: .venv/dev.stamp widget/node_modules/.stamp ## check style, types, import directions and that the built widget is fresh
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix widget run lint

bench: .venv/dev.stamp ## measure the hot paths beside other ways, on PostgreSQL; BENCH_ARGS="--only claims --rows 10000000"
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

trace: .venv/dev.stamp ## count the files that a pledge, a reminder and a paid invoice execute; TRACE_ARGS="--json FILE"
	$(BIN)/python scripts/trace_requests.py $(TRACE_ARGS)

widget: widget/node_modules/.stamp ## build the embedded script into service/pages/static/
	PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix widget run build

lock: .venv/dev.stamp ## refresh every pin: requirements.txt, requirements-dev.txt and the widget's lock file
	./scripts/lock $(LOCK_ARGS)
