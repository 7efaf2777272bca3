"""As much of the enabled profile's file system as a modem wants to see first: MF, EF_DIR, EF_ICCID, an empty USIM."""

from __future__ import annotations

from dataclasses import dataclass

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.errors import StatusError
from ipad_agent.lab.euicc.state.profile_list import tbcd

FILE_NOT_FOUND, RECORD_NOT_FOUND, WRONG_OFFSET, NO_CURRENT_EF = 0x6A82, 0x6A83, 0x6B00, 0x6986
INCORRECT_P1_P2, NOT_COMPATIBLE = 0x6A86, 0x6981

MF, EF_DIR, EF_ICCID, ADF = 0x3F00, 0x2F00, 0x2FE2, 0x7FFF
USIM_AID = bytes.fromhex("A0000000871002FFFFFFFF8907090000")
_SHORT_IDS = {0x02: EF_ICCID, 0x1E: EF_DIR}
_DIR_RECORD_BYTES = 38
_BY_ID, _FROM_MF, _FROM_CURRENT = 0x00, 0x08, 0x09


@dataclass(slots=True)
class Selection:
    """What is selected on one logical channel: an application (None: the profile's MF), and perhaps an EF."""

    aid: bytes | None = None
    ef: int | None = None


def select_file(selection: Selection, p1: int, data: bytes, iccid: str | None) -> bytes:
    """SELECT by file id or path: the FCP (62). Without an active profile (``iccid`` None) there are no files."""
    if p1 not in (_BY_ID, _FROM_MF, _FROM_CURRENT):
        raise StatusError(INCORRECT_P1_P2)
    if len(data) % 2 or (p1 == _BY_ID and len(data) not in (0, 2)):
        raise StatusError(INCORRECT_P1_P2)
    ids = [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)] or [MF]
    if ids[0] == MF and len(ids) > 1:
        ids = ids[1:]
    if iccid is None or len(ids) != 1:
        raise StatusError(FILE_NOT_FOUND)
    match ids[0]:
        case 0x3F00:
            selection.aid = selection.ef = None
        case 0x2F00 | 0x2FE2:
            selection.ef = ids[0]
        case 0x7FFF if selection.aid == USIM_AID:
            selection.ef = None
        case _:
            raise StatusError(FILE_NOT_FOUND)
    return control_parameters(selection)


def control_parameters(selection: Selection) -> bytes:
    """FCP template of what is selected (TS 102 221 §11.1.1.3)."""
    match selection.ef:
        case 0x2FE2:
            fields = der.octets(b"\x41\x21", 0x82), der.octets(b"\x2f\xe2", 0x83), der.octets(b"\x00\x0a", 0x80)
        case 0x2F00:
            record = bytes((0x42, 0x21, 0x00, _DIR_RECORD_BYTES, 0x01))
            size = _DIR_RECORD_BYTES.to_bytes(2, "big")
            fields = der.octets(record, 0x82), der.octets(b"\x2f\x00", 0x83), der.octets(size, 0x80)
        case _ if selection.aid is None:
            fields = der.octets(b"\x78\x21", 0x82), der.octets(b"\x3f\x00", 0x83), b""
        case _:
            fields = der.octets(b"\x78\x21", 0x82), der.octets(selection.aid or b"", 0x84), b""
    return der.tlv(0x62, *fields, der.octets(b"\x05", 0x8A))


def read_binary(selection: Selection, p1: int, p2: int, iccid: str | None) -> bytes:
    """The content of the transparent EF from the offset on."""
    offset = p1 << 8 | p2
    if p1 & 0x80:
        ef = _SHORT_IDS.get(p1 & 0x1F)
        if ef is None or iccid is None:
            raise StatusError(FILE_NOT_FOUND)
        selection.ef, offset = ef, p2
    if selection.ef is None or iccid is None:
        raise StatusError(NO_CURRENT_EF)
    if selection.ef != EF_ICCID:
        raise StatusError(NOT_COMPATIBLE)
    content = tbcd(iccid)
    if offset >= len(content):
        raise StatusError(WRONG_OFFSET)
    return content[offset:]


def read_record(selection: Selection, p1: int, p2: int, iccid: str | None) -> bytes:
    """Record ``p1`` of EF_DIR, in absolute mode: its one record names the USIM."""
    short_id = p2 >> 3
    if short_id:
        ef = _SHORT_IDS.get(short_id)
        if ef is None or iccid is None:
            raise StatusError(FILE_NOT_FOUND)
        selection.ef = ef
    if p2 & 0x07 != 0x04:
        raise StatusError(INCORRECT_P1_P2)
    if selection.ef is None or iccid is None:
        raise StatusError(NO_CURRENT_EF)
    if selection.ef != EF_DIR:
        raise StatusError(NOT_COMPATIBLE)
    if p1 != 1:
        raise StatusError(RECORD_NOT_FOUND)
    record = der.tlv(0x61, der.octets(USIM_AID, 0x4F), der.octets(b"USIM", 0x50))
    return record.ljust(_DIR_RECORD_BYTES, b"\xff")
