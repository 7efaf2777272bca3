"""The time in which a new profile has to prove itself, and the way back when it does not (SGP.32 v1.2 §3.3.1)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from ipad_agent.codec.es10.euicc_package import EuiccPackageResult
from ipad_agent.codec.esipa import eim_package
from ipad_agent.codec.esipa.eim_package import ResultErrorCode, StateChangeCause
from ipad_agent.errors import CardError, EimError, ModemError, NetworkError, Remedy
from ipad_agent.policy.guardian.fallback_cause import FallbackCause
from ipad_agent.policy.switching.proof_stage import Finding, Stage
from ipad_agent.policy.switching.switch_table import Happening, Phase, Way, pause_s, time_over
from ipad_agent.procedures import authors, order_outcomes, package_sentences
from ipad_agent.procedures.context import Association, Context
from ipad_agent.procedures.delivery import result_delivery
from ipad_agent.procedures.delivery.stored_result import stored_result_of
from ipad_agent.procedures.person_decision import Call
from ipad_agent.procedures.records.last_orders import OrderOutcome
from ipad_agent.procedures.records.owed_work import Work
from ipad_agent.procedures.records.state_changes import snapshot
from ipad_agent.procedures.records.switch_record import RETURN, Switch, shown

from . import events, fallback_mechanism, switch_transaction
from .failing_stage import FailingStage
from .local_switch import End, seen_by_modem

CAT_BUSY: Final = 5
BUSY_TRIES: Final = 3
BUSY_PAUSE_S: Final = 2.0
ROLLBACK_TRIES: Final = 2
"""The card grants one rollback only: an order whose answer was lost may be given again."""


async def see_through(context: Context, eim: Association | None, *, resumed: bool = False) -> bool | None:
    """Prove the open switch, or go back; returns when it is decided. Whether the eIM accepted the result; None when it
    was not brought yet. ``eim`` None: there is none on the card, and the network alone proves the profile. ``resumed``:
    the journal's word on it may be older than the card's.

    Raises ``NetworkError`` or ``EimError`` when it is decided and the eIM does not have the result yet, ``CardError``
    or ``ModemError`` when the card is gone: then the switch is still open and goes on after the next start.
    """
    return await _Window(context, eim, resumed=resumed).run()


async def look_again(context: Context, *, proof: str | None = None) -> None:
    """One look at a switch that nothing waits for: it is proved, or its time is over.

    ``proof`` says what else than a result that was taken speaks for the profile now: an eIM that answered, or that
    there is none to be asked. Being registered is not enough as long as the result is owed.
    """
    open_switch = context.switches.open()
    if open_switch is None or open_switch.target is None:
        return
    if open_switch.phase not in (Phase.PROVING, Phase.UNPROVED):
        return
    findings = await _look(context, open_switch, None)
    proof = _proof(context, open_switch, findings) or proof
    if proof is not None and all(finding.ok is not False for finding in findings):
        await _committed(context, open_switch, Happening.PROVED, proof)
        return
    late = open_switch.phase is Phase.UNPROVED or open_switch.left_s(context.clock) <= 0
    one_way = open_switch.way is Way.NONE or open_switch.phase is Phase.UNPROVED
    if late and one_way and findings[-1].stage is Stage.CARD and await _undone(context, open_switch):
        return
    if late and open_switch.phase is Phase.PROVING:
        _unproved(context, open_switch, findings)


def _proof(context: Context, current: Switch, findings: list[Finding]) -> str | None:
    """What proves this switch although nobody waits for it; None: nothing yet."""
    if findings[-1].stage is Stage.APPLICATION and findings[-1].ok:
        return "the site's application gets through"
    # Nobody signs for a return: only an eIM that answers says that it works.
    if current.cause == RETURN or any(work.id == current.work for work in context.work.open()):
        return None
    return "the result was taken and the modem is registered"


async def accept(context: Context, happening: Happening) -> None:
    """A person accepts the open switch that nothing waits for; nothing without one."""
    open_switch = context.switches.open()
    if open_switch is not None and open_switch.phase in (Phase.PROVING, Phase.UNPROVED):
        await _committed(context, open_switch, happening, "a person accepted it")


class _Window:
    """The open switch of the journal, under way."""

    def __init__(self, context: Context, eim: Association | None, *, resumed: bool) -> None:
        self._context = context
        self._eim = eim
        self._resumed = resumed
        self._trouble: NetworkError | EimError | None = None
        self._accepted: bool | None = None
        self._refusal = "no usable answer"
        self._failing = FailingStage(context)
        open_switch = context.switches.open()
        self._work_id = None if open_switch is None else open_switch.work

    @property
    def _work(self) -> Work | None:
        """The order whose result is owed, also when the switch is decided already."""
        return next((work for work in self._context.work.open() if work.id == self._work_id), None)

    async def run(self) -> bool | None:
        context = self._context
        context.person_decision.clear()
        while (current := context.switches.open()) is not None:
            match current.phase:
                case Phase.PROVING:
                    if not await self._prove(current):
                        break
                case Phase.GOING_BACK:
                    await self._go_back(current)
                case Phase.BACK:
                    await self._tell(current)
                case _:
                    break
        if self._accepted is None and self._trouble is not None:
            if not _is_refusal(self._trouble):
                raise self._trouble
            self._accepted = False  # it is there and answers: the rest of the poll goes on
        work = self._work
        if self._accepted is False and work is not None and self._eim is not None:
            result_delivery.refused(context, self._eim, work, self._refusal)
        return self._accepted

    # -- proving -----------------------------------------------------------------------------------------------------

    async def _prove(self, current: Switch) -> bool:
        """Until it is decided; False when nothing more has to be waited for although it is not."""
        context, looks = self._context, 0
        while True:
            looks += 1
            context.look_after_disk()
            current = await switch_transaction.complete_reset(context, current)
            if self._resumed and looks == 1 and await self._found_back(current):
                return True
            findings = await _look(context, current, None if self._eim is None else self._eim.link.host)
            failing = findings[-1]
            if failing.ok is False:
                self._failing.note(failing, current)
                if failing.stage is Stage.CARD:
                    events.NOT_AGREED.emit(detail=failing.detail)
                    await context.card.verify_switched(seen_by_modem(current.target))
            decided = await self._decide(current, findings)
            if decided:
                return True
            if self._accepted is not None:
                return False
            if await self._wait(current, looks):
                return True

    async def _found_back(self, current: Switch) -> bool:
        """Whether this device went back before it was restarted, and the disk had not taken that yet; by the way back
        of this switch, or by another change, which leaves the result of the order on the card as it was."""
        if not switch_transaction.is_back(current, await switch_transaction.enabled_iccid(self._context)):
            return False
        if current.way is Way.NONE:
            return current.previous is not None and await _undone(self._context, current)
        work = self._work
        if current.way is Way.ROLLBACK and work is not None:
            stored = await stored_result_of(self._context, work)
            if stored is not None and all(operation.name != "rollback" for operation in stored.results):
                return await _undone(self._context, current)
        events.WAS_BACK.emit(previous=shown(current.previous))
        self._context.switches.move(current, Happening.FOUND_BACK)
        return True

    async def _decide(self, current: Switch, findings: list[Finding]) -> bool:
        """Deliver the result if that is what the proof still needs; whether the switch moved on."""
        ready = all(finding.ok is not False for finding in findings)
        if ready and findings[-1].stage is Stage.APPLICATION and findings[-1].ok:
            await _committed(self._context, current, Happening.PROVED, "the site's application gets through")
            with contextlib.suppress(NetworkError, EimError):
                await self._deliver(current, committing=False)
            return True
        # Without a way back nothing is gained by keeping the result from an eIM that some bearer reaches.
        if not ready and current.way is not Way.NONE:
            return False
        try:
            accepted = await self._deliver(current, committing=ready)
        except (NetworkError, EimError) as trouble:
            if ready:
                self._failing.note(Finding(Stage.EIM, False, trouble.message), current)
            if ready and current.way is Way.NONE and _is_refusal(trouble):
                # As with a refusal by a number: it answered, and that is all a profile can be asked for.
                await _committed(self._context, current, Happening.PROVED, "the eIM answered")
                return True
            return False
        except (CardError, ModemError):
            if ready and self._context.switches.open() is None:  # the eIM took it before the card failed
                await _say_committed(self._context, current, "the eIM has the result")
            raise
        if ready and self._context.switches.open() is None:
            await _say_committed(self._context, current, "the eIM has the result")
            return True
        if not accepted and current.way is not Way.NONE:
            events.GOING_BACK.emit(previous=shown(current.previous), reason="the eIM refused the result")
            self._context.switches.move(current, Happening.REFUSED)
            self._accepted = None
            return True
        if not accepted and ready:
            # It answered: there is connectivity, and that is all a profile can be asked for.
            await _committed(self._context, current, Happening.PROVED, "the eIM answered")
            return True
        return False

    async def _deliver(self, current: Switch, *, committing: bool) -> bool:
        """Bring the result; the commit is noted as soon as the eIM took it, before the card is touched again."""
        context, work, eim = self._context, self._work, self._eim
        if work is None or work.result is None:
            if current.cause == RETURN and eim is not None:
                with contextlib.suppress(NetworkError, EimError):
                    await eim.link.close()
                try:
                    await eim.link.reach()
                except (NetworkError, EimError) as trouble:
                    self._trouble = trouble
                    raise
            self._accepted = True
            if committing:
                context.switches.move(current, Happening.PROVED)
            return True

        if eim is None:
            self._trouble = NetworkError("no eIM is on the card that could take the result")
            raise self._trouble

        def taken() -> None:
            self._accepted = True
            if committing:
                context.switches.move(current, Happening.PROVED)

        limit_s = max(current.left_s(context.clock), context.switching.eim_s)
        try:
            with contextlib.suppress(NetworkError, EimError):
                await eim.link.close()  # it leads over an address that is gone
            async with asyncio.timeout(limit_s):
                answer = await result_delivery.deliver_work(context, eim, work, taken=taken)
        except TimeoutError:
            self._trouble = NetworkError(f"the eIM did not take the result within {limit_s:.0f} s")
            raise self._trouble from None
        except (NetworkError, EimError) as trouble:
            self._trouble, self._refusal = trouble, trouble.message
            raise
        self._trouble = None
        self._accepted = answer.refused is None
        if answer.refused is not None:
            self._refusal = package_sentences.refusal(answer.refused)
        return self._accepted

    async def _wait(self, current: Switch, looks: int) -> bool:
        """Until the next look; whether the switch moved on meanwhile."""
        context, settings = self._context, self._context.switching
        left_s = current.left_s(context.clock)
        if left_s <= 0:
            one_way = current.way is Way.NONE
            if not one_way or self._failing.stage != Stage.CARD.value or not await _undone(context, current):
                self._time_is_over(current)
            return True
        pause = pause_s(
            looks, first_s=settings.probe_first_s, first_count=settings.probe_first_count, then_s=settings.probe_s
        )
        call = await context.person_decision.wait(min(left_s, pause))
        if call is Call.CONFIRM:
            await _committed(context, current, Happening.CONFIRMED, "a person accepted it")
            return True
        if call is Call.ROLLBACK and current.way is not Way.NONE:
            events.GOING_BACK.emit(previous=shown(current.previous), reason="a person asked for it")
            context.switches.move(current, Happening.CALLED_BACK)
            return True
        return False

    def _time_is_over(self, current: Switch) -> None:
        happening = time_over(current.way)
        stage, detail = self._failing.stage, self._failing.detail
        if self._trouble is None:
            self._trouble = NetworkError(f"the switch failed at stage {stage}: {detail}")
        if happening is Happening.TIME_OVER:
            reason = f"{shown(current.target)} is not proved: stage {stage}, {detail}"
            events.GOING_BACK.emit(previous=shown(current.previous), reason=reason)
            self._context.switches.move(current, happening)
        else:
            _unproved(self._context, current, [], stage=stage)

    # -- going back --------------------------------------------------------------------------------------------------

    async def _go_back(self, current: Switch) -> None:
        context = self._context
        context.on_switch(current, ())
        if current.way is Way.FALLBACK:
            result, refusal = None, await self._fall_back()
        else:
            result, refusal = await _order_rollback(context, current)
        if refusal is not None:
            events.NO_WAY_BACK.emit(reason=refusal)
            moved = context.switches.move(current, Happening.NO_WAY_BACK)
            context.on_switch(moved, ())
            return
        work = self._work
        if work is not None:
            # The one on disk says that the switch worked, which is no longer true.
            result = result or await stored_result_of(context, work, rolled_back=True)
            raw = (
                eim_package.encode_result_error(work.transaction_id, ResultErrorCode.UNDEFINED_ERROR)
                if result is None
                else result.relay_raw
            )
            work = context.work.answered(work, raw)
        moved = context.switches.move(current, Happening.CAME_BACK, reset_owed=True)
        if moved is None:
            return
        events.WENT_BACK.emit(previous=shown(current.previous))
        await switch_transaction.use_apn(context, current.previous)
        moved = await switch_transaction.complete_reset(context, moved)
        profiles = await context.card.get_profiles()
        context.on_profiles(profiles, authors.ROLLBACK, current.eim_id)
        context.on_switch(moved, ())  # now that it is so, and whoever looks sees the former profile enabled
        if work is not None:
            what, _ = order_outcomes.describe(work.order)
            reason = f"the new profile did not work here ({self._failing.stage}: {self._failing.detail})"
            context.on_order(OrderOutcome(work.eim_id, what, False, "rolled back", reason))
        if self._eim is not None:
            context.changes.note(self._eim.others, StateChangeCause.OTHER_EIM)
        context.changes.learn(str(context.eid), snapshot(profiles))
        if work is not None and result is not None:
            combined = await result_delivery.with_notifications(context.card, result)
            if combined != work.result:
                context.work.answered(work, combined)
        await context.site.hook("rolled-back", switch_transaction.hook_facts(context, moved))

    async def _fall_back(self) -> str | None:
        """Why the fallback profile was not enabled again; None when it was."""
        context, eim = self._context, self._eim
        done = await fallback_mechanism.execute(
            context,
            context.local_switch_record,
            () if eim is None else (eim.eim_id, *eim.others),
            by=FallbackCause.RETURN,
        )
        return None if done.end in (End.DONE, End.ALREADY) else done.end.value

    async def _tell(self, current: Switch) -> None:
        """The old profile comes back to the network; the eIM hears what became of its order."""
        context, looks = self._context, 0
        current = await switch_transaction.complete_reset(context, current)
        self._accepted = None
        while True:
            looks += 1
            context.look_after_disk()
            try:
                await self._deliver(current, committing=False)
            except (NetworkError, EimError) as trouble:
                reason = trouble.message
                if _is_refusal(trouble):  # it was told, and does not want to hear it now; the result stays owed
                    switch_transaction.end(context, current, Happening.TOLD)
                    return
            else:
                switch_transaction.end(context, current, Happening.TOLD)
                return
            left_s = current.left_s(context.clock)
            if left_s <= 0:
                events.STILL_OWED.emit(previous=shown(current.previous), reason=reason)
                switch_transaction.end(context, current, Happening.TIME_OVER_FOR_GOOD)
                return
            settings = context.switching
            pause = pause_s(
                looks, first_s=settings.probe_first_s, first_count=settings.probe_first_count, then_s=settings.probe_s
            )
            await context.person_decision.wait(min(left_s, pause))


def _is_refusal(trouble: NetworkError | EimError) -> bool:
    """Whether the eIM answered, if only with a status or with something that nobody can read; not when it is busy."""
    return isinstance(trouble, EimError) and trouble.retry_after_s is None


# -- steps -------------------------------------------------------------------------------------------------------------


async def _look(context: Context, current: Switch, host: str | None) -> list[Finding]:
    """One stage after the other, up to the first that is not reached."""
    network = context.network
    looks: list[Callable[[], Awaitable[Finding]]] = []
    if (seen := seen_by_modem(current.target)) is not None:
        looks.append(partial(network.card, seen))
    looks += [network.registration, partial(network.ip, host)]
    if host is not None:
        looks.append(partial(network.dns, host))
    if context.switching.success == "application-probe" and current.phase in (Phase.PROVING, Phase.UNPROVED):
        looks.append(network.application)
    findings: list[Finding] = []
    for look in looks:
        findings.append(await look())
        if findings[-1].ok is False:
            break
    context.on_switch(current, tuple(findings))
    return findings


async def _committed(context: Context, current: Switch, happening: Happening, reason: str) -> None:
    context.switches.move(current, happening)
    await _say_committed(context, current, reason)


async def _say_committed(context: Context, current: Switch, reason: str) -> None:
    events.COMMITTED.emit(target=shown(current.target), reason=reason)
    context.on_switch(None, ())
    moment = "returned" if current.cause == RETURN else "committed"
    await context.site.hook(moment, switch_transaction.hook_facts(context, current))


def _unproved(context: Context, current: Switch, findings: list[Finding], *, stage: str | None = None) -> None:
    events.UNPROVED.emit(
        target=shown(current.target),
        deadline_s=current.deadline_s,
        stage=stage or (findings[-1].stage.value if findings else "eim"),
    )
    moved = context.switches.move(current, Happening.TIME_OVER_FOR_GOOD)
    context.on_switch(moved, tuple(findings))


async def _undone(context: Context, current: Switch) -> bool:
    """Whether a switch is over because the card has another profile enabled than it led to.

    Either the card said ok to an enable that it did not carry out: the eIM that ordered it believes the signature. Or
    the device went to its fallback profile while no disk took that, and lost its power: nobody else remembers it. So
    every eIM is told that the state is another one (stateChangeCause)."""
    try:
        enabled = await switch_transaction.enabled_iccid(context)
        eims = await context.card.get_eim_configuration()
    except (CardError, ModemError):
        return False  # nobody knows what it has, so that nothing can be said against its signature
    if enabled == current.target:
        return False
    events.NOTHING_CHANGED.emit(target=shown(current.target), enabled=shown(enabled))
    context.changes.note(filter(None, (current.eim_id, *(eim.eim_id for eim in eims))), StateChangeCause.UNDEFINED)
    switch_transaction.end(context, current, Happening.UNDONE)
    return True


async def _order_rollback(context: Context, current: Switch) -> tuple[EuiccPackageResult | None, str | None]:
    """The new package result, and why there is no way back. A lost answer is no second order: first the card is asked
    which profile it has."""
    lost = busy = 0
    while True:
        if switch_transaction.is_back(current, await switch_transaction.enabled_iccid(context)):
            return None, None
        try:
            answer = await context.card.profile_rollback()
        except (CardError, ModemError) as failure:
            if failure.remedy is Remedy.GIVE_UP:
                return None, failure.message
            lost += 1
            if lost >= ROLLBACK_TRIES:
                raise
            await context.card.recover()
            continue
        if answer.result.ok:
            return answer.package_result, None
        busy += 1
        if int(answer.result) != CAT_BUSY or busy >= BUSY_TRIES:
            return None, answer.result.name
        await asyncio.sleep(BUSY_PAUSE_S)
