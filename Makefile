# Two commands do everything on a fresh machine: `make demo` and `make test`.
# PYTHON chooses the interpreter (3.11 or later), VENV the environment's folder.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PARTS := pyproject.toml constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo test slow fuzz lint format bench clean

help:     ## this list
	@sed -n 's/^\([a-z]*\): .*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(VENV)/.program     ## install, then train 32 small networks and print the table and its claims
	@$(BIN)/lmc reproduce digits --format table

install: $(VENV)/.tools     ## the environment, with the tools for working on the code

test: $(VENV)/.tools     ## the tests, without the slow ones
	@$(BIN)/pytest --numprocesses 2 --dist loadfile

slow: $(VENV)/.tools     ## the slow tests: the wheel in a clean environment, the README in a shell
	@$(BIN)/pytest -m slow --numprocesses 2

fuzz: $(VENV)/.tools     ## ten thousand command lines: no word is lost; make slow tries three thousand
	@LMC_FUZZ=10 $(BIN)/pytest -m slow --numprocesses 2 tests/cli/test_no_word_is_lost.py

lint: $(VENV)/.tools     ## ruff, the import contract, mypy
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/mypy

format: $(VENV)/.tools     ## rewrite the code in ruff's format
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.tools     ## measure against the plain way of doing the same, as ratios
	@$(BIN)/pytest -o addopts= -q --import-mode=importlib --benchmark-only tests/benchmarks

clean:     ## remove the environment and the tools' caches; outputs/ stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed: make demo PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11: make demo PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.program: $(VENV)/bin/python $(PARTS)
	@echo "installing into $(VENV); the first time this takes minutes"
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.tools: $(VENV)/bin/python $(PARTS)
	@echo "installing into $(VENV), tools included; the first time this takes minutes"
	@$(INSTALL) --editable '.[dev]'
	@touch $(VENV)/.program $@
