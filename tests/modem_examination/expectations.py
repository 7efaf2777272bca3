"""What a report must say of a modem, told by the lab's switches alone."""

from __future__ import annotations

import os
from typing import Final

from ipad_agent.lab.modem import PERSONALITIES, ModemOptions
from ipad_agent.modem.module_profile import GENERIC_NAME, ModuleProfile, Rung

from .stand import profiles

EVERY: Final = os.environ.get("EVERY_MODEM") == "1" or os.environ.get("TEST_LONG") == "1"
"""``make test-modems`` and ``make test-long`` interrupt every personality, at every command."""
DIFFERENT: Final = (
    *("quectel-eg916q", "quectel-bg95", "simcom-a7600", "sierra-em9191"),
    *("fibocom-fm350", "nordic-nrf91", "tdtech-mt5700", "dell-dw5821e"),
)
"""Those that differ most in how they speak, how the card is reached, and what a REFRESH does."""
_SLOW_MS: Final = 250


def interrupted() -> tuple[str, ...]:
    """The personalities whose examination is interrupted."""
    return tuple(PERSONALITIES) if EVERY else DIFFERENT


def profile_of(options: ModemOptions) -> ModuleProfile:
    """The profile that the agent takes for it."""
    return profiles().choose(options.manufacturer, options.model, options.revision)


def opens(options: ModemOptions, way: str) -> bool:
    """Whether the ISD-R can be reached over this way."""
    if options.vendor_lpa:
        return False
    match way:
        case "cgla":
            return options.transports != "csim" and options.sessions_refused_with is None
        case "cgla-basic":
            return options.transports != "csim" and options.session_zero_is_basic
        case _:
            return options.transports != "cgla" and options.csim_channels and options.csim_manage_channel


def cap(options: ModemOptions, way: str) -> int | None:
    """Where answers over this way are cut; 256 bytes are as much as one APDU carries."""
    return options.csim_answer_cap_bytes if way == "csim" else None


def fetches(options: ModemOptions, way: str) -> bool:
    """Whether the modem follows 61xx up itself."""
    return options.auto_fetch or (way == "csim" and options.csim_auto_fetch)


def block_bytes(options: ModemOptions) -> int:
    """The largest block of those that the agent uses which fits into a command of this modem."""
    return max(size for size in (60, 120, 240, 255) if (5 + size) * 2 <= options.max_apdu_chars)


def asked(options: ModemOptions) -> list[str]:
    """The ways that are measured, in the order in which that is done."""
    whole = any(opens(options, way) and cap(options, way) is None for way in ("cgla", "csim"))
    basic = "cgla-basic" in profile_of(options).uicc.order or not (whole or options.vendor_lpa)
    return ["cgla", "csim", *(["cgla-basic"] if basic else [])]


def best(options: ModemOptions) -> str | None:
    """The way to be recommended: whole, as the profile has it."""
    order = list(profile_of(options).uicc.order)
    ways = [way for way in asked(options) if opens(options, way)]
    ways.sort(key=lambda way: (cap(options, way) is not None, order.index(way) if way in order else 9))
    return ways[0] if ways else None


def network_name(options: ModemOptions) -> str:
    """The first of the profile's questions for the registration that this modem knows."""
    names = profile_of(options).queries.registration
    return next(name for name in names if f"+{name}" in options.registration_commands)


def rung(options: ModemOptions) -> int:
    """The first rung of the profile's ladder after which the modem reads the card anew."""
    if options.refresh != "ignored":
        return 0
    ladder = profile_of(options).ladder
    return next(number for number in sorted(ladder) if number and _starts_the_card(options, ladder[number]))


def _starts_the_card(options: ModemOptions, one: Rung) -> bool:
    restarts = {f"AT+CFUN={level}" for level in options.restart_levels}
    if one.writes_nvm:
        return False
    return any(
        {
            "AT+CFUN=40": options.uicc_power_command,
            "AT+CFUN=4": options.cfun4_powers_card_off,
            "AT+CFUN=0": options.cfun0_powers_card_off,
            "AT+CFUN=1,1": options.cfun_one_comma_one,
        }.get(text, text in restarts)
        for text in one.commands
    )


def port_vanishes(options: ModemOptions) -> bool:
    """Whether a change of profile takes the port away."""
    used = rung(options)
    commands = profile_of(options).ladder[used].commands if used else ()
    return options.cfun0_drops_port if "AT+CFUN=0" in commands else options.refresh_drops_port or used == 5


def advice(options: ModemOptions, *, switched: bool) -> list[str]:
    """How the sentences of the advice begin, all of them, of an examination with the lab's ordinary card."""
    profile, way = profile_of(options), best(options)
    said = _of_ways(options, profile, way)
    if way is not None:
        said += ["The card is an IoT eUICC (SGP.32 v1.2.0).", "No eIM is associated with the card"]
        said += [] if switched else ["What a change of profile does to this modem was not measured"]
    else:
        said += ["What card it is could not be found out"]
        said += ["A switch there and back was not possible"] if switched else []
    if profile.name == GENERIC_NAME:
        said.append("No profile fits this module")
    if options.vendor_lpa:
        said.append("Switch off the LPA in the module's firmware")
    if switched and way is not None:
        used = rung(options)
        by_rung = f"After a change of profile the modem needs rung {used} "
        said.append(by_rung if used else "After a change of profile the modem takes the new one by itself")
        said += ["The port vanishes"] if port_vanishes(options) else []
    return said


_NAMES: Final = {"cgla": "AT+CGLA", "cgla-basic": "AT+CGLA with session 0", "csim": "AT+CSIM"}


def _of_ways(options: ModemOptions, profile: ModuleProfile, way: str | None) -> list[str]:
    if way is None:
        why = "The module's own LPA is switched on" if options.vendor_lpa else ""
        return [f"No way to the card works. {why}"]
    said = [f"Use {_NAMES[way]}: it carried everything"]
    if profile.uicc.order[0] != way:
        said.append(f"The profile tries {_NAMES[profile.uicc.order[0]]} first; the agent finds {_NAMES[way]} by itself")
    said += ["Session 0 is the card's basic channel"] if way == "cgla-basic" else []
    for other in asked(options):
        if other != way and not opens(options, other):
            said.append(f"{_NAMES[other]} does not work here (")
        elif other != way and cap(options, other) is not None:
            said.append(f"Do not use {_NAMES[other]}: it cuts answers at {cap(options, other)} bytes.")
    block = block_bytes(options)
    said += [] if block == 255 else [f"Commands of more than {block} bytes do not arrive"]
    said += [f"{_NAMES[way]} refuses STORE DATA with an Le byte"] if options.refuse_le else []
    apdus = 1 if fetches(options, way) else 2
    slow = (options.answer_s + options.apdu_s) * 1000 * apdus > _SLOW_MS
    return [*said, *(["Reading the EID takes up to"] if slow else [])]
