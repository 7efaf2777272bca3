"""How a modem behaves: every manner seen in the field as a switch, and what a fault looks like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Cell", "Coverage", "Fault", "FaultKind", "ModemOptions", "SimEvents", "SlotSetting", "Uart"]

SimEvents = Literal[
    "none", "quectel", "ublox", "simcom", "simcom-a76", "telit", "nordic", "cinterion", "tdtech", "fibocom", "cpin"
]
"""Which unsolicited lines tell of the card; see ``card_announcements``."""

FaultKind = Literal["silent", "lost-answer", "garbage", "error", "cme", "late", "truncate", "echo-damage", "vanish"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A command that goes wrong.

    ``silent`` the command is not run and nothing comes; ``lost-answer`` it is run and nothing comes; ``garbage`` it
    is run and noise comes; ``error`` / ``cme`` it is not run, ``ERROR`` / ``+CME ERROR: <code>``; ``late`` it is run
    and answers ``late_s`` late; ``truncate`` the second half of its answer is missing; ``echo-damage`` characters
    of the echo are missing; ``vanish`` the port is gone before it is run, for ``late_s`` seconds.

    It strikes on every ``every``-th command whose name starts with ``prefix`` (upper case, ``+CGLA``; empty: any),
    after ``skip`` of them, at most ``times`` times (``None``: for ever).
    """

    kind: FaultKind
    prefix: str = ""
    every: int = 1
    skip: int = 0
    times: int | None = 1
    code: int = 100
    late_s: float = 5.0


@dataclass(frozen=True, slots=True)
class Cell:
    """A network that serves a profile. ``carries_data`` false: attached, but not one byte passes.

    ``stat`` replaces the <stat> of +CREG and its kin: 6 is SMS only, 8 emergency calls only, where no data passes.
    ``address`` is what the packet service gives the device, ``rssi_dbm`` and ``rsrp_dbm`` how well it is heard.
    """

    plmn: str = "26201"
    roaming: bool = False
    refuses: bool = False  # registration is denied
    carries_data: bool = True
    attach_s: float | None = None  # None: the modem's own ``attach_s``
    tac: str = "1F3B"
    cell_id: str = "0A1B2C03"
    access: int = 7  # 3GPP TS 27.007 <AcT>: 7 E-UTRAN, 9 NB-IoT
    stat: int | None = None
    address: str = "10.64.0.2"
    rssi_dbm: int = -67
    rsrp_dbm: int = -90


ORDINARY_CELL = Cell()


class Coverage:
    """Which network serves which profile: the outside world of the modem.

    ``cells`` maps an ICCID to a ``Cell`` or to ``None`` (no network wants it); ``default`` serves the rest.
    """

    def __init__(self, cells: dict[str, Cell | None] | None = None, default: Cell | None = ORDINARY_CELL) -> None:
        self.cells = dict(cells or {})
        self.default = default

    def cell_for(self, iccid: str | None) -> Cell | None:
        """The cell that accepts this profile; ``None`` without a profile."""
        if iccid is None:
            return None
        return self.cells.get(iccid, self.default)


@dataclass(frozen=True, slots=True)
class SlotSetting:
    """The command that chooses the card's slot, a setting in permanent memory.

    ``command`` is its name, with the first parameter where the setting has a name of its own (``^SCFG="SIM/CS"``).
    ``numbers`` are those of the slots; the lab's card is in ``card_in``, the others are empty. ``active`` is the one
    in use at the first start. ``needs_radio_off``: refused in full function. ``needs_unlock``: refused before
    ``AT!ENTERCND``. ``after_restart``: takes effect at the next start of the card, not at once.
    """

    command: str
    numbers: tuple[int, ...] = (1, 2)
    card_in: int = 1
    active: int = 1
    readable: bool = True
    needs_radio_off: bool = False
    needs_unlock: bool = False
    after_restart: bool = False


@dataclass(frozen=True, slots=True)
class Uart:
    """The module is on a UART: what is sent at another speed than the module's arrives as noise, both ways.

    ``rate`` is the speed after a start, ``rates`` are those that AT+IPR takes. ``change``: when a new one holds;
    ``never`` says OK and stays, ``refused`` says ERROR, ``another`` takes the slowest, and ``deaf`` hears nothing until
    it is started again. ``kept``: AT+IPR writes to permanent memory by itself. ``loses_first_bytes`` of what the host
    sends after a change. Above ``clean_up_to`` every 23rd byte is damaged on the way, as over a cable that is too long.
    """

    rate: int = 115200
    rates: tuple[int, ...] = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
    change: Literal["after-ok", "before-ok", "never", "refused", "another", "deaf"] = "after-ok"
    kept: bool = False
    loses_first_bytes: int = 0
    clean_up_to: int | None = None


