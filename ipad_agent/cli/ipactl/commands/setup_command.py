"""``ipactl setup``: first steps. Asks for what no default can know, tries it as the doctor does, and writes it down.

Never needed: the agent runs without a configuration. Nothing is written without consent, and a file that is there keeps
everything else it says and stays as a copy.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipad_agent.cli.ipactl.command_context import DEFAULT_CONFIG, CommandContext
from ipad_agent.cli.ipactl.errors import CommandError, UsageError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.status_from_json import read
from ipad_agent.cli.ipactl.output.terminal_output import clean
from ipad_agent.cli.ipactl.screens.doctor_screen import exit_of_items, item_lines
from ipad_agent.config import ConfigErrors
from ipad_agent.config.configuration_text import Answers, Value, changed, fresh
from ipad_agent.errors import ConfigError
from ipad_agent.local.status_model import DoctorItem, to_plain
from ipad_agent.records import replace

if TYPE_CHECKING:
    from ipad_agent.config import Config
    from ipad_agent.doctor import Item

_QUESTIONS: Final = (
    ("modem.port", "port", "The modem's AT port (auto: look for a known modem)"),
    ("provisioning.initial_eim", "initial_eim", "File with the eIM's configuration, for a card without an eIM"),
    ("trust.ca_file", "ca_file", "File with certificates for an eIM that the card knows no key of"),
    ("trust.ci_dir", "ci_dir", "Folder with certificates for download servers"),
    ("poll.preset", "preset", "How often and patiently: normal, or nbiot for NB-IoT"),
)
"""Place, option and question."""
_FILES: Final = frozenset({"provisioning.initial_eim", "trust.ca_file", "trust.ci_dir"})


def setup(command: CommandContext) -> int:
    """Ask or take what the command line says, try it, show it, and write it if a person wants that."""
    path: Path = command.arguments.config
    old = _old(path)
    asking = sys.stdin.isatty() and not command.json and not command.arguments.yes
    answers = _answers(command, path, old, asking=asking)
    text = _text(old, answers)
    config = _meant(text, path, command.agent)
    items: list[DoctorItem] = []
    for item in _tried(config) if command.arguments.check else ():
        items.append(item)
        if not command.json:
            command.say(item_lines(item, command.output))
    written = old != text and _consent(command, path, text, asking=asking, failed=_failed(items))
    backup = _write(path, text, old) if written else None
    if command.json:
        plain = [to_plain(item) for item in items]
        command.data({"path": str(path), "written": written, "backup": backup, "text": text, "items": plain})
    else:
        _tell(command, path, written=written, same=old == text, backup=backup)
    return exit_of_items(items) if items else Exit.DONE


def _old(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None


def _text(old: str | None, answers: Answers) -> str:
    try:
        return fresh(answers) if old is None else changed(old, answers)
    except ConfigError as error:
        raise UsageError(
            str(error), hint="Change the file by hand; `ipactl config check` names what is wrong."
        ) from None


def _meant(text: str, path: Path, agent: str | None = None) -> Config:
    from ipad_agent.config import loads

    return loads(text.encode("utf-8"), path, modem=agent)


def _answers(command: CommandContext, path: Path, old: str | None, *, asking: bool) -> dict[str, Value]:
    """What the options say, and for the rest what a person answers; an empty answer leaves it as it is."""
    known = _meant(old, path) if old is not None else None
    answers: dict[str, Value] = {}
    if command.arguments.web_pki is not None:
        answers["trust.web_pki"] = command.arguments.web_pki
    if asking:
        command.tell(f"This is for {path}. An empty answer takes what is in brackets.", "Nothing is written yet.")
    for place, option, question in _QUESTIONS:
        given: str | None = getattr(command.arguments, option)
        if given is not None:
            answers[place] = _checked(place, given, path)
        elif asking:
            answer = _ask(command, place, question, _now(known, place), path)
            if answer is not None:
                answers[place] = answer
    if old is None:
        answers.setdefault("modem.port", "auto")
        answers.setdefault("poll.preset", "normal")
    return answers


def _now(known: Config | None, place: str) -> str | None:
    """What the file says by now, or the default."""
    from ipad_agent.config import Config

    section, _, key = place.partition(".")
    value = getattr(getattr(known or Config(), section), key)
    return None if value is None else str(value)


def _ask(command: CommandContext, place: str, question: str, now: str | None, path: Path) -> str | None:
    while True:
        command.out.write(f"{question} [{clean(now) if now else 'none'}]: ")
        command.out.flush()
        line = sys.stdin.readline()
        if not line:
            raise UsageError("The answers ended too soon. Nothing was written.")
        if not line.strip():
            return None
        try:
            return _checked(place, line.strip(), path)
        except UsageError as error:
            command.say(command.output.note("✗", f"{error.message} {error.hint}".strip(), "bad"))


def _checked(place: str, answer: str, path: Path) -> str:
    """The value as it goes into the file: one that the configuration takes; a file with its whole path."""
    if place in _FILES:
        answer = os.path.abspath(os.path.expanduser(answer))
        if not os.path.exists(answer):
            raise UsageError(f"{answer} is not there.", hint="Name a file or folder that exists.")
    try:
        _meant(fresh({place: answer}), path)
    except ConfigErrors as errors:
        raise UsageError(str(errors.problems[0])) from None
    return answer


def _tried(config: Config) -> Iterator[DoctorItem]:
    """What the doctor finds with this configuration. In a process of its own, which becomes the agent's user: this one
    has to write a file of root."""
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        status = 1
        with suppress(BaseException):
            os.close(reader)
            _examine(config, writer)
            status = 0
        os._exit(status)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as lines:
        for line in lines:
            yield read(DoctorItem, json.loads(line))
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise CommandError("The device could not be examined.", hint="`ipactl setup --no-check` goes without.")


def _examine(config: Config, writer: int) -> None:
    from ipad_agent.doctor import configured_files
    from ipad_agent.doctor.agent_user import become

    from .doctor_command import alone

    def show(found: Item) -> None:
        item = DoctorItem(found.layer.value, found.sentence, found.ok, found.fix)
        os.write(writer, json.dumps(to_plain(item)).encode("ascii") + b"\n")

    become(config.store.state_dir)
    for item in configured_files(config):
        show(item)
    asyncio.run(alone(replace(config, path=None), lambda item: None if item.layer == "config" else show(item)))


def _failed(items: list[DoctorItem]) -> bool:
    return any(item.ok is False for item in items)


def _consent(command: CommandContext, path: Path, text: str, *, asking: bool, failed: bool) -> bool:
    if command.arguments.dry_run:
        if not command.json:
            command.say(["", *(clean(line) for line in text.splitlines())])
        return False
    if command.arguments.yes:
        return True
    if not asking:
        raise UsageError(
            "Nobody can be asked here, so nothing was written.", hint="--yes writes it, --dry-run shows it."
        )
    command.say(["", *(clean(line) for line in text.splitlines()), ""])
    if failed:
        command.say(command.output.note("!", "Not everything works yet; the file can be written all the same.", "warn"))
    command.out.write(f"Write this to {path}? [y/N]: ")
    command.out.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _write(path: Path, text: str, old: str | None) -> str | None:
    """In one step, with a copy of what was there before; its name. A power cut leaves the one or the other."""
    backup = None
    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if old is not None:
            backup = _copied(path)
        with open(new, "w", encoding="utf-8") as file:
            if old is not None:
                shutil.copystat(path, new)
                with suppress(PermissionError):
                    os.chown(new, path.stat().st_uid, path.stat().st_gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise CommandError(
            f"{path} cannot be written: {error.strerror or error}. It is as it was.", hint="Use sudo."
        ) from None
    return backup


def _copied(path: Path) -> str:
    """A copy that takes no other's place."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number in range(1000):
        backup = path.with_name(f"{path.name}.{stamp}" + (f".{number}" if number else ""))
        try:
            descriptor = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "wb") as file:
            file.write(path.read_bytes())
            file.flush()
            os.fsync(file.fileno())
        shutil.copystat(path, backup)
        return str(backup)
    raise OSError(None, "there are too many copies of it")


def _tell(command: CommandContext, path: Path, *, written: bool, same: bool, backup: str | None) -> None:
    command.say([""])
    if same:
        command.tell(f"{path} says all that already; nothing was written.")
    elif not written:
        command.tell("Nothing was written.")
        return
    else:
        command.tell(f"{path} is written.", None if backup is None else f"What was there before is in {backup}.")
    command.say(command.output.note(" ", "What comes next, to have the agent read it:", "label"))
    service = shutil.which("systemctl") is not None and (str(path) == DEFAULT_CONFIG or command.agent is not None)
    unit = "ipad-agent" if command.agent is None else f"ipad-agent@{command.agent}"
    started = (f"systemctl enable {unit}", f"systemctl restart {unit}")
    # For copying: a command is never broken into lines.
    for line in started if service else (f"ipad-agent run --config {shlex.quote(str(path))}",):
        command.say([f"    {line}"])
    said = "Then `ipactl` says how the device is, and `ipactl doctor` what is wrong."
    command.say(command.output.note(" ", said, "label"))
