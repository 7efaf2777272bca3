"""Both listeners on free ports of loopback, with an eIM that the card knows, and the lab's clients towards them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ipad_agent.inject.coaps_listener import CoapsListener
from ipad_agent.inject.https_listener import HttpsListener
from ipad_agent.inject.listen_place import ListenPlace
from ipad_agent.inject.pushed_packages import PushedPackages
from ipad_agent.inject.pushing_eim import KnownEim
from ipad_agent.inject.request_limits import Attempts
from ipad_agent.lab.bench.device_certificate import DeviceCertificate
from ipad_agent.lab.eim import EimIdentity, TlsIdentity
from ipad_agent.lab.pki import Pki
from ipad_agent.net import ClientCertificate, Psk, Trust

from .test_pushed_packages import EIM, Orders

PATH = "/gsma/rsp2/asn1"
PSK = Psk(b"lab-device", bytes(range(16)))


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Site:
    """``eim`` is known by its key; ``stranger`` is not. ``psk``: the eIM has a pre-shared key instead."""

    folder: Path
    pki_folder: Path
    orders: Orders = field(default_factory=Orders)
    psk: bool = False
    per_minute: int = 600
    why_not: str | None = None

    def __post_init__(self) -> None:
        pki = Pki.load(self.pki_folder)
        self.eim = EimIdentity.from_pki(pki, tls="self").tls
        other = pki["euicc"]
        self.stranger = TlsIdentity(other.private_key, (other.certificate,))
        certificate = DeviceCertificate.in_folder(self.folder)
        pem, key = certificate.certificate_path.read_bytes(), certificate.key_path.read_bytes()
        self.own = ClientCertificate.from_pem(pem, key, certificate_place="a", key_place="b")
        self.https_port, self.coaps_port = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM)
        self.packages = PushedPackages(self.orders, lambda _: False)

    def known(self) -> list[KnownEim]:
        if self.psk:
            return [KnownEim(EIM, "eim.example", Trust.psk(), PSK)]
        return [KnownEim(EIM, "eim.example", Trust.spki(self.eim.spki_der))]

    def https(self) -> HttpsListener:
        place = ListenPlace("https", "127.0.0.1", self.https_port, lambda: self.why_not)
        admin, attempts = "gsma/rsp/v2.1.0", Attempts(self.per_minute)
        return HttpsListener(place, self.own, self.known, self.packages, PATH, admin, attempts)

    def coaps(self) -> CoapsListener:
        place = ListenPlace("coaps", "127.0.0.1", self.coaps_port, lambda: self.why_not)
        own = None if self.psk else self.own
        return CoapsListener(place, own, self.known, self.packages, PATH, Attempts(self.per_minute))


@contextlib.asynccontextmanager
async def running(listener: Coroutine[Any, Any, None], port: int, kind: socket.SocketKind) -> AsyncIterator[None]:
    """While it listens."""
    task = asyncio.create_task(listener)
    try:
        while not _taken(port, kind):
            assert not task.done(), task
            await asyncio.sleep(0.01)
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.wait([task])


def _taken(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False
