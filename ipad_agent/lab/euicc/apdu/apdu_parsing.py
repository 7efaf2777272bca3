"""Short command APDUs (ISO/IEC 7816-4 §5): header, channel, the four cases."""

from __future__ import annotations

from dataclasses import dataclass

from ipad_agent.lab.euicc.errors import StatusError

WRONG_LENGTH, CHANNEL_NOT_SUPPORTED, SECURE_MESSAGING, CHAINING = 0x6700, 0x6881, 0x6882, 0x6884
CLASS_NOT_SUPPORTED = 0x6E00


@dataclass(frozen=True, slots=True)
class Command:
    """One command. ``base`` is 00 (interindustry) or 80 (proprietary); ``le`` is None when absent, 256 for 00."""

    base: int
    channel: int
    ins: int
    p1: int
    p2: int
    data: bytes
    le: int | None


def parse_command(apdu: bytes) -> Command:
    """The command in ``apdu``; ``StatusError`` with what a card answers when it is none."""
    if len(apdu) < 4:
        raise StatusError(WRONG_LENGTH)
    base, channel = parse_class(apdu[0])
    data, le = _body(apdu[4:])
    return Command(base, channel, apdu[1], apdu[2], apdu[3], data, le)


def parse_class(cla: int) -> tuple[int, int]:
    """Class base and channel: 0X and 8X for channels 0 to 3, 4X and CX for 4 to 19 (TS 102 221 §10.1.1)."""
    if cla == 0xFF or cla & 0x70 in (0x20, 0x30):
        raise StatusError(CLASS_NOT_SUPPORTED)
    if cla & 0x10:
        raise StatusError(CHAINING)
    base = cla & 0x80
    if cla & 0x40:
        if cla & 0x20:
            raise StatusError(SECURE_MESSAGING)
        return base, 4 + (cla & 0x0F)
    if cla & 0x0C:
        raise StatusError(SECURE_MESSAGING)
    return base, cla & 0x03


def _body(body: bytes) -> tuple[bytes, int | None]:
    if not body:
        return b"", None
    if len(body) == 1:
        return b"", body[0] or 256
    length = body[0]
    if length == 0 or len(body) not in (1 + length, 2 + length):
        # Lc 00 would begin an extended length, which no modem passes on.
        raise StatusError(WRONG_LENGTH)
    data = body[1 : 1 + length]
    return data, (body[-1] or 256) if len(body) == 2 + length else None
