"""What somebody pasted or saved: a recording, an AT line, an APDU, a message in TLV or JSON; and what it says.

The kind is told from the thing itself. A message begins with a tag that the modules of SGP.22 and SGP.32 know, a
command APDU with a class byte and an instruction.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.describe_message import describe, named_values
from ipad_agent.errors import CodecError

from .apdu_meaning import answer_meaning, apdu_in_line, command_data, command_meaning, line_meaning
from .message_meaning import json_lines
from .recording_format import SENT, read_lines
from .recording_text import text_lines
from .redacted_messages import json_document

_HINT: Final = (
    "It may be an APDU, a message of ES10, ESipa or ES9+ in hexadecimal digits, base64, bytes or JSON, an AT line, or "
    "a recording of ipactl record export."
)


def meaning_lines(content: bytes, *, request: bool = False, reveal: bool = False) -> Iterator[str] | None:
    """What a recording, JSON, AT lines or an APDU say; None for all else, which ``describe`` may read as a message.
    Raises ``CodecError`` for a recording or AT lines of which nothing is known."""
    recording = read_lines(content.split(b"\n")) if content.lstrip()[:1] == b"{" else None
    if recording is not None:
        return text_lines(recording.records, reveal=reveal)
    document = json_document(content)
    if document is not None:
        return json_lines(document, request=request, reveal=reveal)
    lines = _text(content)
    if lines is not None and any(line[:2].upper() == "AT" or line[:1] in "+^$*" for line in lines):
        return _at_lines(lines, request, reveal)
    data = octets(content)
    if data is None:
        return None
    return _apdu_lines(data, request, reveal)


_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def octets(content: bytes) -> bytes | None:
    """Bytes from hexadecimal digits (with blanks, colons or 0x), from base64, or as they are; None for text."""
    try:
        text = "".join(content.decode("ascii").split())
    except UnicodeDecodeError:
        return content
    for read in (_hex, _base64):
        found = read(text)
        if found:
            return found
    return content if _CONTROL.search(text) else None


def _hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text.replace(":", "").removeprefix("0x").removeprefix("0X"))
    except ValueError:
        return None


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _text(content: bytes) -> list[str] | None:
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        return None
    return [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]


def _apdu_lines(data: bytes, request: bool, reveal: bool) -> Iterator[str] | None:
    """A command, an answer with its status word, or None when it is a message."""
    if is_message(data):
        return None
    if (
        len(data) >= 2
        and data[-2] in (0x90, 0x91, 0x61, 0x6C, *range(0x62, 0x70))
        and (len(data) == 2 or is_message(data[:-2]))
    ):
        return iter([answer_meaning(data), *_inside(data[:-2], request, reveal)])
    try:
        words = command_meaning(data)
    except CodecError:
        if data[:1] == b"\xbf" or _is_element(data):
            return None  # a message all the same, or what is left of one
        raise
    return iter([words, *_inside(command_data(data), True, reveal)])


def _at_lines(lines: list[str], request: bool, reveal: bool) -> Iterator[str]:
    known = False
    made: list[str] = []
    for line in lines:
        meaning = line_meaning(line)
        known = known or bool(meaning)
        made.append(line + (f"    ({meaning})" if meaning else ""))
        apdu, way = apdu_in_line(line)
        if apdu is not None:
            data = command_data(apdu) if way == SENT else apdu[:-2]
            made += [f"  {inside}" for inside in _inside(data, way == SENT or request, reveal)]
    if not known:
        raise CodecError(f"nothing is known of the AT line {lines[0][:60]!r}", hint=_HINT)
    return iter(made)


def _is_element(data: bytes) -> bool:
    try:
        tlv.parse(data)
    except CodecError:
        return False
    return True


def is_message(data: bytes) -> bool:
    """Whether the modules know its tag and it is whole."""
    if data[:1] not in (b"\xbf", b"\xe3", b"\x30", b"\xa0"):
        return False
    try:
        return bool(named_values(data)) or describe(data).known
    except CodecError:
        return False


def _inside(data: bytes, request: bool, reveal: bool) -> list[str]:
    if not is_message(data):
        return []
    tree = describe(data, prefer="request" if request else "response", reveal=reveal)
    return [f"  {line}" for line in tree.lines()]
