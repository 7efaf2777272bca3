"""The module behind the AT line: settings, card, radio, and what happens between them when a profile changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from .card_announcements import announcements
from .card_interface import Card
from .modem_options import Cell, Coverage, ModemOptions
from .module_radio import Radio, RadioState, registration_fields
from .module_timers import Timers
from .module_uicc import Uicc, UiccError

__all__ = ["LinkChanged", "Module", "Output", "PortBack", "PortLost", "RateChanged", "Send", "Settings"]

LOG = logging.getLogger("ipad_agent.lab")

REFRESH = 0x01  # type of the proactive command, ETSI TS 102 223 clause 9.4


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes towards the host."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PortLost:
    """The port is gone: close it."""


@dataclass(frozen=True, slots=True)
class PortBack:
    """The port is there again, under whatever name."""


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """The packet service came or went; ``cell`` is set while datagrams pass."""

    cell: Cell | None


@dataclass(frozen=True, slots=True)
class RateChanged:
    """From here on the module's UART has this speed."""

    rate: int


Output = Send | PortLost | PortBack | LinkChanged | RateChanged


S_REGISTERS = {0: 0, 2: 43, 3: 13, 4: 10, 5: 8, 6: 2, 7: 60, 8: 2, 10: 2, 12: 50}
"""The S-registers of V.250 that can be set, and what they are after ``AT&F``."""


@dataclass(slots=True)
class Settings:
    """What the host set; lost when the port re-enumerates or the module restarts."""

    echo: bool = True
    verbose: bool = True
    quiet: bool = False
    cmee: int = 0
    charset: str = "IRA"
    operator_format: int = 2
    sim_reports: int = 0
    message_indication: int = 0
    registration: dict[str, int] = field(default_factory=lambda: {"+CREG": 0, "+CGREG": 0, "+CEREG": 0, "+C5GREG": 0})
    may_sleep: bool = True
    unlocked: bool = False
    power_saving: dict[str, str] = field(default_factory=dict)
    """What ``+CPSMS`` and ``+CEDRXS`` were told."""
    connection_reports: int = 0
    registers: dict[int, int] = field(default_factory=lambda: dict(S_REGISTERS))

    @property
    def line_ends(self) -> tuple[str, str]:
        """The characters that stand around what the module says: S3 and S4 (V.250 clauses 6.2.1, 6.2.2)."""
        return chr(self.registers[3]), chr(self.registers[4])


