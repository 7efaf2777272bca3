"""Every command in the documents is run, by real processes against the lab, or is on a list with the reason why not.

One lab, one agent and one web page serve all of them, so that this stays short.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from .commands_in_documents import NOT_RUN, ROOT, SHELL, Command, commands, documents, fences, inline

LIMIT_S: Final = 120.0
ENDLESS_S: Final = 2.0
"""What never ends by itself is interrupted so long after it has said something."""
ALL: Final = [command for path in documents() for command in commands(path)]
RUN: Final = [command for command in ALL if command.reason is None and command.may_run]
FIRST_PROFILE: Final = "89490200001000000011"
ADVICE: Final = (
    "If it cannot be run in the lab, say so with a reason in NOT_RUN of tests/documents/commands_in_documents.py."
)


@dataclass(frozen=True, slots=True)
class Site:
    """A folder in which the commands are run, with a lab, an agent and a page that are up."""

    folder: Path
    environment: dict[str, str]
    replaced: dict[str, str]
    pages: list[str] = field(default_factory=list)
    """The pages that were begun."""

    def begin(self, page: str) -> None:
        """Each page finds the lab as it is when it is new: its first profile enabled, its last order carried out."""
        if self.pages[-1:] == [page]:
            return
        self.pages.append(page)
        self._say("ipactl poll")  # what another page has ordered is done first
        status = json.loads(self._say("ipactl status --json"))
        if not next(profile["enabled"] for profile in status["profiles"] if profile["iccid"] == FIRST_PROFILE):
            self._say(f"ipad-agent lab eim queue enable {FIRST_PROFILE}")
            self._say("ipactl poll")
        for _ in range(10):
            if json.loads(self._say("ipactl status --json"))["verdict"]["state"] == "ready":
                return
            self._say("ipad-agent lab eim queue list-profiles")
            self._say("ipactl poll")
        raise AssertionError("the lab is not as it was when it was new")

    def _say(self, words: str) -> str:
        ended = subprocess.run(
            ["bash", "-c", words],
            cwd=self.folder,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return ended.stdout

    def run(self, command: Command) -> None:
        """Fails with all that was said when it does not end well."""
        text = command.text
        for there, here in self.replaced.items():
            text = text.replace(there, here)
        text = re.sub(r"(?<=ipad-agent run --config )\S+", "second/agent.toml", text)
        text = re.sub(r"\bFILE\b", self.replaced["/etc/ipad-agent/config.toml"], text)
        process = subprocess.Popen(
            # a shell has its background jobs ignore the interrupt, and what they start inherits that
            ["env", "--default-signal=INT", "bash", "-c", text],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        said, ended = _followed(process) if command.endless else _finished(process)
        assert ended, f"{command.place}: `{command.text}` ended with {process.returncode}:\n{said[-3000:]}\n{ADVICE}"


def _finished(process: subprocess.Popen[str]) -> tuple[str, bool]:
    try:
        said, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[0] + f"\nnot within {LIMIT_S:.0f} s", False
    return said, process.returncode == 0


def _followed(process: subprocess.Popen[str]) -> tuple[str, bool]:
    assert process.stdout is not None
    first = process.stdout.readline()
    deadline_s = time.monotonic() + ENDLESS_S
    while process.poll() is None and time.monotonic() < deadline_s:
        time.sleep(0.05)
    still = process.poll() is None
    os.killpg(process.pid, signal.SIGINT) if still else None
    try:
        rest, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        rest, _ = process.communicate()
        still = False
    return first + rest, still and bool(first)


def _program(folder: Path, name: str, *words: str) -> None:
    """What an installed package puts into the path, for this source tree."""
    path = folder / name
    quoted = " ".join(f"'{word}'" for word in words)
    path.write_text(f"#!/bin/sh\nexec '{sys.executable}' -P -m {quoted} \"$@\"\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _answered(process: subprocess.Popen[str], pattern: str) -> str:
    assert process.stdout is not None
    told = []
    while line := process.stdout.readline():
        told.append(line)
        if re.search(pattern, line):
            return line
    raise AssertionError("".join(told))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Everything that the commands of the documents talk to."""
    with tempfile.TemporaryDirectory(prefix="ipad-documents-") as name:
        folder = Path(name)
        programs = folder / "bin"
        programs.mkdir()
        _program(programs, "ipad-agent", "ipad_agent")
        _program(programs, "ipad-agent-web", "ipad_agent.web")
        environment = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
        environment |= {"PATH": f"{programs}:{environment['PATH']}", "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
        started: list[subprocess.Popen[str]] = []

        def start(*words: str, where: Path = folder) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                words, cwd=where, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            started.append(process)
            return process

        try:
            facts: dict[str, Any] = json.loads(
                _answered(start("ipad-agent", "lab", "up", "--json", "--rest-port", "0"), r"^\{")
            )
            socket = Path(facts["folder"]) / "agent-run" / "io.github.ipadagent"
            _program(programs, "ipactl", "ipad_agent.cli.ipactl", "--socket", str(socket))
            agent = start("ipad-agent", "run", "--config", facts["config"])
            _answered(agent, "IPA-4011")
            token = folder / "web-token"
            subprocess.run(
                ["ipad-agent-web", "--make-token", str(token)], env=environment, check=True, stdout=subprocess.DEVNULL
            )
            web = start(
                "ipad-agent-web", "--listen", "127.0.0.1:0", "--token-file", str(token), "--socket", str(socket)
            )
            found = re.search(r"http://127\.0\.0\.1:\d+", _answered(web, "http://"))
            assert found is not None
            for process in started:
                _drain(process)
            bench = json.loads(_answered(start("ipad-agent", "lab", "up", "--json", "--dir", "bench"), r"^\{"))
            _drain(started[-1])
            (folder / "initial-eim.der").write_bytes(Path(facts["initialEim"]).read_bytes())
            second = folder / "second"
            second.mkdir()
            (second / "agent.toml").write_text(
                f'[store]\nstate_dir = "{second}/state"\nruntime_dir = "{second}/run"\n'
                f'[modem]\nport = "{second}/no-modem"\nlock_dir = "{second}"\n[local]\ndbus = "off"\n'
            )
            yield Site(
                folder,
                environment,
                {
                    "/etc/ipad-agent/config.toml": facts["config"],
                    "/etc/ipad-agent/keys/web-token": str(token),
                    "/run/ipad-agent/io.github.ipadagent": str(socket),
                    "/dev/ttyUSB3": bench["modem"],  # the modem of a bench, which no agent uses
                    "http://127.0.0.1:8632": found[0],
                    "127.0.0.1:8632": "127.0.0.1:0",
                    "http://127.0.0.1:8080/": facts["page"],
                    "--rest-port 8080": "--rest-port 0",
                    # The lab that is up already has its folder, and the agent that runs its modem.
                    "ipad-agent lab up": "ipad-agent lab up --dir second/.lab",
                },
            )
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()


def _drain(process: subprocess.Popen[str]) -> None:
    """Read on, so that it never waits for us."""
    import threading

    assert process.stdout is not None
    threading.Thread(target=process.stdout.read, daemon=True).start()


@cache
def _parsers() -> dict[str, argparse.ArgumentParser]:
    from ipad_agent.cli.ipactl.command_line import build as ipactl
    from ipad_agent.cli.ipad_agent_command import _parser as ipad_agent

    return {"ipactl": ipactl(), "ipad-agent": ipad_agent()}


def _unknown(words: list[str], parser: argparse.ArgumentParser) -> str | None:
    """The first verb or option of these words that the command does not have."""
    options = set(parser._option_string_actions)
    for word in words:
        if word.startswith("-") and len(word) > 1 and not word[1].isdigit():
            if word.partition("=")[0] not in options:
                return word
            continue
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction) and re.fullmatch(r"[a-z][a-z-]*", word):
                if word not in action.choices:
                    return word
                parser = action.choices[word]
                options |= set(parser._option_string_actions)
                break
    return None


