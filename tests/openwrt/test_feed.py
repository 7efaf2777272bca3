"""The feed's Makefile, run by GNU make against a few lines in place of OpenWrt's build system. What comes out is the
tree of the package, compiled and without sources as OpenWrt ships Python."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ipad_agent.openwrt.uci_configuration import DEFAULTS

ROOT = Path(__file__).parents[2]
FEED = ROOT / "packaging" / "openwrt"
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"

RULES = """
SHELL := /bin/sh
INCLUDE_DIR := $(TOPDIR)/include
BUILD_DIR := $(TOPDIR)/build
HOST_PYTHON3_BIN := {python}
INSTALL_DIR := install -d -m0755
INSTALL_BIN := install -m0755
INSTALL_DATA := install -m0644
INSTALL_CONF := install -m0600
CP := cp -fpR
"""
PACKAGE = """
PKG_BUILD_DIR := $(BUILD_DIR)/$(PKG_NAME)
PKG_INSTALL_DIR := $(PKG_BUILD_DIR)/install
define BuildPackage
$(eval $(value Package/$(1)))
stage:
	$(call Build/Prepare)
	$(call Build/Compile)
	$(call Package/$(1)/install,$(TOPDIR)/root)
depends:
	@echo $(strip $(DEPENDS))
endef
"""
PYTHON_PACKAGE = """
PYTHON3_PKG_DIR := /usr/lib/{name}/site-packages
define Py3Package
define Package/$(1)/install
	$$(call Py3Package/$(1)/install,$$(1))
	mkdir -p $$(1)$$(PYTHON3_PKG_DIR)
	cp -R $$(PKG_INSTALL_DIR)$$(PYTHON3_PKG_DIR)/. $$(1)$$(PYTHON3_PKG_DIR)/
	$$(HOST_PYTHON3_BIN) -m compileall -q -b -d / $$(1)
	find $$(1) -type f -name '*.py' -delete
endef
endef
"""


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What stands in for OpenWrt's tree, with the package staged in ``root``."""
    top = tmp_path_factory.mktemp("openwrt")
    for name, text in (
        ("rules.mk", RULES.format(python=sys.executable)),
        ("include/package.mk", PACKAGE),
        ("feeds/packages/lang/python/python3-package.mk", PYTHON_PACKAGE.format(name=PYTHON)),
    ):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    _make(top, "stage")
    return top


def _make(top: Path, target: str) -> str:
    command = ["make", "-s", "-C", str(FEED / "ipad-agent"), f"TOPDIR={top}", target]
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    }
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_every_file_is_in_the_place_where_openwrt_looks_for_it(top: Path) -> None:
    modes = {
        "usr/bin/ipad-agent": 0o755,
        "usr/bin/ipactl": 0o755,
        "etc/config/ipad": 0o600,
        "etc/init.d/ipad-agent": 0o755,
        "etc/hotplug.d/tty/20-ipad-agent": 0o644,
        "etc/profile.d/ipad-agent.sh": 0o644,
        "etc/uci-defaults/90-ipad-agent": 0o755,
        "lib/upgrade/keep.d/ipad-agent": 0o644,
        "usr/libexec/rpcd/ipad": 0o755,
    }
    assert {name: (top / "root" / name).stat().st_mode & 0o777 for name in modes} == modes
    modems = {path.name for path in (top / "root/usr/share/ipad-agent/modems").iterdir()}
    assert modems == {path.name for path in (ROOT / "hw" / "modems").glob("*.toml")}
    assert not (top / "root/usr/lib/systemd").exists()


def test_the_lab_and_the_page_that_needs_systemd_stay_at_home(top: Path) -> None:
    package = top / "root/usr/lib" / PYTHON / "site-packages/ipad_agent"
    assert (package / "agent/main_loop.pyc").exists()
    assert not (package / "lab").exists()
    assert not (package / "torture").exists()
    assert not (package / "fleet").exists()
    assert not (package / "web").exists()
    assert not (top / "root/usr/bin/ipad-agent-web").exists()
    assert list(package.rglob("*.py")) == []


