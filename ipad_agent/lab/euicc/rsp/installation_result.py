"""ProfileInstallationResult (SGP.22 §2.5.6): signed, kept as a notification until it is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.state.card_state import INSTALL, Installing, Notification
from ipad_agent.lab.euicc.state.profile_switching import notification_metadata

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

RESULT, RESULT_DATA = 0xBF37, 0xBF27
LOAD_PROFILE_ELEMENTS = 5
"""BppCommandId; the lower ones are in ``rsp_install``."""
INCORRECT_INPUT_VALUES, INVALID_SIGNATURE, INVALID_TRANSACTION_ID, UNSUPPORTED_CRT = 1, 2, 3, 4
UNSUPPORTED_OPERATION, UNSUPPORTED_CLASS, STRUCTURE_ERROR, SECURITY_ERROR = 5, 6, 7, 8
ICCID_EXISTS, INSUFFICIENT_MEMORY, INTERRUPTION, PE_PROCESSING, DATA_MISMATCH = 9, 10, 11, 12, 13
PPR_NOT_ALLOWED = 15

_PE_STATUS = {INSUFFICIENT_MEMORY: 2, PE_PROCESSING: 3}
"""Of the reasons that a profile element has: memory-failure, bad-values."""


def success(isdr: Isdr, about: Installing, aid: bytes) -> bytes:
    """The BF37 of a profile that is there, stored but uncommitted."""
    found = der.tlv(0xA0, der.octets(aid, isdr.quirks.result_aid_tag), der.octets(_sima_response(0)))
    return _store(isdr, about, found)


def failure(isdr: Isdr, about: Installing, reason: int) -> bytes:
    """The BF37 of an installation that failed in ``about.command``, stored but uncommitted."""
    sima = b""
    if about.command == LOAD_PROFILE_ELEMENTS and reason in _PE_STATUS:
        sima = der.octets(_sima_response(_PE_STATUS[reason]), 0x82)
    return _store(isdr, about, der.tlv(0xA1, der.integer(about.command, 0x80), der.integer(reason, 0x81), sima))


def tell_interruption(isdr: Isdr) -> None:
    """An installation that will never end gets its result, if this card does that, and is forgotten."""
    about = isdr.state.installing
    if about is None:
        return
    isdr.state.installing = None
    if isdr.quirks.report_interruption:
        failure(isdr, about, INTERRUPTION)
    isdr.commit()


def _store(isdr: Isdr, about: Installing, final: bytes) -> bytes:
    state = isdr.state
    seq = state.take_seq()
    metadata = notification_metadata(isdr, seq, INSTALL, about.smdp_address, about.iccid)
    data = der.tlv(
        RESULT_DATA,
        der.octets(about.transaction_id, 0x80),
        metadata,
        der.oid(about.smdp_oid),
        der.tlv(0xA2, final),
    )
    ci = isdr.identity.ci(about.ci_pkid) or isdr.identity.cis[0]
    raw = der.tlv(RESULT, data, der.octets(ci.sign(data), 0x5F37))
    state.notifications.append(Notification(seq, INSTALL, about.smdp_address, about.iccid, raw, metadata))
    return raw


def _sima_response(status: int) -> bytes:
    """EUICCResponse with one PEStatus."""
    return der.seq(der.tlv(0xA0, der.seq(der.integer(status, 0x80))))
