# Two commands do everything, set-up included: `make report` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
LOGS   ?= sample_logs
OUT    ?= report.html
BIN    := $(VENV)/bin
ARGS   ?=

.PHONY: report test lint bench clean

report: $(VENV)/.installed
	$(BIN)/logscan report $(LOGS) -o $(OUT) $(ARGS)

test: lint
	$(BIN)/pytest

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/speed.py $(ARGS)

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
