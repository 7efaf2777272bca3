"""u-blox, now Trasna: +UUSIMSTAT tells of the card, AT+CFUN=15 and 16 restart."""

from __future__ import annotations

from dataclasses import replace

from ipad_agent.lab.modem.modem_options import ModemOptions

__all__ = ["FAMILIES"]

SARA_R5 = ModemOptions(
    manufacturer="u-blox",
    model="SARA-R510S-01B",
    revision="03.30",
    imei="356726109876540",
    iccid_commands=("+CCID",),
    sim_events="ublox",
    restart_levels=(15, 16),
    registration_commands=("+CREG", "+CEREG"),
    power_saving=True,
)

# A UART of one fixed speed. Chosen: the REFRESH is carried out late, and AT+CFUN=4 cuts the card's power.
SARA_R4 = replace(
    SARA_R5,
    model="SARA-R410M-02B",
    revision="L0.0.00.00.05.08",
    imei="359044681237082",
    refresh="late",
    refresh_late_s=4.0,
    cfun4_powers_card_off=True,
    attach_s=4.0,
)

# Chosen: big session ids.
SARA_R10 = replace(SARA_R5, model="SARA-R1011-00B", revision="01.02", imei="359055851237850", session_style="big")

# Chosen: a flag in front of what +CGLA answers.
LARA_R6 = replace(
    SARA_R5,
    model="LARA-R6001-00B",
    revision="00.13",
    imei="359067021238627",
    cgla_flag=True,
    registration_commands=("+CREG", "+CGREG", "+CEREG"),
)

# Another chip: chosen are a REFRESH that nobody looks at, no announcements and text errors.
LENA_R8 = replace(
    SARA_R5,
    model="LENA-R8001-00C",
    revision="02.00",
    imei="359078191239394",
    sim_events="cpin",
    refresh="ignored",
    cmee=2,
    restart_levels=(),
)

FAMILIES = {
    "ublox-sara-r4": SARA_R4,
    "ublox-sara-r5": SARA_R5,
    "ublox-sara-r10": SARA_R10,
    "ublox-lara-r6": LARA_R6,
    "ublox-lena-r8": LENA_R8,
}
