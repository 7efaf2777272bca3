"""The JSON binding over CoAP, and what Content-Format and Accept mean, with a client made of hand-written bytes."""

from __future__ import annotations

import base64
import json

import pytest

from ipad_agent.lab.eim import CoapSettings, build_order

from .clients import CONTENT_FORMAT, Coap, request
from .test_server import clear
from .world import EID, POLL, make_eim

JSON_POLL = json.dumps({"eidValue": EID}).encode()
JSON_POLL_PATH = (b"gsma", b"rsp2", b"esipa", b"getEimPackage")
ACCEPT = 17


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (request(b"{}", path=(b"gsma", b"rsp2", b"esipa")), "4.04"),
        (request(b"{}", path=(b"gsma", b"rsp2", b"esipa", b"transferEimPackage")), "4.04"),
        (request(b"{", path=JSON_POLL_PATH), "4.00"),
        (request(b"", path=JSON_POLL_PATH, code=1), "4.05"),
        (request(JSON_POLL, path=JSON_POLL_PATH, options=((CONTENT_FORMAT, b"\x32"),)), "2.04"),
        (request(JSON_POLL, path=JSON_POLL_PATH, options=((CONTENT_FORMAT, b"\x2a"),)), "4.15"),
        (request(POLL, options=((CONTENT_FORMAT, b"\x32"),)), "4.15"),
        (request(POLL, options=((CONTENT_FORMAT, b""),)), "4.15"),
        (request(POLL, options=((CONTENT_FORMAT, b"\xfd\xe8"),)), "2.04"),
        (request(POLL, options=((ACCEPT, b"\x2a"),)), "2.04"),
        (request(POLL, options=((ACCEPT, b"\x3c"),)), "4.06"),
    ],
)
async def test_each_kind_of_content_has_its_resource_and_others_are_refused(message: Coap, code: str) -> None:
    async with clear(make_eim()) as (_, client):
        assert (await client.ask(message)).text == code


async def test_json_functions_are_resources_of_their_own_as_over_https() -> None:
    eim = make_eim()
    async with clear(eim) as (_, client):
        answer = await client.ask(request(JSON_POLL, path=JSON_POLL_PATH))
        assert answer.text == "2.04"
        assert json.loads(answer.payload)["header"]["functionExecutionStatus"]["statusCodeData"]["reasonCode"] == "3.7"
        eim.enqueue(EID, build_order(["list-profiles"]))
        answer = await client.ask(request(JSON_POLL, mid=2, path=JSON_POLL_PATH))
        package = base64.b64decode(json.loads(answer.payload)["euiccPackageRequest"])
        assert package.startswith(b"\xbf\x51")
        notification = json.dumps({"pendingNotification": base64.b64encode(bytes.fromhex("300101")).decode()})
        path = (*JSON_POLL_PATH[:3], b"handleNotification")
        answer = await client.ask(request(notification.encode(), mid=3, path=path))
        assert (answer.text, answer.payload) == ("2.04", b"")
        answer = await client.ask(request(b"[]", mid=4, path=JSON_POLL_PATH))
        assert json.loads(answer.payload)["header"]["functionExecutionStatus"]["status"] == "Failed"


async def test_json_may_be_switched_off() -> None:
    async with clear(make_eim(), CoapSettings(json=False)) as (_, client):
        assert (await client.ask(request(JSON_POLL, path=JSON_POLL_PATH))).text == "4.04"


async def test_what_is_asked_for_by_accept_is_named_in_the_answer() -> None:
    async with clear(make_eim()) as (_, client):
        answer = await client.ask(request(POLL, options=((ACCEPT, b"\x2a"),)))
        assert answer.option(CONTENT_FORMAT) == b"\x2a"
