# Everything a user or the CI runs. `make help` lists the targets.
PYTHON ?= python3
VENV := $(if $(filter python3,$(PYTHON)),.venv,.venv-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The lowest versions that pyproject.toml allows have wheels for this Python
LOWEST_PYTHON ?= python3.11
LOWEST := .venv-lowest

.PHONY: help setup demo test test-lowest test-matrix test-models test-models-transformers lint types unit format docs gallery site bench bench-scoring bench-extraction bench-on-ray bench-packed bench-scaling bench-faults bench-coverage bench-machines browser clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: $(READY)  ## Create .venv with pinned dependencies and moodbench itself; PYTHON=python3.14: .venv-python3.14

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "moodbench needs Python 3.11 or newer; this is $(PYTHON) %d.%d. Name another one: make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

demo: $(READY)  ## Run the whole pipeline on the embedded benchmark, into demo/
	$(BIN)/moodbench demo

test: lint types browser unit  ## What CI runs: lint, types, tests; first `browser`, which may fail

test-lowest: $(LOWEST)/.ready  ## Tests with the lowest versions that pyproject.toml allows, in .venv-lowest
	$(LOWEST)/bin/pytest -n auto

$(LOWEST)/.ready: pyproject.toml constraints-lowest.txt
	$(LOWEST_PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --upgrade pip
	$(LOWEST)/bin/python -m pip install --quiet --constraint constraints-lowest.txt --editable ".[test]"
	@touch $@

test-matrix: $(READY)  ## Tests ten times: other orders, instructions and threads (an hour); FLAGS="--python .venv-lowest"
	$(BIN)/python -m tests.matrix $(FLAGS)

test-models: $(READY)  ## Features and head of every timm architecture (two hours; goes on where it stopped); FLAGS="--help"
	$(BIN)/python -m tests.models.census $(FLAGS)

test-models-transformers: $(READY)  ## The same of transformers' classifiers of pictures, built small (a minute)
	$(BIN)/python -m tests.models.census_transformers $(FLAGS)

lint: $(READY)  ## Style and common faults
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)  ## Static types, strict
	$(BIN)/mypy

unit: $(READY)  ## Tests
	$(BIN)/pytest -n auto

format: $(READY)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY)  ## Write the generated pages of docs/ anew: commands, scores, datasets, models
	$(BIN)/python docs/build.py

gallery: $(READY)  ## Draw the pictures of docs/gallery.md anew, on a demo of their own
	$(BIN)/python docs/gallery.py

site: $(READY)  ## Build the documentation as a web site, into site/ (python -m http.server -d site shows it)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --site-dir site

bench: bench-scoring bench-extraction  ## Measure scoring and extraction, minutes each

bench-scoring: $(READY)  ## Measure scoring at ImageNet size (2 GB of disk); FLAGS="--help" shows options
	$(BIN)/python -m benchmarks.scoring $(FLAGS)

bench-extraction: $(READY)  ## Measure decoding, network and extraction side by side; FLAGS="--help" shows options
	$(BIN)/python -m benchmarks.extraction $(FLAGS)

bench-coverage: $(READY)  ## Simulate how often the intervals of AUROC hold the truth (a quarter of an hour)
	$(BIN)/python -m benchmarks.coverage $(FLAGS)

bench-on-ray: $(READY)  ## Measure how score on Ray grows with the rows; FLAGS="--help" shows options
	$(BIN)/python -m benchmarks.on_ray $(FLAGS)

bench-packed: $(READY)  ## Measure images in tar, zip, shards and parquet beside files; FLAGS="--help" shows options
	$(BIN)/python -m benchmarks.packed $(FLAGS)

bench-scaling: $(READY)  ## Predict extraction and scoring on many GPUs (seconds); FLAGS="--help" shows options
	$(BIN)/python -m benchmarks.scaling $(FLAGS)

bench-faults: $(READY)  ## Damage, kills, races and bad inputs, counted; FLAGS="--help" shows options
	$(BIN)/python -m benchmarks.faults $(FLAGS)

bench-machines: $(READY)  ## How far numbers lie apart with other instructions, threads, versions; FLAGS="--help"
	$(BIN)/python -m benchmarks.machines $(FLAGS)

browser: $(READY)  ## Fetch a Chromium for the tests of the report where there is none: 100 MB, into your home, no root shell
	@$(BIN)/python -m tests.browser || $(MAKE) --no-print-directory .venv-browser/.ready \
	|| echo "The tests of the report in a browser will be skipped: none could be fetched."

# Apart from .venv, so that tests see the same packages with and without it
.venv-browser/.ready:
	$(PYTHON) -m venv --clear .venv-browser
	.venv-browser/bin/python -m pip install --quiet --disable-pip-version-check --retries 1 --timeout 20 playwright
	.venv-browser/bin/playwright install --only-shell chromium
	@touch $@

clean:  ## Remove the environment and what tools leave behind
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist demo site
