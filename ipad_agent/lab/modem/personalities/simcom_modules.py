"""SIMCom."""

from __future__ import annotations

from dataclasses import replace

from ipad_agent.lab.modem.modem_options import ModemOptions, SlotSetting

__all__ = ["FAMILIES"]

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

# No blank behind the colon of an answer; 61xx comes through. Chosen: errors as text until told otherwise.
A7600 = ModemOptions(
    manufacturer="SIMCOM INCORPORATED",
    model="A7608E-H",
    revision="A50C4B02A7600M7",
    imei="359089361240161",
    iccid_commands=("+CICCID", "+CCID"),
    space_after_colon=False,
    sim_events="simcom-a76",
    slot=SlotSetting("+SWITCHSIM", numbers=(0, 1), card_in=0, active=0),
    cmee=2,
    boot_lines=("*ATREADY: 1", "+CPIN: READY", "SMS DONE", "PB DONE"),
)

# +CSIM only, and the ICCID without a name in front. Chosen: the REFRESH is ignored; only AT+CFUN=0 cuts the power.
SIM7080 = replace(
    SIM7600,
    model="SIMCOM_SIM7080",
    revision="1951B16SIM7080",
    imei="359100531240930",
    iccid_commands=("+CCID",),
    iccid_bare=True,
    cfun4_powers_card_off=False,
    registration_commands=("+CREG", "+CEREG"),
    power_saving=True,
    no_more_data=True,
    attach_s=4.0,
)

FAMILIES = {"simcom-sim7600": SIM7600, "simcom-a7600": A7600, "simcom-sim7080": SIM7080}
