"""Who may import whom. The rooms stay exchangeable, and testable one by one, only while this holds.

Long: one table of walls and one of ways to break them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "ipad_agent"

COMMON = frozenset({"errors", "events", "clock", "printable", "records"})
ROOMS = frozenset(
    {
        "codec",
        "card",
        "modem",
        "net",
        "eim",
        "emulation",
        "inject",
        "smdp",
        "store",
        "policy",
        "local",
        "procedures",
        "site",
        "recording",
        "wakeup",
    }
)
COMPOSITION = frozenset({"agent", "daemon", "wiring", "status", "doctor"})


@dataclass(frozen=True, slots=True)
class Rule:
    """What modules of one room may import of the agent besides their own room, and why no more. An entry is a room
    (all of it, with its inner rooms; with ``=`` before it the files of that very room only) or a module in dotted form.
    ``outside`` are the libraries that would break the
    room's promise; an inner room keeps the promise of the room around it unless it says otherwise."""

    may: frozenset[str]
    reason: str
    outside: frozenset[str] | None = None


def rule(*may: str, reason: str, outside: frozenset[str] | None = None, common: bool = True) -> Rule:
    return Rule(frozenset(may) | (COMMON if common else frozenset()), reason, outside)


CLOCKS = frozenset({"time", "random", "secrets", "datetime"})
WIRES = frozenset(
    {"socket", "ssl", "serial", "selectors", "aiocoap", "OpenSSL", "h11", "dbus_fast", "dbus_next", "termios", "fcntl"}
)
PROCESSES = frozenset({"subprocess", "threading", "multiprocessing", "signal"})
DISK = frozenset({"tempfile", "shutil", "sqlite3"})
PURE = CLOCKS | WIRES | PROCESSES | DISK | {"asyncio"}

MODEM_GROUND = (
    "codec.identifiers",
    "codec.packet_connection",
    "modem.commands",
    "modem.errors",
    "modem.events",
    "modem.module_profile",
)
NET_GROUND = (
    "net.carrier",
    "net.dialler",
    "net.dns_lookup",
    "net.errors",
    "net.events",
    "net.host_address",
    "net.message_tap",
    "net.older_pyopenssl",
    "net.openssl_context",
    "net.public_networks",
)
PROCEDURES_GROUND = (
    "procedures.authors",
    "procedures.cat_busy",
    "procedures.context",
    "procedures.device_information",
    "procedures.events",
    "procedures.order_outcomes",
    "procedures.package_sentences",
    "procedures.person_decision",
    "procedures.ports",
    "procedures.usable_profiles",
)

