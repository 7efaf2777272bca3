"""What cards report is kept as received, verified, and counted once."""

from __future__ import annotations

import pytest

from ipad_agent.lab.pki import Pki
from ipad_agent.lab.smdp import Fault, NotificationRecord, Order, OrderState, ServerIdentity, SmdpSettings, VirtualSmdp

from .scripted import Card, Client, b64


@pytest.fixture
def client(smdp: VirtualSmdp, order: Order, card: Card) -> Client:
    client = Client(smdp, card)
    client.download()
    return client


def only(smdp: VirtualSmdp) -> NotificationRecord:
    (record,) = smdp.notifications
    return record


def test_a_failed_installation_puts_the_order_into_error(smdp: VirtualSmdp, order: Order, client: Client) -> None:
    raw = client.card.installation_result(client.transaction, error=(5, 12))
    assert client.notify(raw).status == 204
    record = only(smdp)
    assert (record.raw, record.error, record.succeeded, record.verified) == (raw, (5, 12), False, True)
    assert order.state is OrderState.ERROR


def test_a_result_that_comes_twice_is_one(smdp: VirtualSmdp, client: Client) -> None:
    raw = client.card.installation_result(client.transaction)
    seen: list[NotificationRecord] = []
    smdp.on_notification = seen.append
    assert [client.notify(raw).status for _ in range(3)] == [204, 204, 204]
    assert only(smdp).times == 3
    assert seen == [only(smdp)]


def test_a_result_with_a_wrong_signature_is_kept_but_believed_by_nobody(
    smdp: VirtualSmdp, order: Order, client: Client
) -> None:
    client.card.spoil = "signature"
    assert client.notify(client.card.installation_result(client.transaction)).status == 204
    assert only(smdp).problem == "the signature is wrong"
    assert order.state is OrderState.DOWNLOADED


def test_a_result_of_another_server_or_an_unknown_transaction_is_not_believed(
    smdp: VirtualSmdp, order: Order, client: Client
) -> None:
    client.notify(client.card.installation_result(client.transaction, oid="2.999.11"))
    client.notify(client.card.installation_result(b"\x01" * 16))
    assert [record.problem for record in smdp.notifications] == [
        "the SM-DP+ is 2.999.11",
        "the transaction is not known",
    ]
    assert order.state is OrderState.DOWNLOADED


def test_an_aid_under_another_tag_is_read(smdp: VirtualSmdp, client: Client) -> None:
    client.notify(client.card.installation_result(client.transaction, aid_tag=0x80))
    assert only(smdp).verified
    assert only(smdp).installed_aid == bytes.fromhex("A0000005591010FFFFFFFF8900001200")


@pytest.mark.parametrize(("event", "name"), [(1, "enable"), (2, "disable"), (3, "delete")])
def test_other_notifications_are_verified_by_their_own_chain(pki: Pki, event: int, name: str) -> None:
    smdp = VirtualSmdp(ServerIdentity.smdp(pki))
    assert Client(smdp, Card(pki)).notify(Card(pki).notification(event)).status == 204
    record = only(smdp)
    assert (record.kind, record.events, record.eid, record.problem) == ("event", (name,), pki.eid, None)


def test_events_that_are_no_bit_string_do_not_hide_who_signed(smdp: VirtualSmdp, card: Card) -> None:
    # 81 01 40 instead of 81 02 06 40.
    raw = card.notification(1, bits=b"\x81\x01\x40")
    assert Client(smdp, card).notify(raw).status == 204
    assert (only(smdp).events, only(smdp).verified) == ((), True)


def test_other_notifications_with_a_wrong_chain_or_signature_are_not_believed(smdp: VirtualSmdp, p256: Pki) -> None:
    card = Card(p256)
    card.spoil = "signature"
    Client(smdp, card).notify(card.notification(1))
    card.spoil = ""
    card.certificate = p256.variant("euicc", "expired").cert_der
    Client(smdp, card).notify(card.notification(1))
    problems = [record.problem or "" for record in smdp.notifications]
    assert problems[0] == "the signature is wrong"
    assert problems[1].startswith("8.1.3/6.3")


@pytest.mark.parametrize("raw", [b"", b"\x30\x00", b"\xbf\x37\x00", b"\xbf\x20\x00", b"\x30\x03\x02\x01\x01"])
def test_what_is_no_notification_is_refused_and_not_kept(smdp: VirtualSmdp, raw: bytes) -> None:
    assert smdp.handle("handleNotification", {"pendingNotification": b64(raw)}).code == "1.6/2.1"
    assert not smdp.notifications


def test_some_servers_answer_200(p256: Pki, card: Card) -> None:
    smdp = VirtualSmdp(ServerIdentity.smdp(p256), SmdpSettings(notification_status=200))
    reply = Client(smdp, card).notify(card.notification(1))
    assert (reply.status, reply.body) == (200, None)


def test_a_receiver_that_is_down_keeps_nothing_and_one_that_loses_the_answer_does(
    smdp: VirtualSmdp, card: Card
) -> None:
    raw = card.notification(1)
    client = Client(smdp, card)
    smdp.faults.arm(Fault("handleNotification", "http", 503))
    assert client.notify(raw).status == 503
    smdp.faults.arm(Fault("handleNotification", "dead"))
    client.notify(raw)
    assert not smdp.notifications
    smdp.faults.arm(Fault("handleNotification", "lose-answer"))
    client.notify(raw)
    client.notify(raw)
    assert only(smdp).times == 2
