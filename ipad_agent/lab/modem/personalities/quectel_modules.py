"""Quectel, whose modules are made of chips of five makers."""

from __future__ import annotations

from dataclasses import replace

from ipad_agent.lab.modem.modem_options import ModemOptions, SlotSetting

__all__ = ["FAMILIES"]

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
    slot=SlotSetting("+QUIMSLOT"),
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

# Two slots behind +QDSIM. Chosen: reports errors as text until told otherwise, no +C5GREG and no +CESQ.
EC200 = replace(
    EG25,
    model="EC200U",
    revision="EC200UEUAAR03A05M08",
    imei="359000001234001",
    iccid_commands=("+QCCID", "+CCID"),
    require_quotes=False,
    csim_channels=True,
    cmee=2,
    slot=SlotSetting("+QDSIM", numbers=(0, 1), card_in=0, active=0),
    signal_commands=("+CSQ",),
    absent_application="cme22",
)

# Sleeps behind a UART: what wakes it is lost unless AT+QSCLK=0 was said. +CSIM and +CRSM are what its manual has; it is
# slow to find a network. Chosen: a REFRESH is carried out after some seconds.
BG95 = replace(
    EG25,
    model="BG95-M3",
    revision="BG95M3LAR02A04",
    imei="359011171234770",
    iccid_commands=("+QCCID", "+CCID"),
    require_quotes=False,
    transports="csim",
    csim_channels=True,
    refresh="late",
    refresh_late_s=4.0,
    sleeps_after_s=10.0,
    slot=None,
    registration_commands=("+CREG", "+CEREG"),
    power_saving=True,
    no_more_data=True,
    attach_s=5.0,
)

# Two slots in permanent memory; hexadecimal digits have to be quoted; test forms answer although nothing else is asked.
RM5G = replace(
    EG25,
    model="RM520N-GL",
    revision="RM520NGLAAR03A03M4G",
    imei="359022341235548",
    csim_channels=True,
    slot=SlotSetting("+QUIMSLOT"),
    registration_commands=("+CREG", "+CGREG", "+CEREG", "+C5GREG"),
)

# The same with an LPA of its own that keeps the ISD-R to itself until it is switched off and the module restarts.
RG650E = replace(
    RM5G,
    model="RG650E-EU",
    revision="RG650EEUAAR01A05M4G",
    imei="359201061247863",
    vendor_lpa=True,
)

# The commands work and their test forms do not.
EM05 = replace(
    EG25,
    model="EM05-G",
    revision="EM05GFAR07A07M1G",
    imei="359033511236315",
    csim_channels=True,
    slot=None,
    test_forms=False,
)

FAMILIES = {
    "quectel-eg25": EG25,
    "quectel-eg916q": EG916Q,
    "quectel-ec200": EC200,
    "quectel-bg95": BG95,
    "quectel-rm5g": RM5G,
    "quectel-rg650e": RG650E,
    "quectel-em05": EM05,
}
