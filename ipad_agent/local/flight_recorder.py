"""The flight recorder: what is said to modem, card and servers, with time and direction, in a bounded ring on the disk.

Unlike the log and the bundle the ring holds whole identifiers and orders; ``ipactl record export`` makes a file of it
that may be given away.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ipad_agent.recording import events as ring_events
from ipad_agent.recording.recording_format import APDU, AT, RECEIVED, SENT, Record, header
from ipad_agent.recording.segment_ring import SegmentRing

from . import events
from .local_verbs import INVALID, REFUSED_BY_POLICY, RecorderState, Refused

MAX_BYTES: Final = 4 << 20
MAX_S: Final = 86_400.0
MAX_LINE_BYTES: Final = 16_384
"""Received bytes without an end of line are recorded once they are so many."""
_KEY_INSTRUCTIONS: Final = (0x88, 0x89)
"""AUTHENTICATE: its answer holds the session keys of the network (TS 31.102 §7.1.2)."""

Attach = Callable[["Recorder"], Callable[[], None]]
"""Connects the taps to ``apdu``, ``at`` and ``message``; returns the way to end that."""


class Recorder:
    """Records into ``folder`` when it is asked to. Trouble with the disk ends the recording, never anything else."""

    def __init__(self, folder: Path, attach: Attach, *, max_bytes: int = MAX_BYTES, version: str = "") -> None:
        self._folder = folder
        self._attach = attach
        self._max_bytes = max_bytes
        self._version = version
        self._ring: SegmentRing | None = None
        self._session = ""
        self._began_s = 0.0
        self._records = 0
        self._ended = ""
        self._unfinished = bytearray()
        self._authenticating = False
        self._detach: Callable[[], None] | None = None
        self._end: asyncio.TimerHandle | None = None

    @property
    def recording(self) -> bool:
        return self._ring is not None

    @property
    def state(self) -> RecorderState:
        """What it does."""
        left_s = None if self._end is None else max(0.0, self._end.when() - asyncio.get_running_loop().time())
        ended = "" if self.recording else self._ended
        return RecorderState(self.recording, str(self._folder), self._max_bytes, left_s, self._records, ended)

    def start(self, seconds: float | None) -> str:
        """Record for so long, at most a day, or until it is stopped; the folder. A recording that runs already goes on
        until then. Raises ``Refused``. To be called in the event loop."""
        if seconds is not None and not 0 < seconds <= MAX_S:
            raise Refused(INVALID, f"A recording lasts up to {MAX_S:.0f} s.", parameter="seconds")
        if self._ring is None:
            self._open()
            self._detach = self._attach(self)
        if self._end is not None:
            self._end.cancel()
            self._end = None
        if seconds is None:
            ring_events.RECORDING_ON.emit(path=self._folder)
        else:
            self._end = asyncio.get_running_loop().call_later(seconds, self.stop, "its time is over")
            events.RECORDING.emit(path=self._folder, seconds=seconds)
        return str(self._folder)

    def stop(self, why: str = "it was stopped") -> None:
        """End the recording, if there is one."""
        if self._ring is None:
            return
        self._finish_line()
        if self._ring is not None:  # the last line may have been one too many for the disk
            self._close(why)
            events.RECORDED.emit(path=self._folder, why=why, records=self._records)

    # -- what the taps call ------------------------------------------------------------------------------------------

    def apdu(self, way: str, data: bytes) -> None:
        """A command APDU, ``sent``, or its answer with the status word, ``received``; empty when none came. Of
        AUTHENTICATE there are only the header and the status word: keys are not recorded."""
        if way == SENT:
            self._authenticating = len(data) > 1 and data[1] in _KEY_INSTRUCTIONS
            kept = data[:4] if self._authenticating else data
        else:
            kept = data[-2:] if self._authenticating else data
        self._write(APDU, way, kept)

    def at(self, way: str, data: bytes) -> None:
        """Bytes on the serial line, ``sent`` or ``received``; what is received is recorded by lines."""
        if way == SENT:
            self._finish_line()
            self._write(AT, SENT, data)
            return
        self._unfinished += data
        end = self._unfinished.rfind(b"\n") + 1
        for line in bytes(self._unfinished[:end]).split(b"\n")[:-1]:
            self._received(line + b"\n")
        del self._unfinished[:end]
        if len(self._unfinished) > MAX_LINE_BYTES:
            self._finish_line()

    def message(self, kind: str, way: str, data: bytes, facts: Mapping[str, str]) -> None:
        """A message to or from a server as it was on the carrier; ``kind`` and ``facts`` are those of ``Record``."""
        self._write(kind, way, data, facts)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _received(self, line: bytes) -> None:
        self._write(AT, RECEIVED, line)

    def _finish_line(self) -> None:
        if self._unfinished:
            line = bytes(self._unfinished)
            self._unfinished.clear()
            self._received(line)

    def _open(self) -> None:
        self._session, self._began_s, self._records = os.urandom(4).hex(), time.monotonic(), 0
        ring = SegmentRing(self._folder, max_bytes=self._max_bytes, head=self._head)
        try:
            ring.open()
        except OSError as error:
            ring.close()
            raise Refused(REFUSED_BY_POLICY, f"{ring.path} cannot be written: {error.strerror or error}.") from error
        self._ring = ring
        self._authenticating = False

    def _head(self, segment: int) -> bytes:
        """The wall clock as it is now, so that a clock that was set meanwhile is right from the next segment on."""
        began_s = time.time() - (time.monotonic() - self._began_s)
        return header(session=self._session, segment=segment, began_s=began_s, version=self._version)

    def _write(self, kind: str, way: str, data: bytes, facts: Mapping[str, str] | None = None) -> None:
        ring = self._ring
        if ring is None:
            return
        most = ring.segment_bytes // 4
        cut_bytes = len(data) if len(data) > most else 0
        record = Record(time.monotonic(), kind, way, data[:most], cut_bytes=cut_bytes, facts=facts or {})
        try:
            ring.append(record.line(self._began_s))
        except OSError as error:
            reason = error.strerror or str(error)
            self._close(f"the disk refused it ({reason})")
            ring_events.RECORDING_FAILED.emit(path=self._folder, reason=reason)
            return
        self._records += 1

    def _close(self, why: str) -> None:
        ring, self._ring = self._ring, None
        detach, self._detach = self._detach, None
        self._unfinished.clear()
        self._ended = why
        if ring is not None:
            ring.close()
        if detach is not None:
            detach()
        if self._end is not None:
            self._end.cancel()
            self._end = None
