"""What the agent's events tell about its state, so that nobody has to say the same thing twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from ipad_agent.agent import events as daemon
from ipad_agent.events import Event
from ipad_agent.local.status_verdict import DOWNLOAD
from ipad_agent.procedures import events as procedures
from ipad_agent.procedures.switching import events as switches
from ipad_agent.procedures.switching import local_events as guardian
from ipad_agent.store import events as store

if TYPE_CHECKING:
    from .status_board import Board

Facts = Mapping[str, object]
Reaction = Callable[["Board", Facts], None]

CLOCK_UNSET: Final = procedures.DATES_NOT_JUDGED
DISK_ADVICE: Final = "Check free space, mount options and permissions of the state directory, and the storage itself."
CLOCK_UNSET_ADVICE: Final = "Give the device the time: NTP, or from the mobile network."


def text_of(event: Event, facts: Facts) -> str:
    """The event's sentence with its facts; the bare sentence when one is missing, which is a defect of the speaker
    and no reason to be silent."""
    try:
        return event.sentence.format_map(facts)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError):
        return event.sentence


def _text(facts: Facts, name: str) -> str:
    return str(facts.get(name, ""))


def _number(facts: Facts, name: str) -> int | None:
    value = facts.get(name)
    return int(value) if isinstance(value, int | float) else None


def _seconds(facts: Facts, name: str) -> float:
    value = facts.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _card_lost(board: Board, facts: Facts) -> None:
    board.card_lost(_text(facts, "side"), _text(facts, "reason"), _text(facts, "hint"), _seconds(facts, "wait_s"))


def _bug(board: Board, facts: Facts) -> None:
    board.card_lost(
        "agent",
        f"an error nobody expected, {_text(facts, 'reason')}",
        "Report it together with `ipactl bundle`; what is owed is safe.",
        _seconds(facts, "wait_s"),
    )


def _look_again(board: Board, facts: Facts) -> None:
    board.looks_again(_seconds(facts, "retry_s"))


def _next_poll(board: Board, facts: Facts) -> None:
    # "next poll in 5 h: regular interval" - the skins spell the time themselves
    _, _, reason = _text(facts, "sentence").rpartition(": ")
    board.next_poll(_text(facts, "eim"), _seconds(facts, "wait_s"), reason)


def _poll_failed(board: Board, facts: Facts) -> None:
    side = _text(facts, "side")
    reason = _text(facts, "reason")
    board.poll_trouble(_text(facts, "eim"), f"{reason} (side: {side})" if side else reason)


def _eim_error(board: Board, facts: Facts) -> None:
    board.poll_trouble(_text(facts, "eim"), f"it answered: {_text(facts, 'meaning')}")


def _polling(board: Board, facts: Facts) -> None:
    board.poll_began(_text(facts, "eim"))


def _delivered(board: Board, facts: Facts) -> None:
    board.result_delivered(_text(facts, "eim"))


def _download(board: Board, facts: Facts) -> None:
    board.operation(DOWNLOAD)


def _received(board: Board, facts: Facts) -> None:
    board.operation(DOWNLOAD, done=_number(facts, "done"), total=_number(facts, "total"), unit="bytes")


def _loaded(board: Board, facts: Facts) -> None:
    board.operation(DOWNLOAD, done=_number(facts, "done"), total=_number(facts, "total"), unit="segments")


def _download_over(board: Board, facts: Facts) -> None:
    board.operation_ended(DOWNLOAD)


def _warns(event: Event, advice: str | None, *, key: str = "", until: tuple[Event, ...]) -> dict[Event, Reaction]:
    """``event`` is a warning until one of ``until`` is said; ``key`` is the fact that tells several apart, which the
    ending events have too."""

    def warn(board: Board, facts: Facts) -> None:
        board.warn(event.id, text_of(event, facts), advice, key=_text(facts, key) if key else "")

    def clear(board: Board, facts: Facts) -> None:
        board.clear(event.id, key=_text(facts, key) if key else "")

    return {event: warn, **dict.fromkeys(until, clear)}


_SOURCES: Final[tuple[dict[Event, Reaction], ...]] = (
    {
        daemon.CARD_LOST: _card_lost,
        daemon.BUG: _bug,
        daemon.NEXT_POLL: _next_poll,
        daemon.POLL_FAILED: _poll_failed,
        daemon.NO_WAY_TO_EIM: _poll_failed,
        procedures.NOT_AN_IOT_CARD: _look_again,
        procedures.NO_EIM: _look_again,
        procedures.POLLING: _polling,
        procedures.EIM_ERROR: _eim_error,
        procedures.RESULT_SENT: _delivered,
        procedures.DOWNLOAD_ORDERED: _download,
        procedures.PACKAGE_BYTES: _received,
        procedures.SEGMENTS: _loaded,
        procedures.INSTALLED: _download_over,
        procedures.NOT_INSTALLED: _download_over,
        procedures.DOWNLOAD_FAILED: _download_over,
        procedures.DOWNLOAD_LATER: _download_over,
    },
    _warns(
        procedures.NO_ROOM,
        "Find out why results are not accepted: `ipactl owed`.",
        until=(procedures.RESULT_SENT, procedures.PACKAGE_RECEIVED),
    ),
    _warns(
        procedures.NOT_TAKEN,
        DISK_ADVICE,
        until=(procedures.PACKAGE_RECEIVED,),
    ),
    _warns(store.DISK_REFUSED, DISK_ADVICE, until=(store.DISK_ACCEPTS,)),
    _warns(store.JOURNAL_HEADLESS, "The storage returns wrong data; plan to replace it.", until=()),
    _warns(store.JOURNAL_NEARLY_FULL, "Find out why results are not accepted: `ipactl owed`.", until=()),
    _warns(store.JOURNAL_RECORD_DAMAGED, "The storage returns wrong data; plan to replace it.", until=()),
    _warns(
        procedures.PROVISIONING_REFUSED,
        "Correct the file and restart the agent.",
        until=(procedures.PROVISIONED,),
    ),
    _warns(
        switches.UNPROVED,
        "Look at the coverage and the APN of the new profile; `ipactl confirm` if it works all the same.",
        until=(switches.COMMITTED, switches.ARMED),
    ),
    _warns(switches.NO_WAY_BACK, None, until=(switches.COMMITTED, switches.ARMED)),
    _warns(
        switches.NOTHING_ENABLED,
        "If this device has no other network, only a person on site can help.",
        until=(switches.SWITCHED,),
    ),
    _warns(
        guardian.LOST,
        "Antenna, coverage, contract; `ipactl doctor`.",
        until=(guardian.REGAINED,),
    ),
    _warns(
        procedures.RECEIVER_PAUSED,
        "Nothing is lost; `ipactl owed` shows what waits.",
        key="address",
        until=(procedures.NOTIFICATION_DELIVERED, procedures.NOTIFICATION_SENT),
    ),
    _warns(
        procedures.RESULT_NOT_ACKNOWLEDGED,
        "Look at the eIM's log: it discards results whose signature or number it does not accept.",
        key="eim",
        until=(procedures.RESULT_SENT,),
    ),
)


def _merged() -> dict[str, Reaction]:
    """One reaction per event id; where several sources want one event, all of theirs in order."""
    merged: dict[str, list[Reaction]] = {}
    for source in _SOURCES:
        for event, reaction in source.items():
            merged.setdefault(event.id, []).append(reaction)
    return {id: _all(reactions) for id, reactions in merged.items()}


def _all(reactions: list[Reaction]) -> Reaction:
    def react(board: Board, facts: Facts) -> None:
        for reaction in reactions:
            reaction(board, facts)

    return react


REACTIONS: Final[Mapping[str, Reaction]] = _merged()
