"""An EimPackageResult as other releases of SGP.32 write it (v1.0 to v1.3 ProvideEimPackageResult, BF50).

The agent makes and keeps results in the form of v1.2. What the eUICC signed reads the same in every release; what the
IPA adds to it does not.
"""

from __future__ import annotations

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.codec.es10.euicc_package import EuiccPackageResult
from ipad_agent.errors import CodecError


def common_form(result: bytes) -> bytes:
    """What v1.0 and v1.2 both can read: a signed result without the notifications that travel with it (their list has
    another tag in v1.0; they go one by one instead), a download error without errorResponse. An
    eimPackageResultResponseError has no common form and stays as v1.2 has it."""
    element = tlv.parse(result)
    if element.tag == 0x30:
        return element.require(0xBF51, "the package result").raw
    if element.tag == 0xBF54 and (error := element.find(0x30)) is not None:
        reason = error.find(0x80)
        return _trigger(element, tlv.encode(0x30, b"" if reason is None else reason.raw))
    return result


def v1_0_form(result: bytes) -> bytes:
    """As v1.0 writes it: the result alone (see ``common_form``), a download error with the server's answer under
    ``80`` and without a reason, other errors as bare numbers."""
    element = tlv.parse(result)
    if element.tag == 0xBF54 and (error := element.find(0x30)) is not None:
        response = error.find(0x04)
        return _trigger(element, tlv.encode(0x30, b"" if response is None else tlv.encode(0x80, response.value)))
    if element.tag == 0xA0:
        return element.require(0x02, "eimPackageResultErrorCode").raw
    if element.tag == 0xBF52 and (refusal := element.find(0xA1)) is not None:
        code = refusal.require(0x02, "ipaEuiccDataErrorCode")
        return tlv.encode(0xBF52, tlv.encode_integer(0x81, code.integer()))
    return common_form(result)


def signed_result(result: bytes) -> EuiccPackageResult | None:
    """The signed eUICC package result in an EimPackageResult, which the eUICC keeps under its number; None when there
    is none, or none that can be read."""
    try:
        element = tlv.parse(result)
        if element.tag == 0x30:
            element = element.require(0xBF51, "the package result")
        found = EuiccPackageResult.parse(element.raw) if element.tag == 0xBF51 else None
    except CodecError:
        return None
    return found if found is not None and found.seq_number is not None else None


def _trigger(element: Tlv, error: bytes) -> bytes:
    transaction = element.find(0x82)
    return tlv.encode(0xBF54, b"" if transaction is None else transaction.raw, error)
