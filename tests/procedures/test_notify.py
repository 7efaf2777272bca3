"""Notifications: to whom, in which order, and what a receiver that does not take them means (SGP.32 v1.2 §3.7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ipad_agent.codec.es10.notifications import PendingNotification
from ipad_agent.errors import EimError, NetworkError
from ipad_agent.procedures.delivery.notification_delivery import deliver_notifications, deliver_without_eim
from ipad_agent.procedures.records.notification_backoff import NotificationBackoff

from .downloads import Direct, Server, ServerError, StatusError, smdp
from .fakes import Bench, notification


def waiting(*addresses: str, direct: bool) -> Bench:
    """One notification for each address, numbered from 1."""
    made = Bench(connector=Direct(Server()) if direct else None, indirect=not direct)
    made.card.pending = {
        number: notification(number, address=address) for number, address in enumerate(addresses, start=1)
    }
    return made


async def deliver(made: Bench) -> frozenset[int]:
    return await deliver_notifications(made.context, made.eim)


async def test_directly_each_goes_to_its_own_receiver_in_order() -> None:
    made = waiting("a.example", "b.example", "a.example", direct=True)
    made.card.pending = dict(reversed(made.card.pending.items()))
    assert await deliver(made) == {1, 2, 3}
    assert smdp(made).connected == ["a.example", "b.example"]  # one connection for each
    assert smdp(made).notified == [
        ("a.example", notification(1, address="a.example")),
        ("a.example", notification(3, address="a.example")),
        ("b.example", notification(2, address="b.example")),
    ]
    assert made.card.pending == {}
    assert made.link.notifications == []


async def test_an_eim_that_serves_the_receivers_gets_them() -> None:
    made = waiting("a.example", direct=False)
    made.connector = Direct(Server())
    await deliver(made)
    assert made.link.notifications == [notification(1, address="a.example")]
    assert smdp(made).notified == []


async def test_without_another_way_the_eim_gets_them() -> None:
    made = waiting("a.example", direct=True)
    made.connector = None
    await deliver(made)
    assert made.link.notifications == [notification(1, address="a.example")]


async def test_one_without_an_address_goes_to_the_eim() -> None:
    made = waiting("", "a.example", direct=True)
    await deliver(made)
    assert made.link.notifications == [notification(1, address="")]
    assert [address for address, _ in smdp(made).notified] == ["a.example"]


async def test_without_an_eim_each_goes_to_its_own_receiver_and_one_without_an_address_waits() -> None:
    made = waiting("a.example", "", "dead.example", "a.example", direct=True)
    smdp(made).dead["dead.example"] = NetworkError("silence")
    assert await deliver_without_eim(made.context) == {1, 4}
    assert set(made.card.pending) == {2, 3}
    assert await deliver_without_eim(made.context) == frozenset()
    assert smdp(made).connected == ["a.example", "dead.example"]  # left alone for a while
    smdp(made).dead.clear()
    made.clock.wall_s += 600
    assert await deliver_without_eim(made.context) == {3}
    assert made.link.notifications == []


async def test_without_an_eim_and_without_a_direct_way_the_card_keeps_them() -> None:
    made = waiting("a.example", direct=True)
    made.connector = None
    assert await deliver_without_eim(made.context) == frozenset()
    assert set(made.card.pending) == {1}


async def test_without_an_eim_nothing_that_was_taken_is_delivered_again() -> None:
    made = waiting("a.example", "a.example", direct=True)
    made.context.work.keep(str(made.context.eid), [1])
    assert await deliver_without_eim(made.context) == {2}
    assert smdp(made).notified == [("a.example", notification(2, address="a.example"))]


async def test_a_dead_receiver_is_asked_once_and_blocks_nobody_else() -> None:
    made = waiting("dead.example", "dead.example", "a.example", direct=True)
    smdp(made).dead["dead.example"] = NetworkError("silence")
    assert await deliver(made) == {3}
    assert smdp(made).attempts == ["dead.example", "a.example"]
    assert set(made.card.pending) == {1, 2}


async def test_one_that_is_refused_does_not_hold_up_the_next_for_the_same_receiver() -> None:
    made = waiting("a.example", "a.example", direct=True)
    smdp(made).refusing[notification(1, address="a.example")] = StatusError("8.1", "6.1")
    assert await deliver(made) == {2}
    assert set(made.card.pending) == {1}


async def test_a_receiver_that_failed_is_left_alone_for_a_while() -> None:
    made = waiting("dead.example", direct=True)
    smdp(made).dead["dead.example"] = ServerError("HTTP 503")
    await deliver(made)
    await deliver(made)
    assert smdp(made).connected == ["dead.example"]
    made.clock.wall_s += 600
    await deliver(made)
    assert smdp(made).connected == ["dead.example"] * 2
    made.clock.wall_s += 600
    await deliver(made)  # now the pause is twenty minutes
    assert smdp(made).connected == ["dead.example"] * 2
    smdp(made).dead.clear()
    made.clock.wall_s += 600
    assert await deliver(made) == {1}
    assert made.context.receivers.failed("dead.example", 1) == 600  # forgotten with the success


async def test_something_new_for_a_paused_receiver_is_tried_at_once_with_what_is_older_first() -> None:
    made = waiting("dead.example", direct=True)
    smdp(made).dead["dead.example"] = NetworkError("silence")
    await deliver(made)
    smdp(made).dead.clear()
    made.card.pending[2] = notification(2, address="dead.example")
    assert await deliver(made) == {1, 2}
    assert [raw for _, raw in smdp(made).notified] == [
        notification(1, address="dead.example"),
        notification(2, address="dead.example"),
    ]


async def test_an_eim_that_does_not_take_one_still_gets_the_others_and_later_that_one_again() -> None:
    made = waiting("a.example", "b.example", "a.example", direct=False)
    made.link.notification_answers = [EimError("cannot forward"), None, None]
    assert await deliver(made) == {2, 3}
    assert set(made.card.pending) == {1}
    assert await deliver(made) == frozenset()
    made.clock.wall_s += 600
    assert await deliver(made) == {1}


async def test_an_eim_out_of_reach_ends_the_delivery() -> None:
    made = waiting("a.example", "b.example", direct=False)
    made.link.notification_answers = [NetworkError("silence")]
    with pytest.raises(NetworkError):
        await deliver(made)
    assert set(made.card.pending) == {1, 2}


@pytest.mark.parametrize("direct", [True, False])
async def test_nothing_waiting_is_no_traffic_at_all(direct: bool) -> None:
    made = waiting(direct=direct)
    assert await deliver(made) == frozenset()
    assert made.link.notifications == []
    assert made.card.log == []


def refused_before(made: Bench) -> None:
    """Eleven old notifications that this eIM will never take."""
    made.link.notification_answers = [EimError("unknown session") for _ in made.card.pending]


async def test_old_refused_notifications_are_not_offered_again_because_of_a_new_one() -> None:
    made = waiting(*["a.example"] * 11, direct=False)
    refused_before(made)
    assert await deliver(made) == frozenset()
    assert len(made.link.notifications) == 11
    made.card.pending[12] = notification(12, address="a.example")
    assert await deliver(made) == {12}
    assert len(made.link.notifications) == 12


async def test_an_idle_poll_costs_no_more_because_of_old_notifications() -> None:
    made = waiting(*["a.example"] * 11, direct=False)
    refused_before(made)
    await deliver(made)
    for _ in range(5):
        await deliver(made)
    assert len(made.link.notifications) == 11


async def test_a_changed_entry_of_the_eim_ends_all_pauses_of_its_notifications() -> None:
    made = waiting("a.example", direct=False)
    made.link.notification_answers = [EimError("unknown session")]
    await deliver(made)
    made.card.pending[2] = notification(2, address="a.example")
    moved = replace(made.eim.config, fqdn="other.example")
    assert await deliver_notifications(made.context, replace(made.eim, config=moved)) == {1, 2}


async def test_the_pause_of_a_refused_notification_outlives_a_restart_and_a_wrong_clock_ends_it() -> None:
    made = waiting("a.example", direct=False)
    made.link.notification_answers = [EimError("unknown session")]
    await deliver(made)
    again = NotificationBackoff(made.memory, made.clock)
    (one,) = (PendingNotification.parse(raw) for raw in made.card.pending.values())
    assert again.waits(made.eim.config, one)
    made.clock.wall_s -= 10 * 86_400
    assert not again.waits(made.eim.config, one)
