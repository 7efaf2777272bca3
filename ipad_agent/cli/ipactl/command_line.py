"""The command line of ``ipactl``: every command with its words, and what it answers to ``--json``.

The manual page and the completions are made from this, so each word is written once.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from ipad_agent import __version__

from .command_context import DEFAULT_CONFIG, MODEM_VARIABLE, SOCKET_VARIABLE
from .guessed_words.suggesting_parser import SuggestingParser
from .varlink_client import DEFAULT_SOCKET

if TYPE_CHECKING:
    from pathlib import Path

HANDLERS: Final[Mapping[str, str]] = {
    "status": "commands.query_commands.status",
    "profiles": "commands.query_commands.profiles",
    "eims": "commands.query_commands.eims",
    "poll": "commands.action_commands.poll",
    "plan": "commands.query_commands.plan",
    "switch": "commands.action_commands.switch",
    "fallback": "commands.action_commands.fallback",
    "emergency": "commands.action_commands.emergency",
    "rollback": "commands.action_commands.rollback",
    "confirm": "commands.action_commands.confirm",
    "owed": "commands.query_commands.owed",
    "watch": "commands.watch_command.watch",
    "history": "commands.history_command.history",
    "log": "commands.log_command.log",
    "doctor": "commands.doctor_command.doctor",
    "bundle": "commands.bundle_command.bundle",
    "emulation": "commands.emulation_command.emulation",
    "budget": "commands.query_commands.budget",
    "eid": "commands.query_commands.eid",
    "config": "commands.config_and_decode.config",
    "explain": "commands.query_commands.explain",
    "decode": "commands.config_and_decode.decode",
    "at": "commands.raw_requests.at",
    "modem": "commands.modem_command.modem",
    "setup": "commands.setup_command.setup",
    "record": "commands.record_command.record",
    "metrics": "commands.query_commands.metrics",
    "varlink": "commands.raw_requests.varlink",
    "reset-euicc": "commands.action_commands.reset_euicc",
    "provision": "commands.maker_commands.provision",
    "download": "commands.maker_commands.download",
    "card": "commands.maker_commands.card",
    "completion": "shell_completion.completion",
}
"""Module and function of each command; a module is loaded when its command is chosen."""

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

FORMATS: Final = ("json", "keyvalue", "table")

MEMORY_PARTS: Final[Mapping[str, str]] = {
    "operational-profiles": "profiles that managers or downloads put on the card",
    "test-profiles": "test profiles",
    "default-smdp": "the default address of a download server",
    "eims": "the managers (eIM): the card then obeys nobody until it gets one anew",
    "immediate-enable": "the permission to enable downloaded profiles at once",
}
"""What a reset can delete, and what that means."""


class OtherCommandError(Exception):
    """Another command was meant than the only one that was built."""


class _Unasked(argparse.ArgumentParser):
    """Stands for a command that nobody asked for: the help of all knows its name and line, its words are not built."""

    def __init__(self, prog: str, **_: object) -> None:
        self.prog = prog

    def add_argument(self, *_: Any, **__: Any) -> Any:
        return None

    def add_subparsers(self, **_: Any) -> Any:
        return self

    def add_parser(self, *_: object, **__: object) -> _Unasked:
        return self

    def parse_known_args(self, *_: Any, **__: Any) -> Any:
        raise OtherCommandError


def build(only: str | None = None) -> argparse.ArgumentParser:
    """The whole command line. With ``only`` the words of no other command are built, which is most of the time that
    this takes; parsing another command then ends in ``OtherCommandError``."""
    parser = SuggestingParser(
        prog="ipactl",
        description="Look at the device's eSIM agent (ipad-agent) and tell it what to do.",
        epilog="`ipactl status` is the place to begin; `ipactl doctor` finds out what is wrong.",
        allow_abbrev=False,
        formatter_class=_formatter,
    )
    parser.add_argument("--version", action="version", version=f"ipactl {__version__}")
    _common(parser, top=True)

    def made_for(prog: str, **told: Any) -> argparse.ArgumentParser:
        kind = SuggestingParser if only in (None, prog.removeprefix("ipactl ")) else _Unasked
        return kind(prog=prog, **told)

    commands = parser.add_subparsers(
        dest="command",
        metavar="[COMMAND]",
        prog="ipactl",
        parser_class=cast("type[argparse.ArgumentParser]", made_for),  # it is only called
    )

    def command(name: str, help: str, more: str = "") -> argparse.ArgumentParser:
        text = help[0].upper() + help[1:] + "."
        return _below(commands, name, help, f"{text} {more}".strip())

    status = command(
        "status",
        "how the device is, what comes next, and what to do",
        "The exit status follows the state. This is also what ipactl does without a command.",
    )
    status.add_argument("--watch", action="store_true", help="drawn anew every second, as `ipactl watch --screen`")

    command("profiles", "the profiles (subscriptions) on the card")
    command("eims", "the managers (eIM): the servers from which the profiles are managed")

    poll = command("poll", "ask the managers (eIM) for work now")
    poll.add_argument("--now", action="store_true", help="as without it: a poll that is asked for is always made now")
    poll.add_argument("eim", nargs="?", metavar="EIM", help="only this manager; its name as `ipactl eims` shows it")

    plan = command("plan", "what a change to a profile would need and do; changes nothing")
    _iccid(plan)

    switch = command(
        "switch",
        "change to a profile, as far as the device may do that on its own",
        "Profiles are enabled by order of their manager (eIM): SGP.32 gives the device no command for it. On its own "
        "it may change to the fallback profile and back; for every other profile this command says so and ends with 3.",
    )
    _iccid(switch)
    switch.add_argument("--dry-run", action="store_true", help="only say what the change would need and do")
    switch.add_argument(
        "--confirm-within",
        type=duration,
        metavar="TIME",
        help="wait so long (10m, 90s, 1h) for the proof that the profile works; without proof the command ends with 4",
    )
    _no_wait(switch)

    fallback = command(
        "fallback",
        "change to the fallback profile now",
        "The fallback profile is what the card changes to when the enabled one has lost its network for good. Ends "
        "with 0 when it is enabled, also when it was before, and with 3 when the card has none. With --return it ends "
        "with 0 when the former profile works again, with 1 when it did not and the fallback profile is enabled again, "
        "with 4 when it is enabled and not proved, and with 3 when the card knows none.",
    )
    fallback.add_argument("--return", dest="back", action="store_true", help="change back from the fallback profile")
    _no_wait(fallback)

    emergency = command("emergency", "enable or disable the card's profile for emergency calls")
    emergency.add_argument("switch", choices=("on", "off"), help="on enables it, off goes back")

    rollback = command(
        "rollback",
        "go back to the former profile now, while a change is not proved yet",
        "Ends with 0 when the former profile is enabled again, with 1 when there was no way back, and with 3 when no "
        "change is under way that could be taken back.",
    )
    _no_wait(rollback)
    confirm = command(
        "confirm",
        "keep the new profile without waiting for the proof that it works",
        "Ends with 0 when it is kept, with 1 when the device had gone back already, and with 3 when no change is under "
        "way.",
    )
    _no_wait(confirm)
    command("owed", "what managers and download servers have not got yet; asks the card", "Ends with 4 if any.")

    watch = command("watch", "what happens, as it happens, until Ctrl-C")
    watch.add_argument("--screen", action="store_true", help="the whole status, drawn anew every second")

    history = command(
        "history",
        "what was done on this device: by whom, when, and how it ended",
        "Orders, downloads, switches, rollbacks and resets of the card; they outlive a restart.",
    )
    history.add_argument("-n", "--count", type=_positive, default=50, metavar="N", help="how many of the last (50)")

    log = command(
        "log",
        "the last things that the agent said",
        "The agent itself knows the last 200 since its start. What is older, and what it said before it ended, comes "
        "from the systemd journal where there is one.",
    )
    log.add_argument("-n", "--count", type=_positive, metavar="N", help="how many (20; with --since all)")
    log.add_argument("-f", "--follow", action="store_true", help="go on with what is said from now on, until Ctrl-C")
    log.add_argument(
        "--since",
        type=since,
        metavar="TIME",
        help="only what is newer: 90s, 10m, 3h or 2d ago, or a time such as 14:30 or '2026-11-20 14:30'",
    )
    log.add_argument("--eim", metavar="EIM", help="only what is about this manager")

    doctor = command(
        "doctor",
        "go through the device layer by layer and name the one thing to do",
        "Works also when the agent does not run; then the modem's port is opened here. Nothing is changed.",
    )
    _config_file(doctor)

    bundle = command(
        "bundle",
        "write a file for whoever helps you: readable, without keys, with shortened numbers",
        "Works also when the agent does not run; then the device is looked at as doctor does.",
    )
    bundle.add_argument("-o", "--output", metavar="FILE", help="where to; - is the standard output")
    _config_file(bundle)

    emulation = command(
        "emulation",
        "a consumer card whose IoT functions this device emulates: register it at its eIM",
        "`export` writes the file that the eIM's operator imports, `fingerprint` shows what to compare, `new-key` is "
        "for a key that is lost or was seen. Needs no agent; `new-key` needs it stopped.",
    )
    emulation.add_argument("action", choices=("export", "fingerprint", "new-key"))
    emulation.add_argument("file", nargs="?", metavar="FILE", help="where export writes to")
    emulation.add_argument("--eid", metavar="EID", help="which card, where several are known")
    emulation.add_argument("--eim", metavar="EIM", help="for which of its eIMs, where it has several")
    emulation.add_argument("--yes", action="store_true", help="really make a new key")
    _config_file(emulation)

    command("budget", "the data used, and what for")

    eid = command("eid", "the card's number (EID), to register the device at its manager")
    eid.add_argument("--qr", action="store_true", help="as a QR code too (needs the Python package qrcode)")
    eid.add_argument("--label", action="store_true", help="in groups of four, with the modem's number, for the box")

    config = command(
        "config",
        "check the configuration, or show what the agent runs with",
        "`show` asks the running agent; with --config, and where no agent runs, it tells what the file comes to.",
    )
    config.add_argument("action", choices=("check", "show"), help="check names every mistake, show tells every value")
    config.add_argument("--origin", action="store_true", help="also where each value comes from")
    _config_file(config)

    setup = command(
        "setup",
        "first steps: asks for what no default can know, tries it, and writes the configuration",
        "Never needed, and nothing is written without consent. A file that is there keeps everything else it says, and "
        "stays as a copy beside it. Needs no agent; what is tried is what doctor tries.",
    )
    setup.add_argument("--port", metavar="PORT", help="the modem's AT port; auto looks for a known modem")
    setup.add_argument("--initial-eim", metavar="FILE", help="the eIM's configuration data, for a card without an eIM")
    setup.add_argument("--ca-file", metavar="FILE", help="who may vouch for an eIM that the card knows no key of")
    setup.add_argument("--ci-dir", metavar="FOLDER", help="who may vouch for a download server (SM-DP+)")
    setup.add_argument(
        "--web-pki",
        action=argparse.BooleanOptionalAction,
        help="whether the system's web certificates may vouch for one too",
    )
    setup.add_argument("--preset", choices=("normal", "nbiot"), help="how often and how patiently eIMs are asked")
    setup.add_argument("--dry-run", action="store_true", help="try it and show the file; write nothing")
    setup.add_argument("--yes", action="store_true", help="ask nothing and write it")
    setup.add_argument("--no-check", dest="check", action="store_false", help="do not try it")
    _config_file(setup)

    explain = command("explain", "what a message of the log means, and what to do")
    explain.add_argument("id", metavar="ID", help="such as IPA-1005")

    decode = command(
        "decode",
        "read out an APDU, an AT line, a message of SGP.22 or SGP.32, or a recording",
        "Needs no agent.",
    )
    decode.add_argument(
        "input", metavar="HEX|LINE|FILE|-", help="hexadecimal digits, an AT line, a file, or - for the standard input"
    )
    decode.add_argument("--type", metavar="NAME", help="its type as in asn1/, where the tag alone does not tell")
    decode.add_argument("--request", action="store_true", help="prefer a request where its answer looks alike")
    decode.add_argument("--reveal", action="store_true", help="show activation codes and matching ids")

    at = command(
        "at",
        "send an AT command to the modem, in turn with the agent's own",
        "The configuration has to allow it (local.allow_at), and the log has it. Questions go through; what may change "
        "the modem needs --force; what takes the card or the line away from the agent is never sent.",
    )
    at.add_argument("at", metavar="AT...", help="such as 'AT+CSQ'")
    at.add_argument("--force", action="store_true", help="also a command that may change the modem")
    at.add_argument(
        "--timeout",
        type=_at_seconds,
        default=30.0,
        metavar="TIME",
        help="wait so long for the answer (30s; 3m at most)",
    )

    modem = command(
        "modem",
        "find out about modems: which ports there are, who answers, what a modem can do",
        "Needs no agent, and never touches a port that an agent or another program holds.",
    )
    _modem_actions(modem)

    record = command(
        "record",
        "record what goes to and from modem, card and servers, and take it away",
        "The recording is a ring of bounded size on the device. What is taken away from it has other numbers in place "
        "of those of card, profiles, modem and subscriber, and no codes.",
    )
    tapes = record.add_subparsers(
        dest="action", required=True, metavar="start|stop|status|export", prog="ipactl record"
    )

    def tape(name: str, help: str, *, own_format: bool = False) -> argparse.ArgumentParser:
        return _below(tapes, name, help, help[0].upper() + help[1:] + ".", own_format=own_format)

    start = tape("start", "begin to record, or go on for longer")
    start.add_argument(
        "--for", dest="seconds", type=duration, metavar="TIME", help="so long (90s, 10m, 1h); else until it is stopped"
    )
    tape("stop", "end the recording; it can be exported after that too")
    tape("status", "whether it is recorded, for how long, and where")
    export = tape(
        "export", "write the recording into one file; needs no agent, but the right to read its folder", own_format=True
    )
    export.add_argument("file", type=_path, metavar="FILE", help="the file to write; - is the standard output")
    export.add_argument(
        "--format",
        dest="form",
        choices=("jsonl", "text", "pcapng"),
        default="jsonl",
        help="jsonl, which decode and the lab read (default); text, with what each line means; pcapng for Wireshark",
    )
    export.add_argument("--from", dest="source", type=_path, metavar="PLACE", help="another folder or file to read")
    export.add_argument(
        "--full", action="store_true", help="with all numbers and codes as they are; asks first, or wants --yes"
    )
    export.add_argument("--yes", action="store_true", help="with --full: ask nothing")
    _config_file(export)

    command("metrics", "figures for a monitoring system, as Prometheus reads them")

    varlink = command("varlink", "the agent's interface itself")
    actions = varlink.add_subparsers(dest="action", required=True, metavar="info|call", prog="ipactl varlink")
    _below(actions, "info", "the interface, as the agent describes it")
    call = _below(actions, "call", "call a method")
    call.add_argument("method", metavar="METHOD", help="such as GetStatus; one with dots is taken as it is")
    call.add_argument("parameters", metavar="JSON", nargs="?", default="{}", help="its parameters ({})")
    call.add_argument("--more", action="store_true", help="show every reply, one per line")

    reset = command(
        "reset-euicc",
        "delete profiles or managers from the card, for good",
        "Asks for the last four digits of the EID first. The configuration has to allow it (local.memory_reset).",
    )
    reset.add_argument(
        "--what", action="append", required=True, choices=tuple(MEMORY_PARTS), help="what; may be repeated"
    )
    reset.add_argument("--eid-ends", metavar="DIGITS", help="those four digits, where nobody can be asked")

    provision = command(
        "provision",
        "give a card that nobody manages its first manager (eIM)",
        "For the maker's bench; in the field the file named in the configuration (provisioning.initial_eim, or "
        "provisioning.bundle) does it. Only reset-euicc takes a manager away again without its order, so it is asked "
        "first.",
    )
    provision.add_argument(
        "file", metavar="FILE", help="the eIM's configuration data or provisioning bundle; - for the standard input"
    )
    provision.add_argument("--yes", action="store_true", help="ask nothing")

    download = command(
        "download",
        "download a profile with an activation code, where the configuration allows it",
        "Straight from the SM-DP+; the profile is installed and not enabled, and every manager (eIM) is told. The "
        "configuration has to allow it (download.by_hand). Asks first. Ends with 0 when the profile is installed, with "
        "1 when the download failed, with 2 when a code is missing or cannot be read, and with 3 when a rule is "
        "against it.",
    )
    download.add_argument(
        "code", metavar="CODE", help="the activation code, LPA:1$ADDRESS$TOKEN; - reads it from the standard input"
    )
    download.add_argument(
        "--confirmation-code-file",
        type=_path,
        metavar="FILE",
        help="holds the confirmation code; without it a code that needs one asks for it on the terminal",
    )
    download.add_argument(
        "--accept-rules",
        action="store_true",
        help="consent to a profile that cannot be disabled or deleted, where the card asks for that consent",
    )
    download.add_argument("--yes", action="store_true", help="ask nothing")
    _no_wait(download)

    card = command("card", "functions of the card for the maker's bench")
    functions = card.add_subparsers(dest="function", required=True, metavar="FUNCTION", prog="ipactl card")
    smdp = _below(
        functions,
        "set-default-smdp",
        "name the card's default SM-DP+",
        "The server that a download without an activation code goes to. Can be changed again at any time.",
    )
    smdp.add_argument("address", metavar="ADDRESS", help="host or host:port; '' takes it away")
    immediate = _below(
        functions,
        "immediate-enable",
        "whether profiles may be enabled right after their download",
        "A card takes it only while no manager (eIM) is on it.",
    )
    immediate.add_argument("switch", choices=("on", "off"), help="on allows it, off forbids it")
    immediate.add_argument("--smdp-oid", metavar="OID", help="only of the SM-DP+ with this object identifier")
    immediate.add_argument("--smdp", metavar="ADDRESS", help="only of the SM-DP+ with this address")
    ipae = _below(
        functions,
        "activate-ipae",
        "hand the card over to its own assistant (IPAe)",
        "The agent then has no access to the card any more. Asks for the last four digits of the EID first. The "
        "configuration has to allow it (local.ipae_activation).",
    )
    ipae.add_argument("--eid-ends", metavar="DIGITS", help="those four digits, where nobody can be asked")

    completion = command("completion", "completions for a shell; see the manual page")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="for which one")
    return parser


def _below(
    parsers: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    help: str,
    description: str | None = None,
    *,
    own_format: bool = False,
) -> argparse.ArgumentParser:
    """A command below another or below all; ``own_format`` as in ``_common``."""
    made = parsers.add_parser(name, help=help, description=description, allow_abbrev=False, formatter_class=_formatter)
    _common(made, top=False, own_format=own_format)
    return made


def _modem_actions(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", prog="ipactl modem")

    def action(name: str, help: str, more: str = "", *, port: bool = True) -> argparse.ArgumentParser:
        text = f"{help[0].upper()}{help[1:]}. {more}".strip()
        made = _below(actions, name, help, text)
        _config_file(made)
        if port:
            made.add_argument("port", metavar="PORT", help="such as /dev/ttyUSB2, or socket://host:port")
            made.add_argument("--baud", type=_baud, metavar="N", help="speed of a real UART (115200)")
        return made

    action("list", "the serial ports, their modules, and who holds them", "No port is opened for it.", port=False)
    action("probe", "who answers on a port, which profile fits it, and which commands it knows")
    test = action(
        "test",
        "examine a modem: its ways to the card, their limits and times, the card, and what to do",
        "It only reads, and puts everything back. Ends with 1 when something has to change before an agent can work.",
    )
    test.add_argument("--report", type=_path, metavar="FILE", help="write the report there, for a ticket")
    test.add_argument("--reveal", action="store_true", help="with EID, ICCIDs and IMEI in full")
    test.add_argument(
        "--switch-back-and-forth",
        dest="switch",
        action="store_true",
        help="also change to the fallback profile and back, to see what the modem makes of it; asks first",
    )
    test.add_argument("--yes", action="store_true", help="consent to that")
    at = action("at", "send one AT command, without an agent", "Questions go through; all else needs --force.")
    at.add_argument("at", metavar="AT...", help="such as 'AT+CSQ'")
    at.add_argument("--force", action="store_true", help="also a command that may change modem or card")
    at.add_argument("--timeout", type=_at_seconds, default=30.0, metavar="TIME", help="wait so long (30s; 3m at most)")
    draft = action("draft", "the draft of a module profile, made from a report", port=False)
    draft.add_argument("file", type=_path, metavar="REPORT", help="what `ipactl modem test --report` wrote")


def _formatter(prog: str) -> argparse.HelpFormatter:
    """With the width looked up once: argparse asks for it at each option, with a module that takes long to load."""
    return argparse.HelpFormatter(prog, width=_help_width())


@cache
def _help_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        return max(int(columns) - 2, 20)
    try:
        return max(os.get_terminal_size(1).columns - 2, 20)
    except OSError:
        return 78


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands below this one, by name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def helps_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """The line about each command below this one."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {choice.dest: choice.help or "" for choice in action._choices_actions}
    return {}


