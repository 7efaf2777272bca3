"""Text of cards and servers on every way out of the agent: nothing in it can end a line, control a terminal or turn the
direction of writing.

``HOSTILE`` stands in every text that the agent shows. What comes out is read as its reader would: a line as it is, JSON
decoded.
"""

from __future__ import annotations

import ast
import asyncio
import io
import json
import logging
import socket
import tarfile
import threading
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from ipad_agent import events
from ipad_agent.cli.ipactl import main
from ipad_agent.cli.ipactl.output.terminal_output import GLUE, TerminalOutput
from ipad_agent.doctor.bundle.support_bundle import Sources, build
from ipad_agent.doctor.doctor_items import Item, Layer
from ipad_agent.events import INFO, Event
from ipad_agent.local.dbus.dbus_values import Variant
from ipad_agent.local.dbus.manager_methods import failure
from ipad_agent.local.dbus.status_objects import EimNumbers, objects_of
from ipad_agent.local.local_verbs import Refused
from ipad_agent.local.prometheus.metrics import Metrics
from ipad_agent.local.status_model import Happening, Status, to_plain
from ipad_agent.local.varlink import client_connection, message_framing
from ipad_agent.printable import is_printable, printable, printable_data, printable_lines, summary
from ipad_agent.site import script_runner
from situations import SITUATIONS

HOSTILE = "Na\x1b[2J\x9b31m\x85\u2028\u2029\u202e\u2066\u200f\x07\x7f\r\n<3>IPA-9999 forged\ud800\U000f0000me"
PACKAGE = Path(events.__file__).parent

T = TypeVar("T")


