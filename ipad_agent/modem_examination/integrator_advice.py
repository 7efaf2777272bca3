"""What an integrator should do, in sentences that follow from what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ipad_agent.modem.module_profile import GENERIC_NAME, ModuleProfile
from ipad_agent.modem.uicc.slot_selection import read_slot
from ipad_agent.records import dataclass

from .card_identification import CardSurvey, Standard
from .command_survey import CommandRow, vendor_lpa_on
from .modem_examination import BASIC_WAY, Examination, recommended
from .way_examination import COMMANDS

_SLOW_MS: Final = 250.0
_FULL_BLOCK: Final = 255


@dataclass(frozen=True, slots=True)
class Advice:
    """``good`` True: nothing to do; False: this must change first; None: worth knowing. ``setting`` is a line for the
    configuration, where there is one."""

    good: bool | None
    sentence: str
    setting: str | None = None


def advise(found: Examination) -> tuple[Advice, ...]:
    """The way to use first, then what stands in the way, then what is worth knowing."""
    return (
        *_of_ways(found),
        *_of_card(found.card),
        *_of_module(found),
        *_of_network(found),
        *_of_refresh(found),
    )


def _of_ways(found: Examination) -> Iterator[Advice]:
    ways = {way.way: way for way in found.ways}
    best = recommended(list(found.ways), found.module_profile)
    if best is None:
        yield Advice(False, f"No way to the card works. {_why_no_way(found)}")
        return
    chosen = ways[best]
    name = COMMANDS[best]
    if chosen.failed:
        yield Advice(
            False,
            f"{name} opens, but {', '.join(chosen.failed)} got no answer over it, and there is no better way: where "
            "the card takes long, the module gives up earlier. Ask the module's maker.",
        )
        return
    if not chosen.usable:
        yield Advice(
            False,
            f"{name} opens, but cuts answers at {chosen.cut_at_bytes} bytes, and there is no other way. "
            "Profiles cannot be managed reliably: ask the module's maker for a firmware that carries 256 bytes.",
        )
        return
    yield Advice(True, f"Use {name}: it carried everything that was read.")
    yield from _of_order(found.module_profile, best)
    yield from _of_other_ways(found, best)
    if chosen.block_bytes is not None and chosen.block_bytes < _FULL_BLOCK:
        yield Advice(
            None,
            f"Commands of more than {chosen.block_bytes} bytes do not arrive; the agent steps down to "
            "this by itself, and a profile with uicc.max_data_bytes saves it the try.",
        )
    if chosen.le is False:
        yield Advice(
            None,
            f"{name} refuses STORE DATA with an Le byte; the agent sends none unless uicc.le_on_case4 is "
            "set in the profile.",
        )
    if chosen.p95_ms is not None and chosen.p95_ms > _SLOW_MS:
        took = f"Reading the EID takes up to {chosen.p95_ms:.0f} ms"
        yield Advice(None, f"{took}: on a UART a higher speed (modem.baud) may help.")


def _of_order(profile: ModuleProfile, best: str) -> Iterator[Advice]:
    """Whether the agent takes this way; session 0 is taken where a profile names it, and by no setting."""
    first, name = profile.uicc.order[0], COMMANDS[best]
    basic = best == BASIC_WAY
    setting = None if basic else f'modem.transport = "{best}"'
    if best not in profile.uicc.order:
        how = "with a profile that names it in uicc.order (`ipactl modem draft REPORT`)" if basic else "with this line"
        yield Advice(False, f"The profile {profile.name} does not try {name}: the agent uses it {how}.", setting)
    elif best != first:
        told = "" if basic else ", and is told so by this line"
        yield Advice(
            None, f"The profile tries {COMMANDS[first]} first; the agent finds {name} by itself{told}.", setting
        )
    if basic:
        yield Advice(
            None,
            "Session 0 is the card's basic channel, which the module uses too: what it selects there takes the ISD-R "
            "from the agent, which then opens it again.",
        )


def _of_other_ways(found: Examination, best: str) -> Iterator[Advice]:
    for way in found.ways:
        if way.way == best:
            continue
        if not way.opens:
            yield Advice(None, f"{COMMANDS[way.way]} does not work here ({way.why}).")
        elif way.failed:
            yield Advice(None, f"Do not use {COMMANDS[way.way]}: {', '.join(way.failed)} got no answer over it.")
        elif way.cut_at_bytes is not None:
            yield Advice(None, f"Do not use {COMMANDS[way.way]}: it cuts answers at {way.cut_at_bytes} bytes.")


def _why_no_way(found: Examination) -> str:
    rows = {row.command: row for row in found.probe.commands}
    reasons = " ".join(f"{COMMANDS[way.way]}: {way.why}." for way in found.ways)
    pin = rows.get("AT+CPIN?")
    if found.card.standard is Standard.NO_EUICC:
        return f"The card has no ISD-R, so it is no eUICC: insert one. {reasons}"
    if pin is not None and not pin.works:
        told = pin.answer or "nothing"
        return f"The modem says of the card: {told}. Check that it is inserted{_slot_in_use(found)}. {reasons}"
    if _vendor_lpa_on(found):
        return f"The module's own LPA is switched on, and nobody else gets the ISD-R meanwhile. {reasons}"
    return f"Ask the module's maker for a firmware with AT+CCHO and AT+CGLA, or AT+CSIM on logical channels. {reasons}"


def _slot_in_use(found: Examination) -> str:
    slots = found.module_profile.slots
    rows = [row for row in found.probe.commands if row.command == slots.query and row.works]
    used = read_slot([rows[0].answer], slots.select) if rows else None
    if used is None:
        return ", and which slot is used"
    return f": slot {used} of {len(slots.select)} is in use"


def _vendor_lpa_on(found: Examination) -> bool | None:
    return vendor_lpa_on(found.module_profile, found.probe.commands)


def _of_vendor_lpa(found: Examination) -> Iterator[Advice]:
    lpa, on = found.module_profile.vendor_lpa, _vendor_lpa_on(found)
    if on is None:
        return
    if not on:
        yield Advice(None, f"The LPA in the module's firmware is switched off ({lpa.query}).")
    elif any(way.opens for way in found.ways):
        yield Advice(None, "The LPA in the module's firmware is switched on, and the card was reached all the same.")
    else:
        after = ", and restart the module" if lpa.reset_needed else ""
        yield Advice(
            False,
            f"Switch off the LPA in the module's firmware ({' '.join(lpa.off) or lpa.query}){after}, then test again; "
            "the agent does that by itself where this is set.",
            "modem.allow_nvm_writes = true",
        )


def _of_card(card: CardSurvey) -> Iterator[Advice]:
    match card.standard:
        case Standard.IOT if card.ipae_active:
            yield Advice(
                False,
                "The card's own IPAe is active: it manages the card, and this agent does not, unless this is set.",
                "card.take_from_ipae = true",
            )
        case Standard.IOT:
            yield Advice(True, f"The card is an IoT eUICC (SGP.32 v{', v'.join(card.versions) or '?'}).")
        case Standard.CONSUMER:
            yield Advice(
                False, "The card is a consumer eUICC (SGP.22): an LPA manages it, not an eIM. Insert an SGP.32 card."
            )
        case Standard.M2M:
            yield Advice(
                False,
                "The card is an M2M eUICC (SGP.02): its operator's SM-SR manages it, no IPA can. Insert "
                "an SGP.32 card.",
            )
        case Standard.NO_EUICC:
            yield Advice(False, f"The card is no eUICC ({card.evidence}). Insert an SGP.32 card.")
        case Standard.UNKNOWN:
            yield Advice(False, f"What card it is could not be found out ({card.evidence}).")
    if card.eims == 0:
        yield Advice(
            None,
            "No eIM is associated with the card: the agent needs the file that the eIM's operator gives "
            "(provisioning.initial_eim).",
        )
    for problem in card.problems:
        yield Advice(None, f"Not read: {problem}.")


def _of_module(found: Examination) -> Iterator[Advice]:
    module = found.probe.module
    if module.profile == GENERIC_NAME:
        yield Advice(
            None,
            "No profile fits this module: the generic one is used. `ipactl modem draft REPORT` makes one "
            "of this report.",
        )
    rows = {row.command: row for row in found.probe.commands}
    function = rows.get("AT+CFUN?")
    if function is not None and function.works and function.answer.partition(":")[2].strip()[:1] in ("0", "4"):
        yield Advice(False, f"The radio is switched off ({function.answer}): the agent switches it on at its start.")
    if not _knows_iccid(rows, found.module_profile):
        yield Advice(
            None, "No command told the ICCID: the agent cannot see by itself whether the modem has taken a new profile."
        )
    yield from _of_vendor_lpa(found)


def _knows_iccid(rows: dict[str, CommandRow], profile: ModuleProfile) -> bool:
    asked = (*profile.queries.iccid, "AT+CRSM=176,12258,0,0,10")
    return any(row.works or row.verdict == "refused now" for text, row in rows.items() if text in asked)


def _of_network(found: Examination) -> Iterator[Advice]:
    network = found.network
    if network.registration is None:
        yield Advice(None, "The modem does not tell whether it is registered.")
    elif not network.registered:
        yield Advice(None, f"The modem is not in a network ({network.registration}): check antenna and subscription.")


def _of_refresh(found: Examination) -> Iterator[Advice]:
    if found.refresh is None:
        if found.switch_wanted:
            yield Advice(
                None,
                "A switch there and back was not possible, so what it does to this modem was not measured: that needs "
                "an SGP.32 card with a fallback profile that is not enabled, and another profile that is.",
            )
        elif found.card.can_switch:
            yield Advice(
                None,
                "What a change of profile does to this modem was not measured; --switch-back-and-forth "
                "measures it, which takes the device off its network for a while.",
            )
        return
    if found.refresh.back is False:
        yield Advice(
            False,
            "The profile of before is NOT enabled again. Let the agent run, or ask for `ipactl fallback --return`.",
        )
    done = [one for one in found.refresh.switches if one.ok]
    if not done:
        why = found.refresh.switches[0].why if found.refresh.switches else "nothing was ordered"
        yield Advice(None, f"The card did not change its profile: {why}.")
        return
    longest_s = max((one.seconds for one in done if one.seconds is not None), default=None)
    if all(one.modem_executed for one in done):
        yield Advice(
            True, f"After a change of profile the modem takes the new one by itself, within {longest_s:.1f} s."
        )
    elif all(one.rung is not None for one in done):
        rung = max(one.rung or 0 for one in done)
        yield Advice(
            None,
            f"After a change of profile the modem needs rung {rung} of the reset ladder, and {longest_s:.1f} "
            "s; the agent does that by itself.",
        )
    else:
        yield Advice(
            False,
            "After a change of profile nothing made the modem take the new one: a profile for this "
            "module needs a [[reset]] that does.",
        )
    if any(one.port_vanished for one in done):
        yield Advice(None, "The port vanishes and comes back meanwhile: name it by /dev/serial/by-path, not ttyUSB2.")
