"""What every command has at hand: its words, a paper to write on, and the way to the agent."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TextIO

from ipad_agent.cli.ipactl.output.terminal_output import TerminalOutput, clean

from .errors import CommandError, NotRunningError, OutputError, UsageError
from .exit_codes import Exit
from .varlink_client import DEFAULT_SOCKET, NAMED_AGENTS, Connection

if TYPE_CHECKING:
    from ipad_agent.local.status_model import Status

DEFAULT_CONFIG: Final = "/etc/ipad-agent/config.toml"
SOCKET_VARIABLE: Final = "IPACTL_SOCKET"
MODEM_VARIABLE: Final = "IPACTL_MODEM"


class CommandContext:
    """``arguments`` as parsed. Lines go to ``out``, in the order in which they are said."""

    def __init__(self, arguments: argparse.Namespace, out: TextIO | None = None) -> None:
        self.arguments = arguments
        self.out = sys.stdout if out is None else out
        self.output = TerminalOutput.of(self.out)
        chosen: str | None = getattr(arguments, "format", None)
        self.fields: tuple[str, ...] | None = getattr(arguments, "fields", None)
        self.format = chosen or ("table" if self.fields else "json" if getattr(arguments, "json", False) else None)
        self.json = self.format is not None
        """Whether the answer is for a program, in whatever form ``data`` gives it."""
        self.agent: str | None = _agent_name(arguments)
        """The name of the agent that is meant, where there are several; None for the one without a name."""
        if getattr(arguments, "socket", None) is None:
            if self.agent is None:
                arguments.socket = os.environ.get(SOCKET_VARIABLE) or None
            else:
                arguments.socket = os.path.join(NAMED_AGENTS, self.agent, os.path.basename(DEFAULT_SOCKET))
        if self.agent is not None and str(getattr(arguments, "config", "")) == DEFAULT_CONFIG:
            from pathlib import Path

            arguments.config = Path(os.path.dirname(DEFAULT_CONFIG)) / f"{self.agent}.toml"

    def say(self, lines: Iterable[str]) -> None:
        """Write these lines now."""
        try:
            for line in lines:
                self.out.write(line + "\n")
            self.out.flush()
        except BrokenPipeError:
            raise  # somebody read only the beginning
        except OSError as error:
            raise OutputError(f"The output cannot be written: {error.strerror or error}.") from None

    def tell(self, sentence: str, hint: str | None = None) -> None:
        """Write a sentence, and what to do below it."""
        self.say(self.output.note("●", sentence, "good"))
        if hint:
            self.say(self.output.note(" ", hint, "label"))

    def done(self, sentence: str, hint: str | None = None) -> Exit:
        """Say that what was asked is done, to a person or a program; the exit status of that."""
        if self.json:
            self.data({"done": True, "sentence": sentence})
        else:
            self.tell(sentence, hint)
        return Exit.DONE

    def data(self, value: object, *, one_line: bool = False) -> None:
        """Write a value as JSON, in ASCII: whatever a name contains, no terminal is confused by it. Or as the command
        line wants it. ``one_line``: one of several values."""
        if self.format in ("keyvalue", "table"):
            self.say(self._for_scripts(value, apart=one_line))
        else:
            self.say([json.dumps(value, indent=None if one_line else 2)])

    def _for_scripts(self, value: object, *, apart: bool) -> Iterator[str]:
        from ipad_agent.cli.ipactl.output.field_names import ANSWERS
        from ipad_agent.cli.ipactl.output.script_formats import key_values, row

        answer = ANSWERS.get(self.arguments.command)
        if self.format == "table" and answer is not None:
            found = value.get(answer.key, value) if isinstance(value, Mapping) and answer.key is not None else value
            for item in found if isinstance(found, list) else [found]:
                yield row(item, self.fields or answer.all_names())
            return
        fields = self.fields
        if fields is not None and answer is not None and answer.key is not None:
            many = isinstance(value, Mapping) and isinstance(value.get(answer.key), list)
            fields = tuple(f"{answer.key}{'[]' if many else ''}.{field}" for field in fields)
        yield from key_values(value, fields)
        if apart:
            yield ""

    def complain(self, error: CommandError) -> None:
        """Say what went wrong: for people on the error output, as JSON where the answer was expected."""
        if self.format == "json" and not isinstance(error, OutputError):
            content = {
                "name": error.name,
                "sentence": error.message,
                "hint": error.hint or None,
                "exit": int(error.exit),
            }
            self.data({"error": content})
            return
        output = TerminalOutput.of(sys.stderr)
        lines = output.note("✗", clean(error.message), "bad")
        if error.hint:
            lines += output.note(" ", f"What to do: {clean(error.hint)}", "label")
        sys.stderr.write("\n".join(lines) + "\n")

    def connect(self) -> Connection:
        """A connection to the agent: where the command line says, where the agent is by default, or else where its
        configuration puts the socket."""
        chosen: str | None = getattr(self.arguments, "socket", None)
        waiting = self._tell_waiting if sys.stderr.isatty() else None
        if chosen is not None:
            return Connection(chosen, waiting=waiting)
        try:
            return Connection(DEFAULT_SOCKET, waiting=waiting)
        except NotRunningError:
            configured = _configured_socket()
            if configured is None or configured == DEFAULT_SOCKET:
                raise
        return Connection(configured, waiting=waiting)

    def _tell_waiting(self) -> None:
        """On a terminal, apart from what is asked for: it would look as if nothing happened."""
        sys.stderr.write(
            "The agent is at work. Waiting for its answer; Ctrl-C ends that, `ipactl status` says at what.\n"
        )

    def status(self) -> tuple[Status, Mapping[str, object]]:
        """The picture of now, as a value and as it came."""
        with self.connect() as agent:
            plain = agent.call("GetStatus").get("status")
        from ipad_agent.cli.ipactl.output.status_from_json import read
        from ipad_agent.local.status_model import Status

        return read(Status, plain), plain if isinstance(plain, dict) else {}


def _agent_name(arguments: argparse.Namespace) -> str | None:
    """What the command line says, else the environment; a socket that is named there goes before the environment.
    Raises ``UsageError``."""
    named: str | None = getattr(arguments, "agent_name", None)
    if named is None and getattr(arguments, "socket", None) is None:
        named = os.environ.get(MODEM_VARIABLE) or None
    if named is None:
        return None
    if not (named.isascii() and named.isidentifier() and len(named) <= 32 and named != "config"):
        raise UsageError(
            f"{clean(named)!r} is no name of an agent.",
            hint="Letters, digits and _, as in ipad-agent@NAME.service; `ipactl modem list` shows those that run.",
        )
    if getattr(arguments, "socket", None) is not None:
        raise UsageError("--modem and --socket both say which agent is meant.", hint="Name one of them.")
    return named


def running_agents(command: CommandContext) -> Iterator[tuple[str, Connection]]:
    """A connection to each agent that listens on this machine, with its name: empty for the one that is asked when
    nothing else is said, else that of its unit ``ipad-agent@NAME``."""
    seen = set()
    with suppress(CommandError):
        first = command.connect()
        seen.add(os.path.realpath(first.path))
        yield command.agent or "", first
    for name, path in instance_sockets():
        with suppress(CommandError):
            if os.path.realpath(path) not in seen:
                yield name, Connection(path)


def instance_sockets() -> Iterator[tuple[str, str]]:
    """The names of the agents of ``ipad-agent@.service`` that run, or did, and their sockets."""
    try:
        names = sorted(os.listdir(NAMED_AGENTS))
    except OSError:
        return
    for name in names:
        yield name, os.path.join(NAMED_AGENTS, name, os.path.basename(DEFAULT_SOCKET))


def _configured_socket() -> str | None:
    """Where the configuration file puts the socket; None when nobody can tell from here."""
    if not os.path.exists(DEFAULT_CONFIG):  # pathlib costs more than the rest of the question
        return None
    from pathlib import Path

    from ipad_agent.config import load
    from ipad_agent.errors import ConfigError

    try:
        config = load(Path(DEFAULT_CONFIG))
    except ConfigError:
        return None
    return str(config.local.socket_path or config.store.runtime_dir / "io.github.ipadagent")
