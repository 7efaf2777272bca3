"""TransferEimPackage as an eIM writes it, and what a device answers (BF4E)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from ipad_agent.lab.crypto import der
from ipad_agent.lab.crypto.der import DerError, Node
from ipad_agent.lab.eim.results.result_description import number

TRANSFER = 0xBF4E
JSON_PATH = "/gsma/rsp2/esipa/transferEimPackage"
JSON_TYPE = "application/json;charset=UTF-8"
_JSON_NAMES = {
    0xBF51: "euiccPackageRequest",
    0xBF52: "ipaEuiccDataRequest",
    0xBF53: "eimAcknowledgements",
    0xBF54: "profileDownloadTriggerRequest",
}


@dataclass(frozen=True, slots=True)
class TransferAnswer:
    """``kind`` is ``received``, ``error``, ``result``, ``nothing`` or ``unreadable``. ``correlated``: in the form of
    v1.3, with the transaction or the EID (hexadecimal) in ``correlation``."""

    kind: str
    code: int | None = None
    correlated: bool = False
    correlation: str | None = None

    @property
    def text(self) -> str:
        """For people."""
        code = "" if self.code is None else f" {self.code}"
        return f"{self.kind}{code}" + (" (v1.3)" if self.correlated else "")


def transfer(package: bytes) -> bytes:
    """TransferEimPackageRequest."""
    return der.tlv(TRANSFER, package)


def read_answer(body: bytes) -> TransferAnswer:
    """TransferEimPackageResponse; never raises."""
    if not body:
        return TransferAnswer("nothing")
    try:
        node = der.parse(body)
        inside = node.children
        if node.tag != TRANSFER or len(inside) != 1:
            return TransferAnswer("unreadable")
        return _read(inside[0])
    except DerError:
        return TransferAnswer("unreadable")


def _read(node: Node) -> TransferAnswer:
    match node.tag:
        case 0x05:
            return TransferAnswer("received")
        case 0x02:
            return TransferAnswer("error", number(node))
        case 0xBF60:
            return TransferAnswer("received", None, True, _correlation(node))
        case 0xBF61:
            code = node.find(0x81)
            return TransferAnswer("error", None if code is None else number(code), True, _correlation(node))
        case 0x30 | 0xBF51 | 0xBF52:
            return TransferAnswer("result")
    return TransferAnswer("unreadable")


def _correlation(node: Node) -> str | None:
    wrapped = node.find(0xA0)
    if wrapped is None:
        return None
    return wrapped.children[0].value.hex().upper()


def transfer_json(package: bytes) -> bytes:
    """The same request in JSON: one member, named as the alternative is."""
    return json.dumps({_JSON_NAMES[der.parse(package).tag]: base64.b64encode(package).decode("ascii")}).encode("ascii")


def read_json_answer(body: bytes) -> TransferAnswer:
    """TransferEimPackageResponse in JSON; never raises."""
    if not body:
        return TransferAnswer("nothing")
    try:
        members = json.loads(body)
        if members["header"]["functionExecutionStatus"]["status"] != "Executed-Success":
            return TransferAnswer("unreadable")
        (name,) = [name for name in members if name != "header"]
        value = members[name]
        if name == "eimPackageReceived" and value is None:
            return TransferAnswer("received")
        if name == "eimPackageError" and type(value) is int:
            return TransferAnswer("error", value)
        if name in ("eimPackageReceivedWithCid", "eimPackageErrorWithCid"):
            return _read(der.parse(base64.b64decode(value, validate=True)))
    except (ValueError, KeyError, TypeError, DerError):
        pass
    return TransferAnswer("unreadable")