def poisoned(value: T) -> T:
    """The same value with ``HOSTILE`` in every text."""
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return cast(T, HOSTILE + value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {item.name: poisoned(getattr(value, item.name)) for item in fields(value)}
        return cast(T, replace(value, **changed))
    if isinstance(value, tuple):
        parts = [poisoned(part) for part in value]
        return cast(T, type(value)(*parts) if hasattr(value, "_fields") else tuple(parts))
    return value


HAPPENING = poisoned(Happening("IPA-4020", "info", "An order.", 1_795_183_331, (("eim", "eim.example"),)))


def bad(text: str, *, allowed: str = "") -> list[str]:
    """What must not be in a text that was shown."""
    return [
        f"U+{ord(c):04X}"
        for c in text
        if c not in allowed and (unicodedata.category(c)[0] in "C" or unicodedata.category(c) in ("Zl", "Zp"))
    ]


def texts(value: object) -> Iterator[str]:
    """Every text in a decoded document, or in values for the bus."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Variant):
        yield from texts(value.value)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from texts(name)
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


def log(style: str) -> str:
    """What a log of this style has of an event, of a library's message and of a defect."""
    logger, stream = logging.getLogger("ipad_agent"), io.StringIO()
    root, before = logging.getLogger(), (logging.getLogger().handlers[:], logging.getLogger().level, logger.level)
    try:
        events.configure(level=INFO, style=style, stream=stream)
        event: Event[...] = Event("IPA-9998", INFO, "{name} answers.", "x", {})
        event.emit(name=HOSTILE, more={"a": [HOSTILE], "b": Path(HOSTILE)})
        logging.getLogger("a.library").warning("the peer said %s", HOSTILE)
        try:
            raise ValueError(HOSTILE)
        except ValueError as error:
            events.trace(error)
    finally:
        root.handlers[:], level, own = before
        root.setLevel(level)
        logger.setLevel(own)
    return stream.getvalue()


def json_log() -> Iterator[str]:
    for line in log("json").split("\n")[:-1]:
        entry = json.loads(line)
        trace = entry.pop("traceback", "")
        yield line
        yield trace.replace("\n", " ")
        yield from texts(entry)


def bundle() -> Iterator[str]:
    status = poisoned(SITUATIONS["switch-armed"])
    item = Item(Layer.SIM, False, HOSTILE, HOSTILE)
    made = build(
        Sources(
            1_795_183_331.0,
            status,
            doctor=(item, item),
            events=(HAPPENING,),
            modem_profile={HOSTILE: (HOSTILE, Path(HOSTILE))},
            documents={"schedule": {HOSTILE: HOSTILE}},
            versions={HOSTILE: HOSTILE},
            system={HOSTILE: HOSTILE},
        )
    )
    with tarfile.open(fileobj=io.BytesIO(made)) as archive:
        for member in archive:
            file = archive.extractfile(member)
            assert file is not None
            content = file.read().decode("utf-8")
            yield from content.split("\n")
            if member.name.endswith(".json"):
                yield from texts(json.loads(content))


def metrics() -> Iterator[str]:
    made = Metrics(now=lambda: 1.0)
    end = made.attach()
    try:
        events.CATALOGUE["IPA-4010"].emit(eim=HOSTILE, reason="x")
    finally:
        end()
    yield from made.text(poisoned(SITUATIONS["ready"])).split("\n")


def varlink() -> Iterator[str]:
    for name in SITUATIONS:
        answer = message_framing.reply({"status": to_plain(poisoned(SITUATIONS[name])), "event": to_plain(HAPPENING)})
        yield from texts(json.loads(answer[:-1]))
    refused = client_connection._refusal(Refused("NotFound", HOSTILE, what=HOSTILE))
    yield from texts(json.loads(refused[:-1]))


def bus() -> Iterator[str]:
    for name in SITUATIONS:
        yield from texts(objects_of(poisoned(SITUATIONS[name]), EimNumbers()))
    yield failure("Busy", HOSTILE).sentence


def hook() -> Iterator[str]:
    async def run(folder: Path) -> str:
        path = folder / "show"
        path.write_text('#!/bin/sh\nprintf "%s" "$IPAD_NAME" > "$IPAD_OUT"\n')
        path.chmod(0o755)
        await script_runner.run(path, (), {"IPAD_NAME": HOSTILE, "IPAD_OUT": str(folder / "out")}, timeout_s=10)
        return (folder / "out").read_text()

    import tempfile

    with tempfile.TemporaryDirectory() as name:
        yield asyncio.run(run(Path(name)))


class CarelessAgent:
    """A socket that gives to ``ipactl`` what an agent without any care would."""

    def __init__(self, path: Path, status: Status) -> None:
        self._plain = {"status": _raw(status), "events": [_raw(HAPPENING)]}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                while peer.recv(65_536):
                    peer.sendall(json.dumps({"parameters": self._answer()}).encode() + b"\0")

    def _answer(self) -> dict[str, Any]:
        status = self._plain["status"]
        assert isinstance(status, dict)
        return {**self._plain, "text": HOSTILE} | {name: status[name] for name in ("profiles", "eims", "owed")}

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _raw(value: object) -> Any:
    """As ``to_plain``, uncleaned."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: dict(getattr(value, item.name))
            if item.metadata.get("json") == "object"
            else _raw(getattr(value, item.name))
            for item in fields(value)
        }
    if isinstance(value, tuple):
        named = getattr(value, "_fields", None)
        return dict(zip(named, map(_raw, value), strict=True)) if named else [_raw(item) for item in value]
    return value.value if isinstance(value, Enum) else value


OUTLETS: dict[str, Callable[[], Iterator[str]]] = {
    "log on a terminal": lambda: iter(log("text").split("\n")),
    "log of journald": lambda: iter(log("journal").split("\n")),
    "log in JSON": json_log,
    "support bundle": bundle,
    "figures": metrics,
    "socket": varlink,
    "D-Bus": bus,
    "scripts of the site": hook,
}


@pytest.mark.parametrize("outlet", OUTLETS)
def test_no_text_leaves_the_agent_that_could_control_who_reads_it(outlet: str) -> None:
    shown = list(OUTLETS[outlet]())
    assert any("forged" in text for text in shown), "it has to come out there, or nothing is tried"
    assert {found for text in shown for found in bad(text)} == set()
    assert not any(text.startswith(("IPA-9999", "<3>IPA-9999")) for text in shown), "a line was forged"


@pytest.mark.parametrize("command", ["status", "profiles", "eims", "owed", "log", "metrics", "eid", "explain"])
@pytest.mark.parametrize("situation", ["switch-armed", "trouble"])
def test_ipactl_shows_nothing_that_controls_the_terminal_whatever_the_agent_says(
    command: str, situation: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent = CarelessAgent(tmp_path / "socket", poisoned(SITUATIONS[situation]))
    words = [command, HOSTILE.replace("\ud800", "")] if command == "explain" else [command]
    main(["--socket", str(tmp_path / "socket"), *words])
    agent.close()
    shown = capsys.readouterr()
    assert shown.out + shown.err
    assert bad(shown.out + shown.err, allowed="\n") == []


def test_what_is_written_by_any_way_of_the_paper_is_printable() -> None:
    paper = TerminalOutput()
    lines = [*paper.row(HOSTILE, HOSTILE), *paper.note("●", HOSTILE, "good"), paper.cut(HOSTILE, 30)]
    assert [found for line in lines for found in bad(line)] == []
    assert paper.text(f"5{GLUE}kB") == f"5{GLUE}kB"


# -- the one function --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", ""),
        ("Ünïcode 日本 ✓ €", "Ünïcode 日本 ✓ €"),
        ("a\tb\nc\rd\x0be\x0cf", "a b c d e f"),
        ("a\x85b\u2028c\u2029d\u00a0e\u3000f", "a b c d e f"),
        ("\x00\x1b\x7f\x80\x9b\x9f", "\ufffd" * 6),
        ("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", "\ufffd" * 12),
        ("\u200b\ufeff\ud800\udfff\ue000\U0010ffff", "\ufffd" * 6),
    ],
)
def test_what_is_not_printable_is_a_blank_or_the_mark(given: str, expected: str) -> None:
    assert printable(given) == expected
    assert is_printable(printable(given))
    assert is_printable(given) == (given == expected)
    assert printable(given, mark="?") == expected.replace("\ufffd", "?")


def test_every_character_of_unicode_is_kept_or_replaced_by_its_category() -> None:
    every = "".join(map(chr, range(0x110000)))
    wrong = [
        hex(ord(char))
        for char, shown in zip(every, printable(every), strict=True)
        if (shown not in (" ", "\ufffd") if unicodedata.category(char)[0] in "CZ" else shown != char)
    ]
    assert wrong == []


def test_lines_are_kept_where_they_are_wanted_and_data_keeps_its_shape() -> None:
    assert printable_lines("a\x9b\nb\u2028c") == "a\ufffd\nb c"
    data = {"a\n": ["b\x9b", 5, None, ("c\u202e",)], "d": b"\x00", "e": True}
    assert printable_data(data) == {"a ": ["b\ufffd", 5, None, ["c\ufffd"]], "d": b"\x00", "e": True}
    assert summary("  much\n\n \x9b room ", 9) == "much room"


def test_nobody_else_decides_what_is_printable() -> None:
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0]
        if room == "lab" or path.name == "printable.py":
            continue  # the lab shares no code with the agent
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else ""
            assert name not in ("isprintable", "category"), f"{path}:{getattr(node, 'lineno', 0)}"
