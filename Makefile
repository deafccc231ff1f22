# `make demo` and `make test` do all their set-up on a machine with Python 3.11 or newer.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: docs sbom demo test test-slow lint format bench chaos chaos-long wheel-check clean help

help:
	@echo "make demo    simulate, train, restore, evaluate and report: open demo/report/report.html"
	@echo "make test    the default tests        make test-slow   those that take minutes"
	@echo "make lint    ruff and mypy            make bench       the ratios that the docs quote"
	@echo "make docs    the site in build/docs/site, offline    make sbom    what an installation consists of"
	@echo "make chaos   kills, full disks and damaged files, a few of each (chaos-long: all of them, resumes)"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "taskgan needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

demo: $(READY)
	$(BIN)/taskgan demo lesions demo

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3

test-slow: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python benchmarks/run.py

CHAOS = PYTHONPATH=src:tests:tests/helpers:experiments OMP_NUM_THREADS=1 MPLBACKEND=agg $(BIN)/python -m chaos

chaos: $(READY)
	$(CHAOS)

# Hours; counts are kept in build/chaos, and a later call goes on.
chaos-long: $(READY)
	$(CHAOS) --long --folder build/chaos
	$(CHAOS) --long --folder build/chaos --publish results/chaos/counts.json

# The built wheel works outside the repository: recipes and templates are in it.
wheel-check: $(READY)
	rm -rf build/wheel && mkdir -p build/wheel
	$(BIN)/python -m pip wheel --quiet --no-deps --constraint constraints.txt --wheel-dir build/wheel .
	$(BIN)/python -m pip install --quiet --no-deps --target build/wheel/site build/wheel/taskgan-*.whl
	cd build/wheel/site && PYTHONSAFEPATH= PYTHONPATH=. ../../../$(BIN)/python -c "import taskgan, pathlib; from taskgan.recipe import read_recipe, shipped_recipes as shipped; assert pathlib.Path(taskgan.__file__).is_relative_to(pathlib.Path.cwd()), taskgan.__file__; [read_recipe(name) for name in shipped()]; assert 'pet-demo' in shipped(); from taskgan.model.shelf import listed_models; assert any(one.shipped for one in listed_models()); import importlib.resources as r; assert (r.files('taskgan.report') / 'templates' / 'report.html').is_file(); assert (r.files('taskgan.report') / 'templates' / 'style.css').is_file(); assert (r.files('taskgan.audit') / 'templates' / 'audit.html').is_file(); assert (r.files('taskgan.readers') / 'page' / 'reader.js').is_file(); assert (r.files('taskgan.readers') / 'forms' / 'faces.yaml').is_file(); print('wheel: recipes', ', '.join(shipped()), 'the models and the templates of report and audit are in it')"

# The site, warnings as errors; its gallery is run where its code has changed since.
docs: $(READY)
	OMP_NUM_THREADS=2 MPLBACKEND=agg $(BIN)/python docs/site/pages.py
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --quiet
	$(BIN)/python docs/site/links.py build/docs/site

# Needs cyclonedx-bom, which is no part of the environment that it describes.
sbom: $(READY)
	$(PYTHON) -m venv build/sbom-venv
	build/sbom-venv/bin/python -m pip install --quiet cyclonedx-bom==7.5.0
	build/sbom-venv/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o build/sbom.json $(BIN)/python
	@echo "build/sbom.json"

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
