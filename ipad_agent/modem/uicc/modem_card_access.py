"""``CardAccess`` over AT: finds a way to the card, keeps its logical channel tidy, climbs the reset ladder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ipad_agent.card.apdu_channel import (
    AidNotFound,
    ApduChannel,
    CardNotReady,
    ChannelLost,
    ChannelRefused,
    ModemIdentity,
    RecoveryPlan,
    SimBusy,
)
from ipad_agent.codec.packet_connection import PacketConnection
from ipad_agent.errors import CardError, ModemError
from ipad_agent.modem import commands, events
from ipad_agent.modem.at import network_registration as registration
from ipad_agent.modem.at import power_saving
from ipad_agent.modem.at import signal_quality as signal
from ipad_agent.modem.at.at_session import LinkTiming
from ipad_agent.modem.at.hanging_commands import HangingQueries
from ipad_agent.modem.at.network_registration import Registration
from ipad_agent.modem.at.power_saving import PowerSaving
from ipad_agent.modem.at.signal_quality import Signal
from ipad_agent.modem.errors import CommandRefused, CommandTimeout, LineDamaged
from ipad_agent.modem.line_speed import LineSpeed, SpeedMemory, VolatileSpeedMemory
from ipad_agent.modem.modem_link import ModemLink
from ipad_agent.modem.module_profile import ModuleProfile, ProfileSet
from ipad_agent.modem.port.byte_stream import PortOpener

from . import csim_channel
from .basic_channel import open_basic
from .cgla_channel import close_session, open_cgla
from .channel_record import (
    ChannelMemory,
    ChannelRecord,
    PrintingMemory,
    SettingMemory,
    VolatileChannelMemory,
    VolatilePrintingMemory,
    VolatileSettingMemory,
    VolatileWayMemory,
    WayMemory,
)
from .csim_channel import open_csim
from .iccid_reader import IccidReader
from .known_subscribers import KnownSubscribers
from .logical_channel import LogicalChannel, NoFreeChannel
from .reset_ladder import ResetLadder
from .slot_selection import SlotSelection
from .vendor_lpa import REMEDY, VendorLpa

_BUSY_DELAYS_S: Final = (0.5, 1.0, 2.0, 4.0, 4.0, 4.0)
_BASIC_CHANNEL_S: Final = 10.0
_SWEPT_CHANNELS: Final = (1, 2, 3)
REFUSALS_AGAINST_WAY: Final = 3
"""So often in a row a way is refused while the next one works until that one goes first."""


class ModemCardAccess:
    """The card behind one AT port.

    ``boot_id`` names this boot of the gateway, for the validity of ``memory``. Without ``consent_nvm_writes`` no rung
    that writes to the module's permanent memory is climbed. ``forced_way`` is the only way to be tried (``cgla`` or
    ``csim``), whatever the profile says. ``restore_function`` switches a modem found in AT+CFUN=0
    or 4 to full function. ``slot`` is the card slot to be used, counted from 1 in the order of the module's profile.
    ``ways``, ``settings`` and ``speeds`` are remembered over restarts. ``fast_baud`` is the speed up to which a UART is
    raised; without it none is.
    """

    def __init__(
        self,
        opener: PortOpener,
        profiles: ProfileSet,
        *,
        memory: ChannelMemory | None = None,
        boot_id: str = "",
        consent_nvm_writes: bool = False,
        forced_profile: ModuleProfile | None = None,
        forced_way: str | None = None,
        restore_function: bool = True,
        timing: LinkTiming | None = None,
        printing: PrintingMemory | None = None,
        ways: WayMemory | None = None,
        settings: SettingMemory | None = None,
        slot: int | None = None,
        fast_baud: int | None = None,
        speeds: SpeedMemory | None = None,
    ) -> None:
        speed = LineSpeed(
            limit=fast_baud, consent_nvm_writes=consent_nvm_writes, memory=speeds or VolatileSpeedMemory()
        )
        self._link = ModemLink(
            opener,
            profiles,
            forced_profile=forced_profile,
            restore_function=restore_function,
            timing=timing,
            speed=speed,
        )
        self._iccids = IccidReader(self._link, printing if printing is not None else VolatilePrintingMemory())
        self._memory = memory if memory is not None else VolatileChannelMemory()
        self._boot_id = boot_id
        self._consent_nvm_writes = consent_nvm_writes
        self._ladder = ResetLadder(self._link, consent_nvm_writes=consent_nvm_writes, read_iccid=self.read_iccid)
        self._vendor_lpa = VendorLpa(
            self._link,
            self._ladder,
            consent_nvm_writes=consent_nvm_writes,
            settings=settings if settings is not None else VolatileSettingMemory(),
        )
        self._slots = SlotSelection(self._link, wanted=slot, consent_nvm_writes=consent_nvm_writes)
        self._way_memory = ways if ways is not None else VolatileWayMemory()
        self._refusals_of_first = 0
        self._power_saving: tuple[int, PowerSaving] | None = None
        self._profile_seen: ModuleProfile | None = None
        self._forced_way = forced_way
        self._ways: list[str] = []
        self._basic_hangs = False
        self._registration_queries = HangingQueries()
        self._operator = registration.Operator(self._link)
        self._swept_in_generation = -1
        self._subscribers = KnownSubscribers(self._link)

    # -- what the modem itself tells ---------------------------------------------------------------------------------
    async def identity(self) -> ModemIdentity:
        """See ``CardAccess``."""
        return await self._link.identity()

    def recovery_plan(self) -> RecoveryPlan:
        """See ``CardAccess``."""
        profile = self._link.profile
        return RecoveryPlan(
            wait_s=profile.deadlines.sim_ready_s,
            rungs=self._ladder.rungs(),
            modem_refreshes=profile.refresh.modem_executes is not False,
        )

    @property
    def epoch(self) -> int:
        """See ``CardAccess``."""
        return self._link.generation + self._ladder.initialisations

    async def notice_changes(self) -> None:
        """See ``CardAccess``: by the ICCID that the modem sees."""
        self._ladder.note_seen(await self.read_iccid())

    @property
    def profile(self) -> ModuleProfile:
        """The profile in force; the generic one until the module was asked."""
        return self._link.profile

    async def read_iccid(self) -> str | None:
        """See ``CardAccess``."""
        return await self._iccids.read()

    async def subscriber_is_old(self, iccid: str) -> bool:
        """See ``TellsSubscriber``."""
        return await self._subscribers.is_old(iccid)

    async def trust_subscriber(self, iccid: str) -> None:
        """See ``TellsSubscriber``."""
        await self._subscribers.trust(iccid)

    async def registration(self) -> Registration | None:
        """Where the modem is registered; None when it does not tell. Raises errors of the modem side."""
        return await registration.read(self._link, self._registration_queries)

    async def rplmn(self) -> str | None:
        """The registered network as 5 or 6 digits (``26201``), or None. Raises errors of the modem side."""
        return await self._operator.rplmn()

    @property
    def way(self) -> str | None:
        """How APDUs travel now (``cgla`` or ``csim``): what worked last; None before any was tried."""
        return self._ways[0] if self._ways else None

    @property
    def link(self) -> ModemLink:
        """The line, for those who have questions of their own to the modem."""
        return self._link

    async def port(self) -> str:
        """The port, opened if it is not."""
        return (await self._link.ready()).description

    async def define_context(
        self,
        number: int,
        connection: PacketConnection,
        protocol: commands.AuthenticationProtocol = "chap",
    ) -> None:
        """Set APN, PDP type and, where they are known, user and password of a PDP context (3GPP TS 27.007 §10.1.1,
        §10.1.31). Never raises: what goes wrong is reported, and the proof of the profile shows what it matters."""
        command = commands.define_context(number, connection.apn, connection.pdp_type)
        if command is None or not self._consent_nvm_writes:
            forbidden = "the configuration does not allow writes to the module's memory"
            events.APN_NOT_SET.emit(number=number, reason="it is none" if command is None else forbidden)
            return
        try:
            await self._link.ready()
            await self._link.run(command)
        except ModemError as error:
            events.APN_NOT_SET.emit(number=number, reason=error.message)
            return
        events.APN_SET.emit(number=number, apn=connection.apn or "none")
        if connection.user is not None:
            await self._authenticate_context(number, connection.user, connection.password or "", protocol)

    async def _authenticate_context(
        self, number: int, user: str, password: str, protocol: commands.AuthenticationProtocol
    ) -> None:
        """Many modules do not know AT+CGAUTH: a profile without user, the usual one, then misses nothing."""
        command = commands.authenticate_context(number, user, password, protocol)
        if command is None:
            events.APN_USER_NOT_SET.emit(number=number, reason="they cannot stand in an AT command")
            return
        try:
            await self._link.run(command)
        except ModemError as error:
            if user:
                events.APN_USER_NOT_SET.emit(number=number, reason=error.message)
            return
        if user:
            events.APN_USER_SET.emit(number=number)

    async def technology(self) -> str | None:
        """The radio access in words (``LTE``, ``NB-IoT``), or None. Raises errors of the modem side."""
        return await self._operator.technology()

    async def signal(self) -> Signal | None:
        """How strong the network is; None when the modem does not tell. Raises errors of the modem side."""
        return await signal.read(self._link)

    async def power_saving(self) -> PowerSaving:
        """PSM and eDRX as the modem has them, asked once per opening of the port or reset. Raises errors of the modem
        side."""
        await self._link.ready()
        if self._power_saving is None or self._power_saving[0] != self._link.generation:
            found = await power_saving.read(self._link)
            self._power_saving = self._link.generation, found
        return self._power_saving[1]

    @property
    def slot(self) -> int | None:
        """The card slot in use, counted from 1; None where the module does not tell."""
        return self._slots.current

    async def read_slot(self) -> int | None:
        """The same, asked now. Raises errors of the modem side."""
        await self._link.ready()
        return await self._slots.look()

    # -- channels ----------------------------------------------------------------------------------------------------
    async def open(self, aid: bytes, *, last: bool = True) -> ApduChannel:
        """See ``CardAccess``. Every way of the profile is tried with its real commands; when all fail for want of a
        channel, leaked channels are closed once and all ways are tried again."""
        await self._link.ready()
        await self._link.catch_up()
        await self._adopt_profile()
        await self._slots.arrange()
        await self._close_stale()
        failures = await self._try_ways(aid)
        if not isinstance(failures, _Opened) and last and await self._vendor_lpa.lets_go():
            failures = await self._try_ways(aid)
        if not isinstance(failures, _Opened) and last and self._may_sweep(failures) and await self._sweep():
            failures = await self._try_ways(aid)
        if not isinstance(failures, _Opened):
            raise _verdict(failures, held=self._vendor_lpa.on, slot=self._slots.current)
        await self._link.catch_up()  # the card is there
        return failures.channel

    async def send_terminal_capability(self, apdu: bytes) -> bytes:
        """See ``CardAccess``. AT+CSIM is the only way to the basic channel."""
        await self._link.ready()
        await self._adopt_profile()
        if self._basic_hangs and self.way != "csim":
            raise ChannelRefused("no way to the basic channel: this module does not answer AT+CSIM")
        deadline_s = min(self._link.profile.deadlines.open_s, _BASIC_CHANNEL_S)
        for delay_s in (*_BUSY_DELAYS_S, None):
            try:
                return await csim_channel.transmit(self._link, apdu, deadline_s=deadline_s)
            except CommandRefused as error:
                if error.cme in commands.CME_NO_SIM:
                    raise CardNotReady(error.message) from error
                if error.cme not in commands.CME_BUSY:
                    raise ChannelRefused(f"no way to the basic channel: {error.message}") from error
                if delay_s is None:
                    raise SimBusy(f"the SIM stays busy: {error.message}") from error
            except (CommandTimeout, LineDamaged) as error:
                if isinstance(error, CommandTimeout) and not self._basic_hangs:
                    self._basic_hangs = True
                    events.BASIC_CHANNEL_HANGS.emit()
                raise ChannelRefused(f"no way to the basic channel: {error.message}") from error
            await asyncio.sleep(delay_s)
        raise AssertionError("the last round returns or raises")

    async def reset_card(self, *, rung: int) -> None:
        """See ``CardAccess``."""
        await self._ladder.climb(rung)
        if rung > 0:
            self._memory.clear()

    async def close(self) -> None:
        """See ``CardAccess``."""
        await self._link.close()

    async def _adopt_profile(self) -> None:
        if self._profile_seen is not self._link.profile:
            self._profile_seen = self._link.profile
            self._basic_hangs = False
            self._iccids.forget()
            self._registration_queries.forget()
            forced = self._forced_way
            self._ways = list(self._link.profile.uicc.order) if forced is None else [forced]
            self._refusals_of_first = 0
            better = self._way_memory.load((await self._link.identity()).key)
            self._ways.sort(key=lambda way: way != better)

    async def _try_ways(self, aid: bytes) -> _Opened | list[CardError]:
        failures: list[CardError] = []
        await self._run_all(self._link.profile.uicc.lock)
        for way in tuple(self._ways):
            try:
                channel = await self._open_way(way, aid)
            except (AidNotFound, CardNotReady, ChannelRefused, ChannelLost) as error:
                events.WAY_REFUSED.emit(way=way, reason=error.message)
                failures.append(error)
                continue
            events.CHANNEL_OPENED.emit(way=way)
            identity = await self._link.identity()
            if way != "cgla-basic":  # there is nothing to close
                self._memory.save(ChannelRecord(way, channel.handle, identity.imei or "", self._boot_id))
            await self._subscribers.note(await self._ladder.note_opened())
            self._count_refusals(way, failures)
            return _Opened(channel)
        await self._run_all(self._link.profile.uicc.unlock)
        return failures

    async def _open_way(self, way: str, aid: bytes) -> LogicalChannel:
        """Open over one way, waiting while the modem says that the SIM is busy."""
        demote = self._demoter(way)
        opener = {"cgla": open_cgla, "cgla-basic": open_basic, "csim": open_csim}[way]
        for delay_s in (*_BUSY_DELAYS_S, None):
            try:
                return await opener(self._link, aid, on_unusable=demote, on_closed=self._memory.clear)
            except CommandRefused as error:
                if error.cme not in commands.CME_BUSY:
                    raise _refusal(error) from error
                if delay_s is None:
                    raise SimBusy(f"the SIM stays busy: {error.message}") from error
            except (CommandTimeout, LineDamaged) as error:
                raise ChannelRefused(error.message) from error
            await asyncio.sleep(delay_s)
        raise AssertionError("the last round returns or raises")

    def _demoter(self, way: str) -> Callable[[str], None]:
        def demote(reason: str) -> None:
            if len(self._ways) > 1 and self._ways[0] == way:
                self._ways.remove(way)
                self._ways.append(way)
                events.WAY_DEMOTED.emit(way=way, reason=reason)
                self._remember_way()

        return demote

    def _count_refusals(self, opened: str, failures: list[CardError]) -> None:
        """What opened over ``opened`` after ``failures`` of the ways before it. A modem that has no AT+CCHO says so
        each time; after some times it is not asked first any more."""
        if not failures:
            self._refusals_of_first = 0
            return
        if all(isinstance(failure, ChannelRefused) and not isinstance(failure, NoFreeChannel) for failure in failures):
            self._refusals_of_first += 1
        if self._refusals_of_first >= REFUSALS_AGAINST_WAY:
            self._refusals_of_first = 0
            self._ways.sort(key=lambda way: way != opened)
            self._remember_way()

    def _remember_way(self) -> None:
        events.WAY_PREFERRED.emit(way=self._ways[0])
        identity = self._link.known_identity
        if identity is not None:
            self._way_memory.save(identity.key, self._ways[0])

    async def _run_all(self, texts: tuple[str, ...]) -> None:
        for text in texts:
            try:
                await self._link.run(commands.plain(text))
            except (CommandRefused, CommandTimeout, LineDamaged) as error:
                events.INIT_REFUSED.emit(command=text, reason=error.message)

    # -- leaked channels -----------------------------------------------------------------------------------------------
    async def _close_stale(self) -> None:
        """Close the channel that an earlier run, or an earlier opening of the port, left behind."""
        record = self._memory.load()
        if record is None:
            return
        identity = await self._link.identity()
        if record.boot_id == self._boot_id and record.imei == (identity.imei or ""):
            try:
                await self._close_handle(record.way, record.handle)
                events.STALE_CHANNEL_CLOSED.emit(way=record.way)
            except (CommandRefused, CommandTimeout, LineDamaged):
                pass  # closed by a card reset in between, most likely
        self._memory.clear()

    async def _close_handle(self, way: str, handle: str) -> None:
        if way == "cgla":
            await close_session(self._link, handle)
        elif handle.isdecimal():
            await csim_channel.close_number(self._link, int(handle))

    def _may_sweep(self, failures: list[CardError]) -> bool:
        """Sweeping may hit a channel of the modem's own: only for want of a channel, and once per card reset."""
        if self._swept_in_generation == self._link.generation:
            return False
        return any(isinstance(failure, NoFreeChannel) for failure in failures) or (
            all(isinstance(failure, ChannelRefused) for failure in failures)
        )

    async def _sweep(self) -> bool:
        self._swept_in_generation = self._link.generation
        closed = 0
        for number in _SWEPT_CHANNELS:
            for way in self._ways:
                if way == "cgla-basic" or (way == "cgla" and not self._link.profile.uicc.small_session_ids):
                    continue
                try:
                    await self._close_handle(way, str(number))
                except (CommandRefused, CommandTimeout, LineDamaged):
                    continue
                closed += 1
                break
        if closed:
            events.CHANNELS_SWEPT.emit()
        return closed > 0