def options_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Its options, in order."""
    return (action for action in parser._actions if action.option_strings)


def operands_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """What is given by its place, in order; without commands."""
    return (
        action
        for action in parser._actions
        if not action.option_strings and not isinstance(action, argparse._SubParsersAction)
    )


def duration(text: str) -> float:
    """``90``, ``90s``, ``10m`` or ``1h`` in seconds."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    if not (number.isascii() and number.isdigit()) or not 0 < int(number) * unit <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 10m or 1h, of a day at most")
    return int(number) * unit


def since(text: str) -> float:
    """``90s``, ``10m``, ``3h`` or ``2d`` ago, or a local time with or without its date, in seconds since 1970."""
    units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
    number, unit = text[:-1], units.get(text[-1:])
    if unit is not None and number.isascii() and number.isdigit() and len(number) < 7:
        return time.time() - int(number) * unit
    now = time.localtime()
    for pattern in ("%H:%M", "%H:%M:%S", "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"):
        try:
            read = time.strptime(text, pattern)
            day = read[:3] if "%Y" in pattern else now[:3]
            return time.mktime((*day, *read[3:6], 0, 0, -1))
        except (ValueError, OverflowError):
            continue
    raise argparse.ArgumentTypeError(f"{text!r} is no time such as 10m, 3h, 14:30 or '2026-11-20 14:30'")


