# Two commands do everything, set-up included: `make report` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
LOGS   ?= sample_logs
OUT    ?= report.html
BIN    := $(VENV)/bin
PLUGIN := examples/logscan-opensmtpd
ARGS   ?=

.PHONY: report test lint plugin bench clean

report: $(VENV)/.installed
	$(BIN)/logscan report $(LOGS) -o $(OUT) $(ARGS)

test: lint
	$(BIN)/pytest
	$(MAKE) plugin

# As its users have it: built, installed (beside the project's own packages, which must work without it), found by its
# entry point.
plugin: $(VENV)/.installed-dev
	rm -rf $(VENV)/plugin
	$(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/plugin ./$(PLUGIN)
	cd $(PLUGIN) && PYTHONPATH=$(abspath $(VENV)/plugin) $(abspath $(BIN))/pytest

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