# -- the documents -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_every_block_says_what_language_it_is(path: Path) -> None:
    """A block without one could be a command that nobody runs."""
    silent = [f"{path.name}:{line}" for line, language, _ in fences(path) if not language]
    assert silent == [], "name it: sh, console, toml, ini, text, json, python ..."


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_every_command_that_a_sentence_names_exists(path: Path) -> None:
    if path.parent.name == "decisions":
        return  # which tell of former days too
    parsers = _parsers()
    wrong = []
    for command in inline(path):
        program, *words = command.text.split()
        unknown = _unknown(words, parsers[program])
        if unknown is not None:
            wrong.append(f"{command.place}: `{command.text}`: {unknown}")
    assert wrong == []


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_every_command_is_run_or_has_a_reason_why_not(path: Path) -> None:
    neither = [command for command in commands(path) if command.reason is None and not command.may_run]
    assert [f"{command.place}: {command.text}" for command in neither] == [], ADVICE


def test_what_could_change_the_machine_is_never_run() -> None:
    for text in ("rm -rf /", "cat x | sh", "curl http://example.com | sh", "ls; reboot", "reboot", "tar x > y"):
        assert not Command("page.md:1", text).may_run, text


def test_every_reason_is_one() -> None:
    assert all(len(reason) > 12 for _, reason in NOT_RUN)
    assert len(RUN) > 25, "most commands are run"


def test_commands_are_found_as_people_write_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\nsudo ipactl status   # how is it?\n# only words\nipactl bundle \\\n  -o x\n```\n"
        "```console\n$ ipactl eid\n8904\n```\n```toml\nipactl = 1\n```\n"
    )
    assert [(one.place, one.text) for one in commands(page)] == [
        ("page.md:2", "ipactl status"),
        ("page.md:4", "ipactl bundle -o x"),
        ("page.md:8", "ipactl eid"),
    ]
    assert "console" in SHELL


def test_what_is_misspelt_in_a_sentence_is_noticed() -> None:
    parsers = _parsers()
    assert _unknown(["statsu"], parsers["ipactl"]) == "statsu"
    assert _unknown(["status", "--jsn"], parsers["ipactl"]) == "--jsn"
    assert _unknown(["lab", "eim", "results"], parsers["ipad-agent"]) is None


def test_a_command_that_fails_is_noticed(site: Site) -> None:
    with pytest.raises(AssertionError, match=r"page\.md:1: `ipactl statsu` ended with 2[\s\S]*NOT_RUN"):
        site.run(Command("page.md:1", "ipactl statsu"))
    with pytest.raises(AssertionError, match="ended with"):
        site.run(Command("page.md:2", "ipad-agent run --configuration nowhere"))


def test_the_program_in_python_works(site: Site) -> None:
    """Those that need no bus."""
    blocks = [
        "\n".join(lines)
        for path in documents()
        for _, language, lines in fences(path)
        if language == "python" and "dbus" not in "\n".join(lines)
    ]
    assert blocks
    for block in blocks:
        for there, here in site.replaced.items():
            block = block.replace(there, here)
        ended = subprocess.run(
            [sys.executable, "-c", block], env=site.environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("command", RUN, ids=lambda command: f"{command.place} {command.text[:40]}")
def test_a_command_of_the_documents_does_what_it_should(site: Site, command: Command) -> None:
    site.begin(command.place.partition(":")[0])
    site.run(command)
