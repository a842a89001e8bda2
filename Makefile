# make install | demo | test | test-all | lint        (make demo DEMO_ARGS=--short, make install PYTHON=python3.12)

PYTHON ?= python3
VENV ?= .venv
DEMO_ARGS ?=
PYTEST_ARGS ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# A file stays on one worker, so that its module fixtures, such as a trained run, are made once.
PYTEST := $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile --durations 15 $(PYTEST_ARGS)

.PHONY: install demo test test-all lint

install: $(INSTALLED)

# Again only when what is to be installed has changed; an install that broke off is taken up.
$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "reelbench: $(PYTHON) not found; install Python 3.11 or newer, or name one: make install PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "reelbench: needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V 2>&1); name one: make install PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "reelbench: $(PYTHON) has no venv and pip of its own; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

demo: install
	$(BIN)/reelbench demo $(DEMO_ARGS)

test: install
	$(PYTEST) -m "not slow"

test-all: install
	$(PYTEST)

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
