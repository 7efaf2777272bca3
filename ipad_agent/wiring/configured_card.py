"""The card and the modem in front of it, as the configuration names them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ipad_agent.card import apdu
from ipad_agent.card.es10_functions import Euicc
from ipad_agent.card.es10_transport import ApduDeadlines
from ipad_agent.card.es10c_functions import ConsumerEuicc
from ipad_agent.card.isdr_session import IsdrSession, TerminalCapabilityPolicy
from ipad_agent.clock import Clock
from ipad_agent.codec.es10.euicc_info import Version
from ipad_agent.codec.esipa.device_info import Release
from ipad_agent.config import Config, ModemConfig
from ipad_agent.errors import ConfigError
from ipad_agent.modem import events as modem_events
from ipad_agent.modem.module_profile import ModuleProfile, ProfileSet
from ipad_agent.modem.module_profile_files import load, search_path
from ipad_agent.modem.port.byte_stream import PortOpener
from ipad_agent.modem.port.gsmctl_port import PROGRAM, GsmctlOpener
from ipad_agent.modem.port.pcsc_port import SCHEME as PCSC
from ipad_agent.modem.port.pcsc_port import PcscOpener
from ipad_agent.modem.port.port_discovery import DiscoveringOpener
from ipad_agent.modem.port.serial_port import SerialPortOpener, SerialSettings
from ipad_agent.modem.port.tcp_port import SocketOpener, parse_url
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from ipad_agent.records import dataclass, field
from ipad_agent.store import EmulatedCardFiles, Memory

from .bundle_files import BundleFiles
from .module_memory import BlockSizes, ChannelFile, IccidOrder, Speeds, Ways, WrittenSettings

if TYPE_CHECKING:
    from ipad_agent.emulation.emulated_euicc import EmulatedEuicc


@dataclass(frozen=True, slots=True)
class Card:
    """The card and the modem in front of it, as the daemon and the procedures want them."""

    euicc: Euicc | EmulatedEuicc
    access: ModemCardAccess
    imei_override: str | None
    tac_override: str | None = None
    releases_override: Mapping[str, int] = field(default_factory=dict)

    async def imei(self) -> str | None:
        """The configured IMEI, else the modem's."""
        return self.imei_override or (await self.access.identity()).imei

    async def tac(self) -> str | None:
        """The configured type allocation code, for a modem that hides its IMEI."""
        return self.tac_override

    async def releases(self) -> Mapping[Release, Version]:
        """The configured releases, else those of the module's profile."""
        await self.access.identity()
        known = self.releases_override or self.access.profile.releases.known()
        return {Release[name.upper()]: Version(release, 0, 0) for name, release in known.items()}

    async def rplmn(self) -> str | None:
        """Where the modem is registered, as digits."""
        return await self.access.rplmn()


def open_card(
    config: Config,
    memory: Memory,
    clock: Clock,
    *,
    emulated_cards: EmulatedCardFiles | None = None,
    bundles: BundleFiles | None = None,
) -> Card:
    """The card behind the configured port; nothing is opened yet. With ``emulated_cards``, where the configuration
    wants it, it has the IoT functions in front of it, which may come from one of ``bundles``. Raises
    ``ConfigError``."""
    modem, card = config.modem, config.card
    profiles = load(search_path(modem.profiles_dir))
    for problem in profiles.problems:
        modem_events.PROFILE_PROBLEM.emit(problem=problem.message)
    forced: ModuleProfile | None = None
    if modem.profile != "auto":
        forced = profiles.named(modem.profile)
        if forced is None:
            known = ", ".join(sorted(profile.name for profile in profiles.profiles))
            raise ConfigError("modem.profile", f"no profile {modem.profile!r}", allowed=f"auto, {known}")
    access = ModemCardAccess(
        _opener(modem, config.store.runtime_dir, profiles, forced),
        profiles,
        memory=ChannelFile(memory),
        printing=IccidOrder(memory),
        ways=Ways(memory),
        settings=WrittenSettings(memory),
        slot=modem.slot,
        fast_baud=modem.fast_baud,
        speeds=Speeds(memory),
        boot_id=clock.boot_id(),
        consent_nvm_writes=modem.allow_nvm_writes,
        restore_function=modem.restore_function,
        forced_profile=forced,
        forced_way=None if modem.transport == "auto" else modem.transport,
    )
    session = IsdrSession(
        access,
        aids=card.isdr_aids or (apdu.ISD_R_AID,),
        terminal_capability=cast(TerminalCapabilityPolicy, card.terminal_capability),
        deadlines=ApduDeadlines(card.apdu_timeout_s, card.last_block_timeout_s),
        block_sizes=BlockSizes(memory),
    )
    ipa = config.ipa
    releases = {name: int(release) for name, _, release in (text.partition("=") for text in ipa.releases)}
    consumer = ConsumerEuicc(
        session, recover_limit_s=card.recover_timeout_s, give_port_back=modem.inhibit_modem_manager
    )
    euicc: Euicc | EmulatedEuicc = consumer
    if emulated_cards is not None and card.emulate_iot != "never":
        # Only then: it loads cryptography.
        from ipad_agent.emulation.emulated_cards import EmulatedCards, EmulateIot
        from ipad_agent.emulation.emulated_euicc import EmulatedEuicc
        from ipad_agent.emulation.keys.key_place import key_place

        keys = key_place(config.store.state_dir, card)
        euicc = EmulatedEuicc(
            EmulatedCards(
                consumer,
                emulated_cards,
                keys,
                clock,
                mode=EmulateIot(card.emulate_iot),
                random_bits=secrets.randbits,
                bundles=bundles,
            )
        )
        if bundles is not None:
            bundles.belongs_to(euicc)
    return Card(euicc, access, ipa.imei, ipa.tac, releases)


def _opener(modem: ModemConfig, runtime_dir: Path, profiles: ProfileSet, forced: ModuleProfile | None) -> PortOpener:
    settings = SerialSettings(
        path=Path(modem.port),
        baud_rates=(modem.baud,),
        rtscts=modem.rtscts,
        lock_folder=modem.lock_dir,
        own_lock_folder=runtime_dir,
    )
    if modem.port == "auto":
        finder = DiscoveringOpener(settings, profiles.profiles, forced=forced)
        return _inhibiting(modem, finder, lambda: finder.find(asyncio.get_running_loop().time()))
    if modem.port == PROGRAM:
        return GsmctlOpener()
    if modem.port.partition(":")[0] == PCSC:
        return PcscOpener(modem.port.partition(":")[2])
    if modem.port.startswith("socket://"):
        address = parse_url(modem.port)
        if address is None:
            raise ConfigError("modem.port", f"{modem.port} has no usable port number", allowed="socket://host:port")
        return SocketOpener(*address)
    return _inhibiting(modem, SerialPortOpener(settings), lambda: settings.path)


def _inhibiting(modem: ModemConfig, opener: PortOpener, where: Callable[[], Path]) -> PortOpener:
    if not modem.inhibit_modem_manager:
        return opener
    from .modem_manager import InhibitingOpener, Inhibition

    return InhibitingOpener(opener, where, Inhibition())
