"""The ubus object ``ipad``: a bridge between rpcd and the agent's socket, started by rpcd for each call.

rpcd runs ``ipad list`` once and ``ipad call METHOD`` with the arguments on the standard input, and hands on the one
JSON object that is printed; it does not look at the exit status. So an error is an object too: ``{"error": {"name":
"Busy", "sentence": ..., "hint": ...}}``. Who may call what is decided by rpcd and its ACL files; here comes everybody
as root. The members are those of the local API (docs/local-api.md).
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from ipad_agent.cli.ipactl.errors import CommandError
from ipad_agent.cli.ipactl.varlink_client import DEFAULT_SOCKET, Connection
from ipad_agent.records import dataclass

CONFIG: Final = Path("/etc/ipad-agent/config.toml")
LOOK_S: Final = 15.0
"""The browser waits 20 s for LuCI's answers."""
ACT_S: Final = 100.0
"""rpcd ends a program after 120 s. What was begun by then is finished by the agent all the same."""
MAX_INPUT_BYTES: Final = 1 << 16
START_HINT: Final = "/etc/init.d/ipad-agent start; `logread -e ipad-agent` says why it ended."

Calling = Callable[[str, str, Mapping[str, object], float], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Method:
    """``takes``: the parameters with the type that ubus shows for them, by an example as rpcd wants it."""

    varlink: str
    takes: Mapping[str, object]
    timeout_s: float


_TEXT: Final = "String"
_NUMBER: Final = 32

METHODS: Final[Mapping[str, _Method]] = {
    "status": _Method("GetStatus", {}, LOOK_S),
    "profiles": _Method("ListProfiles", {}, LOOK_S),
    "eims": _Method("ListEims", {}, LOOK_S),
    "history": _Method("ListHistory", {"count": _NUMBER}, LOOK_S),
    "events": _Method("ListEvents", {"count": _NUMBER}, LOOK_S),
    "explain": _Method("Explain", {"id": _TEXT}, LOOK_S),
    "owed": _Method("ListOwed", {}, ACT_S),
    "plan": _Method("PlanSwitch", {"iccid": _TEXT}, ACT_S),
    "poll": _Method("Poll", {"eim_id": _TEXT}, ACT_S),
    "confirm": _Method("Confirm", {}, ACT_S),
    "rollback": _Method("Rollback", {}, ACT_S),
    "fallback": _Method("ExecuteFallback", {}, ACT_S),
    "return_from_fallback": _Method("ReturnFromFallback", {}, ACT_S),
    "emergency": _Method("Emergency", {"enable": True}, ACT_S),
    "doctor": _Method("Doctor", {}, ACT_S),
}
"""Not here: the memory reset, which deletes profiles; recordings and the bundle, which are files for ``ipactl``."""

_OPTIONAL: Final = frozenset({"count", "eim_id"})


def main(arguments: list[str], source: TextIO, call: Calling | None = None, socket_path: str | None = None) -> str:
    """What is printed for this command line: always one JSON object."""
    match arguments:
        case ["list"]:
            return json.dumps({name: dict(method.takes) for name, method in METHODS.items()})
        case ["call", name] if name in METHODS:
            return json.dumps(_answer(METHODS[name], source, call or _ask, socket_path or _socket_path()))
        case _:
            return json.dumps(_error("MethodNotFound", "There is no such method.", "ubus -v list ipad"))


def _answer(method: _Method, source: TextIO, call: Calling, path: str) -> dict[str, Any]:
    try:
        given = json.loads(source.read(MAX_INPUT_BYTES) or "{}")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        return _error("InvalidParameter", "The arguments are no JSON object.", "")
    # LuCI's session is among the arguments, and an empty text or a null is what a form sends for nothing.
    parameters = {
        name: given[name]
        for name in method.takes
        if given.get(name) is not None and not (name in _OPTIONAL and given[name] == "")
    }
    try:
        return call(path, method.varlink, parameters, method.timeout_s)
    except CommandError as error:
        hint = START_HINT if error.name == "NotRunning" else error.hint
        return _error(error.name, str(error), hint)


def _error(name: str, sentence: str, hint: str | None) -> dict[str, Any]:
    return {"error": {"name": name, "sentence": sentence, "hint": hint or ""}}


def _ask(path: str, method: str, parameters: Mapping[str, object], timeout_s: float) -> dict[str, Any]:
    with Connection(path) as connection:
        if method != "Doctor":
            return connection.call(method, parameters, timeout_s=timeout_s)
        # One reply for each item; here they come together.
        items = [reply["item"] for reply in connection.stream(method, parameters, timeout_s=timeout_s) if reply]
        return {"items": items}


def _socket_path(config: Path = CONFIG) -> str:
    """Where the agent listens, by its configuration file; the usual place where that tells nothing."""
    try:
        document = tomllib.loads(config.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return DEFAULT_SOCKET
    for section, name, end in (("local", "socket_path", ""), ("store", "runtime_dir", "/io.github.ipadagent")):
        table = document.get(section)
        value = table.get(name) if isinstance(table, dict) else None
        if isinstance(value, str) and value:
            return str(config.parent / (value + end))
    return DEFAULT_SOCKET


if __name__ == "__main__":
    print(main(sys.argv[1:], sys.stdin))
