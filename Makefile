# The verbs of this repository. Each one sets up first, and nothing but Python >= 3.11 needs to be on the machine.
#
#   make run      set up, then start `watchword dev`
#   make test     every test; what needs PostgreSQL, Node or Chromium skips with a reason when it is missing
#   make check    format, lint, types, import contracts (with CI=true it reports formatting instead of doing it), and
#                 whether each requirement has a test
#   make bench    the measurements, as tables, and bench/RESULTS.md; rougher and soon done: make bench-quick
#   make faults   the long versions of the fault tests, and a table of what they measured
#   make screenshots  pictures of every page into docs/images
#   make setup    only make .venv/
#   make node     only install what tests and examples run in Node, which `make test` does too where there is npm
#   make requirements   compile requirements/dev.txt again (newer versions: ARGS=--upgrade); then bench-requirements
#   make clean    remove caches and built files; .venv/ and databases stay
#
# ARGS="…" is handed to the tool: make test ARGS="-k rotation", make run ARGS="--port 9000".
# PYTHON=python3.13 chooses the interpreter for a new .venv/.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
PIP_INSTALL := $(PIP) install --quiet

.DEFAULT_GOAL := help
.PHONY: help setup node run test check bench bench-quick bench-requirements faults screenshots requirements clean

help:
	@sed -n 's/^#   //p' Makefile

setup: $(STAMP)

# The stamp holds the path that the environment was made for: in a copied or moved checkout the old environment would
# run the other checkout's code, so there it is made anew.
ifneq ($(wildcard $(STAMP)),)
ifneq ($(shell cat $(STAMP)),$(CURDIR))
.PHONY: $(STAMP)
endif
endif

$(STAMP): requirements/dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || \
	  { echo "setup: no $(PYTHON) here; install Python >= 3.11 or name one: make $(MAKECMDGOALS) PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "setup: $(PYTHON) is older than 3.11; name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "setup: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "setup: preparing $(VENV)/"
	@if [ "$$(cat $(STAMP) 2>/dev/null || echo "$(CURDIR)")" != "$(CURDIR)" ] || ! $(PIP) --version >/dev/null 2>&1; then \
	  $(PYTHON) -m venv --clear $(VENV); fi
	@# uv takes a tenth of pip's time, but is not on every platform and does not read pip's configuration (mirrors,
	@# certificates): whatever stops it, pip does the same work from the same hashes.
	@awk '/^[a-z]/ { on = /^uv==/ } on' requirements/dev.txt > $(VENV)/uv.txt
	@{ $(PIP_INSTALL) --only-binary :all: --require-hashes -r $(VENV)/uv.txt && \
	   UV_LINK_MODE=copy $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt; } || \
	  { echo "setup: uv could not do it; with pip, which takes a minute" >&2; \
	    $(PIP_INSTALL) --no-deps --require-hashes -r requirements/dev.txt; }
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@echo "$(CURDIR)" > $(STAMP)

# Packages for tests and examples alone, in node_modules/ of each folder: exact versions with their hashes, run by no
# install script.
NODE_STAMPS := $(patsubst %/package-lock.json,%/node_modules/.set-up,$(wildcard tests/node/package-lock.json examples/*/package-lock.json))

node: $(NODE_STAMPS)

%/node_modules/.set-up: %/package.json %/package-lock.json %/.npmrc
	@command -v npm >/dev/null || { echo "node: no npm here; on Debian and Ubuntu: apt-get install npm" >&2; exit 1; }
	@echo "node: preparing $*/node_modules/"
	@cd $* && npm ci --loglevel=error >&2
	@touch $@

run: setup
	$(BIN)/watchword dev $(ARGS)

# Without npm, or without a registry that it reaches, what needs the packages skips with that reason.
test: setup
	@! command -v npm >/dev/null || $(MAKE) --no-print-directory --silent node || echo "test: going on without" >&2
	$(BIN)/pytest $(ARGS)

check: setup
	$(BIN)/ruff format $(if $(filter true 1,$(CI)),--check --diff) .
	$(BIN)/ruff check .
	$(BIN)/mypy src tests examples $(wildcard bench)
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m tests.traceability
	$(BIN)/python -m tests.asvs

bench: setup
	$(BIN)/python -m bench $(ARGS)

# What one can wait for: neither the sweep nor the equal answers, which take most of the time.
bench-quick: setup
	$(BIN)/python -m bench --quick guard refresh login import peers $(ARGS)

faults: setup
	FAULTS=full $(BIN)/pytest -o faulthandler_timeout=3600 tests/faults $(ARGS)

screenshots: setup
	$(BIN)/python -m tests.pages.screenshots $(ARGS)

requirements: setup
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --universal --python-version 3.11 --custom-compile-command "make requirements" \
	  --extra postgres --extra redis --extra metrics --output-file requirements/dev.txt $(ARGS) pyproject.toml requirements/dev.in

# Of the libraries beside which Watchword is measured: on the same FastAPI and the same server as ours.
bench-requirements: setup
	@grep -oE '^(fastapi|starlette|uvicorn|uvloop|httptools|pydantic)==[^ ;]+' requirements/dev.txt > $(VENV)/same.txt
	for peer in bench/peers/*/requirements.in; do \
	  $(BIN)/uv pip compile --quiet --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links \
	    --universal --python-version 3.11 --custom-compile-command "make bench-requirements" \
	    --constraint $(VENV)/same.txt --output-file $${peer%.in}.txt $(ARGS) $$peer || exit 1; done

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name .venv -prune -o -name node_modules -prune -o -name __pycache__ -type d -exec rm -rf {} +
