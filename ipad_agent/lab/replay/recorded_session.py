"""A recording as the lab reads it (docs/flight-recorder.md): questions to the modem with what came back, and ESipa."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ipad_agent.lab.errors import BenchError


@dataclass(slots=True)
class ModemExchange:
    """A line that was sent, and what was received until the next one: (seconds after the line, bytes)."""

    sent: bytes
    received: list[tuple[float, bytes]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EsipaExchange:
    """A request to an eIM, its answer (None when none came), and the answer's status (``2.04``, ``200``)."""

    function: str
    request: bytes
    answer: bytes | None
    status: str


@dataclass(slots=True)
class RecordedSession:
    """What there is to play back."""

    modem: list[ModemExchange] = field(default_factory=list)
    esipa: list[EsipaExchange] = field(default_factory=list)
    unreadable_lines: int = 0
    redacted: bool = False


def load(place: Path) -> RecordedSession:
    """From a file, or a folder of segments. ``BenchError`` when it holds nothing of a modem."""
    session = RecordedSession()
    asked: dict[str, Any] | None = None
    sent_s = 0.0
    for entry in _entries(place, session):
        kind, way, time_s, data = entry["kind"], entry["way"], float(entry["t"]), entry["data"]
        if kind == "at" and way == "sent":
            session.modem.append(ModemExchange(data))
            sent_s = time_s
        elif kind == "at":
            if not session.modem:
                session.modem.append(ModemExchange(b""))
                sent_s = time_s
            session.modem[-1].received.append((max(0.0, time_s - sent_s), data))
        elif kind == "esipa" and way == "sent":
            asked = entry
        elif kind == "esipa" and asked is not None:
            answer = None if entry.get("problem") and not entry.get("status") else data
            function, request = str(asked.get("function", "")), asked["data"]
            session.esipa.append(EsipaExchange(function, request, answer, str(entry.get("status", ""))))
            asked = None
    if not session.modem:
        raise BenchError(f"{place} holds nothing that was said to a modem")
    return session


def _entries(place: Path, session: RecordedSession) -> Iterator[dict[str, Any]]:
    try:
        files = sorted(place.glob("segment-*.jsonl")) if place.is_dir() else [place]
        lines = [line for file in files for line in file.read_bytes().split(b"\n") if line.strip()]
    except OSError as error:
        raise BenchError(f"{place} cannot be read: {error.strerror or error}") from error
    headed = False
    for line in lines:
        try:
            entry = json.loads(line)
            if entry.get("recording") == 2:
                headed, session.redacted = True, session.redacted or entry.get("redacted") is True
                continue
            entry["data"] = entry["text"].encode("latin-1") if "text" in entry else bytes.fromhex(entry["hex"])
            good = headed and isinstance(entry["t"], int | float) and {"kind", "way"} <= set(entry)
        except (ValueError, AttributeError, KeyError, TypeError):
            good = False
        if good:
            yield entry
        else:
            session.unreadable_lines += 1
    if not headed:
        raise BenchError(f"{place} is no recording of ipactl record")
