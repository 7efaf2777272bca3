"""The values of a module profile, by the tables of its file, with what holds where a file says nothing."""

from __future__ import annotations

from enum import Enum
from typing import Final

from ipad_agent.records import dataclass


class Grade(Enum):
    """How well a value is known."""

    CONFIRMED = "confirmed"  # measured by us, or stated by the maker
    REPORTED = "reported"  # by a user or another program's source, see the link
    GUESS = "guess"  # engineering judgement


@dataclass(frozen=True, slots=True)
class Evidence:
    grade: Grade
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Regular expressions for the whole answers of AT+CGMI, +CGMM and +CGMR, upper and lower case alike."""

    manufacturer: str | None = None
    model: str | None = None
    revision: str | None = None
    usb: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """Where the AT port is: USB interface numbers, and the speeds of a UART. ``sleeps``: after a while without traffic
    the first line only wakes the module and is lost."""

    at_interface: int | None = None
    second_at_interface: int | None = None
    baud: tuple[int, ...] = (115200,)
    sleeps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedUp:
    """The higher speeds of its UART that AT+IPR chooses, in rising order; none where nobody knows. ``writes_nvm``: the
    module keeps them over a restart without being told to (AT&W is never sent). ``restart_needed``: a new one only
    holds after a restart, so that there is no way back and it is left alone."""

    rates: tuple[int, ...] = ()
    writes_nvm: bool = True
    restart_needed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UsbPorts:
    """Which USB interfaces of these modules are AT ports. The second is for the agent where there is one: the first
    is left to whoever makes the data connection. With ``probe`` nobody knows, and each has to be asked."""

    ids: tuple[str, ...]
    at_interface: int | None = None
    second_at_interface: int | None = None
    probe: bool = False

    @property
    def interfaces(self) -> tuple[int, ...]:
        """The AT ports in the order of preference; none when they are not known."""
        return tuple(number for number in (self.second_at_interface, self.at_interface) if number is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Init:
    """Extra commands after the standard ones; a refusal is not fatal."""

    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Uicc:
    """How the card is reached. ``order`` lists the ways to try: cgla, csim, and cgla-basic (session 0, the card's basic
    channel) for modules that open no channel."""

    order: tuple[str, ...] = ("cgla", "csim")
    quote_hex: bool = True
    cla_on_cgla: str = "zero"
    le_on_case4: bool = False
    max_data_bytes: int = 255
    small_session_ids: bool = True
    lock: tuple[str, ...] = ()
    unlock: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds."""

    line_s: float = 5.0
    open_s: float = 30.0
    close_s: float = 30.0
    apdu_s: float = 60.0
    last_block_s: float = 240.0
    sim_ready_s: float = 30.0
    refresh_wait_s: float = 15.0
    port_return_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Whole-line regular expressions: ``sim_ready`` says that the SIM was (re)initialised, ``other`` is just known."""

    sim_ready: tuple[str, ...] = (r"\+CPIN: ?READY",)
    other: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Queries:
    """Commands that tell the ICCID, in the order of trying, and the registration, best first."""

    iccid: tuple[str, ...] = ("AT+CCID", "AT+ICCID")
    registration: tuple[str, ...] = ("CEREG", "CGREG", "CREG")


TECHNOLOGIES: Final = (
    "gsm",
    "utran",
    "cdma2000_onex",
    "cdma2000_hrpd",
    "cdma2000_ehrpd",
    "eutran_epc",
    "nr_epc",
    "nr_5gc",
    "eutran_5gc",
)
"""What deviceCapabilities can name (SGP.22 v2.5 §4.2); ``eutran_epc`` is LTE, NB-IoT and LTE-M."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Releases:
    """The 3GPP release up to which the module supports a technology; None says that it does not, or that nobody
    knows."""

    gsm: int | None = None
    utran: int | None = None
    cdma2000_onex: int | None = None
    cdma2000_hrpd: int | None = None
    cdma2000_ehrpd: int | None = None
    eutran_epc: int | None = None
    nr_epc: int | None = None
    nr_5gc: int | None = None
    eutran_5gc: int | None = None

    def known(self) -> dict[str, int]:
        """The technologies that are known to be supported."""
        found = {name: getattr(self, name) for name in TECHNOLOGIES}
        return {name: release for name, release in found.items() if release is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """``connection``: +CSCON tells when the radio is connected. ``release`` tells that no more data comes."""

    connection: bool = False
    release: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """What a REFRESH of the card does here."""

    modem_executes: bool | None = None
    re_enumerates: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One rung of the reset ladder. ``restore`` is sent in any case, also when ``commands`` fail half-way."""

    rung: int
    commands: tuple[str, ...] = ()
    pause_s: float = 2.0
    restore: tuple[str, ...] = ()
    writes_nvm: bool = False
    port_may_vanish: bool = False


@dataclass(frozen=True, slots=True)
class Remark:
    """What a person should know about the module and no key can say, and where it is from."""

    text: str
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """Which card slot the module uses. ``select`` has one command per slot, in their order; ``before`` and ``after``
    go around it (an unlocked command set, a radio switched off)."""

    query: str | None = None
    select: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    writes_nvm: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorLpa:
    """An LPA in the module's firmware, which may hold the ISD-R. ``off`` makes it let go; ``reset_needed`` says that
    the module has to restart for it."""

    query: str | None = None
    off: tuple[str, ...] = ()
    reset_needed: bool = True
    writes_nvm: bool = True
