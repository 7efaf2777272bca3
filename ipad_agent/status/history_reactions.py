"""What the agent's events tell its history (see ``event_reactions`` for the rules)."""

from __future__ import annotations

from ipad_agent.agent import events as agent
from ipad_agent.procedures import events as procedures
from ipad_agent.procedures.download import events as downloads
from ipad_agent.procedures.packages import events as packages
from ipad_agent.procedures.records.local_switch_record import What
from ipad_agent.procedures.retrieval import events as retrieval
from ipad_agent.procedures.switching import local_events as local
from ipad_agent.procedures.switching.local_switch import End
from ipad_agent.wakeup import events as wakeup

from . import history
from .event_reactions import _on
from .status_board import Board


def _order(board: Board, *, eim: str, what: str) -> None:
    board.history.begin(history.ORDER, what, history.EIM, eim_id=eim)


def _carried_out(board: Board, *, eim: str, what: str, operations: int, failed: int) -> None:
    outcome = history.FAILED if failed else history.DONE
    board.history.end(history.ORDER, outcome, what, what="an order taken up again")


def _refused(board: Board, *, what: str) -> None:
    board.history.end(history.ORDER, history.REFUSED, f"the card refused it: {what}", what="an order taken up again")


def _could_not(board: Board, *, reason: str) -> None:
    board.history.end(history.ORDER, history.FAILED, f"the card could not take it: {reason}", only_open=True)


def _unreadable(board: Board, *, reason: str) -> None:
    said = f"carried out; the card's answer cannot be read: {reason}"
    board.history.end(history.ORDER, history.DONE, said, only_open=True)


def _not_understood(board: Board, *, eim: str, problem: str, code: str) -> None:
    board.history.begin(history.ORDER, "an order that cannot be read", history.EIM, eim_id=eim)
    board.history.end(history.ORDER, history.REFUSED, f"{problem}; the eIM was told {code}")


def _download(board: Board, *, eim: str, way: str) -> None:
    board.history.resume(history.DOWNLOAD, f"a profile, {way}", history.EIM, eim_id=eim)


def _download_by_hand(board: Board, *, server: str) -> None:
    board.history.begin(history.DOWNLOAD, f"a profile from {server}", history.PERSON)


def _download_by_hand_failed(board: Board, *, reason: str) -> None:
    board.history.end(history.DOWNLOAD, history.FAILED, reason, what="a profile", by=history.PERSON)


def _installed(board: Board, *, iccid: str, seq: int) -> None:
    board.history.end(history.DOWNLOAD, history.DONE, f"{iccid} is installed", what="a profile")


def _not_installed(board: Board, *, reason: str, seq: str | int) -> None:
    board.history.end(history.DOWNLOAD, history.FAILED, reason, what="a profile")


def _download_failed(board: Board, *, reason: str) -> None:
    board.history.end(history.DOWNLOAD, history.FAILED, reason, what="a profile")


def _download_later(board: Board, *, reason: str) -> None:
    board.history.interrupted(f"begun again at another poll: {reason}")


def _card_lost(board: Board, *, side: str, reason: str, wait_s: float, hint: str) -> None:
    board.history.interrupted(f"the {side} failed: {reason}")


def _bug(board: Board, *, reason: str, wait_s: float) -> None:
    board.history.interrupted("an error nobody expected")


def _poll_failed(board: Board, *, eim: str, side: str, reason: str, hint: str) -> None:
    board.history.interrupted(reason)


# A return is a switch that the journal has from its beginning to its end: ``History.switch`` tells it.
_RETURN = What.RETURN.value


def _ordering(board: Board, *, what: str, previous: str) -> None:
    if what != _RETURN:
        board.history.begin(history.SWITCH, what, board.history.author)


def _done(board: Board, *, what: str, enabled: str, previous: str, cause: str) -> None:
    if what != _RETURN:
        changed = f"from {previous} to {enabled}"
        board.history.end(history.SWITCH, history.DONE, changed, what=what, by=board.history.author)


def _not_done(board: Board, *, what: str, reason: str) -> None:
    if what == _RETURN:
        board.history.why(reason)
    else:
        # What was so before is what was wanted, and nobody is told of a failure.
        outcome = history.DONE if reason.startswith(End.ALREADY) else history.FAILED
        board.history.end(history.SWITCH, outcome, reason, what=what, by=board.history.author)


def _resetting(board: Board, *, what: str) -> None:
    board.history.begin(history.RESET, f"of the card: {what}", history.PERSON)


def _reset(board: Board, *, result: str, profiles: int, eims: int) -> None:
    said = f"{result}; {profiles} profiles and {eims} eIMs are left"
    outcome = history.DONE if result in ("ok", "nothingToDelete") else history.FAILED
    board.history.end(history.RESET, outcome, said, by=history.PERSON)


def _reset_found(board: Board, *, found: str) -> None:
    board.history.end(history.RESET, history.INTERRUPTED, f"it {found}", by=history.PERSON)


def _woken(board: Board, *, how: str, who: str) -> None:
    what = f"{how} of {who} brings the next poll forward"
    board.history.end(history.WAKE, history.DONE, what=what, by=history.DEVICE)


_on(retrieval.PACKAGE_RECEIVED, _order)
_on(packages.ORDER_CARRIED_OUT, _carried_out)
_on(packages.PACKAGE_REFUSED, _refused)
_on(packages.CARD_COULD_NOT, _could_not)
_on(packages.ANSWER_UNREADABLE, _unreadable)
_on(procedures.NOT_UNDERSTOOD, _not_understood)
_on(downloads.DOWNLOAD_ORDERED, _download)
_on(downloads.DOWNLOAD_BY_HAND, _download_by_hand)
_on(downloads.DOWNLOAD_BY_HAND_FAILED, _download_by_hand_failed)
_on(downloads.INSTALLED, _installed)
_on(downloads.NOT_INSTALLED, _not_installed)
_on(downloads.DOWNLOAD_FAILED, _download_failed)
_on(downloads.DOWNLOAD_LATER, _download_later)
_on(agent.CARD_LOST, _card_lost)
_on(agent.BUG, _bug)
_on(agent.POLL_FAILED, _poll_failed)
_on(wakeup.WOKEN_BY, _woken)
_on(local.ORDERING, _ordering)
_on(local.DONE, _done)
_on(local.NOT_DONE, _not_done)
_on(local.RESETTING, _resetting)
_on(local.RESET_DONE, _reset)
_on(local.RESET_FOUND, _reset_found)
