"""What every command has at hand: its words, a paper to write on, and the way to the agent."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from ipad_agent.cli.ipactl.output.terminal_output import TerminalOutput, clean

from .errors import CommandError, NotRunningError
from .varlink_client import DEFAULT_SOCKET, Connection

if TYPE_CHECKING:
    from ipad_agent.local.status_model import Status

DEFAULT_CONFIG: Final = Path("/etc/ipad-agent/config.toml")


class CommandContext:
    """``arguments`` as parsed. Lines go to ``out``, in the order in which they are said."""

    def __init__(self, arguments: argparse.Namespace, out: TextIO | None = None) -> None:
        self.arguments = arguments
        self.out = sys.stdout if out is None else out
        self.output = TerminalOutput.of(self.out)
        self.json: bool = getattr(arguments, "json", False)

    def say(self, lines: Iterable[str]) -> None:
        """Write these lines now."""
        for line in lines:
            self.out.write(line + "\n")
        self.out.flush()

    def tell(self, sentence: str, hint: str | None = None) -> None:
        """Write a sentence, and what to do below it."""
        self.say(self.output.note("●", sentence, "good"))
        if hint:
            self.say(self.output.note(" ", hint, "label"))

    def data(self, value: object, *, one_line: bool = False) -> None:
        """Write a value as JSON, in ASCII: whatever a name contains, no terminal is confused by it."""
        self.say([json.dumps(value, indent=None if one_line else 2)])

    def complain(self, error: CommandError) -> None:
        """Say what went wrong: for people on the error output, as JSON where the answer was expected."""
        if self.json:
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
        if chosen is not None:
            return Connection(chosen)
        try:
            return Connection(DEFAULT_SOCKET)
        except NotRunningError:
            configured = _configured_socket()
            if configured is None or configured == DEFAULT_SOCKET:
                raise
        return Connection(configured)

    def status(self) -> tuple[Status, Mapping[str, object]]:
        """The picture of now, as a value and as it came."""
        with self.connect() as agent:
            plain = agent.call("GetStatus").get("status")
        from ipad_agent.cli.ipactl.output.status_from_json import read
        from ipad_agent.local.status_model import Status

        return read(Status, plain), plain if isinstance(plain, dict) else {}


def _configured_socket() -> str | None:
    """Where the configuration file puts the socket; None when nobody can tell from here."""
    if not DEFAULT_CONFIG.exists():
        return None
    from ipad_agent.config import load
    from ipad_agent.errors import ConfigError

    try:
        config = load(DEFAULT_CONFIG)
    except ConfigError:
        return None
    return str(config.local.socket_path or config.store.runtime_dir / "io.github.ipadagent")
