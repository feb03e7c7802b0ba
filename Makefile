# Limner: `make demo` installs and draws, `make test` proves, `make help` lists the rest.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
OUT ?= out
MINUTES ?= 180
# As many processes as cores, of up to 7 GB each where models of the full size are loaded; each begins
# with one stretch of the suite, so that what a module's tests share is mostly built once.
WORKERS ?= -n logical --maxprocesses 4 --dist worksteal

export PYTHONUNBUFFERED := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: help install demo serve test check bench train clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## a virtual environment in .venv with limner and its tests

# torch comes first and alone: where the index offers a CPU build, that one is taken and kept.
# opencv-python needs the system's libGL; where it is missing, its headless twin takes its place.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "limner needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "[1/3] making the virtual environment $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "[2/3] installing torch (the largest part: a minute or two)"
	@$(PIP) install 'torch>=2.11,<2.14'
	@echo "[3/3] installing limner and what it needs"
	@$(PIP) install -e '.[test]'
	@$(BIN)/python -c 'import cv2' 2>/dev/null \
		|| { echo "      no libGL here: taking opencv's headless build"; \
		     $(PIP) uninstall --yes opencv-python && $(PIP) install --force-reinstall --no-deps opencv-python-headless; }
	@touch $@

demo: $(STAMP) ## draw six new people, fuse them, leave out/demo.png
	@$(BIN)/limner demo --output $(OUT)

serve: $(STAMP) ## the portrait API and its page on this machine, with a key and a curl line
	@$(BIN)/limner serve --page --new-key demo

test: $(STAMP) ## every test, on up to four cores
	@$(BIN)/python -m pytest -q $(WORKERS)

check: $(STAMP) ## ruff, mypy in strict mode, the contract of the house
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP) ## one script per claim; figures in benchmarks/results/
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

train: $(STAMP) ## train the mini bundle anew (MINUTES=180, resumes after a kill)
	@$(BIN)/limner train-mini --minutes $(MINUTES)

clean: ## forget what was built (not the bundle)
	rm -rf $(OUT) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
