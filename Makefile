# Two commands for a newcomer: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CARRIER ?= coaps
CARD ?= iot

.PHONY: help setup bench system-packages demo test test-long test-modemmanager check fuzz wander torture format clean install uninstall deb test-packages test-web lock release-artefacts test-release test-gateway
help:
	@echo "make demo    watch the agent do its main job against the lab, no hardware needed (CARRIER=https: over HTTPS; CARD=consumer: an emulated card)"
	@echo "make test    set everything up and run every check and test"
	@echo "make test-long  the same, with all of what make test takes a sample of"
	@echo "make test-modems  enable, download and switch through every family of modules that the lab plays; interrupt the examination of each"
	@echo "make test-luci  the page for OpenWrt's LuCI in a headless Chromium"
	@echo "make test-cid DTLS with Connection IDs by Mbed TLS 3.6, which is fetched from Debian 13 where it is missing"
	@echo "make check   only ruff and mypy"
	@echo "make test-web the page of ipad-agent-web in a real browser, with pictures in SHOTS=folder"
	@echo "make fuzz    damaged input for every parser, SECONDS=n TARGET=name; make wander: other property tests, ROUNDS=n"
	@echo "make torture random histories of the whole agent with faults, SEEDS=n WITH=features"
	@echo "make test-modemmanager  the agent beside Debian's ModemManager and NetworkManager, as root, 3 minutes"
	@echo "make test-pcsc  a card in a PC/SC reader, by Debian's pcscd and a virtual reader, as root"
	@echo "make test-pkcs11  the device key of emulated cards in a SoftHSM token and in a TPM (swtpm), by Debian's PyKCS11"
	@echo "make release-artefacts   wheel, source archive, SBOM and hashes of HEAD in dist/; make lock pins newer libraries"
	@echo "make test-release   two builds are the same, and install; make test-gateway   the README's commands in a container"
	@echo "make format  let ruff format the code"
	@echo "make install everything in its place, for packagers too: DESTDIR= PREFIX= and more, see packaging/README.md; make uninstall"
	@echo "make bench   what the agent costs on this machine: tables in README.md and bench/, NAMES=benchmarks"
	@echo "make deb     Debian packages, SUITES=\"bookworm trixie\"; make test-packages installs and boots them (long, as root)"

# Compiled is what many processes load, at their start and side by side. All of it, as pip does, is half a minute for
# modules of which most are never loaded. Compat: the folder stands in the path; otherwise each of some thousand processes
# begins with a finder of setuptools, which costs as much again as the start of Python.
setup: $(VENV)/.done
$(VENV)/.done: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
		--config-settings editable_mode=compat -e '.[dev]'
	$(BIN)/python -m compileall -q -x '/(pycrate_|numpy/|mypy)' $(VENV)/lib
	@touch $@

system-packages:
	@PYTHON=$(PYTHON) sh tools/system-packages.sh

demo: setup
	$(BIN)/ipad-agent demo --carrier $(CARRIER) --card $(CARD)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# In several parts side by side, checks included; their logs are in .test/.
test: system-packages setup
	@sh tools/run-tests.sh $(BIN)

# The same with everything that `make test` takes a sample of: random histories by the hundred.
test-long: export TEST_LONG = 1
test-long: test

# The real ModemManager, NetworkManager, udev and polkit on a machine of their own in namespaces; only root can make one.
test-modemmanager: setup
	@PYTHON=$(PYTHON) WITH=modemmanager sh tools/system-packages.sh
	unshare --mount --net --pid --fork --mount-proc $(BIN)/python -m pytest -q tests/modemmanager/real_modem_manager.py

# Every family of modules on a real pseudo-terminal; make test tells those with the most vices only, and all in memory.
# And the examination of every family (ipactl modem test), interrupted all along; make test does that to the most different.
.PHONY: test-modems
test-modems: export EVERY_MODEM = 1
test-modems: setup system-packages
	$(BIN)/pytest -q -n 4 --maxschedchunk 1 tests/scenarios -k modem-
	$(BIN)/pytest -q -n 4 tests/modem_examination

