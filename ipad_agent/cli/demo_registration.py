"""The demo with a consumer card: what the device's owner and the eIM's operator do once, before anything else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.eim.errors import OrderError

from .demo_screen import Screen

CONSUMER_CARD: Final = """\
This time the chip is a consumer card, as in telephones: it knows no eIM, verifies no order and signs no result. The
agent does that in its place, with a key in a file on this device (card.emulate_iot = "when-needed"). First the eIM has
to get to know that key; then it orders a list of the profiles too. Nothing of this can be certified;
docs/emulation.md says what such a signature is worth."""


class NotRegisteredError(Exception):
    """The eIM did not get to know the device's key."""


async def register(bench: Bench, screen: Screen) -> None:
    """Export the device's key and import it at the eIM. Raises ``NotRegisteredError``."""
    file = bench.folder / "import.json"
    words = ("emulation", "export", str(file), "--config", str(bench.agent.config))
    export = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ipad_agent.cli.ipactl", *words),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await export.communicate()
    if export.returncode:
        raise NotRegisteredError(f"ipactl emulation export: {complaint.decode(errors='replace').strip()}")
    screen.step(
        "owner", f"writes the device's public key and its proof into a file: ipactl emulation export {file.name}"
    )
    try:
        bench.eim.eim.import_device(file.read_bytes())
    except OrderError as refusal:
        raise NotRegisteredError(f"the eIM refused the import file: {refusal}") from refusal
    screen.step("eIM", "verified the proof; its operator compared the key's fingerprint and registered the device")


@asynccontextmanager
async def polling(socket: Path) -> AsyncIterator[None]:
    """Have the agent ask for work at once, as a technician does; the command waits for the outcome meanwhile."""
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ipad_agent.cli.ipactl", "--socket", str(socket), "poll"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        if command.returncode is None:
            command.terminate()
        await command.wait()
