"""The manual page, made from the command line's own description.

``python -m ipad_agent.cli.ipactl.man_page > packaging/ipactl.1`` writes it anew; a test keeps the two equal.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from typing import Final

from .command_context import SOCKET_VARIABLE
from .command_line import build
from .exit_codes import MEANING
from .output.field_names import listing
from .parser_contents import commands_of, operands_of, options_of
from .varlink_client import DEFAULT_SOCKET

JSON_FORMS: Final[Mapping[str, str]] = {
    "status": "the object Status",
    "profiles": '{"profiles": [Profile]}',
    "eims": '{"eims": [Eim]}',
    "poll": '{"done": true, "sentence"}',
    "plan": '{"plan": Plan}',
    "switch": '{"done": true, "sentence"}; with --dry-run as plan',
    "fallback": '{"done": true, "sentence"}',
    "emergency": '{"done": true, "sentence"}',
    "rollback": '{"done": true, "sentence"}',
    "confirm": '{"done": true, "sentence"}',
    "owed": '{"owed": [Owed]}',
    "watch": 'one object per line: {"status": Status} or {"event": Happening}',
    "history": '{"history": [HistoryEntry]}',
    "log": "one object Happening per line",
    "doctor": '{"items": [DoctorItem]}; the layer of the last one is verdict',
    "bundle": '{"path", "size_bytes"}',
    "emulation": 'export: {"path", "eid", "eim", "counter", "fingerprint"}; fingerprint: {"fingerprint"}; '
    'new-key: {"fingerprint", "cards"}',
    "budget": '{"traffic": Traffic}',
    "eid": '{"eid", "check_digits_ok"}',
    "config": 'check: {"path", "problems": [string]}; show: {"running", "path", "changed", '
    '"config": [{"key", "value", "origin", "line"}]}',
    "explain": '{"id", "level", "sentence", "explanation"}',
    "decode": 'a message: {"tag", "name", "type", "text", "children": [the same]}; all else: {"lines": [string]}',
    "at": '{"lines": [string], "final"}',
    "modem": 'list: {"ports": [{"port", "stable", "usb", "interface", "module", "profile", "use", "held_by", '
    '"agent"}]}; probe: {"ports": [{"port", "asked", "manufacturer", "model", "firmware", "profile", "matched", '
    '"evidence"}], "commands"}; test: the report, as --report writes it; at: {"lines": [string], "final"}; draft: '
    '{"text"}',
    "setup": '{"path", "written", "backup", "text", "items": [DoctorItem]}',
    "record": 'start: {"path"}; stop: {"done": true, "sentence"}; status: {"recording", "path", "max_bytes", "left_s", '
    '"records", "ended"}; export: {"path", "records", "unreadable_lines", "redacted"}',
    "metrics": '{"text"}',
    "varlink": "info: what GetInfo answers, and description; call: the parameters of each reply",
    "reset-euicc": '{"done": true, "sentence"}',
    "provision": '{"done": true, "sentence"}',
    "download": '{"done": true, "sentence"}',
    "card": '{"done": true, "sentence"}',
    "completion": "as without it",
}
"""What each command writes with ``--json``. Names with a capital are the types of the interface file."""

_COMMON: Final = frozenset({"--json", "--socket", "--format", "--fields", "--help", "-h"})


def page() -> Iterator[str]:
    """The lines of ``ipactl.1``."""
    parser = build()
    yield '.TH IPACTL 1 "" "ipad\\-agent" "User Commands"'
    yield ".SH NAME"
    yield "ipactl \\- look at the eSIM agent of this device and tell it what to do"
    yield ".SH SYNOPSIS"
    yield ".B ipactl"
    yield '.RI [ options "] " command " [" arguments ]'
    yield ".SH DESCRIPTION"
    yield _text(
        "ipactl talks to the running ipad-agent, which serves the eSIM card (eUICC) of this device as SGP.32 describes "
        "it. The first line of an answer is the verdict; times are ages; what a person can do comes last."
    )
    yield ".SH COMMANDS"
    for name, below in commands_of(parser).items():
        yield from _command(name, below)
    yield ".SH OPTIONS"
    yield _text("These may stand before or after the command.")
    for action in options_of(parser):
        yield from _option(action)
    yield ".SH EXIT STATUS"
    for exit, meaning in MEANING.items():
        yield ".TP"
        yield f".B {int(exit)}"
        yield _text(meaning[0].upper() + meaning[1:] + ".")
    yield ".SH JSON"
    yield _text(
        "With --json every command writes JSON to its standard output. Names with a capital are types of the interface "
        "io.github.ipadagent, which ipactl varlink info shows; fields may be added to them, none goes away or changes "
        'its meaning. What fails writes {"error": {"name", "sentence", "hint", "exit"}} instead.'
    )
    for name, form in JSON_FORMS.items():
        yield ".TP"
        yield f".B {_plain(name)}"
        yield _text(form)
    yield ".SH FIELDS"
    yield _text(
        "With --format keyvalue each value of the same answer is a line name:value; lists have a line name.length, and "
        "their items are numbered from 1. With --format table each thing (the whole answer, or each profile, manager, "
        "event ...) is a line with the values of --fields in the order asked for, with colons between. A colon or "
        "backslash within a value has a backslash before it, and a comma within an item of a list too. Absent is "
        "empty, true and false are yes and no. Fields may be added to the interface: name those you want. Trouble is "
        "told on the error output. The names, of which [] stands for each item of a list:"
    )
    for name, fields in listing():
        yield ".TP"
        yield f".B {_plain(name)}"
        yield _text(fields)
    yield ".SH FILES"
    yield ".TP"
    yield f".I {_plain(DEFAULT_SOCKET)}"
    yield _text("The agent's socket, unless local.socket_path of its configuration names another.")
    yield ".TP"
    yield ".I /etc/ipad\\-agent/config.toml"
    yield _text("The agent's configuration.")
    yield ".SH ENVIRONMENT"
    yield ".TP"
    yield f".B {SOCKET_VARIABLE}"
    yield _text("The socket of the agent to talk to, as --socket; the option comes first.")
    yield ".TP"
    yield ".B NO_COLOR"
    yield _text("No colours, also on a terminal.")
    yield ".TP"
    yield ".B COLUMNS"
    yield _text("The width to write for, off a terminal (100).")
    yield ".SH EXAMPLES"
    for line, meaning in _EXAMPLES:
        yield ".TP"
        yield f".B {_plain(line)}"
        yield _text(meaning)
    yield ".SH SEE ALSO"
    yield ".BR journalctl (1),"
    yield ".BR varlinkctl (1)"


_EXAMPLES: Final = (
    ("ipactl status", "How the device is."),
    ("ipactl doctor", "What is wrong, and the one thing to do."),
    ("ipactl poll && ipactl watch", "Have the manager asked for work, and look on."),
    ("ipactl plan 4713", "Whether a change to the profile that ends with 4713 would work."),
    ("ipactl log -f --eim manager.example.net", "What happens with one manager, as it happens."),
    ("ipactl --fields verdict.state", "The state, for a script without a reader of JSON."),
    ("ipactl profiles --fields iccid,enabled", "A line for each profile, such as 8943010000000000811:yes."),
    ("ipactl status --json | jq -r .verdict.state", "The state, for a script."),
    ("ipactl completion bash > /etc/bash_completion.d/ipactl", "Completions for bash."),
    ("ipactl completion zsh > ~/.zfunc/_ipactl", "For zsh, where ~/.zfunc is in fpath."),
    ("ipactl completion fish > ~/.config/fish/completions/ipactl.fish", "For fish."),
)


def _command(name: str, parser: argparse.ArgumentParser, before: str = "") -> Iterator[str]:
    operands = " ".join(_operand(action) for action in operands_of(parser))
    yield ".TP"
    yield f".B {_plain(f'{before}{name} {operands}'.rstrip())}"
    yield _text(parser.description or "")
    rows = [action for action in operands_of(parser) if action.help]
    rows += [action for action in options_of(parser) if not _COMMON.intersection(action.option_strings)]
    if rows:
        yield ".RS"
        for action in rows:
            yield from _option(action)
        yield ".RE"
    for inner, below in commands_of(parser).items():
        yield from _command(inner, below, f"{before}{name} ")


def _operand(action: argparse.Action) -> str:
    shown = "|".join(str(choice) for choice in action.choices) if action.choices else str(action.metavar or action.dest)
    return f"[{shown}]" if action.nargs == "?" else shown


def _option(action: argparse.Action) -> Iterator[str]:
    names = ", ".join(action.option_strings) if action.option_strings else _operand(action)
    if action.option_strings and action.nargs != 0:
        names += " " + ("|".join(str(choice) for choice in action.choices) if action.choices else str(action.metavar))
    yield ".TP"
    yield f".B {_plain(names)}"
    help = (action.help or "").strip()
    yield _text(help[:1].upper() + help[1:] + ("" if help.endswith(".") else "."))


def _plain(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga")


def _text(text: str) -> str:
    """One line that no macro can be hidden in."""
    escaped = _plain(text)
    return "\\&" + escaped if escaped[:1] in (".", "'") else escaped


if __name__ == "__main__":
    sys.stdout.write("\n".join(page()) + "\n")
