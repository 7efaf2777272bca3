"""What the pages tell people to type exists: every command of ours with its options, every key, every target of make.

``make test-gateway`` types the blocks marked ``<!-- run: NAME -->``, word for word, on a Debian that boots.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ipad_agent.cli import ipad_agent_command
from ipad_agent.cli.ipactl import command_line
from ipad_agent.config import check, commented_configuration
from ipad_agent.lab.euicc import default_profiles

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *("README.md", "CONTRIBUTING.md", "SECURITY.md"),
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("quick-start-*.md")),
    *("docs/upgrades.md", "docs/supported.md"),
]
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
OURS = {"ipad-agent", "ipactl"}


def typed(page: str) -> Iterator[str]:
    """Every line that a reader types, without its comment."""
    for body in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        for line in body.splitlines():
            if text := re.sub(r"(^|\s)#.*", "", line).strip():
                yield text


def commands(page: str) -> Iterator[list[str]]:
    """Our own commands among them, as words."""
    for line in typed(page):
        for part in re.split(r"\s(?:\||&&)\s", line):
            words = shlex.split(part)
            while words and (words[0] in ("sudo", "env") or re.fullmatch(r"[A-Z_]+=.*", words[0])):
                words.pop(0)
            if words and Path(words[0]).name in OURS and not words[0].startswith("/etc/init.d/"):
                yield [Path(words[0]).name, *words[1:]]


EVERY = [(page, tuple(words)) for page in PAGES for words in commands(page)]


@pytest.mark.parametrize(
    ("page", "words"), EVERY, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_a_command_that_a_page_tells_to_type_is_understood(page: str, words: tuple[str, ...]) -> None:
    parser: argparse.ArgumentParser = command_line.build() if words[0] == "ipactl" else ipad_agent_command._parser()
    parser.parse_args(list(words[1:]))


def test_there_are_commands_and_a_wrong_one_is_noticed() -> None:
    assert len(EVERY) > 40
    with pytest.raises(SystemExit):
        command_line.build().parse_args(["statos"])


def test_a_profile_that_a_page_names_is_on_the_labs_card() -> None:
    known = {profile.iccid for profile in default_profiles()}
    named = {word for page in PAGES for line in typed(page) for word in re.findall(r"\b89\d{17,18}\b", line)}
    assert named
    assert named <= known


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_appends_to_the_configuration_is_right(page: str, tmp_path: Path) -> None:
    for line in typed(page):
        if not line.endswith("| sudo tee -a /etc/ipad-agent/config.toml"):
            continue
        added = subprocess.run(
            ["sh", "-c", line.split(" | sudo")[0]], capture_output=True, text=True, check=True
        ).stdout
        config = tmp_path / "config.toml"
        config.write_text("\n".join(commented_configuration.lines()) + "\n" + added)
        (tmp_path / "initial-eim.der").touch()
        assert check(config) == []


def test_a_target_of_make_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([\w-]+(?: [\w-]+)*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    known = {word for group in targets for word in group.split()}
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"(?:^|`)make ([a-z][\w-]*)", text, flags=re.MULTILINE))
    # The packages are built by a target of their own, which has its own test.
    assert named - known - {"deb"} == set()


@pytest.mark.parametrize("page", PAGES)
def test_a_link_to_a_file_of_the_tree_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", text) if "://" not in link]
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_link_to_a_heading_finds_it(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for link, anchor in re.findall(r"\]\(([^)#\s]*\.md)#([^)\s]+)\)", text):
        headings = re.findall(
            r"^#+ (.*)$", ((ROOT / page).parent / link).read_text(encoding="utf-8"), flags=re.MULTILINE
        )
        anchors = [re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings]
        assert anchor in anchors, f"{page}: {link}#{anchor}"


def test_the_readme_takes_ten_commands_from_nothing_to_the_status() -> None:
    found = _tool("check_gateway").blocks()
    assert {"deb", "pip"} <= set(found)
    for lines in (found["deb"], found["pip"]):
        assert len(lines) == 10
        assert re.sub(r"\s+#.*", "", lines[-1]) == "sudo ipactl status"
        assert lines[0].startswith("sudo apt install ")


def test_the_readme_names_the_packages_of_the_test_peers() -> None:
    script = (ROOT / "tools" / "system-packages.sh").read_text(encoding="utf-8")
    wanted = {
        words[1]
        for words in (line.split()[1:] for line in script.splitlines() if line.startswith("need "))
        if words[1:]
    }
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in sorted(wanted) if name not in text] == []


def test_the_table_of_modules_is_made_from_the_profiles() -> None:
    tool = _tool("gen_supported")
    text = tool.PAGE.read_text(encoding="utf-8")
    assert text == tool.page(text), "run python tools/gen_supported.py"


def _tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
