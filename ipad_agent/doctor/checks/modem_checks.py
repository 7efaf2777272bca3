"""From the USB to the network that the modem sees."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ipad_agent.doctor.doctor_items import Item, Layer, as_sentence
from ipad_agent.doctor.examination_facts import Blocked, Seen
from ipad_agent.doctor.examined_rooms import DoctorParts
from ipad_agent.errors import CardError, ModemError
from ipad_agent.modem.errors import ModemNotFound, PortUnavailable, SeveralModems
from ipad_agent.modem.module_profile_files import load, search_path
from ipad_agent.modem.port.gsmctl_port import PROGRAM
from ipad_agent.modem.port.pcsc_port import SCHEME
from ipad_agent.modem.port.port_discovery import choose
from ipad_agent.modem.port.port_lock import plays_modem
from ipad_agent.modem.port.port_owners import MODEM_MANAGER, advice
from ipad_agent.modem.port.usb_sysfs import OPERATOR_LINK

SLOW_S: Final = 1.0


async def usb(parts: DoctorParts, seen: Seen) -> list[Item]:
    """What the kernel sees."""
    port = parts.config.modem.port
    if port == PROGRAM:
        return [Item(Layer.USB, None, f"The modem is reached through the program {PROGRAM}; no USB is looked at.")]
    if port.partition(":")[0] == SCHEME:
        return [Item(Layer.USB, None, "The card is in a PC/SC reader; no modem is looked for on the USB.")]
    if port.startswith("socket://"):
        return [Item(Layer.USB, None, f"The modem is behind {port}; no USB is looked at.")]
    ttys = parts.machine.ttys()
    if port != "auto":
        seen.device = Path(port)
        return [_configured(port, {tty.path.resolve(): tty.described for tty in ttys})]
    link = Path("/") / OPERATOR_LINK
    if link.exists():
        seen.device = link
        return [Item(Layer.USB, True, f"{link} was made by the udev rules.")]
    profiles = load(search_path(parts.config.modem.profiles_dir)).profiles
    try:
        modem = choose(ttys, profiles, parts.machine.usb_devices())
    except (ModemNotFound, SeveralModems) as error:
        return [Item(Layer.USB, False, as_sentence(error.message), error.hint)]
    seen.device = modem.port.stable
    return [Item(Layer.USB, True, f"{modem.title}, {modem.where}: {modem.port.described}.")]


def _configured(port: str, known: dict[Path, str]) -> Item:
    device = Path(port)
    if not device.exists():
        there = f" There are {', '.join(known.values())}." if known else " There are no serial ports at all."
        fix = "Check plug, power and cable of the modem; the port's name may have changed: a stable one is in "
        return Item(
            Layer.USB, False, f"{port} is not there.{there}", fix + "/dev/serial/by-id, or set modem.port to auto."
        )
    described = known.get(device.resolve())
    if described is None:
        return Item(Layer.USB, None, f"{port} is there; the kernel tells no USB device behind it.")
    return Item(Layer.USB, True, f"{port} is {described}.")


async def port(parts: DoctorParts, seen: Seen) -> list[Item]:
    """Whose the port is, and whether it opens. What is held is not taken."""
    held = await parts.held()
    if held is not None:
        return [Item(Layer.PORT, False, held.sentence, held.fix)]
    holders = parts.machine.holders(seen.device) if seen.device is not None else ()
    # Whoever has the other end of a pseudo-terminal is no rival: it plays the modem, as the lab does.
    others = tuple((pid, name) for pid, name in holders if not plays_modem(pid, seen.device))
    played = len(others) < len(holders)
    remarks = []
    if others:
        listed = ", ".join(f"{name} (process {pid})" for pid, name in others)
        names = [name for _, name in others]
        fix = advice(names)
        lets_go = parts.config.modem.inhibit_modem_manager and names == [MODEM_MANAGER]
        if not parts.faces() and not lets_go:
            return [Item(Layer.PORT, False, f"{seen.device} is also used by {listed}; it is not touched.", fix)]
        if lets_go:
            sentence = f"{seen.device} is used by {listed}, which is asked to let go of it meanwhile."
            remarks.append(Item(Layer.PORT, None, sentence))
        else:
            # The agent has it open anyway: what the other one spoils shows in what follows.
            sentence = f"{seen.device} is also used by {listed}; answers may get lost."
            remarks.append(Item(Layer.PORT, None, sentence, fix))
    try:
        name = await parts.modem.port()
    except PortUnavailable as error:
        return [*remarks, Item(Layer.PORT, False, as_sentence(error.message), error.hint)]
    except ModemError as error:  # it opened: what goes wrong on it belongs to the next layer
        seen.line_trouble = error
        return [*remarks, Item(Layer.PORT, True, f"{seen.device or parts.config.modem.port} opens.")]
    if played:
        played_by = f"{name} is open; it is a pseudo-terminal, so a program plays the modem."
        return [*remarks, Item(Layer.PORT, True, played_by)]
    if remarks:
        return [*remarks, Item(Layer.PORT, True, f"{name} is open.")]
    if not parts.machine.sees_every_process():
        return [Item(Layer.PORT, True, f"{name} is open; whether others have it open too is not shown to this user.")]
    return [Item(Layer.PORT, True, f"{name} is open, and nobody else uses it.")]


async def at(parts: DoctorParts, seen: Seen) -> list[Item]:
    """Whether anybody answers, and how fast."""
    trouble = seen.line_trouble
    if trouble is None:
        try:
            took_s = await parts.modem.ping_s()
        except ModemError as error:
            trouble = error
    if trouble is not None:
        return [Item(Layer.AT, False, as_sentence(trouble.message), trouble.hint or "Switch the modem off and on.")]
    if took_s > SLOW_S:
        return [Item(Layer.AT, None, f"AT is answered, but only after {took_s:.1f} s.")]
    return [Item(Layer.AT, True, f"AT is answered within {max(1, round(took_s * 1000))} ms.")]


async def modem(parts: DoctorParts, _: Seen) -> list[Item]:
    """Who answers, and whether its radio is on."""
    try:
        who = await parts.modem.identity()
        level = await parts.modem.function_level()
    except ModemError as error:
        return [Item(Layer.MODEM, False, as_sentence(error.message), error.hint or "Switch the modem off and on.")]
    name = " ".join(part for part in (who.manufacturer, who.model) if part) or "A modem that does not say its name"
    sentence = f"{name}, firmware {who.revision or 'not told'}, profile {who.profile}"
    if level in (0, 4):
        fix = "Switch it on with AT+CFUN=1; the agent does at its start unless modem.restore_function is false."
        return [Item(Layer.MODEM, False, f"{sentence}; its radio is switched off (AT+CFUN={level}).", fix)]
    return [Item(Layer.MODEM, True, sentence + ".")]


async def sim(parts: DoctorParts, seen: Seen) -> list[Item]:
    """What the modem says of the card. Without an enabled profile most modems see none although the eUICC is there,
    so only the eUICC's own silence makes it a missing card."""
    try:
        state = await parts.modem.sim_state()
        slot = await parts.modem.slot()
    except ModemError as error:
        return [Item(Layer.SIM, False, as_sentence(error.message), error.hint or "Switch the modem off and on.")]
    where = "" if slot is None else f" in card slot {slot}"
    if state == "READY":
        return [Item(Layer.SIM, True, f"The modem says that the SIM{where} is ready.")]
    try:
        seen.eid = await parts.card.get_eid()
    except ModemError as error:
        return [Item(Layer.SIM, False, as_sentence(error.message), error.hint)]
    except CardError:
        seen.no_card = True
        fix = "Insert the card the right way round, clean its contacts, and check which SIM slot the modem uses."
        if slot is not None:
            fix += " The slot is chosen by modem.slot with modem.allow_nvm_writes."
        return [Item(Layer.SIM, False, f"There is no usable card{where}: the modem says {state!r}.", fix)]
    if state in ("SIM PIN", "SIM PUK"):
        fix = "Switch the PIN of this profile off, or ask its operator for the PUK."
        return [Item(Layer.SIM, False, f"The enabled profile wants its {state.removeprefix('SIM ')}.", fix)]
    sentence = f"The modem says {state!r}, as most do while no profile is enabled; the eUICC itself answers."
    return [Item(Layer.SIM, None, sentence)]


async def registration(parts: DoctorParts, seen: Seen) -> list[Item]:
    """Whether there is a network. Not needed by the layers above: the way to the eIM may be another one."""
    if seen.no_card:
        raise Blocked(Layer.SIM)
    try:
        found = await parts.modem.registration()
        heard = await parts.modem.signal()
        saving = await parts.modem.power_saving()
    except ModemError as error:
        return [Item(Layer.REGISTRATION, False, as_sentence(error.message), error.hint)]
    if found is None:
        return [Item(Layer.REGISTRATION, None, "The modem does not tell whether it is registered.")]
    if found.registered:
        strength = "" if heard is None else f", {heard}"
        sleeps = f"; it saves power: {saving}" if saving.psm or saving.edrx else ""
        return [Item(Layer.REGISTRATION, True, f"The modem is {found}{strength}{sleeps}.")]
    fix = "Check antenna, coverage and whether the enabled profile is active at its operator; it may need minutes."
    return [Item(Layer.REGISTRATION, False, f"The modem is not in a network: {found}.", fix)]
