"""Clients of other makes against the server: OpenSSL's s_client and libcoap's coap-client."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiocoap
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.eim import CoapSettings, CoapsServer, DtlsSettings, EimIdentity, Reply, TlsIdentity
from ipad_agent.lab.pki import Pki

from .world import EID, NO_PACKAGE, POLL, certificate_der, make_eim, new_key, self_signed

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Ran:
    out: bytes
    text: str


async def run(*command: str | Path, stdin: bytes = b"") -> Ran:
    """Run to the end; its two outputs."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(stdin), TIMEOUT_S)
    return Ran(out, out.decode(errors="replace") + err.decode(errors="replace"))


@dataclass
class Noting:
    """Answers with 700 bytes and the body, and keeps the bodies."""

    bodies: list[bytes]

    def exchange(self, body: bytes, *, now_s: float = 0.0, peer: str = "") -> Reply:
        self.bodies.append(body)
        return Reply(bytes(range(175)) * 4 + body)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.create(tmp_path_factory.mktemp("pki"))


def issued(pki: Pki) -> TlsIdentity:
    return EimIdentity.from_pki(pki).tls


# libcoap

both_builds = pytest.mark.parametrize("program", ["coap-client-openssl", "coap-client-gnutls"])


@asynccontextmanager
async def serving(
    application: Noting | None, dtls: DtlsSettings, coap: CoapSettings | None = None
) -> AsyncIterator[CoapsServer]:
    async with CoapsServer(application or make_eim(), dtls=dtls, coap=coap) as server:
        yield server


async def post(
    server: CoapsServer, folder: Path, body: bytes, *options: str | Path, program: str = "coap-client-openssl"
) -> tuple[bytes, str]:
    """coap-client's POST of a file: the answer's payload and what it printed."""
    (folder / "body").write_bytes(body)
    (folder / "answer").unlink(missing_ok=True)
    ran = await run(
        program,
        *("-a", "127.0.0.1", "-m", "post", "-B", "10", "-f", folder / "body", "-o", folder / "answer"),
        *options,
        server.uri,
    )
    answer = folder / "answer"
    return (answer.read_bytes() if answer.exists() else b""), ran.text


@both_builds
async def test_libcoap_polls_byte_for_byte(pki: Pki, tmp_path: Path, program: str) -> None:
    async with serving(None, DtlsSettings(issued(pki))) as server:
        ca = str(pki["eim-ca"].cert_path)
        assert (await post(server, tmp_path, POLL, "-C", ca, program=program))[0] == NO_PACKAGE
        unknown = bytes.fromhex("BF4F 12 5A10 89049032000000000000000000000014")
        answer, _ = await post(server, tmp_path, unknown, "-R", ca, program=program)
        assert answer == bytes.fromhex("BF4F 03 020102")


async def test_libcoap_with_a_foreign_anchor_does_not_connect(pki: Pki, tmp_path: Path) -> None:
    async with serving(None, DtlsSettings(issued(pki))) as server:
        answer, _ = await post(server, tmp_path, POLL, "-R", str(pki.variant("eim-ca", "foreign").cert_path))
        assert answer == b""
        assert server.dtls is not None
        assert server.dtls.established_count == 0


@both_builds
@pytest.mark.parametrize("szx", [6, 2])
@pytest.mark.parametrize("client_block", ["64", "1024", None])
async def test_libcoap_sends_and_fetches_in_blocks_with_a_token_each(
    pki: Pki, tmp_path: Path, szx: int, client_block: str | None, program: str
) -> None:
    application = Noting([])
    body = bytes(range(256)) * 10
    options = ["-v", "7", "-C", str(pki["eim-ca"].cert_path)] + (["-b", client_block] if client_block else [])
    async with serving(application, DtlsSettings(issued(pki)), CoapSettings(block_size_exp=szx)) as server:
        answer, text = await post(server, tmp_path, body, *options, program=program)
    assert application.bodies == [body]
    assert answer == bytes(range(175)) * 4 + body
    sent = re.findall(r"c:POST,? i:[0-9a-f]+ \{([0-9a-f]*)\}", text)
    assert len(set(sent)) > 3


@both_builds
async def test_libcoap_with_psk(tmp_path: Path, program: str) -> None:
    async with serving(None, DtlsSettings(psk={b"device-1": b"0123456789abcdef"}, psk_hint=b"eim")) as server:
        answer, _ = await post(server, tmp_path, POLL, "-u", "device-1", "-k", "0123456789abcdef", program=program)
        assert answer == NO_PACKAGE
        assert (await post(server, tmp_path, POLL, "-u", "device-1", "-k", "another", "-B", "1"))[0] == b""
        assert (await post(server, tmp_path, POLL, "-u", "device-2", "-k", "0123456789abcdef", "-B", "1"))[0] == b""


async def test_libcoap_shows_a_client_certificate(pki: Pki, tmp_path: Path) -> None:
    anchors = (pki["eim-ca"].certificate,)
    required = DtlsSettings(issued(pki), client_certificate="required", client_anchors=anchors)
    leaf = pki["eim-tls-issued"]
    foreign = pki.variant("eim-tls-issued", "foreign")
    ca = str(pki["eim-ca"].cert_path)
    async with serving(None, required) as server:
        good = ("-R", ca, "-c", str(leaf.cert_path), "-j", str(leaf.key_path))
        assert (await post(server, tmp_path, POLL, *good))[0] == NO_PACKAGE
        bad = ("-R", ca, "-c", str(foreign.cert_path), "-j", str(foreign.key_path))
        assert (await post(server, tmp_path, POLL, *bad))[0] == b""
        assert (await post(server, tmp_path, POLL, "-R", ca))[0] == b""


