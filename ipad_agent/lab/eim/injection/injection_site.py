"""Where a device of the lab listens for packages that its eIM pushes, and the pushing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ipad_agent.lab.eim.coap.dtls_context import TlsIdentity
from ipad_agent.lab.eim.device_records import Order
from ipad_agent.lab.eim.errors import InjectionError
from ipad_agent.lab.eim.injection.coaps_client import push_coaps
from ipad_agent.lab.eim.injection.https_client import push_https
from ipad_agent.lab.eim.injection.transfer_messages import (
    JSON_PATH,
    JSON_TYPE,
    TransferAnswer,
    read_answer,
    read_json_answer,
    transfer,
    transfer_json,
)
from ipad_agent.lab.eim.virtual_eim import VirtualEim

__all__ = ["INJECTION", "InjectionSite"]

INJECTION = ("https", "coaps")
_HOST = "127.0.0.1"


class InjectionSite:
    """``carriers`` are some of ``INJECTION``; the ports are free ones of this machine. The paths are of the device's
    certificate and key. ``psk`` is identity and key, for an eIM without a certificate. ``looked`` is called after
    something was noted in the eIM's history."""

    def __init__(
        self,
        carriers: Sequence[str],
        certificate_path: Path,
        key_path: Path,
        identity: TlsIdentity,
        psk: tuple[bytes, bytes] | None = None,
        looked: Callable[[], None] = lambda: None,
    ) -> None:
        unknown = set(carriers) - set(INJECTION)
        if unknown:
            raise InjectionError(f"packages are pushed by {' or '.join(INJECTION)}, not {', '.join(sorted(unknown))}")
        self.ports = {carrier: _free_port(carrier) for carrier in carriers}
        self.identity = identity
        self._certificate_path, self._key_path = certificate_path, key_path
        self._looked = looked
        self._psk = psk

    def agent_table(self) -> Mapping[str, Any]:
        """For the agent's configuration."""
        return {
            "listen": [f"{carrier}://{_HOST}:{port}" for carrier, port in self.ports.items()],
            "certificate": self._certificate_path,
            "key_file": self._key_path,
            "per_minute": 600,
        }

    async def push(
        self,
        eim: VirtualEim,
        eid: str,
        order: Order,
        *,
        carrier: str | None = None,
        binding: str = "asn1",
        **how: Any,
    ) -> TransferAnswer:
        """Push an order of this eIM and note the answer; over HTTPS in the ``asn1`` or the ``json`` binding. Raises
        ``InjectionError`` when the device is not reached."""
        carrier = carrier or next(iter(self.ports))
        package = eim.push(eid, order)
        self._looked()
        answer = TransferAnswer("unreadable")
        try:
            body = transfer_json(package) if binding == "json" else transfer(package)
            answer = await self.send(body, carrier=carrier, binding=binding, **how)
        finally:
            eim.push_answered(eid, order, f"{answer.text} over {carrier}", received=answer.kind == "received")
            self._looked()
        return answer

    async def send(
        self,
        body: bytes,
        *,
        carrier: str,
        binding: str = "asn1",
        identity: TlsIdentity | None = None,
        **how: Any,
    ) -> TransferAnswer:
        """Any body, as this eIM or as somebody else (``identity``)."""
        if carrier not in self.ports:
            raise InjectionError(f"the device does not listen for packages over {carrier}")
        where, shown = (_HOST, self.ports[carrier]), identity or self.identity
        expected = x509.load_pem_x509_certificate(self._certificate_path.read_bytes())
        common: dict[str, Any] = {"expected": expected.public_bytes(serialization.Encoding.DER), **how}
        if binding == "json":
            if carrier != "https":
                raise InjectionError("packages in JSON are pushed over https")
            common |= {"path": JSON_PATH, "content_type": JSON_TYPE}
        if carrier == "https":
            status, answer = await asyncio.to_thread(partial(push_https, where, body, identity=shown, **common))
            read = read_json_answer if binding == "json" else read_answer
            return read(answer) if status in (200, 204) else TransferAnswer("error", status)
        if self._psk is not None:
            common["psk"] = self._psk
        else:
            common["identity"] = shown
        code, answer = await asyncio.to_thread(partial(push_coaps, where, body, **common))
        return read_answer(answer) if code == "2.04" else TransferAnswer("error", int(code.replace(".", "")))


def _free_port(carrier: str) -> int:
    kind = socket.SOCK_STREAM if carrier == "https" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
