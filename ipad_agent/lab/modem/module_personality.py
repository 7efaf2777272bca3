"""Modules by name: the manners reported of real families, as far as the lab plays them."""

from __future__ import annotations

from dataclasses import replace

from .modem_options import ModemOptions
from .personalities import other_makers_modules, quectel_modules, simcom_modules, ublox_modules

__all__ = ["PERSONALITIES", "SHORT_NAMES", "manners", "personality"]

GENERIC = ModemOptions()

PERSONALITIES: dict[str, ModemOptions] = {
    "generic-3gpp": GENERIC,
    **quectel_modules.FAMILIES,
    **ublox_modules.FAMILIES,
    **simcom_modules.FAMILIES,
    **other_makers_modules.FAMILIES,
}

SHORT_NAMES = {
    "generic": "generic-3gpp",
    "eg25": "quectel-eg25",
    "eg916q": "quectel-eg916q",
    "sara-r5": "ublox-sara-r5",
    "sim7600": "simcom-sim7600",
}


def personality(name: str, **changes: object) -> ModemOptions:
    """The options of a named module with ``changes`` applied; ``KeyError`` for an unknown name."""
    options = PERSONALITIES[SHORT_NAMES.get(name, name)]
    return replace(options, **changes)  # type: ignore[arg-type]  # the caller names the fields


_MANNERS: dict[str, object] = {
    "transports": {"cgla": "AT+CGLA only", "csim": "AT+CSIM only"},
    "csim_channels": {False: "no logical channels over AT+CSIM"},
    "csim_manage_channel": {False: "no MANAGE CHANNEL"},
    "sessions_refused_with": "refuses AT+CCHO",
    "bare_session": "session id without a name",
    "session_style": {"big": "big session ids", "hex16": "session ids of 16 digits"},
    "cgla_flag": "a flag in front of AT+CGLA's answers",
    "test_forms": {False: "no test forms"},
    "silent_test_forms": "silent test forms",
    "manage_channel_le": {"zero": "MANAGE CHANNEL with Le 00 only"},
    "auto_fetch": "collects answers itself",
    "csim_answer_cap_bytes": "cuts answers over AT+CSIM",
    "refuse_le": "refuses Le",
    "refresh": {"late": "REFRESH late", "ignored": "REFRESH ignored"},
    "cfun0_drops_port": "AT+CFUN=0 takes the port away",
    "uicc_power_command": "AT+CFUN=40 and 41",
    "sleeps_after_s": "sleeps",
    "vendor_lpa": "an LPA of its own holds the ISD-R",
    "csim_lock": "AT+CSIM can be locked",
    "space_after_colon": {False: "no blank behind the colon"},
    "iccid_bare": "ICCID without a name",
    "cmee": {2: "errors as text"},
    "echo": {False: "no echo"},
}


def manners(options: ModemOptions) -> str:
    """What makes this module different from one that follows the standard, for a list."""
    said = []
    for name, words in _MANNERS.items():
        value = getattr(options, name)
        if value == getattr(GENERIC, name):
            continue
        told = words.get(value) if isinstance(words, dict) else words
        if told:
            said.append(str(told))
    if options.slot is not None:
        said.append(f"slots by AT{options.slot.command}")
    return ", ".join(said) or "as 3GPP TS 27.007 has it"
