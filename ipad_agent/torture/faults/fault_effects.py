"""What each kind of deed does to the world, and how everything is made well again."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from ipad_agent.lab.eim import Fault as EimFault
from ipad_agent.lab.modem import Fault as ModemFault
from ipad_agent.lab.smdp.smdp_faults import Fault as SmdpFault
from ipad_agent.policy.polling.poll_outcome import Wake
from ipad_agent.records import replace
from ipad_agent.torture.history.fault_history import EIM_IDS, FaultStep
from ipad_agent.torture.history.history_log import FATE
from ipad_agent.torture.peers.eim_refusals import Refusals
from ipad_agent.torture.world.simulated_network import FAIR, Weather
from ipad_agent.torture.world.torture_world import World

Value = str | int | float
_Doer = Callable[[World, tuple[Value, ...]], None]

_DEEDS: dict[str, _Doer] = {}


def _fault_effect(kind: str) -> Callable[[_Doer], _Doer]:
    def add(doer: _Doer) -> _Doer:
        _DEEDS[kind] = doer
        return doer

    return add


def do(world: World, fault: FaultStep) -> None:
    """Do it. ``KeyError`` for a kind that does not exist."""
    doer = _DEEDS[fault.kind]
    if fault.kind != "order":
        world.log.tell(FATE, str(fault))
    doer(world, fault.values)


def heal(world: World) -> None:
    """From now on nothing goes wrong any more; profiles without coverage stay without."""
    world.log.tell(FATE, "everything heals")
    world.loop.spare()
    world.network.weather, world.network.blackout = FAIR, False
    world.disk.free_bytes = None
    world.disk.allowance = None
    world.disk.refuses = None
    world.proof_refused = None
    world.held.until_s = 0.0
    world.smdp.faults.clear()
    world.tcp.stalled_until_s = 0.0
    world.clock.error_s = 0.0
    for observed_eim in world.observed_eims.values():
        observed_eim.eim.faults.clear()
        observed_eim.refusals = None
        if observed_eim.gate.impostor:
            observed_eim.gate.impostor = False
            observed_eim.gate.forget()
    world.tell_tokens()
    if world.modem is not None:
        world.modem.heal()
    if world.reader is not None:
        world.reader.faults.clear()
        world.reader.absent = False
    world.card.power_cut_at("never")


def _number(value: Value) -> int:
    return int(value)


def _seconds(value: Value) -> float:
    return float(value)


def _strike(world: World, steps: Value, action: Callable[[], None]) -> None:
    world.loop.strike(_number(steps), action)


@_fault_effect("order")
def _order(world: World, values: tuple[Value, ...]) -> None:
    eim, words = values
    world.observed_eims[EIM_IDS[_number(eim)]].order(str(words))


@_fault_effect("add eIM")
def _add_eim(world: World, values: tuple[Value, ...]) -> None:
    orderer, added = (world.observed_eims[EIM_IDS[_number(value)]] for value in values)
    identity = replace(world.identity, eim_id=added.eim_id)
    data = identity.configuration(
        fqdn=added.eim_id, ask_for_token=False, indirect_download=not world.history.setting.direct
    )
    orderer.order(f"add-eim {data.hex()}", f"add-eim {added.eim_id}")
    if added not in world.associated:  # else the card refuses it, and binds results to the token that it has
        added.eim.device(world.card.eid).token = None


@_fault_effect("update eIM")
def _update_eim(world: World, values: tuple[Value, ...]) -> None:
    orderer, updated = (world.observed_eims[EIM_IDS[_number(value)]] for value in values)
    identity = replace(world.identity, eim_id=updated.eim_id)
    data = identity.configuration(
        fqdn=updated.eim_id,
        ask_for_token=False,
        counter=None,
        signing="none",
        indirect_download=not world.history.setting.direct,
    )
    orderer.order(f"update-eim {data.hex()}", f"update-eim {updated.eim_id}")


@_fault_effect("poll now")
def _poll_now(world: World, values: tuple[Value, ...]) -> None:
    if world.alive and world.process is not None:
        world.process.agent.poke(Wake.COMMAND)


@_fault_effect("ipactl")
def _ipactl(world: World, values: tuple[Value, ...]) -> None:
    words, steps = values

    def types() -> None:
        if world.alive and world.process is not None:
            world.process.person.types(str(words))

    _strike(world, steps, types)


@_fault_effect("kill")
def _kill(world: World, values: tuple[Value, ...]) -> None:
    _strike(world, values[0], lambda: world.fell("kill"))


@_fault_effect("outage")
def _outage(world: World, values: tuple[Value, ...]) -> None:
    _strike(world, values[0], lambda: world.fell("outage", 60.0))


@_fault_effect("disk cut")
def _disk_cut(world: World, values: tuple[Value, ...]) -> None:
    world.disk.allowance = _number(values[0])


@_fault_effect("disk full")
def _disk_full(world: World, values: tuple[Value, ...]) -> None:
    world.disk.free_bytes = _number(values[0])


@_fault_effect("clock")
def _clock(world: World, values: tuple[Value, ...]) -> None:
    world.clock.error_s = _seconds(values[0])


@_fault_effect("weather")
def _weather(world: World, values: tuple[Value, ...]) -> None:
    world.network.weather = Weather(*(_seconds(value) for value in values))


@_fault_effect("blackout")
def _blackout(world: World, values: tuple[Value, ...]) -> None:
    world.network.blackout = True
    world.later(_seconds(values[0]), _light)


def _light(world: World) -> None:
    world.network.blackout = False


@_fault_effect("rebind")
def _rebind(world: World, values: tuple[Value, ...]) -> None:
    _strike(world, values[0], world.network.rebind)


@_fault_effect("impostor")
def _impostor(world: World, values: tuple[Value, ...]) -> None:
    gate = world.observed_eims[EIM_IDS[_number(values[0])]].gate
    gate.impostor = True
    gate.forget()

    def gone(_: World) -> None:
        gate.impostor = False
        gate.forget()

    world.later(_seconds(values[1]), gone)


@_fault_effect("restart eIM")
def _restart_eim(world: World, values: tuple[Value, ...]) -> None:
    world.restart_server(world.observed_eims[EIM_IDS[_number(values[0])]])


@_fault_effect("eIM fault")
def _eim_fault(world: World, values: tuple[Value, ...]) -> None:
    eim, on, action, times, value = values
    fault = EimFault(str(on), str(action), None if value == "" else value, _number(times))
    world.observed_eims[EIM_IDS[_number(eim)]].eim.faults.arm(fault)


@_fault_effect("card cut")
def _card_cut(world: World, values: tuple[Value, ...]) -> None:
    apdus, answer_lost = values
    world.card.power_cut_after(_number(apdus) + 1, answer_lost=bool(answer_lost))


@_fault_effect("card step")
def _card_step(world: World, values: tuple[Value, ...]) -> None:
    world.card.power_cut_at(str(values[0]))


@_fault_effect("at fault")
def _at_fault(world: World, values: tuple[Value, ...]) -> None:
    kind, prefix, skip, times, code, late_s = values
    if world.modem is not None:
        world.modem.inject(
            ModemFault(
                kind,  # type: ignore[arg-type]  # the author of histories uses the literals
                str(prefix),
                skip=_number(skip),
                times=_number(times),
                code=_number(code),
                late_s=_seconds(late_s),
            )
        )


@_fault_effect("drop port")
def _drop_port(world: World, values: tuple[Value, ...]) -> None:
    away_s, steps = values
    modem = world.modem
    if modem is not None:
        _strike(world, steps, lambda: modem.order(lambda module: module.drop_port(_seconds(away_s))))


@_fault_effect("modem restart")
def _modem_restart(world: World, values: tuple[Value, ...]) -> None:
    modem = world.modem
    if modem is not None:
        _strike(world, values[0], lambda: modem.order(lambda module: module.restart()))


@_fault_effect("modem stuck")
def _modem_stuck(world: World, values: tuple[Value, ...]) -> None:
    modem = world.modem
    if modem is not None:
        _strike(world, values[0], lambda: modem.order(lambda module: module.get_stuck()))


@_fault_effect("reader fault")
def _reader_fault(world: World, values: tuple[Value, ...]) -> None:
    kind, steps = values
    reader = world.reader
    if reader is not None:
        _strike(world, steps, lambda: reader.faults.append(str(kind)))


@_fault_effect("reader away")
def _reader_away(world: World, values: tuple[Value, ...]) -> None:
    away_s, steps = values
    reader = world.reader
    if reader is None:
        return

    def back(_: World) -> None:
        reader.absent = False
        reader.reset()

    def away() -> None:
        reader.absent = True
        world.later(_seconds(away_s), back)

    _strike(world, steps, away)


@_fault_effect("disk refuses")
def _disk_refuses(world: World, values: tuple[Value, ...]) -> None:
    world.refuse_disk(_number(values[0]), _seconds(values[1]))


@_fault_effect("disk refuses a proof")
def _disk_refuses_a_proof(world: World, values: tuple[Value, ...]) -> None:
    world.proof_refused = _number(values[0]), _seconds(values[1])


@_fault_effect("SM-DP+ fault")
def _smdp_fault(world: World, values: tuple[Value, ...]) -> None:
    on, action, times = values
    value = "8.1/4.2" if action == "status" else None
    world.smdp.faults.arm(SmdpFault(str(on), str(action), value, _number(times)))


@_fault_effect("hang up")
def _hang_up(world: World, values: tuple[Value, ...]) -> None:
    gate = world.observed_eims[EIM_IDS[_number(values[0])]].gate
    _strike(world, values[1], gate.forget)


@_fault_effect("TCP stall")
def _tcp_stall(world: World, values: tuple[Value, ...]) -> None:
    world.tcp.stalled_until_s = world.loop.time() + _seconds(values[0])


@_fault_effect("site holds")
def _site_holds(world: World, values: tuple[Value, ...]) -> None:
    world.held.until_s = world.loop.time() + _seconds(values[0])


@_fault_effect("eIM errors")
def _eim_errors(world: World, values: tuple[Value, ...]) -> None:
    eim, on, what, chance, lasts_s = values
    until_s = world.loop.time() + _seconds(lasts_s)
    dice = random.Random(f"eIM errors {world.history.seed} {world.loop.time():.6f}")
    as_v1_0 = not _silent_without_taking(world, eim)
    refusals = Refusals(str(on), str(what), _seconds(chance), until_s, dice, as_v1_0)
    world.observed_eims[EIM_IDS[_number(eim)]].refusals = refusals


def _silent_without_taking(world: World, eim: Value) -> bool:
    """Whether this eIM answers results in this history with a success and nothing in it, without taking them."""
    faults = (step.values for step in world.history.faults if step.kind == "eIM fault")
    return any(values[0] == eim and values[2] == "empty" for values in faults)


KINDS: Final = frozenset(_DEEDS)
