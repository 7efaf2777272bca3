"""The guardian and the card: what ``procedures.guardian.connectivity_guardian`` decides is done here; what happens to
switches it is told.

A return from the fallback profile is a switch like any other: armed, proved, or taken back by falling back again.
"""

from __future__ import annotations

from typing import Final

from ipad_agent.clock import Clock
from ipad_agent.errors import StoreError
from ipad_agent.policy.guardian.fallback_cause import FallbackCause
from ipad_agent.policy.guardian.guardian_rules import Kind, Sign
from ipad_agent.policy.guardian.guardian_settings import GuardianSettings
from ipad_agent.policy.polling.poll_outcome import Outcome
from ipad_agent.policy.switching.switch_table import Happening, Phase, Way
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.guardian.connectivity_guardian import Guardian
from ipad_agent.procedures.ports import Memory, Network
from ipad_agent.procedures.records.local_switch_record import LocalSwitchRecord, What
from ipad_agent.procedures.records.switch_record import RETURN, UNKNOWN, Switch
from ipad_agent.procedures.switching import fallback_mechanism, local_events, lost_switch, switch_transaction
from ipad_agent.procedures.switching.local_switch import End, LocalSwitch

DOCUMENT: Final = "fallback"


class GuardianActions:
    """The guardian of one device. ``heard`` is to be told of everything that happens to a switch."""

    def __init__(
        self, memory: Memory, clock: Clock, settings: GuardianSettings, local_switch_record: LocalSwitchRecord
    ) -> None:
        self.guardian = Guardian(memory, clock, settings)
        self.enabled = settings.enabled
        self._memory = memory
        self._local_switch_record = local_switch_record

    @property
    def check_s(self) -> float:
        """Between two looks."""
        return self.guardian.check_s

    @property
    def look_in_s(self) -> float:
        """From now to the next look; 0 when it is due, however short the rests between polls are."""
        return self.guardian.look_in_s

    @property
    def counts_polls(self) -> bool:
        """Whether the guardian waits for polls to fail before it acts, and they cost no server anything or are few: the
        device itself is cut off, or a change was never proved."""
        watch = self.guardian.watch
        return self.enabled and (watch.sign is Sign.CUT_OFF or watch.unproven)

    def polled(self, outcome: Outcome) -> None:
        """A poll ended."""
        self.guardian.polled(outcome)

    async def look(self, network: Network, host: str | None, *, managed: bool) -> bool:
        """See how the network is; whether it is there again after the device was cut off from it. ``managed``: an eIM
        manages the card."""
        was_cut_off = self.guardian.watch.sign is Sign.CUT_OFF
        await self.guardian.look(network, host, managed=managed)
        return was_cut_off and self.guardian.watch.sign is not Sign.CUT_OFF

    def heard(self, moved: Switch, happening: Happening) -> None:
        """Something happened to a switch; ``moved`` is how it was before."""
        match happening:
            case Happening.PROVED | Happening.CONFIRMED if moved.cause == RETURN:
                self.guardian.returned()
            case Happening.PROVED | Happening.CONFIRMED | Happening.NOTHING_ENABLED | Happening.UNDONE:
                self.guardian.switched()
            case Happening.CAME_BACK if moved.way is Way.ROLLBACK:
                self.guardian.switched()
            case Happening.CAME_BACK if moved.way is Way.FALLBACK:
                self.guardian.back_on_fallback()
            case Happening.TIME_OVER_FOR_GOOD if moved.phase is Phase.PROVING:
                self.guardian.unproven()
            case Happening.NO_WAY_BACK:
                self.guardian.unproven()
            case _:
                return

    async def act(self, context: Context, eims: tuple[str, ...]) -> bool:
        """Do what is due; whether the card was touched. Raises ``CardError`` or ``ModemError`` when that
        was cut off; it goes on at the next start."""
        match self.guardian.decision.kind:
            case Kind.RESTART_MODEM:
                self.guardian.restarting_modem()
                await context.card.restart_modem()
                return True
            case Kind.FALLBACK_NOW:
                if (await self.fall_back(context, eims)).end is End.NOT_AVAILABLE and not self.guardian.watch.unproven:
                    # A switch that a person accepted unproved may still have its way back: it has to prove itself now.
                    await lost_switch.take_up(context, await context.card.get_eim_configuration())
                return True
            case Kind.RETURN_NOW:
                await self.go_back(context, eims)
                return True
            case _:
                return False

    async def fall_back(
        self, context: Context, eims: tuple[str, ...], by: FallbackCause = FallbackCause.GUARDIAN
    ) -> LocalSwitch:
        """Change to the fallback profile, on the guardian's or on a person's word."""
        done = await fallback_mechanism.execute(context, self._local_switch_record, eims, by)
        self.guardian.did(done)
        if done.end is End.DONE:
            await switch_transaction.replaced(context)
            # Only good for telling where a return will lead.
            self._memory.save(DOCUMENT, {"eid": str(context.eid), "former": done.previous})
            await context.site.hook("fallback", _facts(context, done))
        return done

    async def go_back(
        self, context: Context, eims: tuple[str, ...], by: FallbackCause = FallbackCause.GUARDIAN
    ) -> LocalSwitch:
        """Try the former profile again: a switch that has the fallback profile as its way back."""
        if by is FallbackCause.GUARDIAN:
            self.guardian.returning()
        previous = await switch_transaction.enabled_iccid(context)
        try:
            armed = context.switches.arm(
                RETURN,
                previous=previous,
                target=self._former(context) or UNKNOWN,
                way=Way.FALLBACK,
                deadline_s=context.switching.confirm_s,
            )
        except StoreError as refused:
            # Without a word on disk a restart would not know that there is something to go back from.
            local_events.NOT_DONE.emit(what=What.RETURN.value, reason=refused.message)
            done = LocalSwitch(What.RETURN, End.NOT_BEGUN, previous, previous, by=by)
            self.guardian.did(done)
            return done
        await switch_transaction.announce(context, armed)
        done = await fallback_mechanism.return_back(context, self._local_switch_record, eims, by)
        self.guardian.did(done)
        if done.end is End.DONE:
            await switch_transaction.switched_locally(context, context.switches.aim(armed, done.enabled))
        else:
            switch_transaction.end(context, armed, Happening.NOT_SWITCHED)
        return done

    def _former(self, context: Context) -> str | None:
        document = self._memory.load(DOCUMENT)
        former = document.get("former")
        return former if isinstance(former, str) and document.get("eid") == str(context.eid) else None


def _facts(context: Context, done: LocalSwitch) -> dict[str, str]:
    facts = {
        "ICCID": done.enabled,
        "PREVIOUS_ICCID": done.previous,
        "CAUSE": done.what.value,
        "APN": None if done.enabled is None else context.site.apn(done.enabled),
    }
    return {name: value for name, value in facts.items() if value is not None}
