"""Guards of the agent and of the lab's parts, each as a way to take it away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ipad_agent.card.reset_recovery import Recovery
from ipad_agent.emulation import psmo_execution
from ipad_agent.emulation.card_memory import CardMemory
from ipad_agent.emulation.emulated_state import EmulatedState
from ipad_agent.errors import CardError, ModemError
from ipad_agent.lab.eim.results import result_judgement
from ipad_agent.lab.euicc.packages import load_euicc_package
from ipad_agent.modem.at import at_session
from ipad_agent.net.coap import coaps_carrier
from ipad_agent.net.trust.certificate_chain import Verdict
from ipad_agent.policy.guardian import guardian_rules
from ipad_agent.policy.switching.proof_stage import Finding, Stage
from ipad_agent.policy.switching.switch_table import Happening
from ipad_agent.procedures.delivery import notification_delivery, result_delivery
from ipad_agent.procedures.packages import euicc_package_execution
from ipad_agent.procedures.records import owed_work as work
from ipad_agent.procedures.records import state_changes
from ipad_agent.procedures.switching import lost_switch, profile_proof, switch_transaction
from ipad_agent.store import journal
from ipad_agent.torture.world import connectivity_view

TakeAway = Callable[[pytest.MonkeyPatch], None]
GUARDS: dict[str, TakeAway] = {}


def guard(take_away: TakeAway) -> TakeAway:
    GUARDS[take_away.__name__] = take_away
    return take_away


def _nobody_asks_the_card(patch: pytest.MonkeyPatch) -> None:
    """A day later the guardian would find the switch that the journal does not know on the card: a net below these."""

    async def take_up(*_: object) -> None:
        return None

    patch.setattr(lost_switch, "take_up", take_up)


@guard
def journal_is_synced(patch: pytest.MonkeyPatch) -> None:
    """Records reach the file, and the disk when it likes."""
    _nobody_asks_the_card(patch)

    real = journal.Journal._commit

    def commit(self: Any, record: bytes) -> None:
        if self._file is not None:
            self._file.sync = lambda: None
        real(self, record)

    patch.setattr(journal.Journal, "_commit", commit)


@guard
def order_is_written_down_before_the_card_gets_it(patch: pytest.MonkeyPatch) -> None:
    """What the journal should know before the card is touched, it learns with the result."""
    _nobody_asks_the_card(patch)

    async def arm(context: Any, eim: Any, work: Any) -> None:
        return None

    patch.setattr(switch_transaction, "arm", arm)


@guard
def result_is_on_disk_before_it_is_sent(patch: pytest.MonkeyPatch) -> None:
    """The result lives in memory until the eIM took it."""

    def answered(self: Any, done: Any, result: bytes) -> Any:
        return replace(done, result=result)

    patch.setattr(work.WorkList, "answered", answered)


@guard
def modem_and_card_have_to_agree(patch: pytest.MonkeyPatch) -> None:
    async def switched(self: Any, *_: Any) -> bool:
        return True

    async def card(self: Any, iccid: str) -> Finding:
        return Finding(Stage.CARD, True, "not looked at")

    patch.setattr(Recovery, "_switched", switched)
    patch.setattr(connectivity_view.ConnectivityView, "card", card)


@guard
def way_back_is_taken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(profile_proof, "time_over", lambda way: Happening.TIME_OVER_FOR_GOOD)


@guard
def one_rollback_only(patch: pytest.MonkeyPatch) -> None:
    """After a lost answer the rollback is simply ordered again and what comes then is believed."""

    async def order(context: Any, current: Any) -> Any:
        try:
            answer = await context.card.profile_rollback()
        except (CardError, ModemError):
            await context.card.recover()
            answer = await context.card.profile_rollback()
        return (answer.package_result, None) if answer.result.ok else (None, answer.result.name)

    patch.setattr(profile_proof, "_order_rollback", order)


@guard
def removal_only_after_acknowledgement(patch: pytest.MonkeyPatch) -> None:
    real = result_delivery._deliver

    async def deliver(context: Any, eim: Any, result: bytes, *, seq: int | None, **more: Any) -> Any:
        if seq is not None:
            await context.card.remove_notification(seq)
        return await real(context, eim, result, seq=seq, **more)

    patch.setattr(result_delivery, "_deliver", deliver)


@guard
def notification_is_removed_only_when_taken(patch: pytest.MonkeyPatch) -> None:
    real = notification_delivery._Sender.send

    async def send(self: Any, notification: Any) -> Any:
        await real(self, notification)
        return None

    patch.setattr(notification_delivery._Sender, "send", send)


@guard
def card_counts_packages(patch: pytest.MonkeyPatch) -> None:
    """The card's counter is the last of two guards: the first is that the card is asked for the result."""
    real = load_euicc_package._load

    def load(isdr: Any, raw: bytes) -> bytes:
        for entry in isdr.state.eims:
            entry.counter = 0
        return real(isdr, raw)

    patch.setattr(load_euicc_package, "_load", load)
    card_is_asked_before_a_package_is_loaded_again(patch)


@guard
def card_is_asked_before_a_package_is_loaded_again(patch: pytest.MonkeyPatch) -> None:
    async def nothing(context: Any, work: Any, **more: Any) -> None:
        return None

    patch.setattr(euicc_package_execution, "stored_result_of", nothing)


@guard
def server_is_judged_after_every_handshake(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(coaps_carrier.CoapsCarrier, "_judge", lambda self, certificates: Verdict(how="nobody looked"))


@guard
def commands_have_deadlines(patch: pytest.MonkeyPatch) -> None:
    class Asyncio:
        def __getattr__(self, name: str) -> Any:
            return getattr(asyncio, name)

        def timeout(self, limit_s: float) -> Any:
            return _NoTimeout()

    patch.setattr(at_session, "asyncio", Asyncio())


class _NoTimeout:
    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None


@guard
def eim_takes_a_result_twice(patch: pytest.MonkeyPatch) -> None:
    real = result_judgement._package_result

    def judge(device: Any, node: Any, rules: Any) -> Any:
        judgement = real(device, node, rules)
        if judgement.facts.pop("repeated", False):
            judgement.discarded = "I have that already"
            judgement.acknowledge.clear()
        return judgement

    patch.setattr(result_judgement, "_package_result", judge)


@guard
def eims_are_told_of_changes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(state_changes.StateChanges, "note", lambda self, eims, cause: None)


@guard
def emulated_card_is_noted_down_before_it_is_changed(patch: pytest.MonkeyPatch) -> None:
    """What the card is about to be given, and what it showed before, stay in memory."""
    real = psmo_execution.PsmoExecution._order

    async def order(self: Any, *arguments: Any, **more: Any) -> int:
        memory = self._memory
        self._memory = _NothingOnDisk(memory)
        try:
            return await real(self, *arguments, **more)
        finally:
            self._memory = memory

    patch.setattr(psmo_execution.PsmoExecution, "_order", order)


class _NothingOnDisk:
    def __init__(self, memory: CardMemory) -> None:
        self._memory = memory
        self.write = memory.note

    @property
    def state(self) -> EmulatedState:
        return self._memory.state


@guard
def a_modem_that_is_cut_off_is_restarted(patch: pytest.MonkeyPatch) -> None:
    """The guardian knows the change of the profile only."""
    patch.setattr(guardian_rules, "_restart_due_s", lambda *_: None)
