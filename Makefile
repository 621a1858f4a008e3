# Every target does its own set-up; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UI_STAMP := $(VENV)/.installed-ui
FOLDERS := actors agent http persistence workers
PYTEST := $(BIN)/python -m pytest -q
# The fuzzer's and the browser's tests stand aside: to collect them takes longer than to collect all others. Four processes on
# two cores: many a test waits for a process or a clock. Tests that share a server keep together (`GROUPS` in tests/conftest.py).
OWN := -p no:schemathesis --ignore tests/fuzz --ignore tests/ui
PARALLEL := -n 4 --dist loadgroup --max-worker-restart 2
# Their files lie in memory, where there is a folder for that: on a disk that others keep busy a commit was seen to take a minute.
export PYTEST_DEBUG_TEMPROOT := $(shell $(PYTHON) -c "import os, shutil; m = '/dev/shm'; \
	print(m if os.path.isdir(m) and shutil.disk_usage(m).free > 4 << 30 and not os.statvfs(m).f_flag & os.ST_NOEXEC else '')")
# The tests start hundreds of Pythons, each of which would compile the whole tree.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test test-slow test-times test-ui fuzz nightly screenshots check types bench chaos soak docs clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: $(STAMP) ## make the virtual environment from the pinned versions

$(STAMP): constraints.txt setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Callboard needs Python 3.11 or later; set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo 'Installing into $(VENV); the first time takes a minute or two.'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

run: $(STAMP) ## start the server on http://127.0.0.1:3000 (CALLBOARD_PORT=…)
	@exec $(BIN)/callboard serve

test: $(STAMP) ## run the tests (about five minutes)
	$(PYTEST) $(OWN) $(PARALLEL) -m "not slow and not nightly" $(ARGS)

test-slow: $(STAMP) ## run the tests that take longer
	$(PYTEST) $(OWN) $(PARALLEL) -n 2 -m "slow and not nightly" $(ARGS)

test-times: $(STAMP) ## run the tests one by one; fail where one takes over 3 s and is not marked slow
	$(PYTEST) $(OWN) -p tests.times -m "not slow and not nightly" $(ARGS)

test-ui: $(UI_STAMP) ## drive the console in the system's Chromium (CHROMIUM=/path/to/it)
	$(PYTEST) -m ui tests/ui $(ARGS)

$(UI_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,ui]'
	@touch $@

fuzz: $(STAMP) ## fuzz the server from its own OpenAPI document, and from grammars
	$(PYTEST) -m fuzz tests/fuzz $(ARGS)

NIGHTLY := --hypothesis-profile nightly --timeout 3600
nightly: $(STAMP) ## every scenario, property and request at length, and half an hour of load (some five hours)
	$(PYTEST) $(OWN) $(PARALLEL) $(NIGHTLY) $(ARGS)
	$(PYTEST) -m fuzz tests/fuzz $(NIGHTLY) $(ARGS)
	$(BIN)/python -m chaos
	$(BIN)/python -m chaos soak

check: $(STAMP) types ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

types: ## lay out the tree that the type checker reads, under build/types
	@mkdir -p build/types/callboard
	@find build/types/callboard -mindepth 1 -maxdepth 1 -type l -delete
	@for f in callboard/*.py callboard/py.typed callboard/cli callboard/client callboard/messages $(FOLDERS); do ln -s ../../../$$f build/types/callboard/$$(basename $$f); done

bench: $(STAMP) ## measure speed and size against a bare server, side by side
	$(BIN)/python -m bench $(ARGS)

chaos: $(STAMP) ## break the server in every way there is and count what is lost (about an hour)
	$(BIN)/python -m chaos $(ARGS)

soak: $(STAMP) ## half an hour of mixed load: memory, descriptors and threads stay flat (ARGS='--minutes N')
	$(BIN)/python -m chaos soak $(ARGS)

screenshots: $(UI_STAMP) ## take docs/screenshots from a server that has something to show
	$(BIN)/python -m tests.ui.screenshots

docs: $(STAMP) ## write build/openapi.json from the code and run every example in the documents
	@mkdir -p build
	$(BIN)/callboard openapi > build/openapi.json
	$(PYTEST) tests/docs $(ARGS)

clean: ## remove what the other targets made (not your data)
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis htmlcov .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
