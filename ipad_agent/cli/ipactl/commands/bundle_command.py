"""``ipactl bundle``: the support bundle, from the running agent, or made here when none runs."""

from __future__ import annotations

import asyncio
import base64
import binascii
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.errors import NoAnswerError, NotRunningError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.new_file import STANDARD_OUTPUT, new_file
from ipad_agent.cli.ipactl.output.terminal_output import clean
from ipad_agent.cli.ipactl.varlink_client import CARD_TIMEOUT_S

if TYPE_CHECKING:
    from ipad_agent.doctor import Item

GZIP: Final = b"\x1f\x8b"
"""How a .tar.gz begins."""


def bundle(command: CommandContext) -> int:
    """Write it where only this user can read it, never over another file."""
    try:
        content = _asked(command)
    except NotRunningError as trouble:
        if getattr(command.arguments, "socket", None) is not None:
            raise
        sys.stderr.write(f"{clean(trouble.message)} Looking at the device without it; this may take minutes.\n")
        with _opened(command) as (file, name):
            # First the file, as this user; then the rest, as the agent's.
            content = _made_here(command)
            file.write(content)
    else:
        with _opened(command) as (file, name):
            file.write(content)
    if name is None:
        return Exit.DONE
    if command.json:
        command.data({"path": name, "size_bytes": len(content)})
        return Exit.DONE
    command.tell(
        f"{name}: {len(content)} bytes, for whoever helps you.",
        "Its README.txt says what is in it. Numbers of card and device are shortened; there are no keys in it.",
    )
    return Exit.DONE


def _asked(command: CommandContext) -> bytes:
    with command.connect() as agent:
        encoded = agent.call("Bundle", timeout_s=CARD_TIMEOUT_S).get("bundle")
    try:
        content = base64.b64decode(encoded, validate=True) if isinstance(encoded, str) else b""
    except (binascii.Error, ValueError):
        content = b""
    if not content.startswith(GZIP):
        raise NoAnswerError("The bundle did not arrive in one piece.")
    return content


def _made_here(command: CommandContext) -> bytes:
    from ipad_agent.clock import SystemClock
    from ipad_agent.doctor.bundle.bundle_sources import collect
    from ipad_agent.doctor.bundle.support_bundle import build

    from .doctor_command import alone, configuration

    config = configuration(command)
    items: list[Item] = []
    asyncio.run(alone(config, items.append))
    return build(collect(config, clock=SystemClock(), doctor=items))


@contextmanager
def _opened(command: CommandContext) -> Iterator[tuple[BinaryIO, str | None]]:
    """The file that the command line names, or one named after the time, and its name; the standard output has none."""
    path = Path(command.arguments.output or time.strftime("ipad-agent-%Y%m%d-%H%M%S.tar.gz"))
    with new_file(path, hint="Choose another name with -o.") as file:
        yield file, None if str(path) == STANDARD_OUTPUT else str(path)
