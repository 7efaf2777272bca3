"""How much of a serial line's speed the agent uses: the time of a long STORE DATA chain beside its bytes' own.

    python bench/serial_line.py [--blocks 60] [--rounds 5] [--baud 115200 460800 921600]

The bound is computed from what went over the line: every byte of the commands and of their answers takes ten bits, and
one waits for the other. What is missing to 100 % is the agent's turn-around and the operating system's. The other end
is a process that does nothing but keep time (``line_peer.py``). How little it takes itself is shown by a bare client
that only writes the same bytes and reads the answers, in turns with the agent, so that both have the same weather. Its
figure tells what the day is good for: on a quiet machine with two processors it has 99 % (98 % at 921600).
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import re
import select
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Event as Flag
from pathlib import Path
from statistics import median

from figures import Figure, rows
from line_peer import BITS_PER_BYTE, LinePeer

from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.lab.modem import AtEngine, personality
from ipad_agent.modem.at import at_session
from ipad_agent.modem.module_profile_files import load, search_path
from ipad_agent.modem.port.serial_port import SerialPortOpener, SerialSettings
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess

BLOCK_BYTES = 255
GOALS = {115200: 97, 460800: 95, 921600: 92}
"""Per cent of the bound."""
STORE_DATA = re.compile(rb'"8[0-3]E2(?!9[0-9A-F]00.{2}BF3E)')
FINAL = re.compile(rb"\r\n(OK|ERROR)\r\n$")


class QuickCard:
    """Opens channels, selects everything, tells an EID, and answers every block at once."""

    def __init__(self) -> None:
        self._waiting = b""

    def reset(self) -> None:
        self._waiting = b""

    def transmit(self, apdu: bytes) -> bytes:
        instruction = apdu[1]
        if instruction == 0x70:
            return b"\x01\x90\x00" if apdu[2] == 0 else b"\x90\x00"
        if instruction == 0xC0:
            return self._waiting + b"\x90\x00"
        if instruction == 0xE2 and apdu[5:8] == b"\xbf\x3e\x03":
            self._waiting = bytes.fromhex("BF3E125A1089049032123451234512345678901235")
            return bytes([0x61, len(self._waiting)])
        return b"\x90\x00"


def play_modem(path: str, baud: int, ready: Flag, stop: Flag) -> None:
    """The lab's modem, for a process of its own. A block of STORE DATA changes nothing on this card."""
    engine = AtEngine(QuickCard(), personality("generic", echo=False, max_line_bytes=1024))
    LinePeer(engine, baud, lambda command: STORE_DATA.search(command) is not None).serve(Path(path), ready, stop)


@dataclass(frozen=True)
class Times:
    """Of one chain: the line's own (with a baud rate of 1), and the medians of agent and bare client, in seconds.
    ``cpu_s`` is the agent's processor time."""

    bits: int
    blocks: int
    agent_s: float
    cpu_s: float
    bare_s: float


async def in_turns(path: Path, way: str, blocks: int, rounds: int) -> Times:
    """The agent, and on the same channel the bare client, which the waiting agent cannot see."""
    settings = SerialSettings(path, lock_folder=path.parent, own_lock_folder=path.parent)
    access = ModemCardAccess(SerialPortOpener(settings), load(search_path()), forced_way=way)
    session = IsdrSession(access, terminal_capability="never")
    size = blocks * BLOCK_BYTES - 5
    request = b"\xbf\x36\x82" + size.to_bytes(2, "big") + bytes(size)
    agent_s, cpu_s, bare_s = list[float](), list[float](), list[float]()
    commands: list[bytes] = []
    moved = 0

    def count(direction: str, data: bytes) -> None:
        nonlocal moved
        moved += len(data)
        if direction == "sent":
            commands.append(data)

    port = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        transport = await session.transport()
        untap = at_session.tap(count)
        await transport.es10(request, idempotent=True)  # the other end knows the answers from now on
        untap()
        for _ in range(rounds):
            began_s, cpu_began_s = time.perf_counter(), time.process_time()
            await transport.es10(request, idempotent=True)
            agent_s.append(time.perf_counter() - began_s)
            cpu_s.append(time.process_time() - cpu_began_s)
            began_s = time.perf_counter()
            for command in commands:
                _exchange(port, command)
            bare_s.append(time.perf_counter() - began_s)
    finally:
        os.close(port)
        await session.drop()
        await access.close()
    return Times(moved * BITS_PER_BYTE, len(commands), median(agent_s), median(cpu_s), median(bare_s))


def _exchange(port: int, command: bytes) -> None:
    os.write(port, command)
    received = b""
    while not FINAL.search(received):
        if not select.select([port], [], [], 10.0)[0]:
            raise TimeoutError(f"no answer to {command[:12]!r}")
        received += os.read(port, 4096)


def measured(way: str, baud: int, blocks: int, rounds: int) -> Figure:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "modem"
        context = multiprocessing.get_context("fork")
        ready, stop = context.Event(), context.Event()
        modem = context.Process(target=play_modem, args=(str(path), baud, ready, stop))
        modem.start()
        try:
            if not ready.wait(30):
                raise TimeoutError("the lab's modem does not start")
            times = asyncio.run(in_turns(path, way, blocks, rounds))
        finally:
            stop.set()
            modem.join()
    bound_s = times.bits / baud
    each_ms = (times.agent_s - times.bare_s) / times.blocks * 1000
    about = (
        f"of {bound_s * 1000:,.0f} ms that the bytes alone take; a bare client {bound_s / times.bare_s:.1%},"
        f" the agent's own {each_ms:.2f} ms a block, {times.cpu_s / times.blocks * 1000:.2f} ms of processor time"
    )
    name = f"serial line used, {baud} baud, AT+{way.upper()}"
    return Figure(name, "%", bound_s / times.agent_s * 100, GOALS.get(baud), about, more_is_better=True)


def measure(
    blocks: int = 60, rounds: int = 5, bauds: Sequence[int] = tuple(GOALS), ways: Sequence[str] = ("cgla", "csim")
) -> list[Figure]:
    """The share of each line's speed that one chain uses, both ways to the card."""
    return [measured(way, baud, blocks, rounds) for baud in bauds for way in ways]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--blocks", type=int, default=60, help="of 255 bytes, in one chain")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--baud", type=int, nargs="+", default=sorted(GOALS))
    arguments = parser.parse_args()
    load_now = f"load {os.getloadavg()[0]:.1f}"
    print(f"{arguments.blocks} blocks of {BLOCK_BYTES} bytes, median of {arguments.rounds} ({load_now})")
    print("\n".join(rows(measure(arguments.blocks, arguments.rounds, arguments.baud))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
