"""What stands in files of the machine's owner, and what other programs of the machine say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ipad_agent.cli.ipactl import varlink_client
from ipad_agent.cli.ipactl.errors import CommandError
from ipad_agent.cli.ipactl.output import status_from_json
from ipad_agent.config import ConfigErrors, loads
from ipad_agent.errors import ConfigError
from ipad_agent.local.status_model import Happening, Plan, Status
from ipad_agent.local.varlink import message_framing, method_calls, varlink_interface
from ipad_agent.site import ApnTable, interface_addresses
from ipad_agent.site.script_runner import _Output

from .target import Kind, Target

_METHODS: Final = {method.name: method for method in varlink_interface.METHODS}


def _config(data: bytes) -> object:
    try:
        return loads(data, Path("/etc/ipad-agent/config.toml"))
    except ConfigErrors as errors:
        for problem in errors.problems:
            str(problem).encode("utf-8")
        raise


def _apn_table(data: bytes) -> object:
    table = ApnTable.loads(data, "apn.toml")
    return table, table.find("8949020000000000012", "262-01")


def _script(data: bytes) -> str:
    output = _Output()
    for at in range(0, len(data), 1000):
        output.data_received(data[at : at + 1000])
    line = output.last_line()
    if not line.isprintable() or len(line) > 200:
        raise AssertionError(f"a line for the log is {line!r}")
    return line


def _netlink(data: bytes) -> object:
    found = [interface_addresses.read_address(body) for _, body in interface_addresses.messages(data)]
    return found, interface_addresses.read_address(data)


def _calls(data: bytes) -> object:
    """Every message of the input as the socket takes it: as a call, its parameters checked, its refusal written."""
    framer = message_framing.Framer()
    answers: list[bytes] = []
    messages = framer.feed(data)
    if framer.partial:
        messages += framer.feed(message_framing.END)
    for message in messages:
        try:
            call = message_framing.parse_call(message)
            answers.append(message_framing.error("org.varlink.service.MethodNotFound", {"method": call.method[:100]}))
            for method in (_METHODS.get(call.name), *_METHODS.values()):
                if method is not None:
                    _checked(method, call.parameters)
        except message_framing.BadCall as problem:
            answers.append(message_framing.error("org.varlink.service.InvalidParameter", {"parameter": problem.member}))
    return answers


def _checked(method: varlink_interface.Method, parameters: Mapping[str, object]) -> None:
    try:
        method_calls.check(method, parameters)
    except method_calls.WrongParameter as wrong:
        message_framing.error("org.varlink.service.InvalidParameter", {"parameter": wrong.name})


def _reply(data: bytes) -> object:
    """What ``ipactl`` makes of what answers at the agent's socket."""
    parameters = varlink_client._parameters(varlink_client._parsed(data.partition(b"\0")[0]))
    found: list[object] = [parameters]
    for kind, value in ((Status, parameters.get("status")), (Happening, parameters.get("event"))):
        if value is not None:
            found.append(status_from_json.read(kind, value))
    if "plan" in parameters:
        found.append(status_from_json.read(Plan, parameters["plan"]))
    json.dumps(parameters)
    return found


def targets() -> Iterator[Target]:
    """Configuration, tables, scripts, the kernel, the socket and its other end."""
    yield Target("config", Kind.TOML, {"loads": _config}, (ConfigErrors,), examples=400, logged=False)
    yield Target("apn-table", Kind.TOML, {"loads": _apn_table}, (ConfigError,), logged=False)
    yield Target("script-output", Kind.LINES, {"last_line": _script}, ())
    yield Target("netlink", Kind.BYTES, {"messages": _netlink}, ())
    yield Target("varlink", Kind.JSON, {"calls": _calls}, (message_framing.NotVarlink,))
    yield Target("ipactl", Kind.JSON, {"reply": _reply}, (CommandError,), logged=False)
