"""Whatever comes in, an answer goes out and no exception."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipad_agent.lab.crypto import der
from ipad_agent.lab.http import Request
from ipad_agent.lab.pki import Pki
from ipad_agent.lab.smdp import (
    Front,
    FrontSettings,
    Metadata,
    Order,
    OrderState,
    ProfilePackage,
    RspServer,
    ServerIdentity,
    VirtualSmdp,
    VirtualSmds,
)
from ipad_agent.lab.smdp.smdp_https import LENIENT

from .scripted import DS_ADDRESS, ICCID, MATCHING, Card, Client, b64, un64

RELAXED = settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
FIELDS = (
    "transactionId",
    "euiccChallenge",
    "smdpAddress",
    "euiccInfo1",
    "authenticateServerResponse",
    "prepareDownloadResponse",
    "cancelSessionResponse",
    "pendingNotification",
    "header",
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
some_der = st.binary(max_size=60) | st.builds(
    lambda tag, parts: der.tlv(tag, *parts),
    st.sampled_from([0xBF38, 0xBF21, 0xBF41, 0xBF37, 0xBF20, 0x30, 0xA0, 0xA1, 0x80]),
    st.lists(
        st.builds(
            der.tlv,
            st.sampled_from([0x30, 0xA0, 0xA1, 0x80, 0x81, 0x02, 0x5F37, 0xBF2F, 0xBF27, 0x82, 0xA9, 0xAA]),
            st.binary(max_size=20),
        ),
        max_size=5,
    ),
)


@pytest.fixture(params=["smdp", "smds"])
def server(request: pytest.FixtureRequest, p256: Pki) -> RspServer:
    if request.param == "smds":
        return VirtualSmds(ServerIdentity.smds(p256))
    smdp = VirtualSmdp(ServerIdentity.smdp(p256))
    smdp.orders.add(Order(MATCHING, ProfilePackage.sample(Metadata(ICCID), 100)))
    return smdp


def answered(server: RspServer, function: str, body: object) -> None:
    reply = server.handle(function, body)
    assert reply.status in (200, 204)
    assert reply.code is not None or (reply.body or {}).get("transactionId") or function == "handleNotification"


@RELAXED
@given(body=json_values)
def test_any_json_is_answered(server: RspServer, body: object) -> None:
    for function in server.functions:
        answered(server, function, body)


@RELAXED
@given(body=st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, json_values)))
def test_known_fields_of_any_kind_are_answered(server: RspServer, body: dict[str, Any]) -> None:
    for function in server.functions:
        answered(server, function, body)


@RELAXED
@given(data=some_der)
def test_any_der_is_answered(server: RspServer, p256: Pki, data: bytes) -> None:
    client = Client(server, Card(p256), server.addresses[0])
    client.initiate()
    transaction = client.initiated["transactionId"]
    for function in server.functions:
        body = {**dict.fromkeys(FIELDS[3:8], b64(data)), "transactionId": transaction, "euiccChallenge": b64(bytes(16))}
        answered(server, function, {**body, "smdpAddress": server.addresses[0]})


@RELAXED
@given(data=st.data())
def test_mutated_requests_of_a_real_card_are_answered(
    smdp: VirtualSmdp, order: Order, p256: Pki, data: st.DataObject
) -> None:
    card = Card(p256)
    client = Client(smdp, card)
    order.final_on_error = False
    order.state = OrderState.AVAILABLE  # a mutation that changed nothing installed it in an earlier example

    def mutated(body: dict[str, Any], field: str) -> dict[str, Any]:
        raw = bytearray(un64(body[field]))
        for _ in range(data.draw(st.integers(1, 3))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        return {
            **body,
            field: b64(bytes(raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw)),
        }

    answered(smdp, "initiateAuthentication", mutated(card.initiate(), "euiccInfo1"))
    client.initiate()
    answered(smdp, "authenticateClient", mutated(card.authenticate(client.initiated), "authenticateServerResponse"))
    fresh = Client(smdp, card)
    fresh.authenticate()
    answered(smdp, "getBoundProfilePackage", mutated(card.prepare(fresh.authenticated), "prepareDownloadResponse"))
    cancel = mutated(card.cancel(fresh.transaction, 1), "cancelSessionResponse")
    assert smdp.handle("cancelSession", cancel).status == 200
    for raw in (card.installation_result(fresh.transaction), card.notification(1)):
        answered(smdp, "handleNotification", mutated({"pendingNotification": b64(raw)}, "pendingNotification"))


@pytest.mark.parametrize("name", ["euicc", "eum"])
@RELAXED
@given(data=st.data())
def test_mutated_certificates_are_answered(
    smdp: VirtualSmdp, order: Order, p256: Pki, name: str, data: st.DataObject
) -> None:
    card = Card(p256)
    raw = bytearray(p256[name].cert_der)
    raw[data.draw(st.integers(4, len(raw) - 1))] = data.draw(st.integers(0, 255))
    if name == "euicc":
        card.certificate = bytes(raw)
    else:
        card.eum_certificate = bytes(raw)
    reply = Client(smdp, card).authenticate()
    assert reply.status == 200
    if bytes(raw) != p256[name].cert_der:
        assert reply.code in ("8.1.2/6.1", "8.1.3/6.1", "8.11.1/3.9", "1.6/2.1", "8.1.2/6.3", "8.1.3/6.3")


@RELAXED
@given(body=st.binary(max_size=60))
def test_any_bytes_over_http_are_answered(server: RspServer, body: bytes) -> None:
    front = Front(server, FrontSettings(rules=LENIENT))
    for function in server.functions:
        response = front(Request("POST", f"/gsma/rsp2/es9plus/{function}", body=body))
        assert response.status in (200, 204)
        json.loads(response.body)


def test_deeply_nested_json_is_answered(server: RspServer) -> None:
    front = Front(server, FrontSettings(rules=LENIENT))
    body = b"[" * 1_000_000
    response = front(Request("POST", "/gsma/rsp2/es9plus/initiateAuthentication", body=body))
    assert json.loads(response.body)["header"]["functionExecutionStatus"]["statusCodeData"]["subjectCode"] == "1.6"


@pytest.mark.parametrize(
    "challenge", ["", "A", "AAAA", "AAECAwQFBgcICQoLDA0ODw==\n", "AAECAwQFBgcICQoLDA0OD_==", 7, None]
)
def test_a_challenge_that_is_none_is_invalid(smdp: VirtualSmdp, card: Card, challenge: object) -> None:
    assert smdp.handle("initiateAuthentication", {**card.initiate(), "euiccChallenge": challenge}).code == "1.6/2.1"


def test_old_sessions_are_forgotten_and_not_all_memory_is_used(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    first = Client(smdp, card)
    first.initiate()
    for _ in range(1000):
        smdp.handle("initiateAuthentication", card.initiate())
    assert len(smdp.sessions) == 1000
    assert first.authenticate().code == "8.10.1/3.9"


def test_the_address_of_the_sm_ds_is_in_its_certificate(p256: Pki) -> None:
    assert VirtualSmds(ServerIdentity.smds(p256)).addresses == (DS_ADDRESS,)
