"""Command APDUs and status words (ISO 7816-4, SGP.22 §5.7.2). All CLA bytes have channel bits zero."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ipad_agent.records import dataclass

from .errors import RequestTooLarge

ISD_R_AID: Final = bytes.fromhex("A0000005591010FFFFFFFF8900000100")

# 84: eUICC-related IoT device capabilities, bit 1 = IPAd (SGP.32 v1.2 §3.8.2). 83 announces a consumer LPA; some cards
# open their ISD-R only for that. The second form serves both kinds.
TERMINAL_CAPABILITY_IOT: Final = bytes.fromhex("80AA000005A903840101")
TERMINAL_CAPABILITY_BOTH: Final = bytes.fromhex("80AA000008A906830107840101")
TERMINAL_CAPABILITY_LPA: Final = bytes.fromhex("80AA000005A903830107")
TERMINAL_CAPABILITY_FULL: Final = bytes.fromhex("80AA00000AA9088100820101830107")

MAX_DATA_BYTES: Final = 255
MAX_BLOCKS: Final = 256  # the block number P2 is one byte


@dataclass(frozen=True, slots=True)
class Answer:
    """A response APDU."""

    data: bytes
    sw: int

    @property
    def sw1(self) -> int:
        return self.sw >> 8

    @property
    def sw2(self) -> int:
        return self.sw & 0xFF


def split_answer(raw: bytes) -> Answer:
    """Cut SW1 SW2 off; ``raw`` has at least 2 bytes."""
    if len(raw) < 2:
        raise ValueError("a response APDU has at least two bytes")
    return Answer(raw[:-2], int.from_bytes(raw[-2:], "big"))


def get_response(length: int, *, proprietary_class: bool) -> bytes:
    """GET RESPONSE for ``length`` bytes; 0 asks for 256."""
    return bytes([0x80 if proprietary_class else 0x00, 0xC0, 0x00, 0x00, length & 0xFF])


def with_le(apdu: bytes, length: int) -> bytes:
    """The same command with this Le: what 6Cxx asks for (ISO 7816-4 §5.3.3)."""
    if len(apdu) == 4:
        return apdu + bytes([length])
    if len(apdu) == 5:  # case 2: byte 5 is Le already
        return apdu[:4] + bytes([length])
    return apdu[: 5 + apdu[4]] + bytes([length])


def store_data(request: bytes, *, block_size: int, le: bool = False) -> Iterator[tuple[bytes, bool]]:
    """Cut an ES10 request into STORE DATA commands; yields (command, whether it is the last).

    P1 is 11 while more blocks follow and 91 for the last, P2 counts from 0 (SGP.22 §5.7.2). Raises
    ``RequestTooLarge`` before anything is yielded when 256 blocks are not enough.
    """
    if not request:
        raise ValueError("an ES10 request is never empty")
    if not 1 <= block_size <= MAX_DATA_BYTES:
        raise ValueError(f"a block size of {block_size}")
    count = -(-len(request) // block_size)
    if count > MAX_BLOCKS:
        raise RequestTooLarge(f"{len(request)} bytes need {count} blocks of {block_size}, at most 256 are possible")
    return _blocks(request, block_size, count, b"\0" if le else b"")


def _blocks(request: bytes, block_size: int, count: int, le: bytes) -> Iterator[tuple[bytes, bool]]:
    for number in range(count):
        data = request[number * block_size : (number + 1) * block_size]
        last = number == count - 1
        yield bytes([0x80, 0xE2, 0x91 if last else 0x11, number, len(data)]) + data + le, last


_MEANINGS: Final = {
    0x6281: "part of the returned data may be damaged",
    0x6310: "more data is available",
    0x6581: "the card's memory failed",
    0x6601: "the command arrived damaged (checksum)",
    0x6700: "wrong length",
    0x6881: "the logical channel is not supported",
    0x6882: "secure messaging is not supported",
    0x6900: "the command is not allowed",
    0x6982: "the security status is not satisfied",
    0x6983: "the authentication method is blocked",
    0x6985: "conditions of use are not satisfied; usually a card reset is pending",
    0x6999: "the applet is not selected; the card was reset in between",
    0x6A80: "the data field is wrong or the function is unknown",
    0x6A81: "the function or channel is not supported",
    0x6A82: "the application or file was not found",
    0x6A84: "not enough memory",
    0x6A86: "wrong P1 or P2",
    0x6A88: "the referenced data object is unknown",
    0x6D00: "the instruction is unknown",
    0x6E00: "the class is not supported",
    0x6F00: "the card gave up without saying why",
    0x9300: "the card's toolkit is busy",
}


def explain(sw: int) -> str:
    """A status word as a person wants to read it: ``6A82: the application or file was not found``."""
    meaning = _MEANINGS.get(sw)
    if meaning is None:
        sw1 = sw >> 8
        if sw == 0x9000:
            meaning = "done"
        elif sw1 == 0x91:
            meaning = "done, a toolkit command is waiting for the modem"
        elif sw1 == 0x92:
            meaning = "done after memory retries" if sw & 0xFF < 0x10 else "a memory problem"
        elif sw1 == 0x61:
            meaning = "more data is waiting"
        elif sw1 == 0x6C:
            meaning = "wrong Le"
        elif sw1 in (0x62, 0x63):
            meaning = "done with a warning"
        else:
            meaning = "an error without a common meaning"
    return f"{sw:04X}: {meaning}"
