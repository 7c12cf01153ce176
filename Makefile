.DEFAULT_GOAL := help
.PHONY: help install dev test announce-installs lint bench lock widget widget-release screenshots faults trace audit sbom

PYTHON ?= python3
BIN := .venv/bin

help: ## show this list of commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Installs only what `mainstay` needs at run time; the tests need more.
.venv/run.stamp: requirements.txt pyproject.toml
	@./scripts/make-venv $(PYTHON)
	@echo "Installing dependencies, about a minute…"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
	@$(BIN)/python scripts/link_checkout.py
	@touch $@

.venv/dev.stamp: .venv/run.stamp requirements-dev.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

# The tools of `make audit` and `make sbom`, which the tests do without.
.venv/audit.stamp: .venv/dev.stamp requirements-audit.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-audit.txt
	@touch $@

# The widget's tools come from its lock file; Node comes with the development requirements.
widget/node_modules/.stamp: .venv/dev.stamp widget/package-lock.json
	cd widget && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent
	@touch $@

install: .venv/run.stamp ## create .venv/ from the lock file, with the mainstay command in it

dev: install ## start web and worker with an SQLite file, and print the address of the demo
	@MAINSTAY_TYPED="make dev" $(BIN)/mainstay dev

announce-installs:
	@./scripts/announce-installs $(PYTHON)

test: announce-installs .venv/dev.stamp widget/node_modules/.stamp ## run all tests, including PostgreSQL, SMTP, worker and browser tests
	@./scripts/need-browser
	@./scripts/need-firefox
	@./scripts/need-servers
	PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix widget test
	# The tests start many short processes, so Python may cache bytecode even if the shell disables that.
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 6

faults: .venv/dev.stamp ## run real crash tests at full size, and print the figures
	@./scripts/need-servers
	FAULTS=full $(BIN)/python -m pytest -s tests/faults

lint: .venv/dev.stamp widget/node_modules/.stamp ## check style, types, import directions, and that the built widget is up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix widget run lint

audit: .venv/audit.stamp ## look for known vulnerabilities, risky calls and licences in the code and its dependencies
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/audit.py

sbom: .venv/audit.stamp ## write sbom.cdx.json: what the service is made of, as CycloneDX
	$(BIN)/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --short-PURLs --output-reproducible -o sbom.cdx.json
	@echo "Wrote sbom.cdx.json"

bench: .venv/dev.stamp ## compare the hot paths with alternatives, on PostgreSQL; BENCH_ARGS="--only claims --rows 10000000"
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

trace: .venv/dev.stamp ## list the files and functions that three flows execute; TRACE_ARGS="--json FILE"
	$(BIN)/python scripts/trace_requests.py $(TRACE_ARGS)

widget: widget/node_modules/.stamp ## build the embedded script into service/pages/static/
	PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix widget run build

widget-release: widget/node_modules/.stamp ## build the script, and keep it for pages that pin it; once for each release
	PATH="$(CURDIR)/$(BIN):$$PATH" npm --prefix widget run build -- --release

screenshots: .venv/dev.stamp ## save every page, email and state of the box as pictures; SHOT_ARGS="--only receipt"
	@./scripts/need-browser
	@./scripts/need-servers
	@$(BIN)/python scripts/take_screenshots.py $(SHOT_ARGS)

lock: .venv/dev.stamp ## update the pinned versions: requirements.txt, requirements-dev.txt and the widget's lock file
	./scripts/lock $(LOCK_ARGS)