@dataclass(frozen=True, slots=True)
class ModemOptions:
    """Every switch of the lab's modem. Times are seconds of the caller's clock."""

    # Who it says it is
    manufacturer: str = "ipad-agent lab"
    model: str = "LABMODEM-1"
    revision: str = "LABMODEM1A01"
    imei: str = "353490069873319"
    software_version: str = "01"
    iccid_commands: tuple[str, ...] = ("+CCID", "+ICCID", "+QCCID", "+CICCID")  # with "?" behind: as read command only
    iccid_keeps_filler: bool = False
    iccid_as_in_file: bool = False  # the bytes of EF ICCID as they stand there: 98 in front
    iccid_bare: bool = False  # digits without the command's name in front

    # The line
    echo: bool = True
    cmee: int = 0
    wait_for_lf: bool = False
    lf_is_data: bool = False
    max_line_bytes: int = 2048
    type_ahead: Literal["queue", "drop"] = "queue"
    error_style: Literal["cmee", "error", "numeric", "text"] = "cmee"
    quoted_answers: bool = True
    space_after_colon: bool = True
    strict_length: bool = True
    require_quotes: bool = False
    boot_lines: tuple[str, ...] = ()
    uart: Uart | None = None  # else there is no such thing as a speed, as on the USB
    sleeps_after_s: float | None = None  # a line of its own wakes it and is lost; AT+QSCLK=0 keeps it awake

    # URCs thrown into answers: after the echo and before the final line
    noise_lines: tuple[str, ...] = ()
    noise_places: tuple[Literal["before", "between"], ...] = ("before", "between")
    noise_every: int = 1

    # The way to the card
    transports: Literal["cgla", "csim", "both"] = "both"
    test_forms: bool = True
    silent_test_forms: bool = False  # no answer to AT+CCHO=? and its like
    session_style: Literal["small", "big", "hex16"] = "small"
    bare_session: bool = False
    cgla_flag: bool = False
    session_zero_is_basic: bool = False
    class_policy: Literal["patch", "pass"] = "patch"
    csim_channels: bool = True
    csim_manage_channel: bool = True
    csim_refused_instructions: frozenset[int] = frozenset()
    manage_channel_le: Literal["any", "zero"] = "any"  # "zero": open with Le 00 only, close with Le 00 only
    csim_lock: bool = False  # AT+CSIM=1 locks the card for this port, AT+CSIM=0 gives it back, and says so
    auto_fetch: bool = False
    csim_auto_fetch: bool = False  # the same over +CSIM only
    csim_answer_cap_bytes: int | None = None
    refuse_le: bool = False
    max_apdu_chars: int = 522
    max_channels: int = 3
    leaked_channels: int = 0
    close_command: bool = True
    close_says_name: bool = False  # +CCHC before OK
    sessions_refused_with: str | None = None  # +CCHO gets this final line
    uicc_timer_s: float | None = None  # a card that works longer: a bare ERROR after this time, the card goes on
    uicc_timer_on: tuple[str, ...] = ("+CGLA", "+CSIM")
    slot: SlotSetting | None = None
    vendor_lpa: bool = False  # an LPA of the maker holds the ISD-R until AT+QESIM="lpa_enable",0 and a restart
    absent_application: Literal["cme22", "cme13", "error"] = (
        "cme22"  # what +CCHO answers when no application has the AID
    )
    terminal_capability: bytes | None = None
    hide_proactive: bool = False

    # What happens to the card
    refresh: Literal["at-once", "late", "ignored"] = "at-once"
    refresh_delay_s: float = 0.1
    refresh_late_s: float = 10.0
    refresh_drops_port: bool = False
    cfun0_powers_card_off: bool = True
    cfun4_powers_card_off: bool = False
    cfun0_drops_port: bool = False
    uicc_power_command: bool = False  # AT+CFUN=40 and 41
    card_init_s: float = 0.5
    busy_answers: int = 0  # so many extended commands (+...) get "SIM busy" after power-up, whatever they are
    no_profile: Literal["cme10", "cme13", "not-ready", "ready"] = "cme13"
    sim_events: SimEvents = "none"
    restart_levels: tuple[int, ...] = ()  # AT+CFUN=15 and the like restart the module
    cfun_one_comma_one: bool = True
    registration_commands: tuple[str, ...] = ("+CREG", "+CGREG", "+CEREG")
    signal_commands: tuple[str, ...] = ("+CSQ", "+CESQ")
    power_saving: bool = False  # +CPSMS and +CEDRXS keep what they are told and tell it; +CSCON tells of the radio
    no_more_data: bool = False  # +CNMPSD lets the radio go
    stat_without_card: int | None = None  # the <stat> of +CEREG when the card cannot be used
    network_without_profile: Literal["answers", "cme10"] = "answers"  # +CREG and its kin without card or profile

    # Times
    answer_s: float = 0.0
    apdu_s: float = 0.0
    last_block_s: float = 0.0
    attach_s: float = 1.0
    reboot_s: float = 2.0
    port_away_s: float = 1.0
