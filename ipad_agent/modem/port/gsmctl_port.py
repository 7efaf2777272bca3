"""The modem behind ``gsmctl`` of Teltonika's RutOS (``modem.port = "gsmctl"``), whose gsmd owns all AT ports.

Each command is a program of its own, ``gsmctl -A COMMAND``, so that gsmd's own commands and ours do not mix. What the
module announces by itself is not heard. How long a command may be and how long gsmd waits for the answer is not
documented; the agent steps down to shorter blocks by itself.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from ipad_agent.modem.errors import PortUnavailable

from .command_stream import CommandStream

PROGRAM: Final = "gsmctl"
ANSWER_LIMIT_S: Final = 300.0
"""Longer than any deadline of a command: what hangs for so long is ended."""
MAX_ANSWER_BYTES: Final = 65_536
_FINAL: Final = re.compile(rb"(OK|ERROR|\+CM[ES] ERROR:.*|NO CARRIER|COMMAND NOT SUPPORT)", re.IGNORECASE)


class GsmctlOpener:
    """There is nothing to open; it is only seen whether the program is there."""

    def __init__(self, program: str = PROGRAM) -> None:
        self._program = program

    async def open(self) -> GsmctlStream:
        """Raises ``PortUnavailable`` on a machine without the program."""
        import shutil  # it loads every kind of compression

        path = shutil.which(self._program)
        if path is None:
            raise PortUnavailable(
                f"there is no program {self._program} here",
                hint='modem.port = "gsmctl" is for Teltonika\'s RutOS; elsewhere name the AT port of the modem.',
            )
        return GsmctlStream(path)

    def note_silence(self) -> None:
        """See ``PortOpener``; there is no other way to try."""


class GsmctlStream(CommandStream):
    """One program per line written, one after the other; its output arrives as the answer of a modem without echo."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    @property
    def description(self) -> str:
        return PROGRAM

    async def _answer(self, command: str) -> bytes:
        """The answer to one command, with a final result whether the program prints one or not."""
        try:
            process = await asyncio.create_subprocess_exec(
                self._path,
                "-A",
                command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError:
            return answer_of(b"", failed=True)
        assert process.stdout is not None
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                out = await process.stdout.read(MAX_ANSWER_BYTES)
                while out and len(out) < MAX_ANSWER_BYTES and (more := await process.stdout.read(MAX_ANSWER_BYTES)):
                    out += more
                status = await process.wait()
        except TimeoutError:
            return answer_of(b"", failed=True)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return answer_of(out, failed=status != 0)


def answer_of(out: bytes, *, failed: bool) -> bytes:
    """What a modem would have sent: the lines of the output, and a final result if there was none."""
    lines = [line.strip() for line in out.splitlines() if line.strip()]
    if not lines or _FINAL.fullmatch(lines[-1]) is None:
        lines.append(b"ERROR" if failed else b"OK")
    return b"\r\n" + b"\r\n".join(lines) + b"\r\n"
