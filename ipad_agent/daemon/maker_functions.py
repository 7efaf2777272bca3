"""Functions of a maker's bench: what SGP.32 gives a device to do with a card before it is sold, and later hardly ever.

Each is one call of the card in a turn of its own; what the card says is what the caller hears.
"""

from __future__ import annotations

from typing import Protocol

from ipad_agent.codec.ber.object_identifier import encode_oid
from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.es10.es10_requests import AddInitialEimResult
from ipad_agent.config import Config
from ipad_agent.errors import CodecError, ConfigError
from ipad_agent.local import local_verbs
from ipad_agent.local.local_verbs import Refused
from ipad_agent.net import split_address
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.ports import Card, Memory
from ipad_agent.procedures.records.replay_counters import Counters
from ipad_agent.procedures.startup import events
from ipad_agent.procedures.startup.device_start import CardFacts, read_card
from ipad_agent.procedures.startup.initial_eim_provisioning import count_of, read_initial_eims

LONGEST_ADDRESS: int = 255


class MakersCard(Protocol):
    """The functions of the card that nothing else here uses."""

    async def add_initial_eim(self, request: bytes) -> AddInitialEimResult: ...

    async def set_default_dp(self, address: str) -> ResultCode: ...

    async def configure_immediate_enabling(
        self, *, enable: bool, smdp_oid: bytes | None = None, smdp_address: str | None = None
    ) -> ResultCode: ...

    async def ipae_activation(self, *, activate: bool = True) -> ResultCode: ...


class ReceivesBundles(Protocol):
    """``wiring.bundle_files.BundleFiles``."""

    @property
    def last_refusal(self) -> str | None: ...

    def receive(self, data: bytes) -> str | None: ...

    def give_up_received(self) -> None: ...

    async def provision(self, card: Card, facts: CardFacts) -> bool: ...


class MakerFunctions:
    """All methods are jobs for a turn at the card. They raise ``Refused``, and what the card raises."""

    def __init__(
        self, card: MakersCard, config: Config, memory: Memory, bundles: ReceivesBundles | None = None
    ) -> None:
        self._card = card
        self._config = config
        self._counters = Counters(memory)
        self._bundles = bundles

    async def provision(self, context: Context, data: bytes) -> int:
        """AddInitialEim from the content of a file, which may be a provisioning bundle; how many eIMs the card has
        taken."""
        if not self._config.provisioning.allow:
            raise Refused(
                local_verbs.REFUSED_BY_POLICY,
                "provisioning.allow is false in the configuration.",
                rule="provisioning.allow",
            )
        if self._bundles is not None and data.lstrip(b" \t\r\n").startswith(b"{"):  # the other forms are DER and hex
            return await self._from_bundle(context, data, self._bundles)
        try:
            request = read_initial_eims(data, "the file")
        except ConfigError as error:
            raise Refused(local_verbs.INVALID, f"{error.problem}; allowed: {error.allowed}", parameter="data") from None
        stale = self._counters.stale(str(context.eid), request)
        if stale is not None:
            eim, counter, seen = stale
            raise Refused(
                local_verbs.REFUSED_BY_POLICY,
                f"The file would set the counter of {eim} back from {seen} to {counter}: old orders would be good "
                "again. Have the eIM make a new one.",
                rule="replay",
            )
        result = await self._card.add_initial_eim(request)
        if result.error is not None:
            raise Refused(
                local_verbs.CARD_ERROR,
                f"The card refused it: {result.error.name} ({int(result.error)}). A card takes it only while no eIM "
                "manages it.",
            )
        events.PROVISIONED.emit(count=count_of(request), source="a person")
        return count_of(request)

    async def _from_bundle(self, context: Context, data: bytes, bundles: ReceivesBundles) -> int:
        refused = bundles.receive(data)
        if refused is not None:
            raise Refused(local_verbs.INVALID, f"The provisioning bundle is not used: {refused}.", parameter="data")
        # Whatever fails from here on: the bundle is a file now, and the next start goes on with it.
        facts = await read_card(context.card)
        if not await bundles.provision(context.card, facts):
            bundles.give_up_received()
            otherwise = "it was used on this card before" if facts.eims else f"the card is {facts.kind.value}"
            reason = bundles.last_refusal or otherwise
            raise Refused(
                local_verbs.REFUSED_BY_POLICY, f"The provisioning bundle is not used: {reason}.", rule="bundle"
            )
        return len(await context.card.get_eim_configuration())

    async def set_default_smdp(self, address: str) -> None:
        """SetDefaultDpAddress; an empty address takes it away."""
        self._check_address(address)
        _good(await self._card.set_default_dp(address))
        events.DEFAULT_SMDP_SET.emit(address=address or "none")

    async def configure_immediate_enabling(
        self, *, enable: bool, smdp_oid: str | None, smdp_address: str | None
    ) -> None:
        """ConfigureImmediateProfileEnabling."""
        if smdp_address is not None:
            self._check_address(smdp_address)
        oid = None
        if smdp_oid is not None:
            try:
                oid = encode_oid(smdp_oid)
            except CodecError as error:
                raise Refused(local_verbs.INVALID, f"That is no OID: {error.message}.", parameter="smdp_oid") from None
        _good(await self._card.configure_immediate_enabling(enable=enable, smdp_oid=oid, smdp_address=smdp_address))
        events.IMMEDIATE_ENABLING_SET.emit(state="on" if enable else "off")

    async def activate_ipae(self) -> None:
        """IpaeActivation."""
        if not self._config.local.ipae_activation:
            raise Refused(
                local_verbs.REFUSED_BY_POLICY,
                "local.ipae_activation is false in the configuration.",
                rule="local.ipae_activation",
            )
        _good(await self._card.ipae_activation())
        events.IPAE_ACTIVATED.emit()

    @staticmethod
    def _check_address(address: str) -> None:
        if not address:
            return
        try:
            split_address(address)
        except ValueError as error:
            raise Refused(local_verbs.INVALID, f"That is no address: {error}.", parameter="address") from None
        if len(address) > LONGEST_ADDRESS:
            raise Refused(local_verbs.INVALID, "That is too long for an address.", parameter="address")


def _good(code: ResultCode) -> None:
    if not code.ok:
        raise Refused(local_verbs.CARD_ERROR, f"The card refused it: {code.name} ({int(code)}).", sw=str(int(code)))
