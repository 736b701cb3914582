# The two commands of a fresh machine are `make demo` and `make test`; each does its own set-up.
# `install` is repeated only when the pins or the project description change.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev

.PHONY: install install-dev demo test lint bench up down pins clean

install: $(STAMP)
install-dev: $(DEV_STAMP)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "pandascope needs Python >= 3.11; say which one with: make PYTHON=/path/to/python3.11 demo"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(STAMP): $(BIN)/python requirements/runtime.txt pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_STAMP): $(STAMP) requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(STAMP)
	$(BIN)/panda demo $(ARGS)

up: $(STAMP)
	$(BIN)/panda up $(ARGS)

down: $(STAMP)
	$(BIN)/panda down $(ARGS)

# Two processes, for most tests wait for others: a file stays together since its tests share a server, and what takes
# long begins first, so that neither process waits for the other at the end. ARGS names tests to run instead.
WORKERS ?= 2
LONGEST_FIRST := $(addprefix tests/,chaos pandascope real logger/test_campaign.py logger/test_healthy_hour.py dashboard tui bench api)
THE_OTHERS := $(filter-out $(LONGEST_FIRST) tests/support tests/__pycache__,$(patsubst %/,%,$(wildcard tests/*/)))
test: export PYTHONDONTWRITEBYTECODE =# hundreds of processes of ours start: none but the first compiles
test: $(DEV_STAMP)
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(LONGEST_FIRST) $(THE_OTHERS)
endif

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(DEV_STAMP)
	$(BIN)/python -m bench $(ARGS)

# Needs `pip install uv`. Writes hashes, no index addresses.
pins:
	cd requirements && for name in runtime dev real-client real-pilot; do \
	  uv pip compile --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --custom-compile-command "make pins" --quiet $$name.in -o $$name.txt; done

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
