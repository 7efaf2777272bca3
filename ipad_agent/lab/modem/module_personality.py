"""Modules by name: the manners reported of real families, as far as the lab plays them."""

from __future__ import annotations

from dataclasses import replace

from .modem_options import ModemOptions

__all__ = ["PERSONALITIES", "personality"]

GENERIC = ModemOptions()

# Passes 61xx, commands on a logical channel through +CSIM fail, executes REFRESH itself.
EG25 = ModemOptions(
    manufacturer="Quectel",
    model="EG25",
    revision="EG25GGBR07A08M2G",
    imei="860195052613574",
    iccid_commands=("+QCCID", "+ICCID", "+CCID"),
    iccid_keeps_filler=True,
    require_quotes=True,
    csim_channels=False,
    sim_events="quectel",
    slot_command=True,
    boot_lines=("RDY", "+CFUN: 1"),
    noise_places=("between",),
    absent_application="error",
)

# Does not act on REFRESH; only AT+CFUN=0 and 1 make it look at the card again, and that takes the port away.
EG916Q = replace(
    EG25,
    model="EG916Q-GL",
    revision="EG916QGLLAR01A03M08",
    imei="864431060217447",
    csim_channels=True,
    refresh="ignored",
    cfun0_drops_port=True,
    absent_application="cme13",
)

SARA_R5 = ModemOptions(
    manufacturer="u-blox",
    model="SARA-R510S-01B",
    revision="03.30",
    imei="356726109876540",
    iccid_commands=("+CCID",),
    sim_events="ublox",
)

# No +CCHO and +CGLA at all; the host gets 61xx; a change of profile goes unnoticed until the radio is cycled.
SIM7600 = ModemOptions(
    manufacturer="SIMCOM INCORPORATED",
    model="SIMCOM_SIM7600G-H",
    revision="LE20B04SIM7600G22",
    imei="862636050123452",
    iccid_commands=("+CICCID", "+ICCID"),
    transports="csim",
    refresh="ignored",
    cfun4_powers_card_off=True,
    sim_events="simcom",
)

PERSONALITIES: dict[str, ModemOptions] = {
    "generic": GENERIC,
    "eg25": EG25,
    "eg916q": EG916Q,
    "sara-r5": SARA_R5,
    "sim7600": SIM7600,
}


def personality(name: str, **changes: object) -> ModemOptions:
    """The options of a named module with ``changes`` applied; ``KeyError`` for an unknown name."""
    return replace(PERSONALITIES[name], **changes)  # type: ignore[arg-type]  # the caller names the fields