RULES: dict[str, Rule] = {
    "errors": rule(common=False, reason="everything stands on the error tree"),
    "events": rule("printable", "records", common=False, reason="everything speaks through the catalogue"),
    "printable": rule(common=False, reason="everything that is said goes through it", outside=PURE | {"os", "pathlib"}),
    "records": rule(common=False, reason="every class of values is made by it", outside=PURE | {"os", "pathlib"}),
    "clock": rule(common=False, reason="everything is told the time by it"),
    "similar_names": rule(common=False, reason="names only, whoever asks", outside=PURE | {"os", "pathlib"}),
    "agent_names": rule("errors", common=False, reason="what follows from the name of an agent", outside=PURE),
    "packaged_files": rule(common=False, reason="where a file of the program lies, and nothing about it"),
    # -- bytes and values ----------------------------------------------------------------------------------------------
    "codec": rule(reason="bytes and typed messages only: no I/O, no clock, no other room", outside=PURE),
    "codec.ber": rule("codec.tolerances", "codec.identifiers", reason="encoding, without the meaning of a message"),
    "codec.es10": rule("codec", reason="what a card says; ESipa and ES9+ carry it, not the other way round"),
    "codec.esipa": rule("codec", reason="what an eIM says, with the card's objects inside"),
    "codec.rsp": rule("codec", reason="what an SM-DP+ says, with the card's objects inside"),
    "policy": rule(
        "policy.polling",
        reason="pure arithmetic on values: it is asked, it never asks",
        outside=PURE | {"os", "pathlib"},
    ),
    "policy.polling": rule("=policy", reason="when to poll knows nothing of switches"),
    "policy.switching": rule("policy.instant", "policy.duration_text", reason="the life of a switch, and nothing else"),
    "policy.guardian": rule(
        "policy.instant", "policy.duration_text", "policy.polling.poll_outcome", reason="judges connectivity alone"
    ),
    "store": rule(reason="the disk knows no meaning of what it keeps", outside=WIRES - {"fcntl"} | {"asyncio"}),
    # -- the card and the way to it ------------------------------------------------------------------------------------
    "card": rule("codec", reason="what one says to an eUICC, by whatever way it goes", outside=WIRES),
    "emulation": rule(
        "codec",
        "card.errors",
        "emulation.registration",
        "procedures.ports",
        reason="IoT functions in front of a card, for procedures; whoever reaches it, whatever disk keeps their state",
        outside=WIRES - {"fcntl"} | PROCESSES | CLOCKS,
    ),
    "emulation.registration": rule(
        "codec",
        "emulation",
        reason="two files, what one makes of a card's state, and what an eIM answers; it reads and asks nothing itself",
        outside=WIRES | PROCESSES | DISK | CLOCKS - {"datetime"} | {"asyncio", "os", "pathlib"},
    ),
    "emulation.keys": rule("emulation.device_key", reason="a key, wherever it is; nothing of what is signed"),
    "modem": rule(
        "modem.at",
        "modem.port",
        "card.apdu_channel",
        "codec.identifiers",
        "codec.packet_connection",
        "codec.short_message",
        "packaged_files",
        reason="a modem carries APDUs; it does not know what they mean, but the ICCID is its own knowledge too",
        outside=WIRES - {"serial", "termios", "fcntl"},
    ),
    "modem.at": rule(*MODEM_GROUND, "modem.modem_link", "modem.port.byte_stream", reason="AT commands, not APDUs"),
    "modem.port": rule(*MODEM_GROUND, reason="a byte stream; it knows no AT command"),
    "modem.port.tcp_port": rule(
        *MODEM_GROUND,
        "modem.port",
        reason="the one way to a modem that is no device of this machine",
        outside=WIRES - {"socket"},
    ),
    "modem.port.gsmctl_port": rule(
        *MODEM_GROUND,
        "modem.port",
        reason="the one way to a modem whose ports another program keeps: that program",
        outside=WIRES - {"socket"},
    ),
    "modem.uicc": rule(
        *MODEM_GROUND,
        "modem.at",
        "modem.line_speed",
        "modem.modem_link",
        "modem.port.byte_stream",
        "card.apdu_channel",
        reason="logical channels of the card behind a modem; which port that is, others choose",
    ),
    # -- the network and those at its other end ------------------------------------------------------------------------
    "net": rule(
        "codec",
        "net.coap",
        "net.https",
        "net.dtls",
        "net.trust",
        reason="carries bytes and judges certificates, no ESipa",
        outside=frozenset({"serial"}),
    ),
    "net.trust": rule(*NET_GROUND, reason="judges certificates; it opens no connection"),
    "net.dtls": rule(*NET_GROUND, "net.trust", reason="records and handshakes; it knows neither CoAP nor sockets"),
    "net.coap": rule(*NET_GROUND, "net.trust", "net.dtls", reason="CoAP over DTLS; nothing of HTTP"),
    "net.https": rule(
        *NET_GROUND,
        "net.trust",
        "net.dtls.tls_alerts",
        "codec.ber.tlv",
        reason="HTTP over TLS; nothing of CoAP. Of a message it only knows how to see where it ends",
    ),
    "eim": rule("codec", "net", reason="what one says to an eIM, over a carrier", outside=WIRES),
    "inject": rule(
        "codec",
        "net",
        reason="takes what an eIM pushes; it knows neither the loop nor the card",
        outside=frozenset({"serial", "termios", "fcntl", "ssl", "aiocoap"}),
    ),
    "wakeup": rule(
        "codec",
        "modem.short_messages",
        reason="hears calls and brings polls forward; it knows neither the loop nor the card",
        outside=frozenset({"serial", "termios", "fcntl", "ssl", "OpenSSL", "aiocoap", "h11"}),
    ),
    "smdp": rule("codec", "net", reason="what one says to an SM-DP+, over a carrier", outside=WIRES),
    # -- the procedures ------------------------------------------------------------------------------------------------
    "procedures": rule(
        "codec",
        "policy",
        "procedures.records",
        reason="clause 3 of SGP.32 against protocols, so that it runs against the lab and a test's few lines as well",
        outside=WIRES | PROCESSES | DISK | CLOCKS | {"os", "pathlib"},
    ),
    "procedures.records": rule(
        "codec", "policy", "procedures.ports", reason="what is kept over a power cut; it starts no procedure"
    ),
    "procedures.rsp": rule("codec", "procedures.ports", reason="a server and how a download ends; no procedure yet"),
    "procedures.delivery": rule(
        "codec",
        "policy",
        *PROCEDURES_GROUND,
        "procedures.records",
        "procedures.rsp",
        reason="brings home what is owed, whatever procedure made it",
    ),
    "procedures.switching": rule(
        "codec",
        "policy",
        *PROCEDURES_GROUND,
        "procedures.records",
        "procedures.delivery",
        reason="a switch is the same, whoever ordered it: it knows neither packages nor downloads",
    ),
    "procedures.packages": rule(
        "codec",
        "policy",
        *PROCEDURES_GROUND,
        "procedures.records",
        "procedures.delivery",
        "procedures.switching",
        reason="one order from its arrival to its result; when to poll is not its business",
    ),
    "procedures.download": rule(
        "codec",
        "policy",
        *PROCEDURES_GROUND,
        "procedures.records",
        "procedures.delivery",
        "procedures.rsp",
        "procedures.switching",
        reason="one download from its order to its result; when to poll is not its business",
    ),
    "procedures.startup": rule(
        "codec",
        "policy",
        *PROCEDURES_GROUND,
        "procedures.records",
        "procedures.switching",
        reason="what is done before the first poll: it needs no eIM",
    ),
    "procedures.guardian": rule(
        "codec",
        "policy",
        *PROCEDURES_GROUND,
        "procedures.records",
        "procedures.switching",
        reason="decides and remembers; the switch itself is others' work",
    ),
    "procedures.retrieval": rule("codec", "policy", "procedures", reason="a poll, which uses all other procedures"),
    # -- the machine and its people ------------------------------------------------------------------------------------
    "config": rule("policy", "agent_names", "similar_names", reason="the presets' numbers are the policy's"),
    "site": rule(
        "policy",
        reason="the site's own scripts and the machine's network; it knows no card and no procedure",
        outside=frozenset({"serial", "ssl", "OpenSSL", "aiocoap"}),
    ),
    "recording": rule(
        "codec",
        "card.apdu",
        reason="what was said, on the disk and taken away from it; it knows nobody who says it",
        outside=WIRES | PROCESSES | {"asyncio"},
    ),
    "local": rule(
        "recording.recording_format",
        "recording.segment_ring",
        "recording.events",
        "similar_names",
        reason="shows a status model and passes verbs; it knows no procedures",
    ),
    "local.varlink": rule("=local", reason="Varlink, nothing of D-Bus"),
    "local.dbus": rule("=local", "similar_names", reason="D-Bus, nothing of Varlink"),
    "local.prometheus": rule("=local", reason="figures, nothing of sockets or buses"),
    "web": rule(
        reason="a client of the socket in a process of its own: it holds nothing of the agent",
        outside=frozenset({"serial", "ssl", "OpenSSL", "aiocoap", "dbus_fast", "dbus_next", "subprocess", "termios"}),
    ),
    # -- what puts the rooms together ----------------------------------------------------------------------------------
    "agent": rule(
        "codec", "policy", "procedures", "status", reason="the running loop; which rooms are real, others choose"
    ),
    "status": rule(
        *ROOMS, "agent.events", reason="a picture of the agent made from values and events; it runs nothing"
    ),
    "wiring": rule(*ROOMS, "config", "status", reason="makes the real rooms from the configuration; it runs nothing"),
    "doctor": rule(
        *ROOMS,
        "config",
        "wiring",
        "doctor.checks",
        "recording",
        reason="looks at the real rooms, with or without agent",
    ),
    "doctor.checks": rule(*ROOMS, "config", "=doctor", reason="one layer each; nothing of the bundle"),
    "doctor.bundle": rule(*ROOMS, "config", "doctor", reason="one file for the support"),
    "modem_examination": rule(
        "codec",
        "card",
        "modem",
        "local.at_command",
        "doctor.bundle.identifier_forms",
        "doctor.bundle.redaction",
        reason="a modem on an integrator's bench, with the agent's own rooms of modem and card; it knows no agent",
        outside=frozenset({"socket", "ssl", "OpenSSL", "aiocoap", "dbus_fast", "dbus_next", "subprocess"}),
    ),
    "conformance": rule("records", common=False, reason="a statement about the code, which it does not run"),
    "daemon": rule(*ROOMS, *COMPOSITION, "config", reason="the process; never the lab, never the command line"),
    "installation": rule(
        "packaged_files",
        reason="puts files where systemd and others want them; it knows nothing of what they start",
        outside=WIRES | {"asyncio"},
    ),
    "cli": rule(
        *(ROOMS - {"procedures"}),
        *COMPOSITION,
        "config",
        "agent_names",
        "conformance",
        "lab",
        "torture",
        "fleet",
        "installation",
        "similar_names",
        "cli.ipactl",
        reason="the front door",
    ),
    "cli.ipactl": rule(
        "local",
        "config",
        "cli.ipactl.output",
        "cli.ipactl.guessed_words",
        reason="a client of the socket; it holds no agent",
    ),
    "cli.ipactl.guessed_words": rule("local", "similar_names", reason="words only; it knows no command"),
    "cli.ipactl.output": rule(
        "local", "cli.ipactl.errors", "cli.ipactl.exit_codes", reason="values to text; it asks nobody"
    ),
    "cli.ipactl.screens": rule(
        "local",
        "cli.ipactl.output",
        "cli.ipactl.errors",
        "cli.ipactl.exit_codes",
        "cli.ipactl.status_exit_code",
        "codec.identifiers",
        reason="from a value to lines, without asking anybody anything",
    ),
    "cli.ipactl.commands": rule(
        "local",
        "config",
        "cli.ipactl",
        "similar_names",
        "doctor",
        "codec",
        "wiring.emulation_export",
        "modem_examination",
        "modem.errors",
        "modem.module_profile_files",
        "modem.port",
        "recording",
        reason="one command each; without an agent, the doctor, and the examination of a modem",
    ),
    "openwrt": rule("config", "cli.ipactl", reason="UCI as configuration, and ubus as one more client of the socket"),
    "__main__": rule("cli", common=False, reason="only the way to the front door"),
    "__init__": rule(common=False, reason="importing the package must cost nothing"),
    # -- the lab -------------------------------------------------------------------------------------------------------
    "lab": rule(common=False, reason="shares no code with the agent, or they would share mistakes"),
    "lab.crypto": rule("lab.errors", common=False, reason="TLVs and cryptography that every part of the lab needs"),
    "lab.pki": rule("lab.crypto", "lab.errors", common=False, reason="keys and certificates"),
    "lab.http": rule("lab.pki", "lab.crypto", common=False, reason="an HTTP server that knows no message"),
    "lab.modem": rule(
        "lab.modem.at",
        "lab.modem.line",
        "lab.modem.personalities",
        common=False,
        reason="a modem; any card may be in it",
    ),
    "lab.modem.personalities": rule("lab.modem", common=False, reason="what is reported of each maker's modules"),
    "lab.modem.at": rule("lab.modem", common=False, reason="what the AT line says"),
    "lab.modem.line": rule("lab.modem", common=False, reason="how the line is reached"),
    "lab.euicc": rule(
        "lab.crypto", "lab.pki", "lab.euicc", "lab.message_record", common=False, reason="a card; any modem may hold it"
    ),
    "lab.euicc.state": rule(
        "lab.crypto",
        "lab.pki",
        "lab.euicc.errors",
        "lab.euicc.quirks",
        common=False,
        reason="what a card remembers, on which every function stands",
    ),
    "lab.euicc.rsp": rule(
        "lab.crypto",
        "lab.pki",
        "lab.euicc.errors",
        "lab.euicc.state",
        "lab.euicc.es10.card_information",
        common=False,
        reason="a download at the card",
    ),
    "lab.euicc.es10": rule(
        "lab.crypto",
        "lab.pki",
        "lab.euicc.errors",
        "lab.euicc.quirks",
        "lab.euicc.state",
        common=False,
        reason="one ES10 function each",
    ),
    "lab.euicc.packages": rule(
        "lab.crypto",
        "lab.pki",
        "lab.euicc.errors",
        "lab.euicc.quirks",
        "lab.euicc.state",
        "lab.euicc.es10",
        common=False,
        reason="runs a signed package with the functions of ES10",
    ),
    "lab.euicc.apdu": rule(
        "lab.crypto", "lab.euicc", "lab.message_record", common=False, reason="the card's contacts, above all functions"
    ),
    "lab.eim": rule(
        "lab.crypto", "lab.pki", "lab.eim", "lab.http", "lab.message_record", common=False, reason="an eIM for any IPA"
    ),
    "lab.smdp": rule("lab.crypto", "lab.pki", "lab.http", "lab.smdp", common=False, reason="an SM-DP+ for any LPA"),
    "lab.reader": rule(common=False, reason="a card for a PC/SC reader; any card may be in it"),
    "lab.rest": rule("lab.eim", "lab.http", common=False, reason="what programs may ask the eIM for; no bench"),
    "lab.replay": rule(
        "lab.errors",
        "lab.modem",
        "lab.eim",
        common=False,
        reason="plays back what a file holds; it shares only the format with the recorder",
    ),
    "lab.bench": rule("lab", common=False, reason="puts the parts of the lab together"),
    "lab.bench.network": rule(common=False, reason="the way to any server; it knows neither of the two ends"),
    "lab.devices": rule("lab", common=False, reason="many devices beside the one on the bench"),
    "lab.command": rule("lab", common=False, reason="the lab for a person at a terminal"),
    "lab.scenarios": rule("lab", common=False, reason="uses the whole lab"),
    "torture": rule(
        *ROOMS,
        *COMPOSITION,
        "config",
        "daemon",
        "lab",
        "torture",
        reason="puts the agent, who types ipactl and the lab together in memory; nobody needs it",
    ),
    "fleet": rule("policy", reason="the schedule alone, as numbers; no agent and no lab"),
    "torture.history": rule("lab", reason="plain values and a log; it touches nothing"),
}

