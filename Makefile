# Two commands do everything on a fresh machine with Python ≥ 3.11 and make:
#   make demo    set-up, then SimpleNN on built-in data; prints where the report is
#   make test    set-up, then the tests (make test-all adds the slow ones)
# A second make takes no set-up time: the stamp file remembers what was installed.

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin

.PHONY: demo test test-all lint setup clean

demo: $(STAMP)
	$(BIN)/tenfold train simplenn-augment --data shapes

test: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist loadfile --durations 15 -m "not slow"

test-all: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tenfold needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[search,test,dev]"
	touch $@

clean:
	rm -rf $(VENV)
