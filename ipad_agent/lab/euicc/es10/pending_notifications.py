"""Pending notifications and stored package results: list, hand out, remove."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.state.isdr_state import code, parse

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.state.card_state import Notification, SignedResult
    from ipad_agent.lab.euicc.state.isdr_state import Isdr

OK, NOTHING_TO_DELETE, UNDEFINED = 0, 1, 127


def list_notification(isdr: Isdr, raw: bytes) -> bytes:
    """ListNotification (SGP.22 §5.7.9): BF28 { 81 events optional } -> BF28 { A0 { BF2F... } }."""
    chosen = _by_event(isdr, parse(raw).find(0x81))
    return der.tlv(0xBF28, der.tlv(0xA0, *(n.metadata for n in chosen)))


def retrieve_notifications_list(isdr: Isdr, raw: bytes) -> bytes:
    """RetrieveNotificationsList (SGP.32 §5.9.11): everything, one number, some events, or the stored results."""
    state = isdr.state
    criteria = parse(raw).find(0xA0)
    if isdr.quirks.refused_lists:
        return _answer(isdr, der.integer(UNDEFINED, 0x81))
    if criteria is None:
        if isdr.quirks.combined_list:
            notifications = _notifications(state.notifications)
            return _answer(isdr, der.tlv(0xA3, notifications, _results(isdr, state.results, 0xA1)))
        return _answer(isdr, _notifications(state.notifications))
    wanted = criteria.find(0x80, 0x81, 0x82)
    if wanted is None or (wanted.tag == 0x82 and isdr.quirks.consumer):
        return _answer(isdr, der.integer(UNDEFINED, 0x81))
    if wanted.tag == 0x82:
        return _answer(isdr, _results(isdr, state.results))
    if wanted.tag == 0x81:
        return _answer(isdr, _notifications(_by_event(isdr, wanted)))
    number = wanted.integer()
    results = [r for r in state.results if r.seq == number]
    if results:
        return _answer(isdr, _results(isdr, results))
    return _answer(isdr, _notifications([n for n in state.notifications if n.seq == number]))


def remove_notification(isdr: Isdr, raw: bytes) -> bytes:
    """RemoveNotificationFromList (SGP.22 §5.7.11), for results too.

    The rollback that a result allowed ends with it: once the eIM has it, going back would contradict it.
    """
    number = parse(raw).get(0x80).integer()
    state = isdr.state
    before = len(state.notifications) + len(state.results)
    state.notifications = [n for n in state.notifications if n.seq != number]
    state.results = [r for r in state.results if r.seq != number]
    if len(state.notifications) + len(state.results) == before:
        return code(0xBF30, NOTHING_TO_DELETE)
    if state.rollback is not None and state.rollback.seq == number:
        state.rollback = None
    isdr.commit()
    return code(0xBF30, OK)


def bare(result: bytes) -> bytes:
    """A0, A1 or A2 out of its BF51."""
    return der.parse(result).value


def _by_event(isdr: Isdr, events: der.Node | None) -> list[Notification]:
    if events is None:
        return isdr.state.notifications
    wanted = events.bits()
    return [n for n in isdr.state.notifications if n.event in wanted]


def _notifications(chosen: list[Notification]) -> bytes:
    return der.tlv(0xA0, *(n.raw for n in chosen))


def _results(isdr: Isdr, chosen: list[SignedResult], tag: int = 0xA2) -> bytes:
    raws = (bare(r.raw) if isdr.quirks.bare_result_list else r.raw for r in chosen)
    return der.tlv(tag, *raws)


def _answer(isdr: Isdr, content: bytes) -> bytes:
    return der.tlv(isdr.quirks.notification_list_tag, content)
