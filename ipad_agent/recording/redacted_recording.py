"""A recording as it may be given away.

Numbers get pseudonyms of the same length, so a TLV stays a TLV and a recording can still be played back; codes and PINs
are overwritten. First everything is searched, then everything is changed: a number that is recognised in one place is
replaced in all of them.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from ipad_agent.records import dataclass, replace

from .apdu_streams import ICCID_FILE, IMSI_FILE, ApduStreams, Part, Stream
from .identifier_pseudonyms import Pseudonyms, swapped
from .recording_format import APDU, AT, SENT, Record
from .redacted_messages import RedactedMessages

_CARD_LINE: Final = re.compile(
    rb"(?i)\+(CSIM|CGLA|CRSM|CRLA)\s*[:=]\s*([0-9, ]*?)\"?((?:[0-9A-F]{2}){2,})\"?(?=[\r\n,]|$)"
)
_BY_NUMBER: Final = re.compile(rb"(?i)\+(?:CRSM|CRLA)\s*=\s*(?:[0-9]+\s*,\s*)?(176|178|192|214|220)\s*,\s*([0-9]{4,5})")
_PIN: Final = re.compile(rb"(?i)[+^$](?:CPIN2?|CPINR|QPINC|SPIC)\s*=\s*([^\r\n]+)")
_PASSWORD: Final = re.compile(rb"(?i)[+^$]CPWD2?\s*=\s*\"?[A-Z0-9]{2}\"?\s*,\s*([^\r\n]+)")
_LOCK: Final = re.compile(rb"(?i)[+^$]CLCK\s*=\s*\"?[A-Z0-9]{2}\"?\s*,\s*[0-9]\s*,\s*([^\r\n]+)")
_LOGIN: Final = re.compile(
    rb"(?i)(?:\+(?:CGAUTH|UAUTHREQ|QICSGP)|[\^$][A-Z]*(?:AUTH|PDPP)[A-Z]*)\s*=\s*[0-9]+\s*,\s*[0-9]+\s*,\s*([^\r\n]+)"
)
_KEPT: Final = frozenset(b'",\r\n ')
_TEXT_NUMBER: Final = re.compile(
    rb"(?<![0-9A-Za-z])(?:8[0-9]{14,19}|89[0-9A-Fa-f]{16,18}|98[0-9A-Fa-f]{16,18}|[0-9]{14,16}|[0-9]{32}|89[0-9A-Fa-f]{30})"
    rb"(?![0-9A-Za-z])"
)


@dataclass(frozen=True, slots=True)
class Redacted:
    """``numbers`` and ``secrets`` are what must not be found in what is made of the records."""

    records: list[Record]
    numbers: frozenset[str]
    secrets: frozenset[bytes]


def redact(
    records: Sequence[Record],
    *,
    numbers: Iterable[str] = (),
    secrets: Iterable[bytes] = (),
    salt: bytes | None = None,
) -> Redacted:
    """The same records without what they must not tell. ``numbers`` and ``secrets`` are known from elsewhere; ``salt``
    is for tests."""
    redaction = _Redaction(records, os.urandom(16) if salt is None else salt)
    return redaction.run(numbers, secrets)


@dataclass(slots=True)
class _Text:
    """AT text of one or several records: ``bounds`` are (record, start, end)."""

    content: bytearray
    bounds: list[tuple[int, int, int]]


_Ways = defaultdict[bytes, ApduStreams]
"""Each AT command to the card is a way of its own."""
_BY_FILE: Final = b"CRSM"


class _Redaction:
    def __init__(self, records: Sequence[Record], salt: bytes) -> None:
        self._records = records
        self._pseudonyms = Pseudonyms(salt)
        self._messages = RedactedMessages(self._pseudonyms)
        self._texts: list[_Text] = []
        self._raw: dict[int, bytearray] = {}
        self._streams: list[Stream] = []

    def run(self, numbers: Iterable[str], secrets: Iterable[bytes]) -> Redacted:
        for text in numbers:
            self._pseudonyms.add(text)
        for secret in secrets:
            self._pseudonyms.add_secret(secret)
        self._take_apart()
        for stream in self._streams:
            self._find_in_stream(stream)
        for line in self._texts:
            self._find_in_text(bytes(line.content))
        for record in self._records:
            if record.kind not in (AT, APDU):
                self._messages.find(record.data)
        made = [self._message(record) for record in self._records]
        for stream in self._streams:  # before the text around them, which knows them as hex only
            stream.put(self._redacted_stream(stream))
        for line in self._texts:
            line.content[:] = self._redacted_text(bytes(line.content))
            for number, start, end in line.bounds:
                made[number] = replace(made[number], data=bytes(line.content[start:end]))
        for number, raw in self._raw.items():
            made[number] = replace(made[number], data=bytes(raw))
        return Redacted(made, self._pseudonyms.numbers, self._pseudonyms.secrets)

    def _message(self, record: Record) -> Record:
        facts = {name: self._messages.redacted_text(value) for name, value in record.facts.items()}
        if record.kind in (AT, APDU):
            return replace(record, facts=facts)
        if record.cut_bytes:
            return replace(record, data=b"", facts=facts)
        return replace(record, data=self._messages.redacted(record.data), facts=facts)

    # -- what there is -----------------------------------------------------------------------------------------------

    def _take_apart(self) -> None:
        """One text for all that was received in a session: a line may lie across records."""
        apdus: dict[str, ApduStreams] = {}
        received: dict[str, _Text] = {}
        for number, record in enumerate(self._records):
            if record.kind == APDU:
                raw = self._raw[number] = bytearray(record.data)
                way = apdus.setdefault(record.session, ApduStreams())
                part = Part(raw, 0, len(raw))
                if record.way == SENT:
                    way.command(part)
                else:
                    way.answer(part)
            elif record.kind == AT and record.way != SENT:
                text = received.setdefault(record.session, _Text(bytearray(), []))
                text.bounds.append((number, len(text.content), len(text.content) + len(record.data)))
                text.content += record.data
            elif record.kind == AT:
                size = len(record.data)
                self._texts.append(_Text(bytearray(record.data), [(number, 0, size)]))
        self._texts += received.values()
        places = {number: (text, start) for text in self._texts for number, start, _ in text.bounds}
        answers = {id(text): list(_CARD_LINE.finditer(bytes(text.content))) for text in received.values()}
        lines: dict[str, _Ways] = {}
        for number, record in enumerate(self._records):
            if record.kind != AT:
                continue
            ways = lines.setdefault(record.session, defaultdict(ApduStreams))
            text, start = places[number]
            if record.way == SENT:
                self._card_command(ways, text)
                continue
            waiting = answers[id(text)]
            while waiting and waiting[0].start() < start + len(record.data):
                self._card_answer(ways, text, waiting.pop(0))
        for way in (*apdus.values(), *(way for ways in lines.values() for way in ways.values())):
            self._streams += way.streams()

    def _card_command(self, ways: _Ways, text: _Text) -> None:
        by_number = _BY_NUMBER.search(text.content)
        if by_number is not None:
            ways[_BY_FILE].read_by_number(int(by_number[2]))
            return
        found = _CARD_LINE.search(text.content)
        if found is not None:
            numbers = [int(word) for word in found[2].split(b",") if word.strip()]
            name = found[1].upper()
            channel = numbers[0] if name == b"CGLA" and numbers else None
            ways[name].command(Part(text.content, *found.span(3), hexed=True), channel)

    def _card_answer(self, ways: _Ways, text: _Text, found: re.Match[bytes]) -> None:
        part, name = Part(text.content, *found.span(3), hexed=True), found[1].upper()
        if b"=" in found[0][: found.start(3) - found.start()]:
            ways[b"echo " + name].command(part)  # what was sent, once more: joined like it
        elif name in (b"CSIM", b"CGLA"):
            ways[name].answer(part)
        else:
            ways[_BY_FILE].answer(part, with_status=False)

    # -- what is in it -----------------------------------------------------------------------------------------------

    def _find_in_stream(self, stream: Stream) -> None:
        data = stream.data
        if stream.secret:
            return
        self._messages.find_octets(data)
        if stream.file == ICCID_FILE or (len(data) == 10 and data[:1] == b"\x98"):
            self._pseudonyms.add(swapped(data))
        if stream.file == IMSI_FILE or (len(data) == 9 and data[0] == 8 and data[1] & 0x0F in (1, 9)):
            digits = swapped(data[1:])[1:].rstrip("F")
            if len(digits) >= 6:
                self._pseudonyms.add(digits)

    def _find_in_text(self, text: bytes) -> None:
        plain = _CARD_LINE.sub(b"\r\n", text)
        for found in _TEXT_NUMBER.finditer(plain):
            self._pseudonyms.add(found[0].decode("ascii"))
        self._messages.find_text(plain)

    # -- without it --------------------------------------------------------------------------------------------------

    def _redacted_stream(self, stream: Stream) -> bytes:
        data = stream.data
        return b"\xff" * len(data) if stream.secret else self._messages.redacted_octets(data)

    def _redacted_text(self, text: bytes) -> bytes:
        made = bytearray(text)
        for pattern in (_PIN, _PASSWORD, _LOCK, _LOGIN):
            for found in pattern.finditer(text):
                for at in range(*found.span(1)):
                    made[at] = made[at] if made[at] in _KEPT else 0x2A
        return self._messages.redacted_plain(bytes(made))
