# Two commands for a newcomer: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CARRIER ?= coaps

.PHONY: help install uninstall setup system-packages demo test check fuzz wander torture format clean lock release-artefacts test-release test-gateway
help:
	@echo "make demo    watch the agent do its main job against the lab, no hardware needed (CARRIER=https: over HTTPS)"
	@echo "make test    set everything up and run every check and test"
	@echo "make check   only ruff and mypy"
	@echo "make fuzz    damaged input for every parser, SECONDS=n TARGET=name; make wander: other property tests, ROUNDS=n"
	@echo "make torture random histories of the whole agent with faults, SEEDS=n WITH=features"
	@echo "make release-artefacts   wheel, source archive, SBOM and hashes of HEAD in dist/; make lock pins newer libraries"
	@echo "make test-release   two builds are the same, and install; make test-gateway   the README's commands in a container"
	@echo "make format  let ruff format the code"
	@echo "make install everything in its place, for packagers too: DESTDIR= PREFIX= and more, see packaging/README.md; make uninstall"

setup: $(VENV)/.done
$(VENV)/.done: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

system-packages:
	@PYTHON=$(PYTHON) sh tools/system-packages.sh

demo: setup
	$(BIN)/ipad-agent demo --carrier $(CARRIER)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# In several parts side by side, checks included; their logs are in .test/.
test: system-packages setup
	@sh tools/run-tests.sh $(BIN)

# Damaged input for every parser, other each time: make fuzz SECONDS=600 TARGET=tlv
SECONDS ?= 60
TARGET ?=
fuzz: setup system-packages
	PYTHONPATH=tests/support $(BIN)/python -m tests.fuzz.run --seconds $(SECONDS) --target "$(TARGET)"

# The other property tests with new examples: make wander ROUNDS=100
ROUNDS ?= 1
wander: setup system-packages
	for round in $$(seq $(ROUNDS)); do HYPOTHESIS_PROFILE=wander $(BIN)/pytest -q -k "mutat or any or robust or damaged" --ignore tests/scenarios || exit 1; done

# Random histories of the whole agent with faults, in memory: make torture SEEDS=10000 WITH=all
SEEDS ?= 10000
WITH ?=
torture: setup
	$(BIN)/ipad-agent lab torture --seeds $(SEEDS) $(if $(WITH),--with $(WITH))

# Everything that packaging/README.md lists, in its place. No network, no virtual environment. LAB=no leaves the lab out.
install uninstall:
	@sh packaging/install.sh $@

# Releases: docs/upgrades.md and CONTRIBUTING.md. tools/release.sh VERSION makes one.
lock:
	@sh tools/lock.sh

release-artefacts:
	@rm -rf dist/artefacts
	@sh tools/build-artefacts.sh dist/artefacts
	@cat dist/artefacts/SHA256SUMS

test-release:
	@sh tools/check-release.sh

# The commands of README's "On a gateway", word for word, in a Debian that boots; as root: make test-gateway SUITE=trixie
SUITE ?= bookworm
test-gateway: setup
	@sh tools/check-gateway.sh $(SUITE)

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venv-release .test build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .lab
