"""The other end of a serial line, for benchmarks: the lab's modem behind a line that takes as long as its bytes.

A program of its own on a pseudo-terminal, which does nothing but keep time. It looks at the clock instead of sleeping,
so that neither the timers nor the scheduler of the operating system are measured, and it knows its answers in advance:
a command that came before is answered from memory. What is left is the line, and whoever sits at its other end. It
takes a processor for itself.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
import tty
from collections.abc import Callable
from multiprocessing.synchronize import Event as Flag
from pathlib import Path

from ipad_agent.lab.modem import AtEngine, Send

BITS_PER_BYTE = 10
SLICE_BYTES = 16
"""Handed over at once, as the FIFO of a UART does."""
_SPIN_S = 0.001
"""Before a deadline, the clock is watched; further away, there is time to sleep."""
_PATIENCE_S = 0.02
"""So long after an answer the next command is watched for; then there is time to sleep."""


class LinePeer:
    """A line of ``baud`` bit/s with the engine at its end. ``may_remember`` says which commands change nothing, so that
    they are answered as before."""

    def __init__(self, engine: AtEngine, baud: int, may_remember: Callable[[bytes], bool]) -> None:
        self._engine = engine
        self._byte_s = BITS_PER_BYTE / baud
        self._may_remember = may_remember
        self._known: dict[bytes, bytes] = {}

    def serve(self, path: Path, ready: Flag, stop: Flag) -> None:
        """Until ``stop``: a pseudo-terminal behind the link ``path``."""
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        path.symlink_to(os.ttyname(slave))
        ready.set()
        try:
            while not stop.is_set():
                self._answer(master)
        finally:
            os.close(master)
            os.close(slave)

    def _answer(self, master: int) -> None:
        """One command, from its first byte to the last of its answer."""
        command, here_s = bytearray(), 0.0
        quiet_since_s = time.perf_counter()
        while not command.endswith(b"\r"):
            data = b""
            with contextlib.suppress(BlockingIOError):
                data = os.read(master, 4096)
            now_s = time.perf_counter()
            if data:
                here_s = max(here_s, now_s) + len(data) * self._byte_s
                command += data
            elif not command and now_s - quiet_since_s > _PATIENCE_S:
                if not select.select([master], [], [], 0.1)[0]:
                    return
                quiet_since_s = time.perf_counter()
        answer = self._known.get(bytes(command))
        if answer is None:
            answer = self._asked(bytes(command))
        for at in range(0, len(answer), SLICE_BYTES):
            piece = answer[at : at + SLICE_BYTES]
            here_s += len(piece) * self._byte_s
            _until(here_s)
            os.write(master, piece)

    def _asked(self, command: bytes) -> bytes:
        outputs = self._engine.feed(command, time.perf_counter())
        answer = b"".join(output.data for output in outputs if isinstance(output, Send))
        if self._may_remember(command):
            self._known[command] = answer
        return answer


def _until(due_s: float) -> None:
    left_s = due_s - time.perf_counter() - _SPIN_S
    if left_s > 0:
        time.sleep(left_s)
    while time.perf_counter() < due_s:
        pass
