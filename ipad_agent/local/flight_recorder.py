"""The flight recorder: APDUs, AT lines and ESipa messages with their times, for a while, into one file.

One JSON object per line. The first says what the file is and that it must not be given away unread: unlike the log
and the bundle it holds whole identifiers and orders.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from . import events
from .local_verbs import INVALID, REFUSED_BY_POLICY, Refused

MAX_BYTES: Final = 4 << 20
MAX_S: Final = 86_400.0
KEPT: Final = 2
"""So many recordings stay on the disk; older ones give way to a new one."""
_WARNING: Final = (
    "This file holds identifiers of the device and its profiles, and may hold activation codes. Do not pass it on "
    "without reading it."
)
_PATTERN: Final = "recording-*.jsonl"

Attach = Callable[["Recorder"], Callable[[], None]]
"""Connects the three taps to ``apdu``, ``at`` and ``esipa``; returns the way to end that."""


class Recorder:
    """Records into ``folder`` when it is asked to. Trouble with the disk ends the recording, never anything else."""

    def __init__(self, folder: Path, attach: Attach, *, max_bytes: int = MAX_BYTES, version: str = "") -> None:
        self._folder = folder
        self._attach = attach
        self._max_bytes = max_bytes
        self._version = version
        self._descriptor: int | None = None
        self._path = Path()
        self._size_bytes = 0
        self._began_s = 0.0
        self._detach: Callable[[], None] | None = None
        self._end: asyncio.TimerHandle | None = None

    @property
    def recording(self) -> bool:
        return self._descriptor is not None

    def start(self, seconds: float) -> str:
        """Record for so long, at most a day; the path. A recording that runs already goes on until then. Raises
        ``Refused``. To be called in the event loop."""
        if not 0 < seconds <= MAX_S:
            raise Refused(INVALID, f"A recording lasts up to {MAX_S:.0f} s.", parameter="seconds")
        if self._descriptor is None:
            self._open()
            if self._descriptor is None:  # the disk took the name and not the first line
                raise Refused(REFUSED_BY_POLICY, f"{self._path} cannot be written.")
            self._detach = self._attach(self)
        if self._end is not None:
            self._end.cancel()
        self._end = asyncio.get_running_loop().call_later(seconds, self.stop, "its time is over")
        events.RECORDING.emit(path=self._path, seconds=seconds)
        return str(self._path)

    def stop(self, why: str = "it was stopped") -> None:
        """End the recording, if there is one."""
        if self._descriptor is None:
            return
        detach, self._detach = self._detach, None
        if detach is not None:
            detach()
        if self._end is not None:
            self._end.cancel()
            self._end = None
        descriptor, self._descriptor = self._descriptor, None
        os.close(descriptor)
        events.RECORDED.emit(path=self._path, why=why, size_bytes=self._size_bytes)

    # -- what the taps call ------------------------------------------------------------------------------------------

    def apdu(self, command: bytes, answer: bytes) -> None:
        """A command APDU and its answer with the status word; empty when none came."""
        self._write({"apdu": command.hex(), "answer": answer.hex()})

    def at(self, direction: str, data: bytes) -> None:
        """Bytes on the serial line, ``sent`` or ``received``."""
        self._write({"at": direction, "text": data.decode("ascii", "backslashreplace")})

    def esipa(self, function: str, request: bytes, answer: bytes | None) -> None:
        """An exchange with an eIM as it was on the carrier; no answer is None."""
        self._write({"esipa": function, "request": request.hex(), "answer": None if answer is None else answer.hex()})

    # -- inside --------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._path = self._folder / time.strftime("recording-%Y%m%dT%H%M%SZ.jsonl", time.gmtime())
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._make_room()
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self._path, flags, 0o600)
            os.fchmod(self._descriptor, 0o600)
        except OSError as error:
            raise Refused(REFUSED_BY_POLICY, f"{self._path} cannot be written: {error.strerror or error}.") from error
        self._size_bytes, self._began_s = 0, time.monotonic()
        self._write({"recording": 1, "version": self._version, "begun_s": int(time.time()), "warning": _WARNING})

    def _make_room(self) -> None:
        kept = sorted(self._folder.glob(_PATTERN))
        for old in kept[: max(0, len(kept) - KEPT + 1)]:
            with contextlib.suppress(OSError):
                old.unlink()

    def _write(self, entry: dict[str, object]) -> None:
        if self._descriptor is None:
            return
        line = json.dumps({"t": round(time.monotonic() - self._began_s, 4), **entry}).encode("ascii") + b"\n"
        if self._size_bytes + len(line) > self._max_bytes:
            self.stop("it is as large as it may be")
            return
        try:
            os.write(self._descriptor, line)
        except OSError as error:
            self.stop(f"the disk refused it ({error.strerror or error})")
            return
        self._size_bytes += len(line)
