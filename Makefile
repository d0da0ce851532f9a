# The two commands a newcomer types: `make quickstart` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two processes of one thread each are about twice as fast on two cores as one process of two threads.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: quickstart test check install benchmarks clean
.DEFAULT_GOAL := quickstart

quickstart: install
	$(BIN)/composer run quickstart

test: install
	$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

benchmarks: install
	$(BIN)/python benchmarks/monitors.py
	$(BIN)/python benchmarks/plan_cost.py
	$(BIN)/python benchmarks/calibration.py
	$(BIN)/python benchmarks/mini_search.py

clean:
	rm -rf runs mixtures build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
