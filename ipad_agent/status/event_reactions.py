"""What the agent's events tell about its state, so that nobody has to say the same thing twice.

A reaction takes the event's own fields, so mypy compares both ends; nothing is read out of a sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec

from ipad_agent.agent import events as agent
from ipad_agent.emulation import events as emulation
from ipad_agent.events import Event
from ipad_agent.local.status_verdict import DOWNLOAD
from ipad_agent.net import events as net
from ipad_agent.procedures.delivery import events as delivery
from ipad_agent.procedures.download import events as downloads
from ipad_agent.procedures.retrieval import events as retrieval
from ipad_agent.procedures.startup import events as startup
from ipad_agent.procedures.switching import events as switches
from ipad_agent.procedures.switching import local_events as local
from ipad_agent.store import events as store

from .status_board import DISK_ADVICE, REACTIONS, Board

P = ParamSpec("P")


def _on(event: Event[P], reaction: Callable[Concatenate[Board, P], None]) -> None:
    """From now on ``reaction`` is called with the board and the fields whenever this event is said."""
    REACTIONS.setdefault(event.id, []).append(reaction)


def _card_lost(board: Board, *, side: str, reason: str, wait_s: float, hint: str) -> None:
    board.card_lost(side, reason, hint, wait_s)


def _bug(board: Board, *, reason: str, wait_s: float) -> None:
    hint = "Report it together with `ipactl bundle`; what is owed is safe."
    board.card_lost("agent", f"an error nobody expected, {reason}", hint, wait_s)


def _not_an_iot_card(board: Board, *, eid: str, kind: str, retry_s: float) -> None:
    board.looks_again(retry_s)


def _no_eim(board: Board, *, retry_s: float) -> None:
    board.looks_again(retry_s)


def _next_poll(board: Board, *, eim: str, sentence: str, wait_s: float, reason: str) -> None:
    board.next_poll(eim, wait_s, reason)


def _poll_failed(board: Board, *, eim: str, side: str, reason: str, hint: str) -> None:
    board.poll_trouble(eim, f"{reason} (side: {side})")


def _no_way(board: Board, *, eim: str, reason: str) -> None:
    board.poll_trouble(eim, reason)


def _connected(board: Board, *, host: str, port: int, cipher: str, kind: str, trusted: str) -> None:
    board.connected(host, kind)


def _polling(board: Board, *, eim: str) -> None:
    board.poll_began(eim)


def _eim_error(board: Board, *, eim: str, code: int, meaning: str) -> None:
    board.poll_trouble(eim, f"it answered: {meaning}")


def _delivered(board: Board, *, eim: str, size_bytes: int, acknowledged: str) -> None:
    board.result_delivered(eim)


def _bound(board: Board, *, eim: str, how: str) -> None:
    board.key_known(eim)


def _download(board: Board, *, eim: str, way: str) -> None:
    board.operation(DOWNLOAD)


def _download_by_hand(board: Board, *, server: str) -> None:
    board.operation(DOWNLOAD)


def _received(board: Board, *, done: int, total: int | str) -> None:
    board.operation(DOWNLOAD, done=done, total=total if isinstance(total, int) else None, unit="bytes")


def _loaded(board: Board, *, done: int, total: int | None) -> None:
    board.operation(DOWNLOAD, done=done, total=total, unit="segments")


def _installed(board: Board, *, iccid: str, seq: int) -> None:
    board.operation_ended(DOWNLOAD)


def _not_installed(board: Board, *, reason: str, seq: str | int) -> None:
    board.operation_ended(DOWNLOAD)


def _download_over(board: Board, *, reason: str) -> None:
    board.operation_ended(DOWNLOAD)


def _warns(event: Event[...], advice: str | None, *, key: str = "", until: tuple[Event[...], ...]) -> None:
    """``event`` is a warning until one of ``until`` is said; ``key`` is the field that tells several apart, which the
    ending events have too."""
    for one in (event, *until):
        if key and key not in one.fields:
            raise ValueError(f"{one.id} has no field {key!r}")

    def warn(board: Board, **facts: object) -> None:
        board.warn(event.id, event.text(facts), advice, key=str(facts[key]) if key else "")

    def clear(board: Board, **facts: object) -> None:
        board.clear(event.id, key=str(facts[key]) if key else "")

    _on(event, warn)
    for ending in until:
        _on(ending, clear)


_on(agent.CARD_LOST, _card_lost)
_on(agent.BUG, _bug)
_on(agent.NEXT_POLL, _next_poll)
_on(agent.POLL_FAILED, _poll_failed)
_on(agent.NO_WAY_TO_EIM, _no_way)
_on(startup.NOT_AN_IOT_CARD, _not_an_iot_card)
_on(startup.NO_EIM, _no_eim)
_on(retrieval.POLLING, _polling)
_on(net.CONNECTED, _connected)
_on(retrieval.EIM_ERROR, _eim_error)
_on(delivery.RESULT_SENT, _delivered)
_on(startup.BOUND, _bound)
_on(downloads.DOWNLOAD_ORDERED, _download)
_on(downloads.DOWNLOAD_BY_HAND, _download_by_hand)
_on(downloads.DOWNLOAD_BY_HAND_FAILED, _download_over)
_on(downloads.PACKAGE_BYTES, _received)
_on(downloads.SEGMENTS, _loaded)
_on(downloads.INSTALLED, _installed)
_on(downloads.NOT_INSTALLED, _not_installed)
_on(downloads.DOWNLOAD_FAILED, _download_over)
_on(downloads.DOWNLOAD_LATER, _download_over)
_warns(
    retrieval.NO_ROOM,
    "Find out why results are not accepted: `ipactl owed`.",
    until=(delivery.RESULT_SENT, retrieval.PACKAGE_RECEIVED),
)
_warns(
    retrieval.NOT_TAKEN,
    DISK_ADVICE,
    until=(retrieval.PACKAGE_RECEIVED,),
)
_warns(store.DISK_REFUSED, DISK_ADVICE, until=(store.DISK_ACCEPTS,))
_warns(store.JOURNAL_HEADLESS, "The storage returns wrong data; plan to replace it.", until=())
_warns(store.JOURNAL_NEARLY_FULL, "Find out why results are not accepted: `ipactl owed`.", until=())
_warns(store.JOURNAL_RECORD_DAMAGED, "The storage returns wrong data; plan to replace it.", until=())
_warns(
    startup.PROVISIONING_REFUSED,
    "Correct the file and restart the agent.",
    until=(startup.PROVISIONED,),
)
_warns(
    emulation.KEY_LOST,
    "Bring the key back, or begin anew with `ipactl emulation new-key` (docs/emulation.md).",
    until=(emulation.EMULATING,),
)
_warns(emulation.STATE_UNUSABLE, "Go back to the release that wrote it.", until=(emulation.EMULATING,))
_warns(
    startup.BUNDLE_REFUSED,
    "Correct it, or have the eIM issue another one; `ipactl explain IPA-4273`.",
    until=(emulation.BUNDLE_TAKEN, startup.PROVISIONED),
)
_warns(
    startup.BUNDLE_STAYS,
    "Remove the file: whoever reads it can sign for this device.",
    until=(),
)
_warns(
    startup.BINDING_REFUSED,
    "Ask the eIM's operator why, then `ipactl poll`; another provisioning bundle helps too.",
    key="eim",
    until=(startup.BOUND,),
)
_warns(
    switches.UNPROVED,
    "Look at the coverage and the APN of the new profile; `ipactl confirm` if it works all the same.",
    until=(switches.COMMITTED, switches.ARMED, switches.NOTHING_CHANGED),
)
_warns(switches.NO_WAY_BACK, None, until=(switches.COMMITTED, switches.ARMED, switches.NOTHING_CHANGED))
_warns(
    switches.NOTHING_ENABLED,
    "If this device has no other network, only a person on site can help.",
    until=(switches.SWITCHED,),
)
_warns(
    local.LOST,
    "Antenna, coverage, contract; `ipactl doctor`.",
    until=(local.REGAINED,),
)
_warns(
    delivery.RECEIVER_PAUSED,
    "Nothing is lost; `ipactl owed` shows what waits.",
    key="address",
    until=(delivery.NOTIFICATION_DELIVERED, delivery.NOTIFICATION_SENT),
)
_warns(
    delivery.RESULT_NOT_ACKNOWLEDGED,
    "Look at the eIM's log: it discards results whose signature or number it does not accept.",
    key="eim",
    until=(delivery.RESULT_SENT,),
)
