"""The APDUs of a recording, of their own records and of AT lines alike, put together to what they carry.

One function of ES10 is cut into blocks of STORE DATA, one answer into several of GET RESPONSE; a number may lie across
such a cut. So blocks are joined, and what is changed in the whole is put back into its parts, none of which gets longer
or shorter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ipad_agent.records import dataclass, field

ICCID_FILE: Final = 0x2FE2
IMSI_FILE: Final = 0x6F07
SECRET_FILES: Final = frozenset(
    {
        # Keys: Kc, KcGPRS, Keys, KeysPS, EPSNSC, 5GS3GPPNSC, 5GSN3GPPNSC, 5GAUTHKEYS.
        *(0x6F20, 0x6F52, 0x6F08, 0x6F09, 0x6FE4, 0x4F03, 0x4F04, 0x4F05),
        # Whom it belongs to and whom that person knows: MSISDN, ADN, FDN, SMS, IMPI, IMPU, SUCI and NAI.
        *(0x6F40, 0x6F3A, 0x6F3B, 0x6F3C, 0x6F02, 0x6F04, 0x4F07, 0x4F09),
        # Where it was: LOCI, PSLOCI, EPSLOCI, 5GS3GPPLOCI with their temporary identities.
        *(0x6F7E, 0x6F73, 0x6FE3, 0x4F01),
    }
)
"""Files of which nothing is shown (TS 31.102, TS 31.103)."""
_PIN_INSTRUCTIONS: Final = frozenset({0x20, 0x24, 0x26, 0x28, 0x2C})
_KEY_INSTRUCTIONS: Final = frozenset({0x88, 0x89})
_SELECT, _READ_BINARY, _READ_RECORD, _UPDATE_BINARY, _UPDATE_RECORD = 0xA4, 0xB0, 0xB2, 0xD6, 0xDC
_READING: Final = frozenset({_READ_BINARY, _READ_RECORD, _UPDATE_BINARY, _UPDATE_RECORD})
_STORE_DATA, _GET_RESPONSE = 0xE2, 0xC0


@dataclass(slots=True)
class Part:
    """``text[start:end]`` in a line or record that is changed in place; ``hexed``: the bytes are written as hex."""

    text: bytearray
    start: int
    end: int
    hexed: bool = False

    @property
    def data(self) -> bytes:
        """The bytes."""
        found = bytes(self.text[self.start : self.end])
        return bytes.fromhex(found.decode("ascii")) if self.hexed else found

    def put(self, data: bytes) -> None:
        """As many others in their place, in the letters of before."""
        if not self.hexed:
            self.text[self.start : self.end] = data
            return
        lower = any(97 <= octet <= 102 for octet in self.text[self.start : self.end])
        made = data.hex().encode("ascii")
        self.text[self.start : self.end] = made if lower else made.upper()

    def cut(self, start: int, end: int) -> Part:
        """The part of it from byte ``start`` to ``end``."""
        width = 2 if self.hexed else 1
        return Part(self.text, self.start + width * start, self.start + width * end, self.hexed)


@dataclass(slots=True)
class Stream:
    """Parts that are one thing together. ``file``: the content of this file; ``secret``: nothing of it is shown."""

    parts: list[Part] = field(default_factory=list)
    file: int = 0
    secret: bool = False

    @property
    def data(self) -> bytes:
        """The whole."""
        return b"".join(part.data for part in self.parts)

    def put(self, data: bytes) -> None:
        """Another whole of the same length."""
        at = 0
        for part in self.parts:
            size = len(part.data)
            part.put(data[at : at + size])
            at += size


class ApduStreams:
    """Takes commands and answers of one way to the card in their order. What begins in the middle, because the ring has
    lost the beginning, is secret: half a number cannot be recognised."""

    def __init__(self) -> None:
        self._files: dict[int, int] = {}
        self._command: Stream | None = None
        self._answer: Stream | None = None
        self._channel = 0
        self._instruction = 0
        self._headless = True
        self._done: list[Stream] = []

    def command(self, part: Part, channel: int | None = None) -> None:
        """A command APDU; ``channel`` where the AT command named it."""
        apdu = part.data
        if len(apdu) < 4:
            return
        instruction, p1 = apdu[1], apdu[2]
        self._channel = _channel_of(apdu[0]) if channel is None else channel
        if instruction != _GET_RESPONSE:
            self._headless = False
            self._instruction = instruction
            self._answer = None
        data = part.cut(5, min(5 + apdu[4], len(apdu))) if len(apdu) > 5 else None
        if data is None:
            return
        if instruction == _STORE_DATA:
            if self._command is None or apdu[3] == 0:
                self._command = self._begun(Stream(secret=apdu[3] != 0))
            self._command.parts.append(data)
            if p1 & 0x80:
                self._command = None
            return
        if instruction == _SELECT and len(data.data) >= 2:
            self._files[self._channel] = int.from_bytes(data.data[-2:], "big")
        secret = instruction in _PIN_INSTRUCTIONS or instruction in _KEY_INSTRUCTIONS
        self._begun(Stream([data], self._file(), secret or self._file() in SECRET_FILES))

    def answer(self, part: Part, *, with_status: bool = True) -> None:
        """What came back, with its status word unless that stands elsewhere."""
        size = len(part.data)
        end = size - 2 if with_status else size
        more = with_status and size >= 2 and part.data[-2] == 0x61
        if end > 0:
            if self._answer is None:
                secret = self._headless or self._instruction in _KEY_INSTRUCTIONS or self._file() in SECRET_FILES
                self._answer = self._begun(Stream([], self._file(), secret))
            self._answer.parts.append(part.cut(0, end))
        if not more:
            self._answer = None

    def read_by_number(self, file: int) -> None:
        """AT+CRSM names the file and has no APDU of its own."""
        self._channel, self._instruction, self._answer, self._headless = -1, _READ_BINARY, None, False
        self._files[-1] = file

    def streams(self) -> Iterator[Stream]:
        """All of them so far."""
        return iter(self._done)

    def _file(self) -> int:
        return self._files.get(self._channel, 0) if self._instruction in _READING else 0

    def _begun(self, stream: Stream) -> Stream:
        self._done.append(stream)
        return stream


def _channel_of(class_byte: int) -> int:
    """The logical channel (ISO 7816-4 §5.4.1)."""
    return 4 + (class_byte & 0x0F) if class_byte & 0x40 else class_byte & 0x03