async def test_libcoap_gets_a_late_answer(pki: Pki, tmp_path: Path) -> None:
    class Late(Noting):
        def exchange(self, body: bytes, *, now_s: float = 0.0, peer: str = "") -> Reply:
            return Reply(body, delay_s=0.3)

    async with serving(Late([]), DtlsSettings(issued(pki))) as server:
        assert (await post(server, tmp_path, b"x", "-R", str(pki["eim-ca"].cert_path)))[0] == b"x"


async def test_libcoap_on_a_line_that_loses_datagrams(pki: Pki, tmp_path: Path) -> None:
    application = Noting([])
    body = bytes(range(256)) * 4
    async with serving(application, DtlsSettings(issued(pki))) as server:
        # The numbered datagrams of the client are never sent: one of the handshake, one block.
        lossy = ("-l", "2,9", "-b", "512", "-B", "25", "-R", str(pki["eim-ca"].cert_path))
        answer, _ = await post(server, tmp_path, body, *lossy)
    assert answer == bytes(range(175)) * 4 + body
    assert application.bodies == [body]


async def test_libcoap_without_dtls(tmp_path: Path) -> None:
    async with CoapsServer(make_eim(), dtls=None) as server:
        assert (await post(server, tmp_path, POLL, program="coap-client-notls"))[0] == NO_PACKAGE


# aiocoap as client


async def test_aiocoap_sends_and_fetches_in_blocks() -> None:
    application = Noting([])
    body = bytes(range(256)) * 20
    async with CoapsServer(application, dtls=None, coap=CoapSettings(block_size_exp=4)) as server:
        client = await aiocoap.Context.create_client_context(transports=["simple6"])
        answer = await client.request(aiocoap.Message(code=aiocoap.POST, uri=server.uri, payload=body)).response
        await client.shutdown()
    assert answer.code == aiocoap.CHANGED
    assert answer.payload == bytes(range(175)) * 4 + body
    assert application.bodies == [body]


# openssl s_client


async def s_client(server: CoapsServer, *options: str | Path) -> str:
    address = ("-connect", f"127.0.0.1:{server.port}")
    return (await run("openssl", "s_client", "-dtls1_2", *address, *options, stdin=b"Q\n")).text


async def test_s_client_verifies_the_chain_that_is_sent(pki: Pki) -> None:
    async with serving(None, DtlsSettings(issued(pki))) as server:
        text = await s_client(server, "-showcerts", "-CAfile", str(pki["eim-ca"].cert_path))
        assert "Verify return code: 0 (ok)" in text
        assert text.count("BEGIN CERTIFICATE") == 2
    async with serving(None, DtlsSettings(EimIdentity.from_pki(pki, tls="self").tls)) as server:
        text = await s_client(server, "-showcerts", "-CAfile", str(pki["eim-tls-self"].cert_path))
        assert "Verify return code: 0 (ok)" in text
        assert text.count("BEGIN CERTIFICATE") == 1


@pytest.mark.parametrize(
    "cipher",
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES128-SHA256",
        "ECDHE-ECDSA-AES128-CCM",
        "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0",
    ],
)
async def test_s_client_speaks_each_suite(pki: Pki, cipher: str) -> None:
    async with serving(None, DtlsSettings(issued(pki))) as server:
        text = await s_client(server, "-cipher", cipher)
        assert f"Cipher is {cipher.split(':')[0]}" in text


async def test_s_client_with_defaults_gets_the_first_suite_of_the_spec(pki: Pki) -> None:
    async with serving(None, DtlsSettings(issued(pki))) as server:
        assert "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256" in await s_client(server)


async def test_s_client_with_brainpool_groups() -> None:
    key = ec.generate_private_key(ec.BrainpoolP256R1())
    brainpool = TlsIdentity(key, (self_signed(key, "eim"),))
    async with serving(None, DtlsSettings(brainpool)) as server:
        text = await s_client(server, "-groups", "brainpoolP256r1")
        assert "brainpoolP256r1" in text
        assert "Cipher is ECDHE-ECDSA-AES128-GCM-SHA256" in text


@pytest.mark.parametrize("resumption", ["tickets", "session-id"])
async def test_s_client_resumes(pki: Pki, tmp_path: Path, resumption: str) -> None:
    session = tmp_path / "session"
    async with serving(None, DtlsSettings(issued(pki), resumption=resumption)) as server:
        assert "New, TLSv1.2" in await s_client(server, "-sess_out", session)
        assert "Reused, TLSv1.2" in await s_client(server, "-sess_in", session)
        server.restart_quietly()
        assert "New, TLSv1.2" in await s_client(server, "-sess_in", session)


async def test_s_client_certificate_is_seen_and_kept_in_the_resumed_session(pki: Pki, tmp_path: Path) -> None:
    key = new_key()
    certificate = self_signed(key, "device", serial_number=EID)
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    seen: list[x509.Certificate | None] = []

    async with serving(None, DtlsSettings(issued(pki), client_certificate="optional")) as server:
        dtls = server.dtls
        assert dtls is not None
        establish = dtls._establish

        def look(session: object, now_s: float) -> object:
            outputs = establish(session, now_s)  # type: ignore[arg-type]  # passed through
            seen.extend(one.client_certificate() for one in dtls.sessions())
            return outputs

        dtls._establish = look  # type: ignore[method-assign, assignment]  # a spy
        show = ("-cert", tmp_path / "cert.pem", "-key", tmp_path / "key.pem")
        assert "New, TLSv1.2" in await s_client(server, "-sess_out", tmp_path / "session", *show)
        assert "Reused, TLSv1.2" in await s_client(server, "-sess_in", tmp_path / "session", *show)
        assert "New, TLSv1.2" in await s_client(server)
    shown = [None if one is None else certificate_der(one) for one in seen]
    assert shown == [certificate_der(certificate), certificate_der(certificate), None]
