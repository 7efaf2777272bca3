"""From the command line to its exit status: one place where every kind of trouble gets its words."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Final

from ipad_agent.errors import ConfigError, IpadError

from .command_context import CommandContext
from .command_line import build
from .command_parser import OtherCommandError
from .errors import CommandError, OutputError, UsageError
from .exit_codes import Exit
from .guessed_words.suggesting_parser import WrongWordsError, left_over

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

INTERRUPTED = 130
FEW = 30
"""So many names of fields are told at once."""


def run(argv: list[str] | None) -> int:
    """Parse, do, and say what went wrong. Ends the process by ``SystemExit`` (2) when the words make no sense."""
    _speak_to_any_terminal()
    words = _as_options(sys.argv[1:] if argv is None else argv)
    try:
        arguments = _parsed(words)
    except WrongWordsError as wrong:
        _tell_wrong_words(wrong, words)
        raise
    try:
        command = CommandContext(arguments)
    except UsageError as error:
        return _unusable(error)
    try:
        status = int(_handler(arguments.command)(command))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        _no_more_output()  # somebody read only the beginning (`| head`)
        return Exit.FAILED
    except OutputError as error:
        _no_more_output()
        command.complain(error)
        return error.exit
    except CommandError as error:
        command.complain(error)
        return error.exit
    except ConfigError as error:
        command.complain(UsageError(str(error), hint=error.hint))
        return Exit.USAGE
    except IpadError as error:
        command.complain(CommandError(error.message, hint=error.hint))
        return Exit.FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _as_options(words: list[str]) -> list[str]:
    """``ipactl help poll`` and ``ipactl version`` as the options that other people write."""
    if words[:1] == ["help"]:
        return [*words[1:], "--help"]
    return ["--version", *words[1:]] if words[:1] in (["version"], ["-V"]) else words


def _tell_wrong_words(wrong: WrongWordsError, words: list[str]) -> None:
    """Before the command is known; in JSON where that is asked for, in words that may be right."""
    pairs = list(pairwise(words))
    in_json = (
        "--json" in words
        or "--format=json" in words
        or any(pair in pairs for pair in (("-o", "json"), ("--format", "json")))
    )
    command = CommandContext(argparse.Namespace(json=in_json, socket=""))
    if wrong.usage and not in_json:
        sys.stderr.write(f"{wrong.usage}\n")
    command.complain(UsageError(wrong.sentence, hint=wrong.hint))


def _unusable(error: UsageError) -> int:
    """Before anything is known about how to say it."""
    sys.stderr.write(f"ipactl: {error.message} {error.hint}\n")
    return error.exit


def _parsed(words: list[str]) -> argparse.Namespace:
    """Without a command, status is meant."""
    try:
        parser, arguments = _parsed_by(build(only=next((word for word in words if word in HANDLERS), "status")), words)
    except OtherCommandError:
        parser, arguments = _parsed_by(build(), words)
    fields, chosen = arguments.fields, arguments.format
    if fields is not None or chosen == "table":
        _check_fields(parser, arguments.command, fields, "json" if arguments.json and chosen is None else chosen)
    return arguments


def _parsed_by(parser: argparse.ArgumentParser, words: list[str]) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    arguments, left = parser.parse_known_args(words)
    if left:
        raise left_over(parser, arguments, left)
    return parser, parser.parse_args([*words, "status"]) if arguments.command is None else arguments


def _check_fields(
    parser: argparse.ArgumentParser, command: str, fields: tuple[str, ...] | None, chosen: str | None
) -> None:
    """A wrong name is told at once, and not by an empty answer."""
    from .output.field_names import ANSWERS

    if chosen == "json":
        parser.error("--fields is for --format keyvalue and table; JSON has them all")
    answer = ANSWERS.get(command)
    if answer is None:
        parser.error(f"what `ipactl {command}` answers has no fixed fields; see --json")
    known = answer.all_names()
    for field in fields or ():
        group = chosen == "keyvalue" and any(name.startswith((field + ".", field + "[].")) for name in known)
        if field not in known and not group:
            similar = known if len(known) <= FEW else [name for name in known if field.split(".")[-1] in name]
            those = f"it has {', '.join(known)}" if similar is known else f"similar: {', '.join(similar[:FEW])}"
            parser.error(f"{command} has no field {field!r}; {those if similar else 'see the manual page'}")


def _handler(command: str) -> Callable[[CommandContext], int]:
    module, _, function = HANDLERS[command].rpartition(".")
    handler: Callable[[CommandContext], int] = getattr(importlib.import_module(f".{module}", __package__), function)
    return handler


def _no_more_output() -> None:
    """Python must not complain once more at its end about what it could not write."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _speak_to_any_terminal() -> None:
    """A character that the locale has not got must never end the command, nor an output that is closed (`>&-`)."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - as long as the process
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # streams that tests put there
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # TextIOWrapper, or it has none
