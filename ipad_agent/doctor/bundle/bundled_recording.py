"""The end of the flight recorder's recording as it goes into a support bundle: redacted, or left out with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ipad_agent.errors import IpadError
from ipad_agent.recording.recording_format import SEGMENT_PATTERN, lines_of, read_lines
from ipad_agent.recording.redacted_recording import redact

from .identifier_forms import Known
from .leak_check import check_content

MAX_BYTES: Final = 1 << 20
"""So much of the recording is taken, from its end; to redact more would keep the agent busy for too long."""


def bundled(folder: Path | None, known: Known) -> tuple[str, Known]:
    """The file's content, empty where nothing was recorded, and what was found in it that must not be in the bundle.
    ``known`` is replaced in it too. Takes seconds: not for the event loop."""
    content = _newest(folder)
    found = read_lines(content.split(b"\n")) if content else None
    if found is None or not found.records:
        return "", Known()
    redacted = redact(found.records, numbers=known.identifiers, secrets=known.secrets)
    made = b"".join(lines_of(redacted.records, version=found.version, redacted=True))
    more = Known(redacted.numbers, redacted.secrets).usable
    try:
        check_content("the recording", made, known | more)
    except IpadError as refusal:
        return f"Left out: {refusal.message}.\n", Known()
    return made.decode("ascii"), more


def _newest(folder: Path | None) -> bytes:
    if folder is None:
        return b""
    taken: list[bytes] = []
    try:
        for path in sorted(folder.glob(SEGMENT_PATTERN), reverse=True):
            if sum(map(len, taken)) + path.stat().st_size > MAX_BYTES:
                break
            taken.insert(0, path.read_bytes())
    except OSError:
        return b""
    return b"\n".join(taken)
