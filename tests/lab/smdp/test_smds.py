"""The SM-DS hands out events to those they are for, and to nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from ipad_agent.lab.crypto import der
from ipad_agent.lab.pki import Pki, make_eid
from ipad_agent.lab.smdp import (
    Fault,
    Metadata,
    Order,
    ProfilePackage,
    ServerIdentity,
    SmdpError,
    SmdsSettings,
    VirtualSmdp,
    VirtualSmds,
)

from .scripted import ADDRESS, CHALLENGE, DS_ADDRESS, ICCID, Card, Client, fields_of, signed_by, un64


@pytest.fixture
def smds(p256: Pki) -> VirtualSmds:
    return VirtualSmds(ServerIdentity.smds(p256))


def client(smds: VirtualSmds, card: Card) -> Client:
    return Client(smds, card, DS_ADDRESS)


def entries(smds: VirtualSmds, card: Card, matching_id: str | None = "") -> Any:
    return fields_of(client(smds, card).authenticate(matching_id))["eventEntries"]


def test_a_card_gets_all_its_events_and_no_others(smds: VirtualSmds, p256: Pki, card: Card) -> None:
    smds.add_event(p256.eid, "EVENT-1", ADDRESS)
    smds.add_event(make_eid(77), "EVENT-2", ADDRESS)
    smds.add_event(p256.eid, "EVENT-3", "other.example")
    expected = [
        {"eventId": "EVENT-1", "rspServerAddress": ADDRESS},
        {"eventId": "EVENT-3", "rspServerAddress": "other.example"},
    ]
    assert entries(smds, card) == entries(smds, card, None) == expected
    assert entries(smds, card, "EVENT-3") == expected[1:]


def test_an_event_that_is_not_there_is_unknown(smds: VirtualSmds, p256: Pki, card: Card) -> None:
    smds.add_event(make_eid(77), "EVENT-2", ADDRESS)
    assert client(smds, card).authenticate("").code == "8.9.5/3.9"
    assert client(smds, card).authenticate("EVENT-2").code == "8.9.5/3.9"
    assert client(smds, card).authenticate("NONE").code == "8.9.5/3.9"


def test_no_events_may_be_an_empty_list(p256: Pki, card: Card) -> None:
    smds = VirtualSmds(ServerIdentity.smds(p256), SmdsSettings(empty_list=True))
    assert entries(smds, card) == []
    assert client(smds, card).authenticate("NONE").code == "8.9.5/3.9"


def test_events_come_and_go(smds: VirtualSmds, p256: Pki, card: Card) -> None:
    event = smds.add_event(p256.eid, "EVENT-1", ADDRESS)
    assert smds.events == (event,)
    for wrong in ("EVENT-1", ""):
        with pytest.raises(SmdpError):
            smds.add_event(p256.eid, wrong, ADDRESS)
    smds.remove_event("EVENT-1")
    with pytest.raises(SmdpError):
        smds.remove_event("EVENT-1")
    assert client(smds, card).authenticate("").code == "8.9.5/3.9"


def test_the_server_signs_as_an_sm_ds(pki: Pki) -> None:
    smds = VirtualSmds(ServerIdentity.smds(pki))
    answer = fields_of(client(smds, Card(pki)).initiate())
    signed = der.parse(un64(answer["serverSigned1"]))
    assert (signed.get(0x81).value, signed.get(0x83).text()) == (CHALLENGE, DS_ADDRESS)
    assert un64(answer["serverCertificate"]) == pki["dsauth"].cert_der
    assert signed_by(pki["dsauth"].certificate, un64(answer["serverSignature1"]), signed.raw)


def test_refusals_carry_the_subject_of_an_sm_ds(smds: VirtualSmds, p256: Pki) -> None:
    assert Client(smds, Card(p256), "smds.other.example").initiate().code == "8.9.1/3.8"
    assert client(smds, Card(p256, sign_cis=[b"\x01" * 20])).initiate().code == "8.9.2/3.1"
    assert client(smds, Card(p256, svn=b"\x01\x00\x00")).initiate().code == "8.9.3/3.1"
    assert client(smds, Card(p256, verify_cis=[b"\x01" * 20])).initiate().code == "8.9.4/3.7"


def test_the_address_may_come_in_either_field(smds: VirtualSmds, card: Card) -> None:
    body = card.initiate(DS_ADDRESS)
    body["smdsAddress"] = body.pop("smdpAddress")
    fields_of(smds.handle("initiateAuthentication", body))


def test_functions_of_an_sm_dp_are_not_found(smds: VirtualSmds) -> None:
    for function in ("getBoundProfilePackage", "handleNotification", "cancelSession"):
        assert smds.handle(function, {}).status == 404


def test_a_wrong_card_is_refused_here_too(smds: VirtualSmds, p256: Pki, card: Card) -> None:
    smds.add_event(p256.eid, "EVENT-1", ADDRESS)
    card.spoil = "signature"
    assert client(smds, card).authenticate("").code == "8.1/6.1"
    smds.faults.arm(Fault("authenticateClient", "wrong-transaction"))
    card.spoil = ""
    answer = fields_of((asking := client(smds, card)).authenticate(""))
    assert bytes.fromhex(answer["transactionId"]) != asking.transaction


def test_an_event_leads_over_a_second_sm_ds_to_the_profile(p256: Pki, card: Card) -> None:
    root = VirtualSmds(ServerIdentity.smds(p256))
    other = VirtualSmds(ServerIdentity.smds(p256), SmdsSettings(addresses=("smds2.lab.example",)))
    smdp = VirtualSmdp(ServerIdentity.smdp(p256))
    order = smdp.orders.add(Order("EVENT-2", ProfilePackage.sample(Metadata(ICCID)), eid=p256.eid))
    other.add_event(p256.eid, "EVENT-2", ADDRESS)
    made = other.forward_event("EVENT-2", root, "EVENT-1")
    assert (made.event_id, made.address) == ("EVENT-1", "smds2.lab.example")
    with pytest.raises(SmdpError):
        other.forward_event("EVENT-9", root, "EVENT-8")
    servers = {DS_ADDRESS: root, "smds2.lab.example": other}
    address, matching_id = DS_ADDRESS, ""
    while address in servers:
        answer = fields_of(Client(servers[address], card, address).authenticate(matching_id))
        (entry,) = answer["eventEntries"]
        address, matching_id = entry["rspServerAddress"], entry["eventId"]
    assert Client(smdp, card, address).download(matching_id=matching_id).elements == order.package.elements
