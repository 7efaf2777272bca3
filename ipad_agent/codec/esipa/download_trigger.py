"""The order to download a profile and its result (SGP.32 v1.2 §2.11.1.3, §2.11.2.3; BF54)."""

from __future__ import annotations

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import Tlv, hex_tag
from ipad_agent.codec.ber.tlv_fields import Fields, outer
from ipad_agent.codec.tolerances import EMPTY_DOWNLOAD_DATA, UNWRAPPED_CHOICE, Notes
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

from .ipa_euicc_data import Dialect

ECALL_ACTIVE = 104
UNDEFINED_ERROR = 127


@dataclass(frozen=True, slots=True)
class UseActivationCode:
    """Download with this activation code (a secret; see ``activation_code`` for its parts)."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class UseDefaultSmdp:
    """Ask the default SM-DP+ of the eUICC."""


@dataclass(frozen=True, slots=True)
class UseSmds:
    """Ask an SM-DS; without an address the root SM-DS of the eUICC."""

    address: str | None = None


DownloadData = UseActivationCode | UseDefaultSmdp | UseSmds


@dataclass(frozen=True, slots=True)
class DownloadTrigger:
    """``data`` is None when the eIM handles the download data itself (IPA capability eimDownloadDataHandling)."""

    raw: bytes = field(repr=False)
    data: DownloadData | None
    eim_transaction_id: bytes | None
    tolerances: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> DownloadTrigger:
        """From ``BF54 { A0 { 80 | 81 | A2 }?, 82? }``."""
        notes = Notes()
        fields = Fields(outer(raw, 0xBF54, notes, "a download trigger"))
        wrapper = fields.first(0xA0)
        data: DownloadData | None = None
        if wrapper is not None:
            choices = wrapper.children()
            known = next((choice for choice in choices if choice.tag in (0x80, 0x81, 0xA2)), None)
            if known is not None:
                data = _download_data(known)
            elif choices:
                raise CodecError(f"unknown download data {hex_tag(choices[0].tag)}", offset=choices[0].start)
            else:
                notes.take(EMPTY_DOWNLOAD_DATA)
        else:
            bare = fields.first(0x80, 0x81, 0xA2)
            if bare is not None:
                notes.take(UNWRAPPED_CHOICE)
                data = _download_data(bare)
        return cls(fields.owner.raw, data, fields.octets(0x82), notes.ids)


def _download_data(choice: Tlv) -> DownloadData:
    if choice.tag == 0x80:
        return UseActivationCode(choice.text())
    if choice.tag == 0x81:
        return UseDefaultSmdp()
    return UseSmds(Fields(choice).text(0x80) or None)


def encode_trigger_result(eim_transaction_id: bytes | None, installation_result_raw: bytes) -> bytes:
    """``BF54 { 82?, BF37 }`` with the eUICC's ProfileInstallationResult as it came."""
    element = tlv.parse(installation_result_raw)
    if element.tag != 0xBF37:
        raise CodecError(f"an installation result begins with BF37, not {hex_tag(element.tag)}", offset=0)
    return tlv.encode(0xBF54, _echo(eim_transaction_id), installation_result_raw)


def encode_trigger_error(
    eim_transaction_id: bytes | None,
    reason: int = UNDEFINED_ERROR,
    *,
    error_response: bytes | None = None,
    dialect: Dialect = "1.2",
) -> bytes:
    """``BF54 { 82?, 30 { 80 reason, 04 errorResponse? } }``; v1.0 knows only the response, under ``80``."""
    if dialect == "1.0":
        content = b"" if error_response is None else tlv.encode(0x80, error_response)
    else:
        response = b"" if error_response is None else tlv.encode(0x04, error_response)
        content = tlv.encode_integer(0x80, reason) + response
    return tlv.encode(0xBF54, _echo(eim_transaction_id), tlv.encode(0x30, content))


def _echo(eim_transaction_id: bytes | None) -> bytes:
    return b"" if eim_transaction_id is None else tlv.encode(0x82, eim_transaction_id)
