"""A whole card whose device changes the profile by itself, to the fallback or the emergency profile and back."""

from __future__ import annotations

from pathlib import Path

from ipad_agent.card.apdu_channel import RecoveryPlan
from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, OPERATOR_B, NotificationTarget, Profile, Quirks
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.records.local_switch_record import LocalSwitchRecord
from ipad_agent.procedures.records.owed_work import WorkList
from ipad_agent.procedures.records.receiver_backoff import Receivers
from ipad_agent.procedures.records.redeliveries import Redeliveries
from ipad_agent.procedures.records.state_changes import StateChanges
from ipad_agent.procedures.records.switch_record import Switches
from ipad_agent.procedures.startup import device_start, euicc_memory_reset
from ipad_agent.procedures.switching import emergency_profile, fallback_mechanism, local_switch
from ipad_agent.procedures.switching.local_switch import LocalSwitch

from .memory import Device, World

ECALL = "89490200009000000022"
ENABLE, DISABLE = 1, 2


class Bench:
    """A device that works with OPERATOR_A; the bootstrap profile has the fallback attribute."""

    def __init__(self, folder: Path, *, quirks: Quirks | None = None, refreshes: bool = True) -> None:
        self.world = World.make(folder, quirks=quirks)
        self.card = self.world.card
        self.refreshes = refreshes
        receivers = [NotificationTarget(event, "smdp.example") for event in (ENABLE, DISABLE)]
        self.card.add_profile(Profile(ECALL, self.card.next_aid(), name="eCall", ecall=True, notify=receivers))
        for iccid in (BOOTSTRAP, OPERATOR_A, OPERATOR_B):
            self.card.update_profile(iccid, enabled=iccid == OPERATOR_A, notify=receivers)
        self.boot()

    def boot(self, *, card_too: bool = True) -> None:
        """The process begins anew, with what the disk remembers."""
        if card_too or (self.refreshes and self.card.pending_proactive is not None):
            self.world.access.reset()  # a modem asks the card for its status now and then, and finds the REFRESH
        generation = self.world.access.generation
        self.world.restart()
        # Whoever was killed has left its channel to a card that goes on.
        self.world.access.generation = generation
        if not self.refreshes:
            plan = RecoveryPlan(wait_s=1.0, rungs=(0,), modem_refreshes=False)
            self.world.access.recovery_plan = lambda: plan  # type: ignore[method-assign]  # another modem
        self.local_switch_record = LocalSwitchRecord(self.world.documents)

    @property
    def context(self) -> Context:
        world = self.world
        return Context(
            card=world.euicc,
            eid=world.eid,
            device=Device(),
            work=WorkList(world.journal),
            changes=StateChanges(world.documents),
            capabilities=world.capabilities,
            max_packages=16,
            clock=world.clock,
            receivers=Receivers(world.documents, world.clock),
            redeliveries=Redeliveries(world.documents, world.clock),
            switches=Switches(world.journal, world.clock),
            local_switch_record=self.local_switch_record,
        )

    async def start(self) -> LocalSwitch | None:
        """What the daemon does first."""
        facts = await device_start.read_card(self.world.euicc)
        device_start.note_changes(facts, self.context.changes)
        await euicc_memory_reset.settle(self.context, self.world.documents)
        return await local_switch.settle(self.context, self.local_switch_record, self.eims)

    @property
    def eims(self) -> tuple[str, ...]:
        return tuple(entry.eim_id for entry in self.card.state.eims)

    @property
    def pending(self) -> StateChangeCause | None:
        return self.context.changes.pending(self.eims[0])

    @property
    def news(self) -> list[tuple[int, str | None]]:
        """The notifications on the card: what happened to which profile."""
        return [(notification.event, notification.iccid) for notification in self.card.state.notifications]

    async def execute(self) -> LocalSwitch:
        return await fallback_mechanism.execute(self.context, self.local_switch_record, self.eims)

    async def return_back(self) -> LocalSwitch:
        return await fallback_mechanism.return_back(self.context, self.local_switch_record, self.eims)

    async def emergency_on(self) -> LocalSwitch:
        return await emergency_profile.enable(self.context, self.local_switch_record, self.eims)

    async def emergency_off(self) -> LocalSwitch:
        return await emergency_profile.disable(self.context, self.local_switch_record, self.eims)

    def works_with(self, iccid: str | None) -> bool:
        """Card and modem agree."""
        return (self.card.enabled_iccid, self.card.active_iccid) == (iccid, iccid)
