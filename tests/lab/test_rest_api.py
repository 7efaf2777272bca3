"""The eIM's REST API, used as its OpenAPI file says and as it does not say."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.lab.eim import VirtualEim
from ipad_agent.lab.rest import rest_server
from ipad_agent.lab.rest.rest_functions import EimFunctions
from ipad_agent.lab.rest.rest_server import RestServer

from .eim.import_files import written
from .eim.world import EID, POLL, Card, identity, new_key, provide
from .generated_client import ApiError, ContractError, GeneratedClient

FOLDER = Path(rest_server.__file__).parent
DOCUMENT: dict[str, Any] = json.loads((FOLDER / "openapi.json").read_text())
OTHER = "89049032000000000000000000000163"
CONFIGURATION = bytes.fromhex("3003800165")


class Site:
    """An eIM with its API, and a client made from the file."""

    def __init__(self, server: RestServer) -> None:
        self.server = server
        self.eim = server.functions.eim
        self.client = GeneratedClient(DOCUMENT, server.url)

    async def ask(self, operation: str, **values: Any) -> Any:
        return await asyncio.to_thread(getattr(self.client, operation), **values)

    async def refused(self, operation: str, **values: Any) -> tuple[int, str]:
        with pytest.raises(ApiError) as caught:
            await self.ask(operation, **values)
        assert str(caught.value)
        return caught.value.status, caught.value.code

    async def raw(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
        def run() -> tuple[int, dict[str, str], bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", self.server.http.port, timeout=20)
            try:
                connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
                answer = connection.getresponse()
                return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
            finally:
                connection.close()

        return await asyncio.to_thread(run)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    eim = VirtualEim(identity(), random_bytes=lambda size: b"\x0a" * size)
    functions = EimFunctions(eim, lambda: CONFIGURATION, {"coaps": "coaps://127.0.0.1:5684/gsma/rsp2/asn1"})
    async with RestServer(functions) as server:
        yield Site(server)


async def test_a_client_made_from_the_file_uses_every_operation(site: Site) -> None:
    """From an empty eIM to verified results of two devices, one of them an emulated card."""
    card = Card()
    assert await site.ask("getOpenApi") == DOCUMENT
    eim = await site.ask("getEim")
    assert (eim["eimId"], eim["settings"]["release"]) == ("e", "auto")
    configuration = await site.ask("getEimConfiguration")
    assert base64.b64decode(configuration["addInitialEim"]).hex() == "bf5707a0053003800165"
    assert "enable" in [one["verb"] for one in (await site.ask("listVerbs"))["verbs"]]

    certificate = base64.b64encode(card.certificate).decode()
    device = await site.ask("addDevice", body={"eid": EID, "counter": 4, "certificate": certificate})
    assert (device["eid"], device["emulated"], device["waiting"]) == (EID, False, 0)
    order = await site.ask("addOrder", eid=EID, body={"words": ["list-eim"]})
    assert (order["number"], order["state"], order["counter"]) == (1, "queued", None)
    site.eim.handle(POLL)
    handed_out = await site.ask("getOrder", eid=EID, number=1)
    assert (handed_out["state"], handed_out["counter"]) == ("handed out", 5)
    site.eim.handle(provide(card.epr(counter="05", transaction="0A" * 8)), now_s=7.5)
    (done,) = (await site.ask("listOrders", eid=EID))["orders"]
    assert done["state"] == "done"
    results = await site.ask("listResults", eid=EID, kind="result", after=0, limit=10)
    (entry,) = results["entries"]
    assert (entry["at"], entry["order"], entry["ok"], entry["eid"]) == (7.5, "list-eim", True, EID)
    assert entry["details"]["facts"]["signature"] == "right (token)"
    assert (await site.ask("getDevice", eid=EID))["lastSeqNumber"] == 5

    await site.ask("addOrder", eid=EID, body={"words": ["list-profiles"], "refuseResult": "127", "again": True})
    await site.ask("takeResults", body={})
    await site.ask("cancelOrder", eid=EID, number=2)
    fault = await site.ask("armFault", body={"function": "get", "action": "refuse", "value": 3, "times": 2})
    assert (fault["value"], fault["times"]) == (3, 2)
    assert site.eim.handle(POLL) == bytes.fromhex("BF4F 03 020103")
    await site.ask("clearFaults")
    assert site.eim.handle(POLL) == bytes.fromhex("BF4F 03 020101")

    await site.ask("forgetDevice", eid=EID)
    imported = await site.ask("importDevice", body={"file": written(new_key(), 3).decode()})
    assert (imported["eid"], imported["counter"], imported["emulated"]) == (EID, 3, True)
    assert [one["eid"] for one in (await site.ask("listDevices"))["devices"]] == [EID]
    changed = await site.ask("changeEim", body={"release": "1.3", "acknowledgement": "empty"})
    assert (changed["settings"]["release"], changed["settings"]["acknowledgement"]) == ("1.3", "empty")

    # events are a stream, which the client leaves to others: see below
    assert set(site.client.operations) - site.client.called == {"watchEvents"}


async def test_every_error_that_the_file_names_is_given_with_a_sentence(site: Site) -> None:
    bad, missing, conflict = (400, "bad-request"), (404, "not-found"), (409, "conflict")
    site.eim.add_device(OTHER)
    assert await site.refused("addDevice", body={"eid": "12"}) == bad
    assert await site.refused("addDevice", body={"eid": EID, "certificate": "AAAA"}) == bad
    assert await site.refused("addDevice", body={"eid": OTHER}) == conflict
    assert await site.refused("getDevice", eid=EID) == missing
    assert await site.refused("forgetDevice", eid=EID) == missing
    assert await site.refused("listOrders", eid=EID) == missing
    assert await site.refused("addOrder", eid=EID, body={"words": ["list-eim"]}) == missing
    assert await site.refused("addOrder", eid=OTHER, body={"words": ["enable", "12"]}) == bad
    assert await site.refused("addOrder", eid=OTHER, body={"words": ["add-eim", "@/etc/passwd"]}) == bad
    assert await site.refused("addOrder", eid=OTHER, body={"words": ["list-eim"], "refuseResult": "x"}) == bad
    assert await site.refused("getOrder", eid=OTHER, number=1) == missing
    assert await site.refused("cancelOrder", eid=OTHER, number=1) == missing
    assert await site.refused("importDevice", body={"file": "{}"}) == (409, "refused")
    assert await site.refused("armFault", body={"function": "x", "action": "refuse"}) == bad
    assert (await site.ask("listDevices"))["devices"][0]["waiting"] == 0


async def test_an_order_with_its_result_cannot_be_taken_back(site: Site) -> None:
    card = Card()
    site.eim.add_device(EID, certificate_der=card.certificate)
    await site.ask("addOrder", eid=EID, body={"words": ["list-eim"]})
    site.eim.handle(POLL)
    site.eim.handle(provide(card.epr(transaction="0A" * 8)))
    assert await site.refused("cancelOrder", eid=EID, number=1) == (409, "conflict")


def test_the_client_notices_what_the_file_does_not_say() -> None:
    client = GeneratedClient(DOCUMENT, "http://127.0.0.1:1")
    for operation, values in (
        ("getDevice", {}),
        ("getDevice", {"eid": "x"}),
        ("getDevice", {"eid": EID, "more": 1}),
        ("addOrder", {"eid": EID, "body": {"words": []}}),
        ("addOrder", {"eid": EID, "body": {"words": "list-eim"}}),
        ("changeEim", {"body": {"release": "2.0"}}),
        ("listDevices", {"body": {}}),
    ):
        with pytest.raises(ContractError):
            client.request_of(operation, values)


def test_every_path_of_the_server_is_in_the_file() -> None:
    eim = VirtualEim(identity())
    routes = rest_server._routes(EimFunctions(eim, lambda: b"", {}))
    served = {(f"/api/v1{path}", method.lower()) for path, methods in routes.items() for method in methods}
    served |= {("/openapi.json", "get"), ("/api/v1/events", "get")}
    assert served == {(path, method) for path, item in DOCUMENT["paths"].items() for method in item}


def test_the_file_refers_to_nothing_that_is_not_in_it() -> None:
    client = GeneratedClient(DOCUMENT, "")
    for found in re.findall(r'"\$ref": "([^"]+)"', json.dumps(DOCUMENT)):
        assert client.resolved({"$ref": found})
    assert DOCUMENT["openapi"] == "3.1.0"
    operations = [item[method]["operationId"] for item in DOCUMENT["paths"].values() for method in item]
    assert len(operations) == len(set(operations))


async def test_what_happens_is_told_while_it_happens(site: Site) -> None:
    site.eim.add_device(EID)
    site.eim.handle(POLL)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.http.port)
    writer.write(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"200 OK" in head
    assert b"Content-Type: text/event-stream" in head

    async def event() -> dict[str, Any]:
        while True:
            line = await asyncio.wait_for(reader.readline(), 10)
            if line.startswith(b"data: "):
                document: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
                site.client.check({"$ref": "#/components/schemas/Entry"}, document, "event")
                return document

    first = await event()  # from before the connection: behind Last-Event-ID
    assert (first["number"], first["kind"]) == (1, "request")
    site.eim.handle(POLL)
    assert (await event())["number"] == 2
    assert len(site.eim.listeners) == 1
    writer.close()
    await site.server.http.settled()
    assert site.eim.listeners == []


@pytest.mark.parametrize("last", ["", "x", "99999999999", "-1"])
async def test_a_stream_without_a_usable_number_begins_now(site: Site, last: str) -> None:
    site.eim.add_device(EID)
    site.eim.handle(POLL)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.http.port)
    writer.write(f"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {last}\r\n\r\n".encode())
    await reader.readuntil(b"\n\n")
    site.eim.handle(POLL)
    told = await asyncio.wait_for(reader.readuntil(b"\n\n"), 10)
    assert b"id: 2\n" in told
    writer.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:1"}, 200),
        ({"Host": "127.0.0.1"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "rebound.example"}, 403),
        ({"Host": "localhost.example"}, 403),
        ({"Host": "localhost", "Origin": "http://localhost:8080"}, 200),
        ({"Host": "localhost", "Origin": "http://evil.example"}, 403),
        ({"Host": "localhost", "Origin": "null"}, 403),
    ],
)
async def test_a_page_of_somebody_else_cannot_ask(site: Site, headers: dict[str, str], status: int) -> None:
    for path in ("/", "/api/v1/devices", "/openapi.json"):
        found, _, body = await site.raw("GET", path, b"", **headers)
        assert found == status
        assert status == 200 or json.loads(body)["error"]["code"] == "forbidden"


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", "/api/v1/nothing", b"", {}, 404),
        ("GET", "/api/v1", b"", {}, 404),
        ("GET", "/api/v1/devices/1/orders/2/3", b"", {}, 404),
        ("GET", "/../openapi.json", b"", {}, 404),
        ("PUT", "/api/v1/devices", b"", {}, 405),
        ("POST", "/", b"", {}, 405),
        ("POST", "/api/v1/events", b"", {}, 405),
        ("POST", "/api/v1/results/take", b"", {}, 415),
        ("POST", "/api/v1/devices", b'{"eid":"1"}', {"Content_Type": "text/plain"}, 415),
        ("POST", "/api/v1/devices", b"{", {"Content_Type": "application/json"}, 400),
        ("POST", "/api/v1/devices", b"[]", {"Content_Type": "application/json"}, 400),
        ("POST", "/api/v1/devices", b"[" * 100_000, {"Content_Type": "application/json"}, 400),
        ("POST", "/api/v1/devices", b'{"eid":1}', {"Content_Type": "application/json"}, 400),
        ("GET", "/api/v1/results?after=x", b"", {}, 400),
        ("PATCH", "/api/v1/eim", b'{"x":1}', {"Content_Type": "application/json"}, 400),
        ("PATCH", "/api/v1/eim", b'{"release":[]}', {"Content_Type": "application/json"}, 400),
        ("PATCH", "/api/v1/eim", b'{"acceptUnknownDevices":1}', {"Content_Type": "application/json"}, 400),
    ],
)
async def test_a_wrong_request_is_answered_by_an_error_of_the_schema(
    site: Site, method: str, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    found, _, content = await site.raw(method, path, body, **headers)
    assert found == status
    site.client.check({"$ref": "#/components/schemas/Error"}, json.loads(content), path)


async def test_the_page_asks_nobody_else(site: Site) -> None:
    named = set()
    for path in ("/", "/lab_page.js", "/lab_page.css"):
        status, headers, body = await site.raw("GET", path)
        assert status == 200
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert re.findall(r"https?://|innerHTML|eval\(|<script>|style=", body.decode()) == []
        named |= set(re.findall(r'(?:src|href)="([^"]+)"', body.decode()))
    assert named == {"lab_page.css", "lab_page.js", "openapi.json"}


async def test_the_release_is_what_the_eim_speaks(site: Site) -> None:
    site.eim.add_device(EID)
    for release, dialect, only in (("1.0", "1.0", True), ("1.1", "1.2", False), ("1.3", "1.2", False)):
        await site.ask("changeEim", body={"release": release})
        assert (site.eim.settings.dialect, site.eim.settings.only_v1_0) == (dialect, only)
    await site.ask("changeEim", body={"release": "auto"})
    assert site.eim.settings.dialect == "auto"


@pytest.mark.parametrize(("style", "answer"), [("acknowledge", "BF5006BF5303800105"), ("empty", "BF50023000")])
async def test_results_are_acknowledged_in_the_style_that_is_asked_for(site: Site, style: str, answer: str) -> None:
    card = Card()
    site.eim.add_device(EID, certificate_der=card.certificate)
    await site.ask("changeEim", body={"acknowledgement": style})
    await site.ask("addOrder", eid=EID, body={"words": ["list-eim"]})
    site.eim.handle(POLL)
    assert site.eim.handle(provide(card.epr(transaction="0A" * 8))).hex().upper() == answer
    assert (await site.ask("getOrder", eid=EID, number=1))["state"] == "done"