LIKE_THE_ROOM_AROUND = frozenset(
    {"torture.faults", "torture.peers", "torture.promises", "torture.run", "torture.world"}
)
"""Inner rooms that sort files only: what the room around them may import, they may."""

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


def room_of(module: str) -> str | None:
    """The innermost room with a rule: ``codec.ber.tlv`` is in ``codec.ber``, the package itself in ``__init__``."""
    parts = module.split(".") if module else ["__init__"]
    return next((room for end in range(len(parts), 0, -1) if (room := ".".join(parts[:end])) in RULES), None)


def outside_of(room: str) -> frozenset[str]:
    """The libraries that this room must not import: its own list, else that of the room around it."""
    while room:
        found = RULES[room].outside if room in RULES else None
        if found is not None:
            return found
        room = room.rpartition(".")[0]
    return frozenset()


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


def allowed(room: str, target: str) -> bool:
    """Whether a module of this room may import this one (dotted, without ``ipad_agent.``)."""
    if target == "" or room_of(target) == room or target == room:
        return True
    return any(
        room_of(target) == entry[1:] if entry.startswith("=") else target == entry or target.startswith(f"{entry}.")
        for entry in RULES[room].may
    )


def violations(module: str, source: str, *, package: bool = False, modules: frozenset[str] = frozenset()) -> list[str]:
    """What this module (dotted, without ``ipad_agent.``) imports against the rules, as sentences."""
    room = room_of(module)
    if room is None:
        return [f"{module}: no rule says what this room may import"]
    reason, outside = RULES[room].reason, outside_of(room)
    tree = ast.parse(source)
    found = []
    for line, name in imported(tree, module, package=package, modules=modules):
        top, _, inner = name.partition(".")
        if (top == "ipad_agent" and not allowed(room, inner)) or top in outside:
            found.append(f"{module}:{line} imports {name}, but {room}: {reason}")
    banned = (SOCKET_CALLS if "socket" in outside else frozenset()) | (
        DESCRIPTOR_CALLS if "serial" in outside else frozenset()
    )
    found += [
        f"{module}:{node.lineno} uses {node.attr}, but {room}: {reason}"
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


def test_every_rule_has_a_reason_and_a_room() -> None:
    assert all(len(chosen.reason) > 10 for chosen in RULES.values())
    rooms = {*MODULES, "__init__"}
    assert [room for room in RULES if room not in rooms] == []
    assert [entry for chosen in RULES.values() for entry in chosen.may if entry.lstrip("=") not in rooms] == []


def test_every_inner_room_has_walls_of_its_own() -> None:
    inner = {module for module, path in MODULES.items() if path.name == "__init__.py" and module.count(".") == 1}
    assert inner - set(RULES) == LIKE_THE_ROOM_AROUND


def test_no_two_files_import_each_other_in_a_circle() -> None:
    """Neither for what is run nor for types alone; only a room's own ``__init__`` may load what loads the room."""
    arrows = {}
    for module, path in MODULES.items():
        if path.name == "__init__.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = imported(tree, module, package=path.name == "__init__.py", modules=NAMES)
        arrows[module] = {name.removeprefix("ipad_agent.") for _, name in found if name.startswith("ipad_agent.")}
    assert _circle(arrows) == []


def _circle(arrows: dict[str, set[str]]) -> list[str]:
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done or module not in arrows:
            return []
        for target in sorted(arrows[module]):
            if circle := walk(target, [*path, module]):
                return circle
        done.add(module)
        return []

    return next((circle for module in sorted(arrows) if (circle := walk(module, []))), [])


def test_a_circle_of_files_is_found() -> None:
    assert _circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert _circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


PLANTED = [
    ("packaged_files", "from ipad_agent.config import load"),
    ("agent_names", "from ipad_agent.config import load"),
    ("installation.planted", "from ipad_agent.config import load"),
    ("installation.planted", "import asyncio"),
    ("codec.planted", "from ipad_agent.card import apdu_channel"),
    ("codec.planted", "import time"),
    ("codec.ber.planted", "import time"),
    ("codec.ber.planted", "from ipad_agent.codec.es10 import euicc_info"),
    ("codec.planted", "from ..policy.polling import poll_schedule"),
    ("policy.planted", "import random"),
    ("policy.planted", "from ipad_agent.store import Journal"),
    ("policy.planted", "from pathlib import Path"),
    ("policy.polling.planted", "from pathlib import Path"),
    ("policy.polling.planted", "from ipad_agent.policy.switching import switch_table"),
    ("policy.switching.planted", "from ipad_agent.policy.polling import poll_schedule"),
    ("policy.guardian.planted", "from ipad_agent.policy.polling import poll_schedule"),
    ("store.planted", "from ipad_agent.policy import Instant"),
    ("card.planted", "import ipad_agent.modem.at.at_parser"),
    ("emulation.planted", "from ipad_agent.card.es10_functions import Euicc"),
    ("emulation.planted", "from ipad_agent.store import Journal"),
    ("emulation.registration.planted", "from ipad_agent.net import Carrier"),
    ("emulation.registration.planted", "import os"),
    ("emulation.keys.planted", "from ipad_agent.codec.ber import tlv"),
    ("card.planted", "from ipad_agent import modem"),
    ("modem.planted", "from ipad_agent.card import ApduChannel"),
    ("modem.planted", "from ipad_agent.card.es10_functions import Euicc"),
    ("modem.planted", "from ipad_agent.codec.ber import tlv"),
    ("modem.at.planted", "from ipad_agent.card.apdu_channel import ApduChannel"),
    ("modem.port.planted", "from ipad_agent.modem.at import at_parser"),
    ("modem.uicc.planted", "from ipad_agent.modem.port import serial_port"),
    ("net.planted", "from ipad_agent.eim import esipa_client"),
    ("net.trust.planted", "from ipad_agent.net.dtls import dtls_backend"),
    ("net.dtls.planted", "from ipad_agent.net.coap import coap_association"),
    ("net.coap.planted", "from ipad_agent.net.https import https_connection"),
    ("net.https.planted", "from ipad_agent.net.coap import coaps_carrier"),
    ("eim.planted", "from ipad_agent.card import apdu_channel"),
    ("card.planted", "loop.add_reader(1, f)"),
    ("modem.planted", "loop.create_connection(Protocol)"),
    ("modem.port.tcp_port", "import serial"),
    ("modem.port.gsmctl_port", "from ipad_agent.modem.uicc import cgla_channel"),
    ("eim.planted", "async def f():\n    import asyncio\n    await asyncio.open_connection('a', 1)"),
    ("procedures.planted", "from ipad_agent.store import Journal"),
    ("procedures.planted", "from ipad_agent.card.errors import CardNotReady"),
    ("procedures.planted", "from ipad_agent.net import Carrier"),
    ("procedures.planted", "def f():\n    from ..eim import esipa_client"),
    ("procedures.planted", "if TYPE_CHECKING:\n    from ipad_agent.modem import modem_link"),
    ("procedures.planted", "import serial"),
    ("procedures.planted", "from socket import AF_INET"),
    ("procedures.planted", "loop.create_datagram_endpoint(Protocol)"),
    ("procedures.planted", "import importlib\nimportlib.import_module('ipad_agent.card')"),
    ("procedures.planted", "from ipad_agent.procedures.switching import switch_transaction"),
    ("procedures.records.planted", "from ipad_agent.procedures.context import Context"),
    ("procedures.rsp.planted", "from ipad_agent.procedures.download import profile_download"),
    ("procedures.delivery.planted", "from ipad_agent.procedures.switching import switch_transaction"),
    ("procedures.switching.planted", "from ipad_agent.procedures.packages import euicc_package_execution"),
    ("procedures.packages.planted", "from ipad_agent.procedures.retrieval import eim_package_retrieval"),
    ("procedures.download.planted", "from ipad_agent.procedures.packages import euicc_package_execution"),
    ("procedures.startup.planted", "from ipad_agent.procedures.retrieval import eim_package_retrieval"),
    ("procedures.guardian.planted", "from ipad_agent.procedures.delivery import result_delivery"),
    ("procedures.retrieval.planted", "from socket import AF_INET"),
    ("lab.planted", "from ipad_agent.codec.ber import tlv"),
    ("lab.planted", "from ipad_agent.errors import CodecError"),
    ("lab.euicc.planted", "from ...codec.ber import tlv"),
    ("lab.euicc.state.planted", "from ipad_agent.lab.euicc.es10 import profile_list"),
    ("lab.euicc.rsp.planted", "from ipad_agent.lab.euicc.es10 import profile_list"),
    ("lab.euicc.es10.planted", "from ipad_agent.lab.euicc.packages import load_euicc_package"),
    ("lab.euicc.apdu.planted", "from ipad_agent.lab.modem import virtual_module"),
    ("lab.euicc.packages.planted", "from ipad_agent.lab.euicc.apdu import smart_card"),
    ("lab.euicc.planted", "from ipad_agent.lab.eim import esipa_messages"),
    ("lab.modem.planted", "from ipad_agent.lab.euicc import virtual_euicc"),
    ("lab.modem.at.planted", "from ipad_agent.lab.crypto import der"),
    ("lab.modem.personalities.planted", "from ipad_agent.modem import module_profile"),
    ("lab.modem.line.planted", "from ipad_agent.lab.crypto import der"),
    ("lab.eim.planted", "from ipad_agent.lab.smdp import virtual_smdp"),
    ("lab.smdp.planted", "from ipad_agent.lab.euicc import virtual_euicc"),
    ("lab.reader.planted", "from ipad_agent.lab.euicc import virtual_euicc"),
    ("lab.rest.planted", "from ipad_agent.lab.bench import lab_bench"),
    ("lab.http.planted", "from ipad_agent.lab.smdp import es9_json"),
    ("lab.crypto.planted", "from ipad_agent.lab.pki import pki_folder"),
    ("lab.pki.planted", "from ipad_agent.lab.eim import eim_identity"),
    ("lab.bench.planted", "from ipad_agent.errors import CodecError"),
    ("lab.bench.network.planted", "from ipad_agent.lab.bench import lab_bench"),
    ("lab.devices.planted", "from ipad_agent.daemon import process"),
    ("lab.command.planted", "from ipad_agent.errors import CodecError"),
    ("lab.scenarios.planted", "from ipad_agent.codec.ber import tlv"),
    ("torture.planted", "from ipad_agent.cli import demo"),
    ("fleet.planted", "from ipad_agent.agent.main_loop import MainLoop"),
    ("torture.history.planted", "from ipad_agent.torture.world import torture_world"),
    ("lab.replay.planted", "from ipad_agent.recording import recording_format"),
    ("recording.planted", "from ipad_agent.local import flight_recorder"),
    ("recording.planted", "import asyncio"),
    ("local.planted", "from ipad_agent.recording import redacted_recording"),
    ("local.planted", "from ipad_agent.procedures.retrieval import eim_package_retrieval"),
    ("local.dbus.planted", "from ipad_agent.local.varlink import client_limits"),
    ("local.varlink.planted", "from ipad_agent.local.dbus import dbus_values"),
    ("local.prometheus.planted", "from ipad_agent.local.varlink import client_limits"),
    ("web.planted", "from ipad_agent.local.varlink import Server"),
    ("web.planted", "from ipad_agent.status import Board"),
    ("web.planted", "import subprocess"),
    ("site.planted", "from ipad_agent.card import apdu"),
    ("inject.planted", "from ipad_agent.agent import injected_orders"),
    ("inject.planted", "from ipad_agent.site import tunnel_interfaces"),
    ("wakeup.planted", "from ipad_agent.modem import modem_link"),
    ("smdp.planted", "from ipad_agent.eim import esipa_client"),
    ("cli.planted", "from ipad_agent.procedures.retrieval import eim_package_retrieval"),
    ("cli.ipactl.planted", "from ipad_agent.agent import main_loop"),
    ("cli.ipactl.guessed_words.planted", "from ipad_agent.cli.ipactl import varlink_client"),
    ("cli.ipactl.output.planted", "from ipad_agent.cli.ipactl import varlink_client"),
    ("cli.ipactl.screens.planted", "from ipad_agent.cli.ipactl.commands import query_commands"),
    ("cli.ipactl.commands.planted", "from ipad_agent.modem.at import at_session"),
    ("agent.planted", "from ipad_agent.lab.bench import lab_bench"),
    ("agent.planted", "from ipad_agent.cli import demo"),
    ("agent.planted", "from ipad_agent.modem import modem_link"),
    ("status.planted", "from ipad_agent.agent import main_loop"),
    ("wiring.planted", "from ipad_agent.agent import main_loop"),
    ("doctor.planted", "from ipad_agent.daemon import process"),
    ("doctor.checks.planted", "from ipad_agent.doctor.bundle import redaction"),
    ("doctor.bundle.planted", "from ipad_agent.wiring import configured_card"),
    ("modem_examination.planted", "from ipad_agent.agent import main_loop"),
    ("conformance.planted", "from ipad_agent.store import Journal"),
    ("daemon.planted", "from ipad_agent.lab.bench import lab_bench"),
    ("config.planted", "from ipad_agent.net.trust import pinned_trust"),
    ("openwrt.planted", "from ipad_agent.daemon import process"),
    ("errors", "from . import events"),
    ("events", "from . import errors"),
    ("printable", "from . import errors"),
    ("records", "from . import errors"),
    ("similar_names", "from . import errors"),
    ("clock", "from . import errors"),
    ("__main__", "from .agent.main_loop import Agent"),
    ("codec.es10.planted", "from ipad_agent.card import apdu"),
    ("codec.esipa.planted", "from ipad_agent.eim import esipa_client"),
    ("codec.rsp.planted", "from ipad_agent.smdp import es9_client"),
    ("", "from ipad_agent import errors"),
    ("newroom.planted", "import os"),
]


@pytest.mark.parametrize(("module", "source"), PLANTED)
def test_a_planted_violation_is_caught(module: str, source: str) -> None:
    assert violations(module, source, modules=NAMES)


def test_every_wall_has_a_planted_violation() -> None:
    """A rule that nothing can break would be no wall."""
    tried = {room_of(module) for module, _ in PLANTED}
    assert set(RULES) - tried == set()


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("codec.planted", "from . import tolerances\nfrom ipad_agent.errors import CodecError\nimport struct"),
        ("card.planted", "from ipad_agent.codec.ber.tlv import Tlv\nimport asyncio"),
        (
            "modem.planted",
            "from ipad_agent.card.apdu_channel import ApduChannel\nfrom ipad_agent.card import apdu_channel",
        ),
        ("modem.planted", "import serial\nloop.add_reader(1, f)"),
        ("modem.port.tcp_port", "import socket\nfrom .byte_stream import ByteStream\nloop.create_connection(Protocol)"),
        ("net.planted", "loop.create_datagram_endpoint(Protocol)"),
        ("eim.planted", "from ipad_agent.net import Carrier\nfrom ipad_agent.codec.esipa import eim_package"),
        ("procedures.planted", "from ipad_agent.policy import Outcome\nfrom .ports import Card\nimport asyncio"),
        ("lab.crypto.planted", "from ipad_agent.lab.crypto.der import Node\nfrom .der import Node\nimport socket"),
        ("lab.planted", "from ipad_agent import __version__"),
        ("cli.planted", "from ipad_agent.agent.main_loop import Agent\nfrom ipad_agent.lab.bench import lab_bench"),
        ("daemon.planted", "from ipad_agent.store import Journal\nfrom ipad_agent.config import load"),
    ],
)
def test_what_is_allowed_is_not_reported(module: str, source: str) -> None:
    assert violations(module, source, modules=NAMES) == []