def _at_seconds(text: str) -> float:
    seconds = duration(text)
    if seconds > 180:
        raise argparse.ArgumentTypeError(f"{text!r} is more than 3 min; the agent can do nothing else meanwhile")
    return seconds


def _baud(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1200 <= int(text) <= 4_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed from 1200 to 4000000")
    return int(text)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 10000")
    return int(text)


def _iccid(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("iccid", metavar="ICCID", help="the profile's number, or its last four digits at least")


def _no_wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-wait", action="store_true", help="only give the order; `ipactl watch` shows what comes of it"
    )


def _config_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=_path, default=DEFAULT_CONFIG, metavar="FILE", help=f"the configuration ({DEFAULT_CONFIG})"
    )


def _path(text: str) -> Path:
    from pathlib import Path  # it takes longer to load than most commands run

    return Path(text)


def _fields(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError("name at least one")
    return names


def _common(parser: argparse.ArgumentParser, *, top: bool, own_format: bool = False) -> None:
    """Options that may stand before and after the command; after it they have no default of their own. ``own_format``:
    --format says what the command writes into a file, not what it says."""
    defaults: dict[str, Any] = {"json": False, "socket": None, "format": None, "fields": None, "agent_name": None}
    if not top:
        defaults = dict.fromkeys(defaults, argparse.SUPPRESS)
    # `ipactl bundle -o FILE` was there first.
    short = () if parser.prog.endswith(" bundle") else ("-o",)
    if not own_format:
        parser.add_argument(
            *short,
            "--format",
            choices=FORMATS,
            default=defaults["format"],
            help="for programs: as JSON, as lines name:value, or as one line for each thing",
        )
    parser.add_argument(
        "--fields",
        type=_fields,
        metavar="NAMES",
        default=defaults["fields"],
        help="only these, with commas between; as a table unless --format says otherwise",
    )
    parser.add_argument("--json", action="store_true", default=defaults["json"], help="as --format json")
    parser.add_argument(
        "--modem",
        dest="agent_name",
        metavar="NAME",
        default=defaults["agent_name"],
        help=f"the agent of this modem, where there are several: ipad-agent@NAME (${MODEM_VARIABLE})",
    )
    parser.add_argument(
        "--socket",
        metavar="PATH",
        default=defaults["socket"],
        help=f"where the agent listens (${SOCKET_VARIABLE}, else {DEFAULT_SOCKET})",
    )
