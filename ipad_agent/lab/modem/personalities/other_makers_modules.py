"""Telit, Cinterion, Sierra, Fibocom, Nordic, Sequans, TD Tech, Dell."""

from __future__ import annotations

from dataclasses import replace

from ipad_agent.lab.modem.modem_options import ModemOptions, SlotSetting

__all__ = ["FAMILIES"]

# +CSIM can be locked for one port, and its end looks like a card that was put in.
LE910 = ModemOptions(
    manufacturer="Telit",
    model="LE910C4-EU",
    revision="25.21.672",
    imei="359111701241707",
    iccid_commands=("#CCID", "+CCID"),
    sim_events="telit",
    csim_lock=True,
    slot=SlotSetting("#SIMSELECT", needs_radio_off=True),
)

# Tells the state of its card by number once that is asked for. Chosen: AT+CFUN=4 cuts the card's power.
CINTERION = ModemOptions(
    manufacturer="Cinterion",
    model="PLS63-W",
    revision="REVISION 01.202",
    imei="359178721246321",
    iccid_commands=("^SCID", "+CCID"),
    sim_events="cinterion",
    slot=SlotSetting('^SCFG="SIM/CS"', numbers=(0, 1, 3), card_in=0, active=0),
    cfun4_powers_card_off=True,
    boot_lines=("^SYSSTART",),
)

# Session ids of sixteen digits, no test forms, and a slot behind a locked command.
SIERRA_EM = ModemOptions(
    manufacturer="Sierra Wireless, Incorporated",
    model="EM7590",
    revision="SWIX65C_01.04.01.00",
    imei="359122871242474",
    iccid_commands=("!ICCID?", "+ICCID"),
    session_style="hex16",
    test_forms=False,
    slot=SlotSetting("!UIMS", numbers=(0, 1), card_in=0, active=0, needs_unlock=True),
)

# +CCHO is refused with words of its own, so that only +CSIM is left.
SIERRA_EM9191 = replace(
    SIERRA_EM,
    model="EM9191",
    revision="SWIX55C_03.09.11.00",
    imei="359212231248632",
    sessions_refused_with="+CME ERROR: Parameters error",
)

# A session id without a name in front, and silence where a test form is asked for.
FM350 = ModemOptions(
    manufacturer="Fibocom Wireless Inc.",
    model="FM350-GL",
    revision="81600.0000.00.29.19.16_GC",
    imei="359134041243241",
    iccid_commands=("+ICCID", "+CCID"),
    bare_session=True,
    silent_test_forms=True,
    sim_events="fibocom",
    slot=SlotSetting("+GTDUALSIM", numbers=(0, 1), card_in=0, active=0),
    registration_commands=("+CREG", "+CGREG", "+CEREG", "+C5GREG"),
)

# Chosen: collects long answers itself.
FM150 = replace(
    FM350,
    model="FM150-AE",
    revision="89601.1000.00.04.01.02",
    imei="359145211244017",
    bare_session=False,
    silent_test_forms=False,
    auto_fetch=True,
    sim_events="cpin",
)

# The application on the module answers: no echo, LTE only, the card can be switched off and on alone, a failed card
# shows as registration 90. The slot is chosen with the radio off, for the next start. Chosen: REFRESH is ignored.
NRF91 = ModemOptions(
    manufacturer="Nordic Semiconductor ASA",
    model="nRF9160-SICA",
    revision="mfw_nrf9160_1.3.6",
    imei="359156381244786",
    echo=False,
    iccid_commands=("%XICCID",),
    sim_events="nordic",
    uicc_power_command=True,
    refresh="ignored",
    slot=SlotSetting(
        "%CSUS", numbers=(0, 1, 2), card_in=0, active=0, readable=False, needs_radio_off=True, after_restart=True
    ),
    registration_commands=("+CEREG",),
    signal_commands=("+CESQ",),
    stat_without_card=90,
    power_saving=True,
    cfun_one_comma_one=False,
    boot_lines=("Ready",),
)

# Chosen: the REFRESH is carried out late; what it says of itself begins with the maker's name only.
MONARCH2 = ModemOptions(
    manufacturer="SEQUANS Communications",
    model="GM02S",
    revision="UE8.2.1.0",
    imei="359167551245552",
    iccid_commands=("+SQNCCID",),
    sim_events="cpin",
    refresh="late",
    refresh_late_s=4.0,
    registration_commands=("+CEREG",),
    power_saving=True,
    boot_lines=("+SYSSTART",),
)

# Over +CSIM the module collects the answer and cuts it at 256 bytes without a word; Le in STORE DATA is an error; at
# most 260 bytes of command; no MANAGE CHANNEL, and session 0 of +CGLA is the basic channel. Chosen: +CCHO is an error.
MT5700 = ModemOptions(
    manufacturer="TD Tech",
    model="MT5700M-CN",
    revision="11.617.17.00.00",
    imei="359189891247098",
    iccid_commands=("^ICCID?",),
    sessions_refused_with="ERROR",
    session_zero_is_basic=True,
    csim_manage_channel=False,
    csim_auto_fetch=True,
    csim_answer_cap_bytes=256,
    refuse_le=True,
    max_apdu_chars=520,
    sim_events="tdtech",
    registration_commands=("+CREG", "+CGREG", "+CEREG", "+C5GREG"),
)

# No sessions; MANAGE CHANNEL opens with Le 00 only and closes with Le only; the card is in the second slot's place.
DW5821E = ModemOptions(
    manufacturer="Dell Inc.",
    model="DW5821e-eSIM Snapdragon X20 LTE",
    revision="T77W968.F0.0.0.4.0.VZ.010",
    imei="359223401249409",
    iccid_commands=("+ICCID",),
    transports="csim",
    manage_channel_le="zero",
    slot=SlotSetting("^SWITCH_SLOT", numbers=(0, 1), card_in=1, active=1),
)

FAMILIES = {
    "telit-le910": LE910,
    "cinterion": CINTERION,
    "sierra-em": SIERRA_EM,
    "sierra-em9191": SIERRA_EM9191,
    "fibocom-fm350": FM350,
    "fibocom-fm150": FM150,
    "nordic-nrf91": NRF91,
    "sequans-monarch2": MONARCH2,
    "tdtech-mt5700": MT5700,
    "dell-dw5821e": DW5821E,
}
