"""As much of the enabled profile's file system as a modem wants to see first: MF, EF_DIR, EF_ICCID, and of the USIM
EF_IMSI and EF_AD (TS 102 221 §11.1 and §13, TS 31.102 §4.2)."""

from __future__ import annotations

from dataclasses import dataclass

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.errors import StatusError
from ipad_agent.lab.euicc.state.profile_list import tbcd

FILE_NOT_FOUND, RECORD_NOT_FOUND, WRONG_OFFSET, NO_CURRENT_EF = 0x6A82, 0x6A83, 0x6B00, 0x6986
INCORRECT_P1_P2, NOT_COMPATIBLE = 0x6A86, 0x6981

MF, EF_DIR, EF_ICCID, ADF, EF_IMSI, EF_AD = 0x3F00, 0x2F00, 0x2FE2, 0x7FFF, 0x6F07, 0x6FAD
USIM_AID = bytes.fromhex("A0000000871002FFFFFFFF8907090000")
_SHORT_IDS_OF_MF = {0x02: EF_ICCID, 0x1E: EF_DIR}
_SHORT_IDS_OF_USIM = {0x07: EF_IMSI, 0x03: EF_AD}
_OF_MF, _OF_USIM = frozenset({EF_DIR, EF_ICCID}), frozenset({EF_IMSI, EF_AD})
_DIR_RECORD_BYTES = 38
_IMSI_BYTES, _IMSI_DIGITS = 9, 15
_BY_ID, _CHILD, _PARENT, _FROM_MF, _FROM_CURRENT = 0x00, 0x01, 0x03, 0x08, 0x09
_NEXT, _PREVIOUS, _ABSOLUTE = 0x02, 0x03, 0x04
_UICC_CHARACTERISTICS = der.octets(b"\x71", 0x80)  # the clock may be stopped; classes A, B and C
_TERMINAL_CAPABILITY_SUPPORTED = der.octets(b"\x01", 0x87)
_NO_PIN_ENABLED = der.tlv(0xC6, der.octets(b"\x00", 0x90), der.octets(b"\x01", 0x83))


@dataclass(frozen=True, slots=True)
class ShownProfile:
    """What the files say of the profile that the UICC shows. ``mcc_mnc`` as in its metadata, empty for unknown."""

    iccid: str
    mcc_mnc: bytes = b""


@dataclass(slots=True)
class Selection:
    """What is selected on one logical channel: an application (None: the profile's MF), and perhaps an EF.

    ``application`` is the last USIM that was selected there, which 7FFF stands for also when the MF is the current
    directory; ``record`` is the one that was read last.
    """

    aid: bytes | None = None
    ef: int | None = None
    application: bytes | None = None
    record: int = 0


def select_file(
    selection: Selection, p1: int, data: bytes, shown: ShownProfile | None, *, terminal_capability: bool = True
) -> bytes:
    """SELECT by file id or path: the FCP (62). Without an active profile (``shown`` None) there are no files. What is
    selected stays when the file is not found."""
    if p1 not in (_BY_ID, _CHILD, _PARENT, _FROM_MF, _FROM_CURRENT):
        raise StatusError(INCORRECT_P1_P2)
    if len(data) % 2 or (p1 in (_BY_ID, _CHILD, _PARENT) and len(data) not in (0, 2)):
        raise StatusError(INCORRECT_P1_P2)
    if shown is None:
        raise StatusError(FILE_NOT_FOUND)
    ids = [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)] or [MF]
    aid = None if p1 in (_FROM_MF, _PARENT) else selection.aid
    ef: int | None = None
    for number, file_id in enumerate(ids):
        if ef is not None:
            raise StatusError(FILE_NOT_FOUND)
        if file_id == MF and number == 0:
            aid = None
        elif file_id == ADF and selection.application == USIM_AID:
            aid = USIM_AID
        elif file_id in _OF_MF or (file_id in _OF_USIM and aid == USIM_AID):
            ef = file_id
        else:
            raise StatusError(FILE_NOT_FOUND)
    selection.aid, selection.ef, selection.record = aid, ef, 0
    return control_parameters(selection, terminal_capability=terminal_capability)