class Module:
    """One module with its card and its world. ``emit`` receives outputs in order."""

    def __init__(
        self,
        card: Card,
        options: ModemOptions,
        coverage: Coverage,
        timers: Timers,
        emit: Callable[[Output], None],
        wall: Callable[[], float] | None = None,
    ) -> None:
        self.options = options
        self.coverage = coverage
        self.timers = timers
        self.wall = wall
        self.settings = self.default_settings()
        self.functionality = 1
        self.radio = Radio()
        self.uicc = Uicc(card, options, self._on_proactive)
        self.away = False
        self.radio_connected = False
        self.releases = 0
        """How often +CNMPSD was told."""
        self.busy_left = options.busy_answers
        self.contexts: dict[int, tuple[str, str]] = {}
        """Type and APN by number; kept over a restart."""
        self.messages: dict[int, bytes] = {}
        """Received SMS (SMS-DELIVER) by their place; kept over a restart."""
        self._when_back: list[Callable[[], None]] = []
        self.refresh_count = 0
        self.slot = options.slot.active if options.slot is not None else 0
        self.next_slot = self.slot
        self.vendor_lpa_enabled = options.vendor_lpa
        self.start_rate = self.line_rate = options.uart.rate if options.uart is not None else 0
        """Of the UART, in bit/s: after the next start, and now."""
        self.nvm_writes: list[str] = []
        """Commands that wrote to permanent memory, one after the other."""
        self._emit = emit
        self._link: Cell | None = None
        self._settle()

    def default_settings(self) -> Settings:
        """Settings after power-up or ``AT&F``."""
        return Settings(echo=self.options.echo, cmee=self.options.cmee)

    @property
    def imsi(self) -> str | None:
        """EF IMSI of the card; for a card without one, the network code followed by digits of the ICCID."""
        uicc = self.uicc
        if uicc.imsi is not None or uicc.iccid is None:
            return uicc.imsi
        plmn = (self.coverage.cell_for(uicc.iccid) or Cell()).plmn
        digits = "".join(str(int(nibble, 16) % 10) for nibble in uicc.iccid)
        return plmn + digits[-(15 - len(plmn)) :]

    # Orders from outside (a bench, a test)

    def coverage_changed(self) -> None:
        """The world changed: look for a network again."""
        if self.functionality == 1 and self.uicc.ready:
            self._lose_network()
            self._search()

    def get_stuck(self) -> None:
        """Search for ever, as modules in the field do: no network is found until the module is restarted, or its radio
        is switched off and on."""
        if self.functionality == 1 and self.uicc.ready:
            self._lose_network()
            self.radio.state = RadioState.SEARCHING
            self._report_registration()

    def connect_radio(self, connected: bool) -> None:
        """The radio gets connected to the network, or is let go."""
        if connected != self.radio_connected:
            self.radio_connected = connected
            if self.settings.connection_reports:
                self.report(f"+CSCON: {int(connected)}")

    def restart(self) -> None:
        """Restart the module: the port goes, settings and card are as after power-up when it comes back."""
        self.timers.clear()
        self._when_back.clear()
        self._lose_network()
        self.uicc.power_off()
        self.drop_port(self.options.reboot_s, self._boot)
        self.set_line_rate(self.start_rate)

    def set_line_rate(self, rate: int) -> None:
        """Change the speed of the UART, now."""
        if rate != self.line_rate:
            self.line_rate = rate
            self._emit(RateChanged(rate))

    def drop_port(self, away_s: float, then: Callable[[], None] | None = None) -> None:
        """Take the port away for ``away_s``; settings are lost. ``then`` runs when it is back."""
        self.settings = self.default_settings()
        if then is not None:
            self._when_back.append(then)
        if not self.away:
            self.away = True
            self._emit(PortLost())
        self.timers.set("port", away_s, self._port_back)

    def restart_card(self) -> None:
        """What a module does on REFRESH: cut the card, start it again, register again."""
        self._announce_card(present=False)
        self._lose_network()
        self.radio.state = RadioState.SEARCHING if self.functionality == 1 else RadioState.OFF
        self.start_card()
        if self.options.refresh_drops_port:
            self.drop_port(self.options.port_away_s)

    # AT+CFUN

    def set_functionality(self, level: int) -> None:
        """``AT+CFUN=<level>`` for 0, 1 and 4."""
        options = self.options
        before, self.functionality = self.functionality, level
        if level == 1:
            if not self.uicc.powered:
                self.start_card()
            elif before != 1 and self.uicc.ready:
                self._search()
            return
        self._lose_network()
        cut = options.cfun0_powers_card_off if level == 0 else options.cfun4_powers_card_off
        if cut and self.uicc.powered:
            self.cut_card()
        if level == 0 and options.cfun0_drops_port:
            self.timers.set("drop", 0.05, lambda: self.drop_port(options.port_away_s))

    @property
    def sees_card(self) -> bool:
        """Whether the lab's card is in the slot that is in use."""
        return self.options.slot is None or self.slot == self.options.slot.card_in

    def choose_slot(self, number: int) -> None:
        """Use another slot: at once, or from the next start of the card on."""
        assert self.options.slot is not None
        self.next_slot = number
        if not self.options.slot.after_restart and number != self.slot:
            self.cut_card()
            self.start_card()

    def cut_card(self) -> None:
        """Take the card's power."""
        self.timers.cancel("card", "refresh")
        self.uicc.power_off()
        self._lose_network()
        self._announce_card(present=False)

    def start_card(self) -> None:
        """Give the card power; it is usable after ``card_init_s``. In an empty slot nothing happens."""
        self.timers.cancel("refresh")
        self.slot = self.next_slot
        if not self.sees_card:
            self.uicc.power_off()
            return
        self.uicc.power_on()
        self.timers.set("card", self.options.card_init_s, self._card_ready)

    # Unsolicited lines

    def report(self, text: str) -> None:
        """An unsolicited line."""
        if not self.away:
            cr, lf = self.settings.line_ends
            self._emit(Send(f"{cr}{lf}{text}{cr}{lf}".encode("ascii", "replace")))

    def receive_message(self, pdu: bytes) -> None:
        """An SMS arrives: it is kept, and announced, or handed over at once, as the host wants it (AT+CNMI)."""
        if self.settings.message_indication == 2:
            self.report(f"+CMT: ,{len(pdu) - 1 - pdu[0]}\r\n{pdu.hex().upper()}")
            return
        place = next(place for place in range(256) if place not in self.messages)
        self.messages[place] = pdu
        if self.settings.message_indication == 1:
            self.report(f'+CMTI: "ME",{place}')

    # Inside

    def _settle(self) -> None:
        """A device that has been on for a while: card read, registered, nothing pending."""
        self.uicc.isdr_held = self.vendor_lpa_enabled
        if not self.sees_card:
            return
        self.uicc.power_on()
        self.uicc.initialise()
        self.uicc.leak(self.options.leaked_channels)
        cell = self.coverage.cell_for(self.uicc.iccid)
        self.radio.state = RadioState.SEARCHING
        if cell is not None and cell.refuses:
            self.radio.state = RadioState.DENIED
        elif cell is not None:
            self.radio.state, self.radio.cell = RadioState.REGISTERED, cell
        self._link = self.radio.cell if self.radio.passes_data else None

    def _boot(self) -> None:
        self.functionality = 1
        self.uicc.isdr_held = self.vendor_lpa_enabled
        self.busy_left = self.options.busy_answers
        for line in self.options.boot_lines:
            self.report(line)
        self.start_card()

    def _port_back(self) -> None:
        self.away = False
        self._emit(PortBack())
        actions, self._when_back = self._when_back, []
        for action in actions:
            action()

    def _card_ready(self) -> None:
        self.uicc.initialise()
        self._announce_card(present=True)
        if self.functionality == 1:
            self._search()

    def _announce_card(self, *, present: bool) -> None:
        usable = present and self.uicc.iccid is not None
        reports = self.settings.sim_reports
        for line in announcements(self.options.sim_events, present=present, usable=usable, reports=reports):
            self.report(line)

    def _search(self) -> None:
        self.timers.cancel("radio")
        self.radio.cell = None
        self.radio.state = RadioState.SEARCHING
        self._report_registration()
        cell = self.coverage.cell_for(self.uicc.iccid)
        if cell is None:
            return
        attach_s = self.options.attach_s if cell.attach_s is None else cell.attach_s
        self.timers.set("radio", attach_s, lambda: self._attached(cell))

    def _attached(self, cell: Cell) -> None:
        if cell.refuses:
            self.radio.state = RadioState.DENIED
        else:
            self.radio.state, self.radio.cell = RadioState.REGISTERED, cell
        self._report_registration()
        self._link_changed()

    def _lose_network(self) -> None:
        self.timers.cancel("radio")
        had = self.radio.state is RadioState.REGISTERED
        self.radio.state, self.radio.cell = RadioState.OFF, None
        if had:
            self._report_registration()
        self._link_changed()

    def _report_registration(self) -> None:
        for name, level in self.settings.registration.items():
            if level and name in self.options.registration_commands:
                self.report(f"{name}: {registration_fields(self.radio, level)}")

    def _link_changed(self) -> None:
        link = self.radio.cell if self.radio.passes_data else None
        if link != self._link:
            self._link = link
            self._emit(LinkChanged(link))

    def _on_proactive(self) -> None:
        options = self.options
        if options.refresh == "ignored" or self.timers.pending("refresh"):
            return
        delay_s = options.refresh_delay_s if options.refresh == "at-once" else options.refresh_late_s
        self.timers.set("refresh", delay_s, self._attend_card)

    def _attend_card(self) -> None:
        """Fetch what the card has to say and do it."""
        try:
            commands = self.uicc.fetch_all(self.uicc.proactive_length)
        except UiccError as error:
            LOG.debug("modem: FETCH failed: %s", error)
            return
        if any(self._is_refresh(command) for command in commands):
            self.refresh_count += 1
            self.restart_card()

    @staticmethod
    def _is_refresh(command: bytes) -> bool:
        at = 3 if command[1] == 0x81 else 2
        return command[at + 3] == REFRESH
