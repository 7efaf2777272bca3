"""What is around the agent on this device: the network by the modem's and by the machine's account, and the site."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ipad_agent.clock import Clock
from ipad_agent.codec.identifiers import same_iccid, short_iccid
from ipad_agent.codec.packet_connection import PacketConnection
from ipad_agent.config import Config
from ipad_agent.errors import CardError, ModemError
from ipad_agent.local.status_model import Radio
from ipad_agent.modem.at.network_registration import Registration
from ipad_agent.modem.commands import AuthenticationProtocol
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from ipad_agent.policy.switching.proof_stage import Finding, Stage
from ipad_agent.procedures.startup.device_start import NETWORKS
from ipad_agent.records import dataclass
from ipad_agent.site import ApnTable, Conditions, Hooks, NetworkChecks, SiteRules
from ipad_agent.status import Board
from ipad_agent.store import Memory

from .radio_power import RadioPower

_SILENT: Final = "the modem does not say"


@dataclass(frozen=True, slots=True)
class DeviceNetwork:
    """Implements ``procedures.ports.Network``: the modem tells of card and registration, the machine of the rest."""

    access: ModemCardAccess
    checks: NetworkChecks
    apn_context: int | None = None
    authentication: AuthenticationProtocol = "chap"
    on_registration: Callable[[Registration], None] | None = None
    """Told what the modem said of it, at each look of a proof or of the guardian."""

    async def card(self, iccid: str) -> Finding:
        """Whether the modem has read this profile from the card."""
        try:
            seen = await self.access.read_iccid()
        except (ModemError, CardError) as error:
            return Finding(Stage.CARD, False, error.message)
        if seen is None:
            return Finding(Stage.CARD, None, _SILENT)
        same = same_iccid(seen, iccid)
        return Finding(Stage.CARD, same, "card and modem agree" if same else f"the modem still has {short_iccid(seen)}")

    async def registration(self) -> Finding:
        """By the best of the module's registration commands."""
        try:
            found = await self.access.registration()
        except (ModemError, CardError) as error:
            return Finding(Stage.REGISTRATION, False, error.message)
        if found is None:
            return Finding(Stage.REGISTRATION, None, _SILENT)
        if self.on_registration is not None:
            self.on_registration(found)
        return Finding(Stage.REGISTRATION, found.registered, str(found))

    async def use(self, connection: PacketConnection) -> None:
        """Write it into the modem's context, where the configuration names one."""
        if self.apn_context is not None:
            await self.access.define_context(self.apn_context, connection, self.authentication)

    async def ip(self, host: str | None) -> Finding:
        """See ``NetworkChecks``."""
        return await self.checks.ip(host)

    async def dns(self, host: str) -> Finding:
        """See ``NetworkChecks``."""
        return await self.checks.dns(host)

    async def application(self) -> Finding:
        """See ``NetworkChecks``."""
        return await self.checks.application()


def device_network(config: Config, access: ModemCardAccess, board: Board | None = None) -> DeviceNetwork:
    """The network of this device, as the configuration describes it; ``board`` is told how the modem is registered."""
    checks = NetworkChecks(
        interface=config.site.interface,
        application=config.site.application_probe,
        dns_timeout_s=config.switch.dns_s,
        application_timeout_s=config.switch.application_s,
    )
    return DeviceNetwork(
        access,
        checks,
        config.modem.apn_context,
        "pap" if config.modem.apn_authentication == "pap" else "chap",
        None if board is None else lambda found: board.registration(str(found), found.registered),
    )


def site(config: Config, access: ModemCardAccess, clock: Clock, memory: Memory) -> SiteRules:
    """The site's hooks, conditions and APNs. Raises ``ConfigError`` for a table that cannot be read."""
    timeout_s = config.site.script_timeout_s

    async def signal_dbm() -> int | None:
        found = await access.signal()
        return None if found is None else found.dbm

    def network_of(iccid: str) -> str | None:
        found = memory.load(NETWORKS).get(iccid)
        return found if isinstance(found, str) else None

    return SiteRules(
        Hooks(config.site.hooks_dir, timeout_s),
        Conditions(
            clock=clock,
            signal_dbm=signal_dbm,
            folder=config.site.conditions_dir,
            timeout_s=timeout_s,
            windows=config.conditions.windows,
            external_power=config.conditions.external_power,
            min_signal_dbm=config.conditions.min_signal_dbm,
            clock_needed=config.conditions.clock,
        ),
        ApnTable() if config.site.apn_table is None else ApnTable.load(config.site.apn_table),
        network_of,
    )


async def show_modem(access: ModemCardAccess, board: Board, power: RadioPower | None = None) -> None:
    """Tell the board which modem answers and what it says of the network; one that does not answer tells nothing."""
    if power is not None:
        await power.look()
    try:
        identity, port = await access.identity(), await access.port()
        iccid = await access.read_iccid()
        board.modem(identity, port=port, transport=access.way, iccid=iccid, slot=access.slot)
        registration, signal = await access.registration(), await access.signal()
        saving = await access.power_saving()
        board.radio(
            Radio(
                registration=None if registration is None else str(registration),
                registered=None if registration is None else registration.registered,
                network=await access.rplmn(),
                technology=await access.technology(),
                signal_dbm=None if signal is None else signal.dbm,
                signal_kind=None if signal is None else signal.kind,
                power_saving=str(saving) if saving.known else None,
                connected=None if power is None else power.connected,
            )
        )
    except (ModemError, CardError):
        return