def control_parameters(selection: Selection, *, terminal_capability: bool = True) -> bytes:
    """FCP template of what is selected (TS 102 221 §11.1.1.3). The MF says whether TERMINAL CAPABILITY is supported:
    a terminal sends it only then (§11.1.19)."""
    match selection.ef:
        case 0x2F00:
            record = bytes((0x42, 0x21, 0x00, _DIR_RECORD_BYTES, 0x01))
            fields = der.octets(record, 0x82), der.octets(b"\x2f\x00", 0x83), _size(_DIR_RECORD_BYTES)
        case int() as ef:
            size = {EF_ICCID: 10, EF_IMSI: _IMSI_BYTES, EF_AD: 4}[ef]
            fields = der.octets(b"\x41\x21", 0x82), der.octets(ef.to_bytes(2, "big"), 0x83), _size(size)
        case _ if selection.aid is None:
            supported = _TERMINAL_CAPABILITY_SUPPORTED if terminal_capability else b""
            proprietary = der.tlv(0xA5, _UICC_CHARACTERISTICS, supported)
            fields = der.octets(b"\x78\x21", 0x82), der.octets(b"\x3f\x00", 0x83), proprietary
        case _:
            fields = der.octets(b"\x78\x21", 0x82), der.octets(selection.aid or b"", 0x84), b""
    pins = _NO_PIN_ENABLED if selection.ef is None else b""
    return der.tlv(0x62, *fields, der.octets(b"\x05", 0x8A), pins)


def read_binary(selection: Selection, p1: int, p2: int, shown: ShownProfile | None) -> bytes:
    """The content of the transparent EF from the offset on."""
    offset = p1 << 8 | p2
    if p1 & 0x80:
        if p1 & 0x60:
            raise StatusError(INCORRECT_P1_P2)
        _select_short(selection, p1 & 0x1F, shown)
        offset = p2
    if selection.ef is None or shown is None:
        raise StatusError(NO_CURRENT_EF)
    match selection.ef:
        case 0x2FE2:
            content = tbcd(shown.iccid)
        case 0x6F07:
            content = _imsi(shown)
        case 0x6FAD:
            content = bytes((0, 0, 0, 3 if shown.mcc_mnc[1:2] and shown.mcc_mnc[1] >> 4 != 0xF else 2))
        case _:
            raise StatusError(NOT_COMPATIBLE)
    if offset >= len(content):
        raise StatusError(WRONG_OFFSET)
    return content[offset:]


def read_record(selection: Selection, p1: int, p2: int, shown: ShownProfile | None) -> bytes:
    """A record of EF_DIR: its one record names the USIM."""
    if p2 >> 3:
        _select_short(selection, p2 >> 3, shown)
    mode = p2 & 0x07
    if mode not in (_NEXT, _PREVIOUS, _ABSOLUTE) or (mode != _ABSOLUTE and p1):
        raise StatusError(INCORRECT_P1_P2)
    if selection.ef is None or shown is None:
        raise StatusError(NO_CURRENT_EF)
    if selection.ef != EF_DIR:
        raise StatusError(NOT_COMPATIBLE)
    if mode == _ABSOLUTE:
        number = p1 or selection.record
    else:
        number = selection.record + 1 if mode == _NEXT else selection.record - 1 if selection.record else 1
    if number != 1:
        raise StatusError(RECORD_NOT_FOUND)
    if mode != _ABSOLUTE:
        selection.record = number
    record = der.tlv(0x61, der.octets(USIM_AID, 0x4F), der.octets(b"USIM", 0x50))
    return record.ljust(_DIR_RECORD_BYTES, b"\xff")


def _select_short(selection: Selection, short_id: int, shown: ShownProfile | None) -> None:
    """The EF of the current directory with this short identifier becomes the current one."""
    known = _SHORT_IDS_OF_USIM if selection.aid == USIM_AID else _SHORT_IDS_OF_MF
    ef = known.get(short_id)
    if ef is None or shown is None:
        raise StatusError(FILE_NOT_FOUND)
    selection.ef, selection.record = ef, 0


def _size(size_bytes: int) -> bytes:
    return der.octets(size_bytes.to_bytes(2, "big"), 0x80)


def _imsi(shown: ShownProfile) -> bytes:
    """The operator's code and the end of the ICCID; nothing but FF where the operator is not known."""
    if len(shown.mcc_mnc) != 3:
        return b"\xff" * _IMSI_BYTES
    code = shown.mcc_mnc.hex().upper()
    plmn = (code[1] + code[0] + code[3] + code[5] + code[4] + code[2]).removesuffix("F")
    if not plmn.isdecimal():
        return b"\xff" * _IMSI_BYTES
    own = "".join(str(int(nibble, 16) % 10) for nibble in shown.iccid)
    nibbles = "9" + plmn + own[-(_IMSI_DIGITS - len(plmn)) :]
    return b"\x08" + bytes.fromhex("".join(nibbles[i + 1] + nibbles[i] for i in range(0, len(nibbles), 2)))