def test_the_package_runs_from_bytecode_alone_and_without_the_lab(top: Path, tmp_path: Path) -> None:
    modules = top / "root/usr/lib" / PYTHON / "site-packages"
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    program = f"import sys; sys.path[:0] = {[str(modules), *libraries]!r}; "
    config = tmp_path / "config.toml"

    def python(*arguments: str, given: str = "", module: str) -> subprocess.CompletedProcess[str]:
        code = (
            program
            + f"import runpy; sys.argv = {['program', *arguments]!r}; runpy.run_module({module!r}, run_name='__main__')"
        )
        return subprocess.run(
            [sys.executable, "-I", "-S", "-c", code],
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    default = (FEED / "ipad-agent/files/ipad-agent.config").read_text()
    made = python("--output", str(config), given=default, module="ipad_agent.openwrt.uci_command")
    assert (made.returncode, made.stderr) == (0, "")
    checked = python("check-config", str(config), module="ipad_agent")
    assert checked.stdout == f"{config}: fine\n", checked.stderr
    listed = python("list", module="ipad_agent.openwrt.rpcd_object")
    assert '"status"' in listed.stdout, listed.stderr
    where = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program + "import ipad_agent; print(ipad_agent.__file__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.strip() == str(modules / "ipad_agent/__init__.pyc"), "the package and not the source tree"


def test_every_library_that_the_agent_needs_is_a_dependency(top: Path) -> None:
    depends = set(_make(top, "depends").split())
    assert all(name.startswith("+") for name in depends)
    project = (ROOT / "pyproject.toml").read_text().split("dependencies = [")[1].split("\n]")[0]
    wanted = {name.lower() for name in re.findall(r'^\s*"([A-Za-z0-9]+)', project, re.MULTILINE)}
    wanted |= set(re.findall(r'^\s*"([A-Za-z0-9]+-[a-z]+)', project, re.MULTILINE)) - {"dbus-fast"}
    # Described to people only, and D-Bus, which a router has not.
    left_out = {"asn1tools", "dbus"}
    assert wanted - left_out <= {name.removeprefix("+python3-") for name in depends}
    assert left_out < wanted


# What OpenWrt's Python has in packages besides python3-light, by the modules that are in them.
SPLIT_OFF = {
    "asyncio": {"asyncio"},
    "codecs": {"unicodedata"},
    "ctypes": {"ctypes"},
    "dbm": {"dbm"},
    "decimal": {"decimal"},
    "email": {"email"},
    "logging": {"logging"},
    "lzma": {"lzma"},
    "multiprocessing": {"multiprocessing"},
    "ncurses": {"curses"},
    "openssl": {"ssl"},
    "pydoc": {"pydoc", "doctest"},
    "readline": {"readline"},
    "sqlite3": {"sqlite3"},
    "unittest": {"unittest"},
    "urllib": {"urllib"},
    "uuid": {"uuid"},
    "xml": {"xml"},
}


def test_every_part_of_python_that_the_agent_imports_is_a_dependency(top: Path) -> None:
    imported: set[str] = set()
    for path in (ROOT / "ipad_agent").rglob("*.py"):
        parts = path.relative_to(ROOT / "ipad_agent").parts
        if parts[0] in ("lab", "torture", "fleet", "web") or path.name.startswith("demo"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add((node.module or "").split(".")[0])
    assert {"asyncio", "ctypes", "ssl"} <= imported, "the search finds something"
    needed = {package for package, modules in SPLIT_OFF.items() if modules & imported}
    assert needed <= {name.removeprefix("+python3-") for name in _make(top, "depends").split()}


def test_the_state_is_no_configuration_file_that_opkg_may_replace() -> None:
    text = (FEED / "ipad-agent/Makefile").read_text()
    conffiles = text.split("define Package/ipad-agent/conffiles\n")[1].split("endef")[0].split()
    assert conffiles == ["/etc/config/ipad"]
    assert (FEED / "ipad-agent/files/ipad-agent.keep").read_text().split() == ["/etc/ipad-agent/"]


def test_ipactl_is_told_the_socket_of_the_default_configuration() -> None:
    profile = (FEED / "ipad-agent/files/ipad-agent.profile").read_text()
    assert f"export IPACTL_SOCKET={DEFAULTS['store']['runtime_dir']}/io.github.ipadagent\n" in profile


def test_versions_of_the_feed_are_that_of_the_agent() -> None:
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    for package in ("ipad-agent", "luci-app-ipad-agent"):
        assert f"\nPKG_VERSION:={version[1]}\n" in (FEED / package / "Makefile").read_text()
