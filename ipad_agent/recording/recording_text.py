"""A recording for people: one line for each thing that was said, and below it what it means."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.describe_message import describe
from ipad_agent.errors import CodecError
from ipad_agent.printable import printable

from .apdu_meaning import answer_meaning, command_data, command_meaning, line_meaning
from .message_meaning import message_lines
from .recording_format import APDU, AT, SENT, Record

_ARROWS = {True: ">", False: "<"}
_STORE_DATA, _GET_RESPONSE = 0xE2, 0xC0


def text_lines(records: Iterable[Record], *, reveal: bool = False) -> Iterator[str]:
    """The lines, each without its end. ES10 functions are read once their last block is there; ``reveal`` shows codes
    in them."""
    card = _CardDialogue(reveal)
    session: str | None = None
    for record in records:
        if session is not None and record.session != session:
            yield "-- another recording begins --"
        session = record.session
        yield from _lines(record, card, reveal)


def _lines(record: Record, card: _CardDialogue, reveal: bool) -> Iterator[str]:
    sent = record.way == SENT
    head = f"{shown_time(record.at_s)} {record.kind:5} {_ARROWS[sent]}"
    if record.kind == AT:
        for line in record.data.decode("latin-1").replace("\r", "\n").split("\n"):
            if line.strip():
                meaning = line_meaning(line)
                yield f"{head} {printable(line)}" + (f"    ({meaning})" if meaning else "")
        return
    if record.kind == APDU:
        yield f"{head} {_apdu_words(record.data, sent=sent)}"
        for line in card.sent(record.data) if sent else card.received(record.data):
            yield f"      {printable(line)}"
        return
    facts = record.facts
    named = " ".join(facts[name] for name in ("function", "status", "scheme", "address", "path") if facts.get(name))
    size = record.cut_bytes or len(record.data)
    yield printable(f"{head} {named}, {size} bytes" + (f": {facts['problem']}" if facts.get("problem") else ""))
    if record.cut_bytes:
        yield "      (too long to be kept whole)"
    elif record.data:
        for line in message_lines(record.data, request=sent, reveal=reveal):
            yield f"      {printable(line)}"


def shown_time(at_s: float) -> str:
    """Of the device's clock, in UTC, with milliseconds."""
    whole = int(at_s)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(whole)) + f".{int((at_s - whole) * 1000):03d}"


def _apdu_words(data: bytes, *, sent: bool) -> str:
    try:
        words = command_meaning(data) if sent else answer_meaning(data)
    except CodecError as error:
        words = error.message
    return f"{data.hex().upper()}    ({words})" if data else words


class _CardDialogue:
    """Joins the blocks of one ES10 function and of its answer."""

    def __init__(self, reveal: bool) -> None:
        self._reveal = reveal
        self._request = bytearray()
        self._answer = bytearray()

    def sent(self, apdu: bytes) -> Iterator[str]:
        if len(apdu) < 5 or apdu[1] not in (_STORE_DATA, _GET_RESPONSE):
            return
        if apdu[1] == _STORE_DATA:
            if apdu[3] == 0:
                self._request.clear()
            self._request += command_data(apdu)
            self._answer.clear()
            if apdu[2] & 0x80:
                yield from self._read(bytes(self._request), "request")

    def received(self, answer: bytes) -> Iterator[str]:
        self._answer += answer[:-2]
        if len(answer) >= 2 and answer[-2] != 0x61 and self._answer:
            whole = bytes(self._answer)
            self._answer.clear()
            yield from self._read(whole, "response")

    def _read(self, data: bytes, prefer: str) -> Iterator[str]:
        try:
            tlv.parse(data)
            tree = describe(data, prefer="request" if prefer == "request" else "response", reveal=self._reveal)
        except CodecError:
            return
        yield from tree.lines()
