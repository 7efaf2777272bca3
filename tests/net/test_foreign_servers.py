"""The carrier against servers written by others: OpenSSL's s_server for the handshake, libcoap for all of it."""

from __future__ import annotations

import asyncio
import random
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ipad_agent.net.coap.coaps_carrier import CoapsCarrier
from ipad_agent.net.coap.coaps_endpoint import CoapsEndpoint
from ipad_agent.net.dtls.dtls_backend import Psk
from ipad_agent.net.errors import CertificateWanted, HandshakeFailed, PeerStatus, TransferTimeout, TrustRefused
from ipad_agent.net.trust.client_certificate import ClientCertificate
from ipad_agent.net.trust.pinned_trust import Trust

from .certs import Identity, brainpool, issue


@pytest.fixture(scope="module")
def root() -> Identity:
    return issue("Root", ca=True)


@pytest.fixture(scope="module")
def server(root: Identity) -> Identity:
    return issue("S", issuer=root, dns=("eim.test",), ips=("127.0.0.1",))


def free_pair() -> int:
    """A UDP port that is free together with the next one: libcoap serves coap and coaps there."""
    for _ in range(50):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as two:
                try:
                    two.bind(("127.0.0.1", port + 1))
                except OSError:
                    continue
                return port
    raise AssertionError("no two free ports")


