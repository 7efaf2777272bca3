"""The recipe for Yocto, read as far as a test without bitbake can: its do_install is run, and what it puts where is
compared with what the packages say that they hold. bitbake refuses a file that no package wants."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ipad_agent.config import Config

ROOT = Path(__file__).parents[2]
LAYER = ROOT / "packaging" / "yocto" / "meta-ipad-agent"
RECIPE = LAYER / "recipes-connectivity" / "ipad-agent" / "ipad-agent_0.1.0.bb"
SITE = "/usr/lib/python3.12/site-packages"
# As bitbake.conf and the classes set them, for a distribution with systemd and a merged /usr.
VARIABLES = {
    "PN": "ipad-agent",
    "BPN": "ipad-agent",
    "prefix": "/usr",
    "bindir": "/usr/bin",
    "datadir": "/usr/share",
    "docdir": "/usr/share/doc",
    "sysconfdir": "/etc",
    "localstatedir": "/var",
    "base_sbindir": "/usr/sbin",
    "nonarch_libdir": "/usr/lib",
    "nonarch_base_libdir": "/usr/lib",
    "systemd_system_unitdir": "/usr/lib/systemd/system",
    "PYTHON_SITEPACKAGES_DIR": SITE,
    "PYTHON": sys.executable,
    "S": str(ROOT),
}
# bitbake.conf's FILES of the packages that every recipe has, as far as they matter here.
BY_DEFAULT = {
    "ipad-agent-doc": ["/usr/share/doc", "/usr/share/man"],
    "ipad-agent": ["/usr/bin/*", "/etc", "/usr/share/ipad-agent"],
}


def expand(text: str, **more: str) -> str:
    known = {**VARIABLES, **more}
    return re.sub(r"\$\{(\w+)\}", lambda found: known[found[1]], text)


def variable(name: str) -> str:
    """The value of a variable, joined lines and all."""
    text = RECIPE.read_text().replace("\\\n", " ")
    found = re.search(rf'^{re.escape(name)} \+?= "(.*)"$', text, re.MULTILINE)
    assert found is not None, name
    return expand(found[1])


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The installed files by the package that takes them; those that none takes under ''."""
    target = tmp_path_factory.mktemp("image")
    text = RECIPE.read_text()
    body = text[text.index("do_install() {\n") + len("do_install() {\n") :].split("\n}\n")[0]
    result = subprocess.run(
        ["sh", "-e", "-c", expand(body, D=str(target))], capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    # In the order of PACKAGES: those before ${PN} choose first.
    order = {
        "ipad-agent-doc": BY_DEFAULT["ipad-agent-doc"],
        "ipad-agent-web": variable("FILES:${PN}-web").split(),
        "ipad-agent-lab": variable("FILES:${PN}-lab").split(),
        "ipad-agent": variable("FILES:${PN}").split() + BY_DEFAULT["ipad-agent"],
    }
    taken: dict[str, set[str]] = {name: set() for name in (*order, "")}
    for path in target.rglob("*"):
        if not path.is_dir():
            name = "/" + path.relative_to(target).as_posix()
            taken[next((package for package, holds in order.items() if _held(name, holds)), "")].add(name)
    return taken


def _held(name: str, holds: list[str]) -> bool:
    return any(name.startswith(place + "/") or fnmatch.fnmatch(name, place) for place in holds)


def test_no_file_is_installed_that_no_package_wants(packages: dict[str, set[str]]) -> None:
    assert packages[""] == set()


def test_the_lab_is_a_package_of_its_own(packages: dict[str, set[str]]) -> None:
    inside = re.compile(r"/ipad_agent/(lab|torture|fleet)/|/cli/(__pycache__/)?demo")
    assert all(inside.search(name) for name in packages["ipad-agent-lab"])
    assert not [name for name in packages["ipad-agent"] if inside.search(name)]
    assert f"{SITE}/ipad_agent/lab/bench/lab_bench.py" in packages["ipad-agent-lab"]


def test_the_web_page_is_a_package_of_its_own_and_off_until_somebody_switches_it_on(
    packages: dict[str, set[str]],
) -> None:
    assert variable("PACKAGE_BEFORE_PN").split() == ["ipad-agent-web", "ipad-agent-lab"]
    assert packages["ipad-agent-web"] >= {
        "/usr/bin/ipad-agent-web",
        "/usr/lib/systemd/system/ipad-agent-web.socket",
        "/usr/lib/systemd/system/ipad-agent-web.service",
        f"{SITE}/ipad_agent/web/page_server.py",
    }
    assert not [name for name in packages["ipad-agent"] if re.search(r"/web/|ipad-agent-web", name)]
    assert variable("SYSTEMD_SERVICE:${PN}-web") == "ipad-agent-web.socket"
    assert "ipad-agent-web" in variable("SYSTEMD_PACKAGES").split()
    assert variable("SYSTEMD_AUTO_ENABLE:${PN}-web") == "disable"


def test_the_agent_has_its_programs_service_policies_and_bytecode(packages: dict[str, set[str]]) -> None:
    assert packages["ipad-agent"] >= {
        "/usr/bin/ipad-agent",
        "/usr/bin/ipactl",
        "/usr/lib/systemd/system/ipad-agent.service",
        "/usr/lib/udev/rules.d/99-ipad-agent.rules",
        "/usr/share/dbus-1/system.d/io.github.ipadagent1.conf",
        "/usr/share/polkit-1/actions/io.github.ipadagent1.policy",
        "/etc/ipad-agent/config.toml",
        f"{SITE}/ipad_agent/agent/main_loop.py",
    }
    assert [name for name in packages["ipad-agent"] if name.endswith(".pyc")]
    assert not [name for name in packages["ipad-agent"] if "sysusers" in name]
    assert variable("CONFFILES:${PN}") == "/etc/ipad-agent/config.toml"


def test_manual_and_pages_are_in_the_documentation(packages: dict[str, set[str]]) -> None:
    assert packages["ipad-agent-doc"] >= {
        "/usr/share/man/man1/ipactl.1",
        "/usr/share/doc/ipad-agent/configuration.md",
    }


def test_user_and_groups_are_those_of_unit_and_configuration() -> None:
    unit = (ROOT / "systemd" / "ipad-agent.service").read_text()
    user = variable("USERADD_PARAM:${PN}")
    assert f"User={user.split()[-1]}\n" in unit
    assert "--groups dialout" in user
    assert str(Config().store.state_dir) in user
    local = Config().local
    groups = re.findall(r"--system ([\w-]+)", variable("GROUPADD_PARAM:${PN}"))
    assert groups == [local.read_group, local.examine_group, local.control_group]


def test_every_library_of_the_agent_is_wanted_at_run_time() -> None:
    wanted = variable("RDEPENDS:${PN}").split()
    recommended = variable("RRECOMMENDS:${PN}").split()
    project = (ROOT / "pyproject.toml").read_text().split("dependencies = [")[1].split("\n]")[0]
    names = {f"python3-{name.lower()}" for name in re.findall(r'^\s*"([A-Za-z0-9-]+)', project, re.MULTILINE)}
    # Only for describing messages to people.
    assert names - {"python3-asn1tools"} == names & {*wanted, *recommended}
    assert wanted == sorted(wanted)


def test_version_licence_and_source_are_those_of_the_tree() -> None:
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert RECIPE.name == f"ipad-agent_{version[1]}.bb"
    digest = subprocess.run(["md5sum", str(ROOT / "LICENSE")], capture_output=True, text=True, check=True).stdout
    assert variable("LIC_FILES_CHKSUM") == f"file://LICENSE;md5={digest.split()[0]}"
    assert RECIPE.parents[5] == ROOT, "the number of steps up in EXTERNALSRC"
    assert "*5 * [os.pardir]" in RECIPE.read_text()
