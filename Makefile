# Every target does the set-up it needs: a virtual environment in .venv, made with the first Python from 3.11 up.
# `make PYTHON=python3.12` chooses another one; `make clean` lets go of the one it has.

PYTHON ?= python3.14 python3.13 python3.12 python3.11 python3
BIN = .venv/bin
READY = .venv/.ready

.PHONY: help demo test check bench format clean

help:  ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' Makefile

demo: $(READY)  ## the main job, on registries that it brings along
	@$(BIN)/dockless demo

test: $(READY)  ## every test, with the coverage that is asked of them
	$(BIN)/pytest --cov --cov-report=
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --fail-under=100 --include='src/dockless/model/*,src/dockless/wire/*'

check: $(READY)  ## format, lint, types, borders, documents
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy src tests
	$(BIN)/pytest --no-cov --quiet tests/test_borders.py tests/test_docs.py

bench: $(READY)  ## what is fast, against what
	$(BIN)/python -m benchmarks.run

format: $(READY)  ## put the sources in form
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean:  ## remove all that was made
	rm -rf .venv .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist htmlcov

# ensurepip: Debian's python3 cannot make an environment without python3-venv.
$(READY): pyproject.toml
	@$(BIN)/python -c '' 2>/dev/null || { \
	    for python in $(PYTHON); do \
	        "$$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	        echo "making .venv with $$("$$python" --version)"; \
	        exec "$$python" -m venv --clear .venv; \
	    done; \
	    echo 'error: no Python 3.11 or newer that has venv among: $(PYTHON)' >&2; \
	    echo 'try:   install one (on Debian with its -venv package), or name it: make PYTHON=/path/to/python3' >&2; \
	    exit 1; \
	}
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all]' --group dev
	@touch $@