# A card in a PC/SC reader: Debian's pcscd with the virtual reader of vsmartcard, as root with a /run of its own.
.PHONY: test-pcsc
test-pcsc: setup
	@PYTHON=$(PYTHON) WITH=pcsc sh tools/system-packages.sh
	unshare --mount sh -c 'mount -t tmpfs none /run && exec $(BIN)/python -m pytest -q tests/modem/real_card_reader.py'

# The device key of emulated cards in a token: Debian's PyKCS11, SoftHSM, swtpm and tpm2-pkcs11.
.PHONY: test-pkcs11
test-pkcs11: setup
	@PYTHON=$(PYTHON) WITH=pkcs11 sh tools/system-packages.sh
	$(BIN)/python -m pytest -q tests/whole/softhsm_token.py tests/whole/tpm_token.py

# The page for LuCI, which needs a browser: IPAD_PICTURES=folder for pictures of it.
.PHONY: test-luci
test-luci: setup
	@PYTHON=$(PYTHON) sh tools/system-packages.sh chromium
	$(BIN)/pytest -q tests/openwrt/luci_page.py

# Connection IDs with Mbed TLS 3.6, which Debian 12 does not have: it is fetched into a folder. The tests of DTLS over that
# library, what only it can do, the lab's server with it, and the scenarios. make test does this too where the library is
# installed.
MBEDTLS ?= .mbedtls
CID_TESTS := tests/net/connection_ids.py tests/lab/eim/connection_id_server.py tests/net/test_dtls.py \
	tests/net/test_lean_dtls.py tests/net/test_client_certificate.py tests/net/test_renegotiation.py \
	tests/net/test_coaps.py tests/scenarios/connection_id_scenarios.py
.PHONY: test-cid
test-cid: setup
	@PYTHON=$(BIN)/python sh tools/mbedtls-library.sh $(MBEDTLS)
	LD_LIBRARY_PATH=$(abspath $(MBEDTLS)) DTLS_BACKEND=mbedtls $(BIN)/python -m pytest -q $(CID_TESTS)

# The layer for Yocto by oelint-adv. There is no public address to name as HOMEPAGE and BUGTRACKER, and nothing in it is
# for the building machine (BBCLASSEXTEND).
.PHONY: lint-yocto
lint-yocto: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check oelint-adv
	$(BIN)/oelint-adv --quiet --suppress oelint.var.mandatoryvar.HOMEPAGE --suppress oelint.vars.homepageping \
		--suppress oelint.var.suggestedvar.BUGTRACKER --suppress oelint.var.bbclassextend \
		$$(find packaging/yocto -name '*.bb' -o -name layer.conf)

# The web page in a headless Chromium while the real agent downloads a profile and has to go back; as root on Debian the
# browser is installed. The pictures of the documents: make test-web SHOTS=docs/images
SHOTS ?= .test/web
test-web: setup
	@sh tools/browser-packages.sh
	SHOTS=$(SHOTS) $(BIN)/pytest -q tests/web/browser_page.py

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
# Figures of this machine: bench/results.json, the tables in bench/README.md and README.md, docs/growth.md. A quarter of
# an hour; quiet, please, and as root for the figures of the wire.
bench: setup
	$(BIN)/python bench/run.py $(NAMES)

torture: setup
	$(BIN)/ipad-agent lab torture --seeds $(SEEDS) $(if $(WITH),--with $(WITH))

# Everything that packaging/README.md lists, in its place. No network, no virtual environment. LAB=no leaves the lab out, WEB=no the web page.
install uninstall:
	@sh packaging/install.sh $@

# Debian packages of each suite, in chroots that are made once: dist/debian/*.deb. As root.
SUITES ?= bookworm trixie
CHROOTS ?= .chroots
deb: setup
	for suite in $(SUITES); do sh packaging/debian/build.sh $$suite $(CHROOTS)/$$suite-build dist/debian || exit 1; done

# Builds, installs, boots, updates and removes them. As root, about an hour the first time; ARCHITECTURES="" leaves qemu out.
ARCHITECTURES ?= arm64 armhf
test-packages: setup
	SUITES="$(SUITES)" CHROOTS=$(CHROOTS) ARCHITECTURES="$(ARCHITECTURES)" sh packaging/debian/test-packages.sh

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
	rm -rf $(VENV) .venv-release .test .mbedtls build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .lab
