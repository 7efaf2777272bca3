"""Who may import whom. The rooms stay exchangeable, and testable one by one, only while this holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "ipad_agent"

COMMON = frozenset({"errors", "events", "clock"})
ROOMS = frozenset({"codec", "card", "modem", "net", "eim", "smdp", "store", "policy", "local", "procedures", "site"})
WIRING = frozenset(
    {
        "agent",
        "daemon",
        "daemon_events",
        "rooms",
        "parts",
        "guard",
        "surroundings",
        "turns",
        "showing",
        "outcomes",
        "faces",
        "timetable",
        "status",
        "service",
        "doctor",
    }
)


@dataclass(frozen=True, slots=True)
class Rule:
    """What modules of one room may import of the agent, and why no more. An entry is a room (all of it) or a module
    in dotted form. ``outside`` are the libraries that would break the room's promise."""

    may: frozenset[str]
    reason: str
    outside: frozenset[str] = frozenset()


def rule(*may: str, reason: str, outside: frozenset[str] = frozenset(), common: bool = True) -> Rule:
    return Rule(frozenset(may) | (COMMON if common else frozenset()), reason, outside)


CLOCKS = frozenset({"time", "random", "secrets", "datetime"})
WIRES = frozenset(
    {"socket", "ssl", "serial", "selectors", "aiocoap", "OpenSSL", "h11", "dbus_fast", "dbus_next", "termios", "fcntl"}
)
PROCESSES = frozenset({"subprocess", "threading", "multiprocessing", "signal"})
DISK = frozenset({"tempfile", "shutil", "sqlite3"})
PURE = CLOCKS | WIRES | PROCESSES | DISK | {"asyncio"}

RULES: dict[str, Rule] = {
    "errors": rule(common=False, reason="everything stands on the error tree"),
    "events": rule(common=False, reason="everything speaks through the catalogue"),
    "clock": rule(common=False, reason="everything is told the time by it"),
    "sdnotify": rule(common=False, reason="a few lines that need nothing"),
    "codec": rule(reason="bytes and typed messages only: no I/O, no clock, no other room", outside=PURE),
    "policy": rule(reason="pure arithmetic on values: it is asked, it never asks", outside=PURE | {"os", "pathlib"}),
    "store": rule(reason="the disk knows no meaning of what it keeps", outside=WIRES - {"fcntl"} | {"asyncio"}),
    "card": rule("codec", reason="what one says to an eUICC, by whatever way it goes", outside=WIRES),
    "modem": rule(
        "card.channel",
        "card.types",
        reason="a modem carries APDUs; it does not know what they mean",
        outside=WIRES - {"serial", "termios", "fcntl"},
    ),
    "modem.socket_port": rule(
        reason="the one way to a modem that is no device of this machine", outside=WIRES - {"socket"}
    ),
    "net": rule("codec", reason="carries bytes and judges certificates, no ESipa", outside=frozenset({"serial"})),
    "eim": rule("codec", "net", reason="what one says to an eIM, over a carrier", outside=WIRES),
    "smdp": rule("codec", "net", reason="what one says to an SM-DP+, over a carrier", outside=WIRES),
    "procedures": rule(
        "codec",
        "policy",
        reason="clause 3 of SGP.32 against protocols, so that it runs against the lab and a test's few lines as well",
        outside=WIRES | PROCESSES | DISK | CLOCKS | {"os", "pathlib"},
    ),
    "config": rule("policy", reason="the presets' numbers are the policy's"),
    "site": rule(
        "policy",
        reason="the site's own scripts and the machine's network; it knows no card and no procedure",
        outside=frozenset({"serial", "ssl", "OpenSSL", "aiocoap"}),
    ),
    "torture": rule(
        *(ROOMS - {"local", "smdp"}),
        *WIRING,
        "lab",
        reason="puts the agent and the lab together in memory; nobody needs it",
    ),
    "local": rule(reason="shows a status model and passes verbs; it knows no procedures"),
    "lab": rule(common=False, reason="shares no code with the agent, or they would share mistakes"),
    "cli": rule(*(ROOMS - {"procedures"}), *WIRING, "config", "lab", "sdnotify", "torture", reason="the front door"),
    "__main__": rule("cli", common=False, reason="only the way to the front door"),
    "__init__": rule(common=False, reason="importing the package must cost nothing"),
} | {
    part: rule(
        "",
        *ROOMS,
        *WIRING,
        "config",
        "sdnotify",
        reason="puts the rooms together; never the lab, never the command line",
    )
    for part in WIRING
}

# Ways of asyncio to a socket; a room that may use asyncio need not be one that may use these.
SOCKET_CALLS = frozenset(
    {
        "open_connection",
        "open_unix_connection",
        "start_server",
        "start_unix_server",
        "create_connection",
        "create_server",
        "create_datagram_endpoint",
        "create_unix_connection",
        "create_unix_server",
        "create_subprocess_exec",
        "create_subprocess_shell",
        "sock_connect",
        "sock_recv",
        "sock_sendall",
    }
)
DESCRIPTOR_CALLS = frozenset({"add_reader", "add_writer"})


def room_of(module: str) -> str:
    """``codec.tlv`` is in room ``codec``, ``clock`` in ``clock``, the package itself in ``__init__``."""
    return module.split(".")[0] or "__init__"


