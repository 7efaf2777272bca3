# Two commands for a newcomer: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CARRIER ?= coaps

.PHONY: help setup system-packages demo test check fuzz format clean
help:
	@echo "make demo    watch the agent do its main job against the lab, no hardware needed (CARRIER=https: over HTTPS)"
	@echo "make test    set everything up and run every check and test"
	@echo "make check   only ruff and mypy"
	@echo "make fuzz    property tests with new examples, ROUNDS=n times"
	@echo "make format  let ruff format the code"

setup: $(VENV)/.done
$(VENV)/.done: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

system-packages:
	@sh tools/system-packages.sh

demo: setup
	$(BIN)/ipad-agent demo --carrier $(CARRIER)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: setup system-packages check
	$(BIN)/pytest

# Property tests with new examples every time, for as long as one likes: make fuzz ROUNDS=100
ROUNDS ?= 1
fuzz: setup system-packages
	for round in $$(seq $(ROUNDS)); do HYPOTHESIS_PROFILE=wander $(BIN)/pytest -q -k "fuzz or mutat or any or robust" --ignore tests/scenarios || exit 1; done

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .lab
