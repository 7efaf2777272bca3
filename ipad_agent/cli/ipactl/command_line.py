"""The command line of ``ipactl``: every command with its words.

The manual page and the completions are made from this, so each word is written once.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, Final, cast

from ipad_agent import __version__

from .argument_values import at_seconds, baud, duration, path, positive, since
from .command_parser import (
    UnaskedCommand,
    add_command,
    add_common_options,
    add_config_file,
    add_iccid,
    add_no_wait,
    help_formatter,
)
from .guessed_words.suggesting_parser import SuggestingParser

MEMORY_PARTS: Final[Mapping[str, str]] = {
    "operational-profiles": "profiles that managers or downloads put on the card",
    "test-profiles": "test profiles",
    "default-smdp": "the default address of a download server",
    "eims": "the managers (eIM): the card then obeys nobody until it gets one anew",
    "immediate-enable": "the permission to enable downloaded profiles at once",
}
"""What a reset can delete, and what that means."""


def build(only: str | None = None) -> argparse.ArgumentParser:
    """The whole command line. With ``only`` the words of no other command are built, which is most of the time that
    this takes; parsing another command then ends in ``OtherCommandError``."""
    parser = SuggestingParser(
        prog="ipactl",
        description="Look at the device's eSIM agent (ipad-agent) and tell it what to do.",
        epilog="`ipactl status` is the place to begin; `ipactl doctor` finds out what is wrong.",
        allow_abbrev=False,
        formatter_class=help_formatter,
    )
    parser.add_argument("--version", action="version", version=f"ipactl {__version__}")
    add_common_options(parser, top=True)

    def made_for(prog: str, **told: Any) -> argparse.ArgumentParser:
        kind = SuggestingParser if only in (None, prog.removeprefix("ipactl ")) else UnaskedCommand
        return kind(prog=prog, **told)

    commands = parser.add_subparsers(
        dest="command",
        metavar="[COMMAND]",
        prog="ipactl",
        parser_class=cast("type[argparse.ArgumentParser]", made_for),  # it is only called
    )

    def command(name: str, help: str, more: str = "") -> argparse.ArgumentParser:
        text = help[0].upper() + help[1:] + "."
        return add_command(commands, name, help, f"{text} {more}".strip())

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
    add_iccid(plan)

    switch = command(
        "switch",
        "change to a profile, as far as the device may do that on its own",
        "Profiles are enabled by order of their manager (eIM): SGP.32 gives the device no command for it. On its own "
        "it may change to the fallback profile and back; for every other profile this command says so and ends with 3.",
    )
    add_iccid(switch)
    switch.add_argument("--dry-run", action="store_true", help="only say what the change would need and do")
    switch.add_argument(
        "--confirm-within",
        type=duration,
        metavar="TIME",
        help="wait so long (10m, 90s, 1h) for the proof that the profile works; without proof the command ends with 4",
    )
    add_no_wait(switch)

    fallback = command(
        "fallback",
        "change to the fallback profile now",
        "The fallback profile is what the card changes to when the enabled one has lost its network for good. Ends "
        "with 0 when it is enabled, also when it was before, and with 3 when the card has none. With --return it ends "
        "with 0 when the former profile works again, with 1 when it did not and the fallback profile is enabled again, "
        "with 4 when it is enabled and not proved, and with 3 when the card knows none.",
    )
    fallback.add_argument("--return", dest="back", action="store_true", help="change back from the fallback profile")
    add_no_wait(fallback)

    emergency = command("emergency", "enable or disable the card's profile for emergency calls")
    emergency.add_argument("switch", choices=("on", "off"), help="on enables it, off goes back")

    rollback = command(
        "rollback",
        "go back to the former profile now, while a change is not proved yet",
        "Ends with 0 when the former profile is enabled again, with 1 when there was no way back, and with 3 when no "
        "change is under way that could be taken back.",
    )
    add_no_wait(rollback)
    confirm = command(
        "confirm",
        "keep the new profile without waiting for the proof that it works",
        "Ends with 0 when it is kept, with 1 when the device had gone back already, and with 3 when no change is under "
        "way.",
    )
    add_no_wait(confirm)
    command("owed", "what managers and download servers have not got yet; asks the card", "Ends with 4 if any.")

    watch = command("watch", "what happens, as it happens, until Ctrl-C")
    watch.add_argument("--screen", action="store_true", help="the whole status, drawn anew every second")

    history = command(
        "history",
        "what was done on this device: by whom, when, and how it ended",
        "Orders, downloads, switches, rollbacks and resets of the card; they outlive a restart.",
    )
    history.add_argument("-n", "--count", type=positive, default=50, metavar="N", help="how many of the last (50)")

    log = command(
        "log",
        "the last things that the agent said",
        "The agent itself knows the last 200 since its start. What is older, and what it said before it ended, comes "
        "from the systemd journal where there is one.",
    )
    log.add_argument("-n", "--count", type=positive, metavar="N", help="how many (20; with --since all)")
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
    add_config_file(doctor)

    bundle = command(
        "bundle",
        "write a file for whoever helps you: readable, without keys, with shortened numbers",
        "Works also when the agent does not run; then the device is looked at as doctor does.",
    )
    bundle.add_argument("-o", "--output", metavar="FILE", help="where to; - is the standard output")
    add_config_file(bundle)

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
    add_config_file(emulation)

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
    add_config_file(config)

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
    add_config_file(setup)

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
        type=at_seconds,
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
        return add_command(tapes, name, help, help[0].upper() + help[1:] + ".", own_format=own_format)

    start = tape("start", "begin to record, or go on for longer")
    start.add_argument(
        "--for", dest="seconds", type=duration, metavar="TIME", help="so long (90s, 10m, 1h); else until it is stopped"
    )
    tape("stop", "end the recording; it can be exported after that too")
    tape("status", "whether it is recorded, for how long, and where")
    export = tape(
        "export", "write the recording into one file; needs no agent, but the right to read its folder", own_format=True
    )
    export.add_argument("file", type=path, metavar="FILE", help="the file to write; - is the standard output")
    export.add_argument(
        "--format",
        dest="form",
        choices=("jsonl", "text", "pcapng"),
        default="jsonl",
        help="jsonl, which decode and the lab read (default); text, with what each line means; pcapng for Wireshark",
    )
    export.add_argument("--from", dest="source", type=path, metavar="PLACE", help="another folder or file to read")
    export.add_argument(
        "--full", action="store_true", help="with all numbers and codes as they are; asks first, or wants --yes"
    )
    export.add_argument("--yes", action="store_true", help="with --full: ask nothing")
    add_config_file(export)

    command("metrics", "figures for a monitoring system, as Prometheus reads them")

    varlink = command("varlink", "the agent's interface itself")
    actions = varlink.add_subparsers(dest="action", required=True, metavar="info|call", prog="ipactl varlink")
    add_command(actions, "info", "the interface, as the agent describes it")
    call = add_command(actions, "call", "call a method")
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
        type=path,
        metavar="FILE",
        help="holds the confirmation code; without it a code that needs one asks for it on the terminal",
    )
    download.add_argument(
        "--accept-rules",
        action="store_true",
        help="consent to a profile that cannot be disabled or deleted, where the card asks for that consent",
    )
    download.add_argument("--yes", action="store_true", help="ask nothing")
    add_no_wait(download)

    card = command("card", "functions of the card for the maker's bench")
    functions = card.add_subparsers(dest="function", required=True, metavar="FUNCTION", prog="ipactl card")
    smdp = add_command(
        functions,
        "set-default-smdp",
        "name the card's default SM-DP+",
        "The server that a download without an activation code goes to. Can be changed again at any time.",
    )
    smdp.add_argument("address", metavar="ADDRESS", help="host or host:port; '' takes it away")
    immediate = add_command(
        functions,
        "immediate-enable",
        "whether profiles may be enabled right after their download",
        "A card takes it only while no manager (eIM) is on it.",
    )
    immediate.add_argument("switch", choices=("on", "off"), help="on allows it, off forbids it")
    immediate.add_argument("--smdp-oid", metavar="OID", help="only of the SM-DP+ with this object identifier")
    immediate.add_argument("--smdp", metavar="ADDRESS", help="only of the SM-DP+ with this address")
    ipae = add_command(
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


def _modem_actions(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", prog="ipactl modem")

    def action(name: str, help: str, more: str = "", *, port: bool = True) -> argparse.ArgumentParser:
        text = f"{help[0].upper()}{help[1:]}. {more}".strip()
        made = add_command(actions, name, help, text)
        add_config_file(made)
        if port:
            made.add_argument("port", metavar="PORT", help="such as /dev/ttyUSB2, or socket://host:port")
            made.add_argument("--baud", type=baud, metavar="N", help="speed of a real UART (115200)")
        return made

    action("list", "the serial ports, their modules, and who holds them", "No port is opened for it.", port=False)
    action("probe", "who answers on a port, which profile fits it, and which commands it knows")
    test = action(
        "test",
        "examine a modem: its ways to the card, their limits and times, the card, and what to do",
        "It only reads, and puts everything back. Ends with 1 when something has to change before an agent can work.",
    )
    test.add_argument("--report", type=path, metavar="FILE", help="write the report there, for a ticket")
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
    at.add_argument("--timeout", type=at_seconds, default=30.0, metavar="TIME", help="wait so long (30s; 3m at most)")
    draft = action("draft", "the draft of a module profile, made from a report", port=False)
    draft.add_argument("file", type=path, metavar="REPORT", help="what `ipactl modem test --report` wrote")
