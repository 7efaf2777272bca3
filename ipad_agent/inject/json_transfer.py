"""TransferEimPackage in the JSON binding (SGP.32 v1.2 §6.1.2, §6.4), read into and written from the ASN.1 one.

The fields have the names of the ASN.1 alternatives and hold the DER of one object each, tag included, in base64, so
what was signed stays as it came; eimPackageError is a number as in GetEimPackage, and eimPackageReceived, a NULL, is
null. The text that says so for this function was not seen (docs/interpretations.md).
"""

from __future__ import annotations

import json
from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.rsp.rsp_json import JsonAnswer, base64_of
from ipad_agent.errors import CodecError

PATH: Final = "/gsma/rsp2/esipa/transferEimPackage"
TYPE: Final = "application/json;charset=UTF-8"
_TRANSFER: Final = 0xBF4E
_PACKAGES: Final = (
    ("euiccPackageRequest", 0xBF51),
    ("ipaEuiccDataRequest", 0xBF52),
    ("eimAcknowledgements", 0xBF53),
    ("profileDownloadTriggerRequest", 0xBF54),
)
_RECEIVED, _ERROR = 0x05, 0x02
_WITH_CID: Final = {0xBF60: "eimPackageReceivedWithCid", 0xBF61: "eimPackageErrorWithCid"}
_EXECUTED: Final = {"functionExecutionStatus": {"status": "Executed-Success"}}


def request_in_asn1(body: bytes) -> bytes:
    """TransferEimPackageRequest (BF4E) from a JSON object with one package in it. Raises ``CodecError``."""
    members = JsonAnswer.parse(body)
    found = [(name, tag) for name, tag in _PACKAGES if members.present(name)]
    if len(found) != 1:
        named = ", ".join(name for name, _ in _PACKAGES)
        raise CodecError(f"the request holds {'several' if found else 'none'} of {named}")
    name, tag = found[0]
    return tlv.encode(_TRANSFER, members.require(name, tag))


def answer_in_json(answer: bytes) -> bytes:
    """From a TransferEimPackageResponse of ours; one without content (to acknowledgements) stays without."""
    if not answer:
        return b""
    (inside,) = tlv.parse(answer).children()
    members: dict[str, object] = {"header": _EXECUTED}
    if inside.tag == _RECEIVED:
        members["eimPackageReceived"] = None
    elif inside.tag == _ERROR:
        members["eimPackageError"] = inside.integer()
    else:
        members[_WITH_CID[inside.tag]] = base64_of(inside.raw)
    return json.dumps(members, separators=(",", ":")).encode("ascii")
