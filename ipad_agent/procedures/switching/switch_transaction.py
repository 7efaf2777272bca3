"""A switch of the enabled profile as a transaction: armed, executed, proved or taken back (SGP.32 v1.2 §3.3.1).

``arm`` writes down where the device comes from before the card is touched, ``card_answered`` what the card made of it
once the result is on disk, ``settle`` and ``complete_reset`` go on after a crash, and ``see_through``
(``profile_proof.py``) proves the new profile or takes the way back. What may follow what is the table in
``policy.switching.switch_table``.
"""

from __future__ import annotations

from ipad_agent.codec.es10.connectivity_parameters import connection_of
from ipad_agent.codec.es10.euicc_package import EuiccPackageRequest, EuiccPackageResult, Operation
from ipad_agent.codec.identifiers import NO_PROFILE, same_iccid
from ipad_agent.codec.packet_connection import PacketConnection
from ipad_agent.errors import CardError, CodecError
from ipad_agent.policy.switching.switch_table import Happening, Phase, Way
from ipad_agent.procedures.context import Association, Context
from ipad_agent.procedures.records.owed_work import Work
from ipad_agent.procedures.records.switch_record import BY_EIM, UNKNOWN, Switch, shown

from . import events, local_switch
from .local_switch import seen_by_modem


async def arm(context: Context, eim: Association, work: Work) -> None:
    """Write down a switch that this order may bring about; must return before the card gets the order.

    An order that the card gets once more may have switched already: where the device came from is what was written down
    before the first attempt. Raises ``StoreError``, and ``CardError`` or ``ModemError`` when the card cannot say what
    is enabled now.
    """
    try:
        request = EuiccPackageRequest.parse(work.order)
    except CodecError:
        return  # nor can the card read it
    enables = [operation for operation in request.operations if operation.name == "enable"]
    if not enables and all(operation.name != "disable" for operation in request.operations):
        return
    former = context.switches.of_work(work.id)
    previous = await enabled_iccid(context) if former is None else former.previous
    if not enables and not any(_may_disable(operation, previous) for operation in request.operations):
        return  # the enabled profile is none of those that it names
    target = _named(enables[-1]) if enables else None
    if not enables:
        events.LAST_ONE.emit()
    switch = context.switches.arm(
        BY_EIM,
        previous=previous,
        target=target,
        way=Way.ROLLBACK if request.wants_rollback and previous is not None else Way.NONE,
        deadline_s=context.switching.confirm_s,
        eim_id=eim.eim_id,
        work=work.id,
    )
    await announce(context, switch)


async def announce(context: Context, switch: Switch) -> None:
    """Say that a switch is armed, and let the site prepare for it."""
    events.ARMED.emit(
        previous=shown(switch.previous),
        target=shown(switch.target),
        cause=switch.cause,
        way=switch.way.value,
        deadline_s=switch.deadline_s,
    )
    context.on_switch(switch, ())
    await context.site.hook("pre-switch", hook_facts(context, switch))


async def card_answered(context: Context, work: Work, result: EuiccPackageResult) -> None:
    """The card executed the order and its result is on disk: complete the switch, or forget that one was armed."""
    switched = result.variant == "signed" and result.switched
    switch = context.switches.of_work(work.id)
    if switch is None:
        if switched:
            await context.card.verify_switched()
        return
    if switch.phase is not Phase.ARMED:
        return
    if switched and any(one.name == "rollback" and one.ok for one in result.results):
        context.switches.move(switch, Happening.SWITCHED)  # and back, which the proof finds as it begins
        return
    if switched:
        switch = context.switches.aim(switch, _achieved(work, result, switch))
    await conclude(context, switch, switched=switched)


def _achieved(work: Work, result: EuiccPackageResult, switch: Switch) -> str | None:
    """The profile that the package really enabled. Processing stops at the first operation that fails: the disable may
    have worked and the enable not, or the first of two enables."""
    try:
        request = EuiccPackageRequest.parse(work.order)
    except CodecError:
        return switch.target
    done = [one for one, outcome in zip(request.operations, result.results, strict=False) if outcome.ok]
    enabled = [_named(one) for one in done if one.name == "enable"]
    return enabled[-1] if enabled else None


def _may_disable(operation: Operation, enabled: str | None) -> bool:
    """Whether this operation may disable the profile that is enabled; one whose profile cannot be read may."""
    if operation.name != "disable":
        return False
    return operation.iccid is None or enabled is None or same_iccid(str(operation.iccid), enabled)


def _named(enable: Operation) -> str:
    """Which profile an operation enables. That it cannot be read here does not make it none."""
    return UNKNOWN if enable.iccid is None else str(enable.iccid)


async def settle(context: Context, switch: Switch) -> None:
    """An armed switch whose order has ended in a way that does not tell: what is enabled on the card tells."""
    enabled = await enabled_iccid(context)
    switched = enabled != switch.previous
    await conclude(context, context.switches.aim(switch, enabled) if switched else switch, switched=switched)


