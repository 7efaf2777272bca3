"""SM-DP+ and SM-DS on a port: a whole download over HTTPS by the standard library's client, and answers gone wrong."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any

import pytest

from ipad_agent.lab.http import HttpSettings, TlsSettings
from ipad_agent.lab.pki import Pki
from ipad_agent.lab.smdp import (
    EXACT,
    LENIENT,
    Fault,
    FrontSettings,
    Metadata,
    Order,
    OrderState,
    PortSettings,
    ProfilePackage,
    ServerIdentity,
    SmdpServer,
    SmdsServer,
    VirtualSmdp,
    VirtualSmds,
    with_notifications,
)

from .scripted import ADDRESS, DS_ADDRESS, ICCID, MATCHING, Card, b64, un64

USUAL_HEADERS = {
    "Content-Type": "application/json",
    "X-Admin-Protocol": "gsma/rsp/v2.2.0",
    "User-Agent": "gsma-rsp-ipad",
}


@dataclass
class HttpsClient:
    """One kept-alive connection that checks chain and name."""

    pki: Pki
    port: int
    host: str = ADDRESS
    headers: dict[str, str] = field(default_factory=lambda: dict(USUAL_HEADERS))
    verify: bool = True

    def __enter__(self) -> HttpsClient:
        context = ssl.create_default_context(cadata=self.pki["ci"].cert_pem.decode())
        if self.pki.curve == "brainpool":
            context.set_ecdh_curve("brainpoolP256r1")
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.connection = http.client.HTTPSConnection(self.host, self.port, timeout=60)
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        self.connection.sock = context.wrap_socket(raw, server_hostname=self.host)
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def raw(self, function: str, body: Any) -> http.client.HTTPResponse:
        self.connection.request("POST", f"/gsma/rsp2/es9plus/{function}", json.dumps(body), self.headers)
        return self.connection.getresponse()

    def post(self, function: str, body: Any) -> Any:
        response = self.raw(function, body)
        assert response.status == 200
        answer = json.loads(response.read())
        assert answer["header"]["functionExecutionStatus"]["status"] == "Executed-Success", answer
        return answer


def smdp_of(pki: Pki) -> tuple[VirtualSmdp, Order]:
    smdp = VirtualSmdp(ServerIdentity.smdp(pki))
    metadata = Metadata(ICCID, notify=with_notifications(ADDRESS))
    return smdp, smdp.orders.add(Order(MATCHING, ProfilePackage.sample(metadata, 20_000)))


async def test_a_whole_download_over_one_connection(pki: Pki) -> None:
    smdp, order = smdp_of(pki)
    card = Card(pki)

    def download(port: int) -> bytes:
        with HttpsClient(pki, port) as client:
            initiated = client.post("initiateAuthentication", card.initiate())
            authenticated = client.post("authenticateClient", card.authenticate(initiated))
            package = client.post("getBoundProfilePackage", card.prepare(authenticated))
            opened = card.open(un64(package["boundProfilePackage"]), pki["dppb"].certificate)
            result = card.installation_result(opened.transaction)
            response = client.raw("handleNotification", {"pendingNotification": b64(result)})
            assert (response.status, response.read()) == (204, b"")
            assert response.getheader("X-Admin-Protocol") == "gsma/rsp/v2.5.0"
            return opened.elements

    async with SmdpServer(smdp) as server:
        assert await asyncio.to_thread(download, server.port) == order.package.elements
        assert server.http.counters.connections == 1
        assert server.url == f"https://127.0.0.1:{server.port}/gsma/rsp2/es9plus/"
    assert order.state is OrderState.INSTALLED


async def test_an_sm_ds_on_a_port(p256: Pki) -> None:
    smds = VirtualSmds(ServerIdentity.smds(p256))
    smds.add_event(p256.eid, "EVENT-1", ADDRESS)
    card = Card(p256)

    def events(port: int) -> Any:
        with HttpsClient(p256, port, DS_ADDRESS) as client:
            initiated = client.post("initiateAuthentication", card.initiate(DS_ADDRESS))
            return client.post("authenticateClient", card.authenticate(initiated, ""))["eventEntries"]

    async with SmdsServer(smds) as server:
        found = await asyncio.to_thread(events, server.port)
    assert found == [{"eventId": "EVENT-1", "rspServerAddress": ADDRESS}]


@pytest.mark.parametrize(
    ("rules", "headers", "status"),
    [
        (None, USUAL_HEADERS, 200),
        (None, {**USUAL_HEADERS, "Content-Type": "application/json;charset=UTF-8"}, 200),
        (None, {**USUAL_HEADERS, "Content-Type": "text/plain"}, 415),
        (None, {**USUAL_HEADERS, "Content-Type": "Application/JSON"}, 200),
        (None, {**USUAL_HEADERS, "Content-Type": "application/jsonx"}, 415),
        (None, {**USUAL_HEADERS, "X-Admin-Protocol": "gsma/rsp/v3.0.0"}, 200),
        (None, {**USUAL_HEADERS, "X-Admin-Protocol": "v3.0.0"}, 400),
        (None, {"Content-Type": "application/json"}, 400),
        (LENIENT, {}, 200),
        (EXACT, USUAL_HEADERS, 400),
        (EXACT, {**USUAL_HEADERS, "X-Admin-Protocol": "gsma/rsp/v2.1.0"}, 403),
        (EXACT, {**USUAL_HEADERS, "X-Admin-Protocol": "gsma/rsp/v2.1.0", "User-Agent": "gsma-rsp-lpad"}, 200),
    ],
)
async def test_headers_are_insisted_on_as_set(p256: Pki, rules: Any, headers: dict[str, str], status: int) -> None:
    smdp, _ = smdp_of(p256)
    front = FrontSettings() if rules is None else FrontSettings(rules=rules)

    def ask(port: int) -> int:
        with HttpsClient(p256, port, headers=headers) as client:
            return client.raw("initiateAuthentication", Card(p256).initiate()).status

    async with SmdpServer(smdp, PortSettings(front=front)) as server:
        assert await asyncio.to_thread(ask, server.port) == status


async def test_a_get_or_a_foreign_path_is_no_function(p256: Pki) -> None:
    def ask(port: int) -> list[int]:
        with HttpsClient(p256, port) as client:
            found = []
            for method, path in (("GET", "/gsma/rsp2/es9plus/cancelSession"), ("POST", "/gsma/rsp2/es9plus/x")):
                client.connection.request(method, path, headers=client.headers)
                response = client.connection.getresponse()
                response.read()
                found.append(response.status)
            return found

    async with SmdpServer(smdp_of(p256)[0]) as server:
        assert await asyncio.to_thread(ask, server.port) == [405, 404]


@pytest.mark.parametrize("kind", ["expired", "foreign", "not-yet-valid"])
async def test_a_wrong_tls_certificate_stops_a_careful_client(p256: Pki, kind: str) -> None:
    smdp, _ = smdp_of(p256)
    settings = PortSettings(tls=p256.variant("dptls", kind))

    def ask(port: int, verify: bool) -> int:
        with HttpsClient(p256, port, verify=verify) as client:
            return client.raw("initiateAuthentication", Card(p256).initiate()).status

    async with SmdpServer(smdp, settings) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(ask, server.port, True)
        assert await asyncio.to_thread(ask, server.port, False) == 200


async def test_everything_about_tls_can_be_said(p256: Pki) -> None:
    smdp, _ = smdp_of(p256)
    old = TlsSettings(p256["dptls"], maximum=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")

    def ask(port: int) -> Any:
        with HttpsClient(p256, port) as client:
            assert isinstance(client.connection.sock, ssl.SSLSocket)
            return client.connection.sock.cipher()

    async with SmdpServer(smdp, PortSettings(tls=old)) as server:
        assert (await asyncio.to_thread(ask, server.port))[:2] == ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLSv1.2")


async def test_without_tls_it_is_plain_http(p256: Pki) -> None:
    def ask(port: int) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        body = json.dumps(Card(p256).initiate())
        connection.request("POST", "/gsma/rsp2/es9plus/initiateAuthentication", body, USUAL_HEADERS)
        status = connection.getresponse().status
        connection.close()
        return status

    async with SmdpServer(smdp_of(p256)[0], PortSettings(plain=True)) as server:
        assert await asyncio.to_thread(ask, server.port) == 200


async def test_keep_alive_may_be_refused(p256: Pki) -> None:
    def ask(port: int) -> str | None:
        with HttpsClient(p256, port) as client:
            return client.raw("initiateAuthentication", Card(p256).initiate()).getheader("Connection")

    async with SmdpServer(smdp_of(p256)[0], PortSettings(http=HttpSettings(keep_alive=False))) as server:
        assert await asyncio.to_thread(ask, server.port) == "close"


async def test_hostile_answers_look_hostile_to_a_client(p256: Pki) -> None:
    smdp, _ = smdp_of(p256)
    name = "initiateAuthentication"

    def ask(port: int, fault: Fault) -> http.client.HTTPResponse | tuple[int, bytes]:
        smdp.faults.arm(fault)
        with HttpsClient(p256, port) as client:
            response = client.raw(name, Card(p256).initiate())
            return response.status, response.read()

    async with SmdpServer(smdp) as server:
        big = await asyncio.to_thread(ask, server.port, Fault(name, "oversize", 3_000_000))
        assert isinstance(big, tuple)
        assert len(big[1]) > 3_000_000
        assert json.loads(big[1])["header"]
        page = await asyncio.to_thread(ask, server.port, Fault(name, "html"))
        assert isinstance(page, tuple)
        assert page[0] == 500
        chunked = await asyncio.to_thread(ask, server.port, Fault(name, "chunked"))
        assert isinstance(chunked, tuple)
        assert json.loads(chunked[1])["transactionId"]
        with pytest.raises(http.client.IncompleteRead):
            await asyncio.to_thread(ask, server.port, Fault(name, "cut", 300))
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            await asyncio.to_thread(ask, server.port, Fault(name, "dead"))
        dripped = await asyncio.to_thread(ask, server.port, Fault(name, "drip", (500, 0.001)))
        assert isinstance(dripped, tuple)
        assert json.loads(dripped[1])["transactionId"]


async def test_openssl_sees_chain_and_name(p256: Pki) -> None:
    async with SmdpServer(smdp_of(p256)[0]) as server:
        process = await asyncio.create_subprocess_exec(
            *("openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-CAfile", str(p256["ci"].cert_path)),
            *("-verify_hostname", ADDRESS, "-verify_return_error", "-tls1_2", "-brief"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(60):
            out, _ = await process.communicate()
    assert b"Verification: OK" in out
    assert b"Verified peername: smdp.lab.example" in out
    assert b"Protocol version: TLSv1.2" in out


async def test_foreign_test_certificates_are_loaded_by_their_manifest(p256: Pki, tmp_path: Any) -> None:
    # A folder as someone else would lay it out: DER and PEM under names of their own.
    files = {}
    for name in ("ci", "eum", "euicc", "dpauth", "dppb", "dptls"):
        (tmp_path / f"CERT_{name}.der").write_bytes(p256[name].cert_der)
        (tmp_path / f"SK_{name}.pem").write_bytes(p256[name].key_pem)
        files[name] = {"cert": f"CERT_{name}.der", "key": f"SK_{name}.pem"}
    del files["ci"]["key"]
    (tmp_path / "manifest.json").write_text(json.dumps({"files": files}))
    foreign = Pki.load(tmp_path)
    smdp, order = smdp_of(foreign)

    def download(port: int) -> bytes:
        card = Card(foreign)
        with HttpsClient(foreign, port) as client:
            initiated = client.post("initiateAuthentication", card.initiate())
            authenticated = client.post("authenticateClient", card.authenticate(initiated))
            package = client.post("getBoundProfilePackage", card.prepare(authenticated))
            return card.open(un64(package["boundProfilePackage"]), foreign["dppb"].certificate).elements

    async with SmdpServer(smdp) as server:
        assert await asyncio.to_thread(download, server.port) == order.package.elements
