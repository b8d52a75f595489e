# Every target makes the virtual environment that it needs. PYTHON picks the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := runs/demo
LOWEST := .venv-lowest
NEWEST := .venv-newest
EXTRAS ?= dev,jax,onnx,serving

export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: help setup demo test test-slow test-lowest test-newest lint format clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## make .venv with the package and its development tools

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; set PYTHON=python3.x" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

demo: $(STAMP) ## train an SRM network on embedded data, export it, write runs/demo/report.html
	$(BIN)/python -m tools.demo --workdir=$(DEMO)

test: $(STAMP) lint ## lint, then the default suite on TensorFlow and every other backend installed
	$(BIN)/python -m tests.run

test-slow: $(STAMP) ## the checks marked slow
	$(BIN)/python -m pytest -n 2 -m slow

test-lowest: $(LOWEST)/.installed ## the default suite on the lowest versions that pyproject.toml admits
	$(LOWEST)/bin/python -m tests.run

test-newest: $(NEWEST)/.installed ## the default suite on the newest versions and Keras' nightly build
	$(NEWEST)/bin/python -m tests.run

$(LOWEST)/.installed: pyproject.toml
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet uv
	$(LOWEST)/bin/uv pip install --python $(LOWEST) --quiet --resolution lowest-direct --editable ".[$(EXTRAS)]"
	@touch $@

# The nightly build is no release of `keras`, whose files it replaces. It is installed anew after `make clean`.
$(NEWEST)/.installed: pyproject.toml
	$(PYTHON) -m venv --clear $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --editable ".[$(EXTRAS)]"
	$(NEWEST)/bin/python -m pip uninstall --quiet --yes keras
	$(NEWEST)/bin/python -m pip install --quiet --pre --no-deps keras-nightly
	@touch $@

lint: $(STAMP) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP) ## apply ruff's fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment and all runs
	rm -rf $(VENV) $(LOWEST) $(NEWEST) runs build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