async def conclude(context: Context, switch: Switch, *, switched: bool) -> None:
    """An armed switch whose order was executed, or was not: reset the UICC and begin the proof, or forget it."""
    if not switched:
        context.switches.move(switch, Happening.NOT_SWITCHED)
        context.on_switch(None, ())
        return
    if switch.target is None:
        await context.card.verify_switched(NO_PROFILE)
        context.switches.move(switch, Happening.NOTHING_ENABLED)
        context.on_switch(None, ())
        events.NOTHING_ENABLED.emit()
        return
    moved = context.switches.move(switch, Happening.SWITCHED, reset_owed=True)
    if moved is None:
        return
    events.SWITCHED.emit(target=shown(switch.target), left_s=moved.left_s(context.clock))
    context.on_switch(moved, ())
    await use_apn(context, moved.target)
    # Also where an earlier process gave the order, and this one does not know that a reset is due.
    await context.card.verify_switched(seen_by_modem(moved.target))
    if moved.target == UNKNOWN:  # now the card tells
        moved = context.switches.aim(moved, await enabled_iccid(context) or UNKNOWN)
        context.on_switch(moved, ())
    moved = context.switches.was_reset(moved)
    await _post_switch(context, moved)


async def switched_locally(context: Context, armed: Switch) -> None:
    """A switch that this device ordered itself: the card has done it and was reset."""
    moved = context.switches.move(armed, Happening.SWITCHED)
    if moved is None:
        return
    events.SWITCHED.emit(target=shown(moved.target), left_s=moved.left_s(context.clock))
    context.on_switch(moved, ())
    await _post_switch(context, moved)


async def _post_switch(context: Context, moved: Switch) -> None:
    """The moment before the first attach: now the card tells the APN of the profile that is enabled, with PDP type,
    user and password, if anybody has put them there (GetConnectivityParameters, SGP.32 v1.2 §5.9.24); the site's own
    table goes first."""
    facts = hook_facts(context, moved)
    if "APN" not in facts:
        try:
            parameters = await context.card.get_connectivity_parameters()
        except CardError as error:
            if not error.alive:
                raise
        else:
            told = None if parameters.http_params is None else connection_of(parameters.http_params)
            if told is not None:
                facts |= _connection_facts(told)
                await context.network.use(told)
    await context.site.hook("post-switch", facts)


def _connection_facts(connection: PacketConnection) -> dict[str, str]:
    """For the scripts alone: the password stands in no record, event or message."""
    facts = {
        "APN": connection.apn,
        "PDP_TYPE": connection.pdp_type,
        "APN_USER": connection.user,
        "APN_PASSWORD": connection.password,
    }
    return {name: value for name, value in facts.items() if value is not None}


async def use_apn(context: Context, iccid: str | None) -> None:
    """Before the reset: the first attach of this profile is to be made with the APN that the site has for it."""
    apn = None if iccid is None or iccid == UNKNOWN else context.site.apn(iccid)
    if apn is not None:
        await context.network.use(PacketConnection(apn))


async def complete_reset(context: Context, switch: Switch) -> Switch:
    """After a restart nobody knows whether the reset after the switch was made: card and modem are compared."""
    expected = switch.previous if switch.phase is Phase.BACK else switch.target
    if not switch.reset_owed:
        return switch
    seen = seen_by_modem(expected)
    if seen is None or (await context.network.card(seen)).ok is not True:
        await context.card.verify_switched(seen)
    if switch.target == UNKNOWN and switch.phase is not Phase.BACK:
        switch = context.switches.aim(switch, await enabled_iccid(context) or UNKNOWN)
    return context.switches.was_reset(switch)


def end(context: Context, switch: Switch, happening: Happening) -> None:
    """Close a switch by something that ends it."""
    context.switches.move(switch, happening)
    context.on_switch(None, ())


async def replaced(context: Context, happening: Happening = Happening.REPLACED) -> None:
    """Another way of changing the profile took over (fallback, emergency, reset): an unproved switch is history."""
    switch = context.switches.open()
    if switch is not None and switch.phase is not Phase.ARMED:
        end(context, switch, happening)


def is_back(switch: Switch, enabled: str | None) -> bool:
    """Whether this enabled profile is the one from before the switch; where that is not known, whether it is another
    one than the switch led to."""
    return enabled == switch.previous if switch.previous is not None else enabled != switch.target


async def enabled_iccid(context: Context) -> str | None:
    """The profile that is enabled on the card (``ProfileInfo.identity``), whether or not it can be read; None when none
    is. By the card itself: ways back depend on it."""
    context.card.ask_anew()
    return local_switch.enabled_iccid(await context.card.get_profiles())


def hook_facts(context: Context, switch: Switch) -> dict[str, str]:
    """What a hook is told, without the prefix of its environment. ``ICCID`` is the profile that is, or will be, the
    enabled one; after going back that is the previous one again."""
    now, before = switch.target, switch.previous
    if switch.phase is Phase.BACK:
        now, before = before, now
    now, before = (None if name == UNKNOWN else name for name in (now, before))
    apn = None if now is None else context.site.apn(now)
    facts = {
        "ICCID": now,
        "PREVIOUS_ICCID": before,
        "EIM": switch.eim_id,
        "CAUSE": switch.cause,
        "WAY_BACK": switch.way.value,
        "DEADLINE_S": f"{switch.left_s(context.clock):.0f}",
        "APN": apn,
    }
    return {name: value for name, value in facts.items() if value is not None}