class Process:
    """A running program whose output is collected."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._grown = asyncio.Event()
        self.output = b""
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while piece := await self._process.stdout.read(65536):
            self.output += piece
            self._grown.set()

    async def says(self, words: bytes) -> None:
        """Wait until the output holds ``words``, at most ten seconds."""
        async with asyncio.timeout(60):
            while words not in self.output:
                self._grown.clear()
                await self._grown.wait()

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reader


@asynccontextmanager
async def running(*command: str) -> AsyncIterator[Process]:
    process = Process(
        await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    )
    try:
        yield process
    finally:
        await process.stop()


def files_of(identity: Identity, folder: Path) -> tuple[str, str]:
    certificate, key = folder / "server.pem", folder / "server.key"
    certificate.write_bytes(identity.pem)
    key.write_bytes(identity.key_pem)
    return str(certificate), str(key)


@asynccontextmanager
async def s_server(identity: Identity, folder: Path, *options: str) -> AsyncIterator[tuple[Process, int]]:
    certificate, key = files_of(identity, folder)
    port = free_pair()
    command = ["openssl", "s_server", "-dtls1_2", "-accept", f"127.0.0.1:{port}", "-cert", certificate, "-key", key]
    async with running(*command, *options) as process:
        await process.says(b"ACCEPT")
        yield process, port


@asynccontextmanager
async def libcoap(*options: str) -> AsyncIterator[int]:
    """A server that keeps and returns what is posted to ``gsma/rsp2/asn1``; gives its coaps port."""
    port = free_pair()
    command = ["coap-server-openssl", "-A", "127.0.0.1", "-p", str(port), "-d", "5", "-e", "-v", "7", *options]
    async with running(*command) as process:
        await process.says(b"created DTLS endpoint")
        uri = f"coap://127.0.0.1:{port}/gsma/rsp2/asn1"
        async with running("coap-client-openssl", "-m", "put", "-e", "made", uri) as client:
            await client.says(b"made")
        yield port + 1


def carrier_to(port: int, trust: Trust, **changes: object) -> CoapsCarrier:
    endpoint = CoapsEndpoint("127.0.0.1", trust, port, handshake_timeout_s=10, exchange_timeout_s=30, **changes)  # type: ignore[arg-type]
    return CoapsCarrier(endpoint)


# -- openssl s_server ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["P-256", "brainpool"])
async def test_openssl_server_is_spoken_to_when_it_is_the_pinned_one(kind: str, tmp_path: Path) -> None:
    identity = issue("S", key=brainpool()) if kind == "brainpool" else issue("S")
    curves = ("-curves", "brainpoolP256r1") if kind == "brainpool" else ()
    async with s_server(identity, tmp_path, *curves) as (process, port):
        carrier = carrier_to(port, Trust.spki(identity.spki), ack_timeout_s=0.05, max_retransmit=0)
        with pytest.raises(TransferTimeout):  # it prints what it gets, and answers nothing
            await carrier.exchange(b"hello", function="GetEimPackage")
        await process.says(b"gsma")
        assert carrier.traffic.handshakes_full == 1
        await carrier.close()


async def test_openssl_server_that_is_not_the_pinned_one_gets_no_byte(server: Identity, tmp_path: Path) -> None:
    async with s_server(server, tmp_path) as (process, port):
        carrier = carrier_to(port, Trust.spki(issue("x").spki))
        with pytest.raises(TrustRefused):
            await carrier.exchange(b"hello", function="GetEimPackage")
        await process.says(b"DONE")
        assert b"gsma" not in process.output


async def test_openssl_server_that_asks_for_a_certificate_is_told_about_and_shown_ours(
    server: Identity, root: Identity, tmp_path: Path
) -> None:
    device = issue("device", issuer=root)
    (tmp_path / "ca.pem").write_bytes(root.pem)
    asks = ("-Verify", "1", "-verify_return_error", "-CAfile", str(tmp_path / "ca.pem"))
    async with s_server(server, tmp_path, *asks) as (_, port):
        with pytest.raises(CertificateWanted, match="asks for a client certificate and none is configured"):
            await carrier_to(port, Trust.spki(server.spki)).exchange(b"hello", function="GetEimPackage")
    own = ClientCertificate.from_pem(device.pem, device.key_pem, certificate_place="a", key_place="b")
    async with s_server(server, tmp_path, *asks) as (process, port):
        carrier = carrier_to(
            port, Trust.spki(server.spki), ack_timeout_s=0.05, max_retransmit=0, client_certificate=own
        )
        with pytest.raises(TransferTimeout):
            await carrier.exchange(b"hello", function="GetEimPackage")
        await process.says(b"gsma")
        assert re.search(rb"CN ?= ?device", process.output)  # OpenSSL 3.2 writes names without blanks
        await carrier.close()


async def test_cookie_exchange_and_small_mtu_of_openssl_work(server: Identity, tmp_path: Path) -> None:
    async with s_server(server, tmp_path, "-listen", "-mtu", "300") as (process, port):
        carrier = carrier_to(port, Trust.certificate(server.der), ack_timeout_s=0.05, max_retransmit=0, mtu_bytes=300)
        with pytest.raises(TransferTimeout):
            await carrier.exchange(b"hello", function="GetEimPackage")
        await process.says(b"gsma")
        await carrier.close()


# -- libcoap -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_exp", [2, 6])
async def test_libcoap_takes_and_gives_blocks(server: Identity, root: Identity, size_exp: int, tmp_path: Path) -> None:
    certificate, key = files_of(server, tmp_path)
    body = random.Random(size_exp).randbytes(5000 if size_exp == 6 else 900)
    async with libcoap("-c", certificate, "-j", key, "-n") as port:
        carrier = carrier_to(port, Trust.certificate(root.der), block_size_exp=size_exp)
        assert await carrier.exchange(body, function="ProvideEimPackageResult") == body
        await carrier.close()
        assert await carrier.exchange(b"short", function="GetEimPackage") == b"short"
        assert (carrier.traffic.handshakes_full, carrier.traffic.handshakes_resumed) in ((1, 1), (2, 0))
        await carrier.close()


async def test_libcoap_says_405_for_what_it_cannot_do(server: Identity, tmp_path: Path) -> None:
    certificate, key = files_of(server, tmp_path)
    async with libcoap("-c", certificate, "-j", key, "-n") as port:
        carrier = carrier_to(port, Trust.spki(server.spki), path="time")
        with pytest.raises(PeerStatus, match=r"4\.05"):
            await carrier.exchange(b"x", function="GetEimPackage")
        await carrier.close()


async def test_libcoap_with_a_pre_shared_key_is_spoken_to() -> None:
    async with libcoap("-k", "0123456789abcdef") as port:
        good = carrier_to(port, Trust.psk(), psk=Psk(b"device", b"0123456789abcdef"))
        assert await good.exchange(b"hi", function="GetEimPackage") == b"hi"
        await good.close()
        wrong = CoapsCarrier(
            CoapsEndpoint(
                "127.0.0.1", Trust.psk(), port, psk=Psk(b"device", b"another key here"), handshake_timeout_s=0.3
            )
        )
        with pytest.raises(HandshakeFailed):
            await wrong.exchange(b"hi", function="GetEimPackage")