class _Opened:
    """A channel that was opened, as opposed to a list of failures."""

    def __init__(self, channel: ApduChannel) -> None:
        self.channel = channel


def _refusal(error: CommandRefused) -> CardError:
    """What a refusal to open a channel means (3GPP TS 27.007 §9.2)."""
    if error.cme == commands.CME_NO_FREE_CHANNEL:
        return NoFreeChannel(error.message)
    if error.cme == commands.CME_NOT_FOUND:
        return AidNotFound(error.message)
    if error.cme in commands.CME_NO_SIM:
        return CardNotReady(error.message)
    return ChannelRefused(error.message)


def _verdict(failures: list[CardError], *, held: bool = False, slot: int | None = None) -> CardError:
    """One error for all ways: a definite "not found" wins, then "not ready", else whether it is there is unknown.

    ``held``: the module says that its own LPA is at work, so that nothing is definite. ``slot`` is in use.
    """
    if held:
        reasons = "; ".join(failure.message for failure in failures)
        return ChannelRefused(f"no way to the card: {reasons}", hint=REMEDY)
    for kind in (AidNotFound, CardNotReady):
        for failure in failures:
            if isinstance(failure, kind):
                if kind is CardNotReady and slot is not None:
                    return CardNotReady(f"{failure.message}; card slot {slot} is in use")
                return failure
    return ChannelRefused("no way to the card: " + "; ".join(failure.message for failure in failures))