def imported(tree: ast.AST, module: str, *, package: bool, modules: frozenset[str]) -> Iterator[tuple[int, str]]:
    """(line, full dotted name) of every import, wherever it stands and whether it is for types only or not."""
    parents = ["ipad_agent", *filter(None, module.split("."))]
    here = parents if package else parents[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{origin}.{alias.name}"
                yield node.lineno, full if full in modules else origin
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield node.lineno, argument.value


def violations(module: str, source: str, *, package: bool = False, modules: frozenset[str] = frozenset()) -> list[str]:
    """What this module (dotted, without ``ipad_agent.``) imports against the rules, as sentences."""
    room = room_of(module)
    if room not in RULES:
        return [f"{module}: no rule says what a room {room!r} may import"]
    chosen = RULES.get(module, RULES[room])
    tree = ast.parse(source)
    found = []
    for line, name in imported(tree, module, package=package, modules=modules):
        top, _, inner = name.partition(".")
        if top == "ipad_agent":
            allowed = room_of(inner) in (room, *chosen.may) or inner in chosen.may or inner == ""
            if not allowed:
                found.append(f"{module}:{line} imports {name}, but {room}: {chosen.reason}")
        elif top in chosen.outside:
            found.append(f"{module}:{line} imports {name}, but {room}: {chosen.reason}")
    banned = (SOCKET_CALLS if "socket" in chosen.outside else frozenset()) | (
        DESCRIPTOR_CALLS if "serial" in chosen.outside else frozenset()
    )
    found += [
        f"{module}:{node.lineno} uses {node.attr}, but {room}: {chosen.reason}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in banned
    ]
    return found


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _modules() -> dict[str, Path]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = path
    return found


MODULES = _modules()
NAMES = frozenset(f"ipad_agent.{module}" if module else "ipad_agent" for module in MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    path = MODULES[module]
    source = path.read_text(encoding="utf-8")
    assert violations(module, source, package=path.name == "__init__.py", modules=NAMES) == []


def test_every_rule_has_a_reason() -> None:
    assert all(len(chosen.reason) > 10 for chosen in RULES.values())


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("codec.planted", "from ipad_agent.card import channel"),
        ("codec.planted", "import time"),
        ("codec.planted", "from ..policy import schedule"),
        ("policy.planted", "import random"),
        ("policy.planted", "from ipad_agent.store import Journal"),
        ("policy.planted", "from pathlib import Path"),
        ("store.planted", "from ipad_agent.policy import Instant"),
        ("card.planted", "import ipad_agent.modem.at"),
        ("card.planted", "from ipad_agent import modem"),
        ("modem.planted", "from ipad_agent.card import ApduChannel"),
        ("modem.planted", "from ipad_agent.card.euicc import Euicc"),
        ("modem.planted", "from ipad_agent.codec import tlv"),
        ("net.planted", "from ipad_agent.eim import client"),
        ("eim.planted", "from ipad_agent.card import channel"),
        ("card.planted", "loop.add_reader(1, f)"),
        ("modem.planted", "loop.create_connection(Protocol)"),
        ("modem.socket_port", "import serial"),
        ("eim.planted", "async def f():\n    import asyncio\n    await asyncio.open_connection('a', 1)"),
        ("procedures.planted", "from ipad_agent.store import Journal"),
        ("procedures.planted", "from ipad_agent.card.errors import CardNotReady"),
        ("procedures.planted", "from ipad_agent.net import Carrier"),
        ("procedures.planted", "def f():\n    from ..eim import client"),
        ("procedures.planted", "if TYPE_CHECKING:\n    from ipad_agent.modem import link"),
        ("procedures.planted", "import serial"),
        ("procedures.planted", "from socket import AF_INET"),
        ("procedures.planted", "loop.create_datagram_endpoint(Protocol)"),
        ("procedures.planted", "import importlib\nimportlib.import_module('ipad_agent.card')"),
        ("lab.planted", "from ipad_agent.codec import tlv"),
        ("lab.planted", "from ipad_agent.errors import CodecError"),
        ("lab.euicc.planted", "from ...codec import tlv"),
        ("local.planted", "from ipad_agent.procedures import poll"),
        ("cli.planted", "from ipad_agent.procedures import poll"),
        ("agent", "from .lab import bench"),
        ("agent", "from .cli import main"),
        ("config.planted", "from ipad_agent.net import trust"),
        ("errors", "from . import events"),
        ("__main__", "from .agent import Agent"),
        ("newroom.planted", "import os"),
    ],
)
def test_a_planted_violation_is_caught(module: str, source: str) -> None:
    assert violations(module, source, modules=NAMES)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("codec.planted", "from . import tlv\nfrom ipad_agent.errors import CodecError\nimport struct"),
        ("card.planted", "from ipad_agent.codec.tlv import Tlv\nimport asyncio"),
        ("modem.planted", "from ipad_agent.card.channel import ApduChannel\nfrom ipad_agent.card import channel"),
        ("modem.planted", "import serial\nloop.add_reader(1, f)"),
        ("modem.socket_port", "import socket\nfrom .stream import ByteStream\nloop.create_connection(Protocol)"),
        ("net.planted", "loop.create_datagram_endpoint(Protocol)"),
        ("eim.planted", "from ipad_agent.net import Carrier\nfrom ipad_agent.codec import esipa"),
        ("procedures.planted", "from ipad_agent.policy import Outcome\nfrom .ports import Card\nimport asyncio"),
        ("lab.planted", "from ipad_agent.lab.der import Node\nfrom .der import Node\nimport socket"),
        ("lab.planted", "from ipad_agent import __version__"),
        ("cli.planted", "from ipad_agent.agent import Agent\nfrom ipad_agent.lab import bench"),
        ("agent", "from .store import Journal\nfrom .modem import link\nfrom .config import load"),
    ],
)
def test_what_is_allowed_is_not_reported(module: str, source: str) -> None:
    assert violations(module, source, modules=NAMES) == []
