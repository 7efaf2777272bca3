"""The eIM over HTTPS, seen by clients that know nothing of it: http.client, bare sockets, openssl s_client.

Long: three kinds of foreign client ask the same server the same questions.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipad_agent.lab.eim import EimIdentity, Fault, VirtualEim, build_order
from ipad_agent.lab.eim.https.esipa_https import (
    ASN1_TYPE,
    LENIENT,
    STRICT,
    Front,
    FrontSettings,
    HttpsPort,
    HttpsServer,
)
from ipad_agent.lab.eim.relay.download_relay import Relay
from ipad_agent.lab.eim.relay.es9_calls import Servers
from ipad_agent.lab.http import HeaderRule, HttpSettings, Request, Response, TlsSettings
from ipad_agent.lab.pki import Pki

from .test_relay_messages import DONE, INITIATE, INITIATED, Script, with_session
from .world import EID, ICCID, NO_PACKAGE, NOTHING_TO_ACKNOWLEDGE, POLL, Card, make_eim, provide, t

HEADERS = {
    "Content-Type": ASN1_TYPE,
    "X-Admin-Protocol": "gsma/rsp/v2.1.0",
    "User-Agent": "gsma-rsp-ipad",
}
ASN1, JSON = "/gsma/rsp2/asn1", "/gsma/rsp2/esipa/"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.create(tmp_path_factory.mktemp("pki"))


class Connection:
    """One kept-alive connection of ``http.client``."""

    def __init__(self, port: int, pki: Pki, entry: str = "eim-tls-self", timeout_s: float = 10) -> None:
        context = ssl.create_default_context(cadata=pki[entry].cert_pem.decode())
        self.http = http.client.HTTPSConnection("localhost", port, context=context, timeout=timeout_s)

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        self.http.request("POST", path, body, headers)
        response = self.http.getresponse()
        return response.status, {key.lower(): value for key, value in response.getheaders()}, response.read()

    async def post(
        self, body: bytes, path: str = ASN1, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        return await asyncio.to_thread(self._post, path, body, HEADERS if headers is None else headers)

    async def close(self) -> None:
        await asyncio.to_thread(self.http.close)


class Site:
    """An eIM, its HTTPS server, and connections to it."""

    def __init__(self, pki: Pki, eim: VirtualEim, settings: FrontSettings | None, tls: str, **listen: Any) -> None:
        self.pki, self.eim, self.tls = pki, eim, tls
        chain = (pki["eim-ca"],) if "issued" in tls else ()
        self.server = HttpsServer(eim, TlsSettings(pki[tls], chain), settings, HttpsPort(**listen))
        self._open: list[Connection] = []

    def connect(self, **more: Any) -> Connection:
        anchor = "eim-ca" if "issued" in self.tls else self.tls
        connection = Connection(self.server.port, self.pki, anchor, **more)
        self._open.append(connection)
        return connection

    async def __aenter__(self) -> Site:
        await self.server.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in self._open:
            await connection.close()
        await self.server.__aexit__()


@pytest.fixture
async def site(pki: Pki) -> AsyncIterator[Site]:
    async with Site(pki, make_eim(Card()), None, "eim-tls-self") as made:
        yield made


def site_with(pki: Pki, settings: FrontSettings | None = None, *, eim: VirtualEim | None = None, **more: Any) -> Site:
    return Site(pki, eim or make_eim(Card()), settings, more.pop("tls", "eim-tls-self"), **more)


# ASN.1 binding (§6.1.1)


async def test_a_whole_order_on_one_connection(site: Site) -> None:
    card = Card()
    site.eim = make_eim(card)
    site.server.front.application = site.eim
    site.eim.enqueue(EID, build_order(["enable", ICCID]))
    connection = site.connect()
    status, headers, body = await connection.post(POLL)
    assert (status, headers["content-type"], headers["x-admin-protocol"]) == (200, ASN1_TYPE, "gsma/rsp/v2.1.0")
    assert body.startswith(b"\xbf\x4f")
    assert b"\xbf\x51" in body
    status, _, body = await connection.post(provide(card.epr(transaction="0A0A")))
    assert (status, body) == (200, bytes.fromhex("BF50 06 BF53 03 800105"))
    assert (await connection.post(POLL))[2] == NO_PACKAGE
    assert site.server.http.counters.connections == 1


@pytest.mark.parametrize("wanted", [204, 200])
async def test_a_notification_is_answered_empty(pki: Pki, wanted: int) -> None:
    async with site_with(pki, FrontSettings(notification_status=wanted)) as site:
        status, _, body = await site.connect().post(t("BF3D", t("A0", Card().notification())))
        assert (status, body) == (wanted, b"")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"X-Admin-Protocol": "gsma/rsp/v2.2.0"}, 400),
        ({"X-Admin-Protocol": "gsma/rsp/v2.1"}, 400),
        ({"X-Admin-Protocol": None}, 400),
        ({"Content-Type": ASN1_TYPE + ";charset=UTF-8"}, 415),
        ({"Content-Type": "application/octet-stream"}, 415),
        ({"Content-Type": None}, 415),
    ],
)
async def test_the_strict_one_takes_its_headers_to_the_letter(
    pki: Pki, changes: dict[str, str | None], status: int
) -> None:
    headers = {key: value for key, value in (HEADERS | changes).items() if value is not None}
    async with site_with(pki, STRICT) as site:
        assert (await site.connect().post(POLL, headers=headers))[0] == status


@pytest.mark.parametrize(
    ("asked", "answered"),
    [("v2.1.0", "v2.1.0"), ("v2.5.0", "v2.5.0"), ("v1.3.0", "v1.3.0"), ("v3.1.0", "v3.1.0"), (None, "v2.1.0")],
)
async def test_the_usual_one_takes_the_release_of_any_requester_and_repeats_it(
    site: Site, asked: str | None, answered: str
) -> None:
    headers = {key: value for key, value in HEADERS.items() if key != "X-Admin-Protocol"}
    headers |= {} if asked is None else {"X-Admin-Protocol": f"gsma/rsp/{asked}"}
    status, told, _ = await site.connect().post(POLL, headers=headers)
    assert (status, told["x-admin-protocol"]) == (200, f"gsma/rsp/{answered}")


async def test_the_usual_one_refuses_what_is_no_release_at_all(site: Site) -> None:
    assert (await site.connect().post(POLL, headers=HEADERS | {"X-Admin-Protocol": "2.1.0"}))[0] == 400


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (ASN1_TYPE + "; v=1", 200),
        (ASN1_TYPE.upper(), 200),
        (ASN1_TYPE + " ;v=1", 200),
        (ASN1_TYPE + "x", 415),
    ],
)
async def test_the_usual_one_reads_a_media_type_as_http_does(site: Site, kind: str, status: int) -> None:
    assert (await site.connect().post(POLL, headers=HEADERS | {"Content-Type": kind}))[0] == status


async def test_the_lenient_one_takes_anything(pki: Pki) -> None:
    async with site_with(pki, LENIENT) as site:
        assert (await site.connect().post(POLL, headers={}))[2] == NO_PACKAGE


async def test_a_user_agent_may_be_insisted_on(pki: Pki) -> None:
    rule = HeaderRule("User-Agent", prefixes=("gsma-rsp-ipad", "gsma-rsp-ipae"), status=403)
    async with site_with(pki, FrontSettings(rules=(rule,))) as site:
        connection = site.connect()
        assert (await connection.post(POLL))[0] == 200
        assert (await connection.post(POLL, headers=HEADERS | {"User-Agent": "curl"}))[0] == 403


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "POST", 404),
        (JSON + "nothing", "POST", 404),
        (ASN1 + "/", "POST", 404),
        (ASN1, "GET", 405),
        (JSON + "getEimPackage", "PUT", 405),
    ],
)
async def test_other_paths_and_methods_are_refused(site: Site, path: str, method: str, status: int) -> None:
    def ask() -> int:
        connection = site.connect().http
        connection.request(method, path, b"" if method == "GET" else POLL, HEADERS)
        return connection.getresponse().status

    assert await asyncio.to_thread(ask) == status


async def test_a_body_that_is_no_message_is_400_with_a_sentence(site: Site) -> None:
    status, headers, body = await site.connect().post(b"\x00\x01")
    assert status == 400
    assert headers["content-type"].startswith("text/plain")
    assert b"not readable" in body


# Work bound to the connection


async def test_results_and_downloads_have_no_meaning_on_a_connection_without_work(pki: Pki) -> None:
    card = Card()
    async with site_with(pki, STRICT, eim=make_eim(card)) as site:
        site.eim.enqueue(EID, build_order(["enable", ICCID]))
        first, second = site.connect(), site.connect()
        result = provide(card.epr(transaction="0A0A"))
        await first.post(POLL)
        assert (await second.post(result))[2] == bytes.fromhex("BF50 03 02017F")
        assert (await second.post(INITIATE))[2] == bytes.fromhex("BF39 03 81017F")
        assert site.eim.device(EID).queue[0].state == "handed out"
        assert (await first.post(result))[2] == bytes.fromhex("BF50 06 BF53 03 800105")


async def test_a_poll_that_gave_nothing_ties_nothing(pki: Pki) -> None:
    async with site_with(pki, STRICT) as site:
        connection = site.connect()
        assert (await connection.post(POLL))[2] == NO_PACKAGE
        assert (await connection.post(provide(t("BF52", t("A0")))))[2] == bytes.fromhex("BF50 03 02017F")


async def test_work_is_free_again_when_its_connection_ends(pki: Pki) -> None:
    async with site_with(pki, STRICT) as site:
        over = asyncio.Event()

        def ended(number: int, goodbye: bool | None) -> None:
            site.server.front.ended(number, goodbye)
            over.set()

        site.server.http.on_end = ended
        site.eim.enqueue(EID, build_order(["enable", ICCID]))
        connection = site.connect()
        await connection.post(POLL)
        assert site.server.front.connections_with_work == 1
        await connection.close()
        await asyncio.wait_for(over.wait(), 60)
        assert site.server.front.connections_with_work == 0


async def test_the_usual_one_takes_results_on_any_connection(site: Site) -> None:
    answer = (await site.connect().post(provide(t("BF52", t("A0")))))[2]
    assert answer == NOTHING_TO_ACKNOWLEDGE


@pytest.mark.parametrize(("polite", "complaints"), [(True, 0), (False, 1)])
async def test_a_client_that_just_hangs_up_is_complained_about(pki: Pki, polite: bool, complaints: int) -> None:
    async with site_with(pki, FrontSettings(demand_close_notify=True)) as site:
        connection = site.connect()
        await connection.post(POLL)
        over = asyncio.Event()

        def ended(number: int, goodbye: bool | None) -> None:
            site.server.front.ended(number, goodbye)
            over.set()

        site.server.http.on_end = ended
        sock = connection.http.sock
        assert isinstance(sock, ssl.SSLSocket)

        def leave() -> None:
            if polite:
                with contextlib.suppress(OSError):
                    sock.unwrap()
            else:
                socket.socket.shutdown(sock, socket.SHUT_WR)

        await asyncio.to_thread(leave)
        await asyncio.wait_for(over.wait(), 60)
        assert len(site.server.front.complaints) == complaints


# JSON binding (§6.4)

JSON_HEADERS = HEADERS | {"Content-Type": "application/json;charset=UTF-8"}
SUCCESS = {"functionExecutionStatus": {"status": "Executed-Success"}}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def say(connection: Connection, function: str, body: object) -> tuple[int, dict[str, str], Any]:
    status, headers, answer = await connection.post(json.dumps(body).encode(), JSON + function, JSON_HEADERS)
    return status, headers, json.loads(answer) if answer else None


def failed(code: str, name: str) -> dict[str, Any]:
    subject, reason = code.split("/")
    data = {"subjectCode": subject, "reasonCode": reason, "message": name}
    return {"functionExecutionStatus": {"status": "Failed", "statusCodeData": data}}


async def test_json_polls_and_results(site: Site) -> None:
    connection = site.connect()
    status, headers, answer = await say(connection, "getEimPackage", {"eidValue": EID})
    assert (status, headers["content-type"]) == (200, "application/json;charset=UTF-8")
    assert answer == {"header": failed("8.1.1/3.7", "noEimPackageAvailable"), "eimPackageError": 1}
    order = site.eim.enqueue(EID, build_order(["trigger", "none"]))
    body = {"eidValue": EID, "notifyStateChange": True, "stateChangeCause": 1, "rPlmn": "YvIQ"}
    _, _, answer = await say(connection, "getEimPackage", body)
    # BF54 04 82020A0A
    assert answer == {"header": SUCCESS, "profileDownloadTriggerRequest": "v1QEggIKCg=="}
    result = {"eidValue": EID, "eimPackageResult": b64(bytes.fromhex("BF54 09 82020A0A 3003 80017F"))}
    _, _, answer = await say(connection, "provideEimPackageResult", result)
    assert answer == {"header": SUCCESS}
    assert order.state == "failed"
    entry = next(one for one in site.eim.history if one["kind"] == "request" and one.get("rPLMN"))
    assert (entry["rPLMN"], entry["stateChange"]) == ("262-01", "fallback")


async def test_json_acknowledgements(site: Site) -> None:
    epr = Card().epr()
    site.eim.device(EID).euicc_spki = None
    body = {"eidValue": EID, "eimPackageResult": b64(epr)}
    _, _, answer = await say(site.connect(), "provideEimPackageResult", body)
    # BF53 03 800105
    assert answer == {"header": SUCCESS, "eimAcknowledgements": "v1MDgAEF"}


@pytest.mark.parametrize(
    ("body", "code", "name", "number"),
    [
        ({}, "8.1.1/2.2", "missingEid", 4),
        ({"eidValue": "1234"}, "8.1.1/2.1", "invalidEid", 3),
        ({"eidValue": "xy"}, "8.1.1/2.1", "invalidEid", 3),
        ({"eidValue": 5}, "8.1.1/2.1", "invalidEid", 3),
        ({"eidValue": "0" * 32}, "8.1.1/3.9", "eidNotFound", 2),
    ],
)
async def test_json_errors_of_the_eid(site: Site, body: object, code: str, name: str, number: int) -> None:
    status, _, answer = await say(site.connect(), "getEimPackage", body)
    assert (status, answer) == (200, {"header": failed(code, name), "eimPackageError": number})


@pytest.mark.parametrize("field", ["pendingNotification", "provideEimPackageResult"])
async def test_json_notifications_have_no_body(site: Site, field: str) -> None:
    raw = Card().notification() if field == "pendingNotification" else provide(t("BF52", t("A0")))
    status, _, answer = await say(site.connect(), "handleNotification", {field: b64(raw)})
    assert (status, answer) == (204, None)
    assert site.eim.history[-1]["kind"] == (
        "notification" if field == "pendingNotification" else "result by notification"
    )


async def test_json_download_messages(pki: Pki) -> None:
    smdp = Script(INITIATED)
    async with site_with(pki, eim=with_session(smdp)) as site:
        connection = site.connect()
        body = {
            "euiccChallenge": "ABEiM0RVZneImaq7zN3u/w==",
            "smdpAddress": "smdp.example",
            "euiccInfo1": b64(bytes.fromhex("BF20 0D 8203020500 A9020400 AA020400")),
            "eimTransactionId": "0A0A",
        }
        _, _, answer = await say(connection, "initiateAuthentication", body)
        same = ("transactionId", "serverSigned1", "serverSignature1", "serverCertificate")
        expected = {name: INITIATED[name] for name in same}
        expected |= {"header": SUCCESS, "euiccCiPKIdentifierToBeUsed": INITIATED["euiccCiPKIdToBeUsed"]}
        assert answer == expected
        assert smdp.asked[0][1] == {name: body[name] for name in ("euiccChallenge", "smdpAddress", "euiccInfo1")}

        signed, signature = b64(bytes.fromhex("3007 80020102 0101FF")), b64(bytes.fromhex("5F3701AA"))
        told = {
            "profileMetadata": b64(bytes.fromhex("BF25 0C 5A0A 98942000000900000011")),
            "smdpSigned2": signed,
            "smdpSignature2": signature,
            "smdpCertificate": "MAA=",
        }
        smdp.answers = [DONE | {"transactionId": "0102"} | told]
        site.eim.device(EID).queue[0].confirmation_code = "1234"
        request = {"transactionId": "0102", "authenticateServerResponse": b64(bytes.fromhex("BF38 04 A102 3000"))}
        _, _, answer = await say(connection, "authenticateClient", request)
        # SHA-256(SHA-256("1234") + 0102), made with openssl dgst, behind 04 20
        code = "04204d29dc53049ce0086f44d2cc0c87d8c4da8b8a4a30f1f330c11af6442721c5af"
        assert answer == {"header": SUCCESS, "transactionId": "0102", "hashCc": b64(bytes.fromhex(code))} | told
        assert smdp.asked[1][1] == request

        smdp.answers = [DONE | {"boundProfilePackage": b64(bytes.fromhex("BF36 02 A000"))}]
        request = {"transactionId": "0102", "prepareDownloadResponse": b64(bytes.fromhex("BF21 02 A000"))}
        _, _, answer = await say(connection, "getBoundProfilePackage", request)
        assert answer == {
            "header": SUCCESS,
            "transactionId": "0102",
            "boundProfilePackage": b64(b"\xbf\x36\x02\xa0\x00"),
        }
        assert smdp.asked[2][1] == request

        smdp.answers = [DONE]
        request = {"transactionId": "0102", "cancelSessionResponse": b64(bytes.fromhex("BF41 03 810105"))}
        assert (await say(connection, "cancelSession", request))[2] == {"header": SUCCESS}
        assert smdp.asked[3][1] == request


@pytest.mark.parametrize(
    ("function", "body", "code"),
    [
        ("initiateAuthentication", {}, "1.6/2.2"),
        ("initiateAuthentication", {"euiccChallenge": "?"}, "1.6/2.1"),
        ("initiateAuthentication", {"euiccChallenge": "AA==", "smdpAddress": 5}, "1.6/2.1"),
        ("initiateAuthentication", {"euiccChallenge": "AA==", "smdpAddress": "\ud800"}, "1.6/2.1"),
        ("initiateAuthentication", {"euiccChallenge": "AA==", "eimTransactionId": "xx"}, "1.6/2.1"),
        ("authenticateClient", {"transactionId": "0102"}, "1.6/2.2"),
        ("authenticateClient", {"authenticateServerResponse": "vzgA"}, "1.6/2.2"),
        ("authenticateClient", {"transactionId": "0102", "authenticateServerResponse": "MAA="}, "1.6/2.1"),
        ("getBoundProfilePackage", {"transactionId": "", "prepareDownloadResponse": "vyEA"}, "1.6/2.1"),
        ("cancelSession", {"transactionId": 5, "cancelSessionResponse": "v0EA"}, "1.6/2.1"),
        ("getEimPackage", {"eidValue": EID, "stateChangeCause": "x"}, "1.6/2.1"),
        ("getEimPackage", [], "1.6/2.1"),
        ("provideEimPackageResult", {"eidValue": EID}, "1.6/2.2"),
        ("handleNotification", {}, "1.6/2.2"),
    ],
)
async def test_json_without_sense_is_a_failure_with_http_200(
    site: Site, function: str, body: object, code: str
) -> None:
    status, _, answer = await say(site.connect(), function, body)
    data = answer["header"]["functionExecutionStatus"]["statusCodeData"]
    assert (status, f"{data['subjectCode']}/{data['reasonCode']}") == (200, code)


async def test_what_is_no_json_is_400(site: Site) -> None:
    connection = site.connect()
    for body in (b"", b"{", b"\xff", b"[" * 100_000):
        assert (await connection.post(body, JSON + "getEimPackage", JSON_HEADERS))[0] == 400


async def test_a_header_object_in_a_request_may_be_refused(pki: Pki) -> None:
    body = {"header": {"functionCallIdentifier": "x"}, "eidValue": EID}
    for refuse, status in ((False, 200), (True, 400)):
        async with site_with(pki, FrontSettings(refuse_header=refuse)) as site:
            answer = await site.connect().post(json.dumps(body).encode(), JSON + "getEimPackage", JSON_HEADERS)
            assert answer[0] == status


# Switches on the wire


async def test_busy_says_when_to_come_back(site: Site) -> None:
    site.eim.faults.arm(Fault("get", "busy", 120))
    status, headers, _ = await site.connect().post(POLL)
    assert (status, headers["retry-after"]) == (503, "120")


async def test_a_redirection_says_where(site: Site) -> None:
    site.eim.faults.arm(Fault("get", "redirect", "https://other.example/x"))
    status, headers, _ = await site.connect().post(POLL)
    assert (status, headers["location"]) == (307, "https://other.example/x")


@pytest.mark.parametrize(("code", "status"), [("404", 404), ("4.04", 404), ("5.00", 500), ("what", 500)])
async def test_any_status_can_be_had(site: Site, code: str, status: int) -> None:
    site.eim.faults.arm(Fault("get", "status", code))
    assert (await site.connect().post(POLL))[0] == status


async def test_a_page_of_a_portal_comes_as_a_success(site: Site) -> None:
    site.eim.faults.arm(Fault("get", "html"))
    status, headers, body = await site.connect().post(POLL)
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert body.startswith(b"<!doctype html>")


async def test_another_content_type_can_be_had(site: Site) -> None:
    site.eim.faults.arm(Fault("get", "content-type", "application/octet-stream"))
    _, headers, body = await site.connect().post(POLL)
    assert (headers["content-type"], body) == ("application/octet-stream", NO_PACKAGE)


async def test_oversized_chunked_and_dripping_answers_are_what_they_say(site: Site) -> None:
    connection = site.connect()
    site.eim.faults.arm(Fault("get", "oversize", 200_000))
    assert (await connection.post(POLL))[2] == NO_PACKAGE + b" " * 200_000
    site.eim.faults.arm(Fault("get", "chunked"))
    _, headers, body = await connection.post(POLL)
    assert (headers.get("transfer-encoding"), body) == ("chunked", NO_PACKAGE)
    site.eim.faults.arm(Fault("get", "drip", 0.001))
    assert (await connection.post(POLL))[2] == NO_PACKAGE
    site.eim.faults.arm(Fault("get", "headers", 50))
    assert "x-needless-49" in (await connection.post(POLL))[1]
    site.eim.faults.arm(Fault("get", "close"))
    assert (await connection.post(POLL))[1]["connection"] == "close"


@pytest.mark.parametrize(
    ("action", "value"),
    [
        ("lose-answer", None),
        ("lose-request", None),
        ("crash-before", None),
        ("crash-after", None),
        ("cut", 10),
        ("cut", 118),
        ("length", 5),
    ],
)
async def test_an_answer_can_be_lost_or_cut(pki: Pki, action: str, value: int | None) -> None:
    async with site_with(pki, http=HttpSettings(idle_s=0.3, request_s=0.3)) as site:
        site.eim.faults.arm(Fault("get", action, value))
        with pytest.raises((OSError, http.client.HTTPException)):
            await site.connect(timeout_s=2).post(POLL)
        assert (await site.connect().post(POLL))[2] == NO_PACKAGE


async def test_an_answer_can_come_late_while_others_are_served(site: Site) -> None:
    site.eim.faults.arm(Fault("get", "late", 0.5))
    came = asyncio.Event()

    def handler(request: Request) -> Response:
        came.set()
        return site.server.front(request)

    site.server.http.handler = handler
    late = asyncio.ensure_future(site.connect().post(POLL))
    await asyncio.wait_for(came.wait(), 60)
    assert (await site.connect().post(POLL))[2] == NO_PACKAGE
    assert not late.done()
    assert (await late)[2] == NO_PACKAGE


async def test_a_relay_that_waits_for_its_server_leaves_the_others_alone(pki: Pki) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(function: str, body: dict[str, Any]) -> dict[str, Any]:
        loop.call_soon_threadsafe(asked.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(10)
        return INITIATED

    eim = with_session(slow)
    eim.esipa.relay = Relay(Servers({"smdp.example": slow}, blocking=True))
    async with site_with(pki, eim=eim) as site:
        waiting = asyncio.ensure_future(site.connect().post(INITIATE))
        await asyncio.wait_for(asked.wait(), 60)
        assert (await site.connect().post(POLL))[0] == 200
        assert not waiting.done()
        go_on.set()
        assert (await waiting)[2].startswith(bytes.fromhex("BF39 819D A0"))


# TLS identities


@pytest.mark.parametrize("tls", ["eim-tls-self", "eim-tls-issued", "eim-tls-self-rsa", "eim-tls-issued-rsa"])
async def test_each_identity_is_verified_by_what_it_should_be(pki: Pki, tls: str) -> None:
    if tls.endswith("-rsa"):
        pki.variant(tls.removesuffix("-rsa"), "rsa")
    async with site_with(pki, tls=tls) as site:
        assert (await site.connect().post(POLL))[2] == NO_PACKAGE


@pytest.mark.parametrize("kind", ["expired", "not-yet-valid", "foreign"])
async def test_a_wrong_identity_is_noticed(pki: Pki, kind: str) -> None:
    pki.variant("eim-tls-issued", kind)
    async with site_with(pki, tls=f"eim-tls-issued-{kind}") as site:
        with pytest.raises(ssl.SSLCertVerificationError):
            await site.connect().post(POLL)


def test_what_is_pinned_follows_the_identity_of_https(pki: Pki) -> None:
    rsa = pki.variant("eim-tls-self", "rsa")
    configuration = EimIdentity.from_pki(pki, tls="self").configuration(tls_chain=[rsa.certificate])
    # A6 { A0 } has the content of the SPKI: the OID rsaEncryption is in it, 1.2.840.113549.1.1.1.
    pinned = configuration[configuration.index(b"\xa6") :]
    assert bytes.fromhex("06092A864886F70D010101") in pinned
    assert bytes.fromhex("06092A864886F70D010101") not in EimIdentity.from_pki(pki, tls="self").configuration()


async def test_openssl_s_client_gets_an_answer(pki: Pki) -> None:
    openssl = shutil.which("openssl")
    assert openssl is not None, "openssl is one of the system packages"
    async with site_with(pki) as site:
        head = f"POST {ASN1} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(POLL)}\r\nConnection: close\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        process = await asyncio.create_subprocess_exec(
            openssl,
            "s_client",
            *("-quiet", "-verify_return_error", "-servername", "localhost"),
            *("-CAfile", str(pki["eim-tls-self"].cert_path), "-connect", f"127.0.0.1:{site.server.port}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        answer, _ = await asyncio.wait_for(process.communicate(head.encode() + b"\r\n" + POLL), 60)
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\n" + NO_PACKAGE)


# Whatever comes, there is an answer


def front(settings_: FrontSettings = LENIENT) -> Front:
    return Front(with_session(Script(INITIATED)), settings_)


@settings(max_examples=200, deadline=None)
@given(
    path=st.sampled_from(
        [ASN1, *(JSON + name for name in ("getEimPackage", "initiateAuthentication", "cancelSession"))]
    ),
    body=st.binary(max_size=80)
    | st.dictionaries(
        st.sampled_from(["eidValue", "transactionId", "euiccChallenge", "cancelSessionResponse", "smdpAddress"]),
        st.none() | st.integers() | st.text(max_size=8) | st.sampled_from([EID, "0102", "v0EA", "AA=="]),
    ).map(lambda fields: json.dumps(fields).encode()),
    strict=st.booleans(),
)
def test_any_body_gets_an_answer(path: str, body: bytes, strict: bool) -> None:
    made = front(replace(LENIENT, bound=strict))
    response = made(Request("POST", path, body=body, connection=1))
    assert isinstance(response, Response)
    assert response.status in (200, 204, 400)
