"""Device start (SGP.32 v1.2 §3, start-up): who is the card, who manages it, did anything change while we were away."""

from __future__ import annotations

import contextlib
from enum import StrEnum
from typing import Final, Protocol

from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.es10.euicc_info import EuiccInfo2
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.codec.identifiers import Eid, Plmn
from ipad_agent.errors import CardError, CodecError
from ipad_agent.procedures.ports import Card, Memory
from ipad_agent.procedures.records.state_changes import StateChanges, snapshot
from ipad_agent.procedures.usable_profiles import usable_profiles
from ipad_agent.records import dataclass

from . import events


class CardKind(StrEnum):
    """What the card is, as far as an IPAd is concerned."""

    IOT = "an IoT eUICC (SGP.32)"
    IPAE = "an IoT eUICC whose own IPAe is active"
    CONSUMER = "a consumer eUICC (SGP.22) without IoT functions"
    EMULATED = "a consumer eUICC (SGP.22), its IoT functions emulated by this device"


MANAGED: Final = frozenset({CardKind.IOT, CardKind.EMULATED})
"""What this agent manages without being told to."""


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What start-up learned; ``eims`` is empty on a card that was never provisioned. ``taken``: the card says that its
    own IPAe is active, and the owner wants it managed all the same. Without ``profiles_known`` the card gave no list of
    profiles that could be used."""

    eid: Eid
    kind: CardKind
    info2: EuiccInfo2
    profiles: tuple[ProfileInfo, ...] = ()
    eims: tuple[EimConfigurationData, ...] = ()
    taken: bool = False
    profiles_known: bool = True

    @property
    def manageable(self) -> bool:
        """Whether this agent manages the card."""
        return self.kind in MANAGED or self.taken


async def read_card(card: Card, *, taken: Eid | None = None) -> CardFacts:
    """Read identity, kind, profiles and associated eIMs (steps 3 and 4).

    A card that is no IoT eUICC in IPAd mode is only looked at, unless it is the one that was ``taken`` from its IPAe.
    Raises ``CardError`` or ``ModemError``.
    """
    eid = await card.get_eid()
    info2 = await card.get_euicc_info2()
    kind = await kind_by_functions(card, info2)
    if kind is not kind_of(info2):
        events.IOT_WITHOUT_MARK.emit(eid=eid.short)
    insisted = kind is CardKind.IPAE and eid == taken
    if kind not in MANAGED and not insisted:
        shown = await _profiles_to_show(card) if kind is CardKind.CONSUMER else None
        return CardFacts(eid, kind, info2, shown or (), profiles_known=shown is not None)
    profiles = await usable_profiles(card)
    eims = await card.get_eim_configuration()
    return CardFacts(eid, kind, info2, profiles or (), eims, insisted, profiles is not None)


class _ListsEims(Protocol):
    async def get_eim_configuration(self) -> tuple[EimConfigurationData, ...]: ...


async def kind_by_functions(card: _ListsEims, info2: EuiccInfo2) -> CardKind:
    """As ``kind_of``; a card that does not say that it is an IoT eUICC is one when it lists its eIMs: a consumer eUICC
    does not know GetEimConfigurationData (§5.9.18). Raises ``CardError`` or ``ModemError`` when the card is gone."""
    kind = kind_of(info2)
    if kind is not CardKind.CONSUMER:
        return kind
    try:
        await card.get_eim_configuration()
    except CardError as failure:
        if not failure.alive:
            raise
        return kind
    return CardKind.IPAE if info2.ipa_mode == 1 else CardKind.IOT


async def _profiles_to_show(card: Card) -> tuple[ProfileInfo, ...] | None:
    """Of a card that is left alone: nothing depends on them, so whatever keeps them from being read is no trouble. A
    card with an IPAe of its own is not even asked; it may want a reset for that."""
    try:
        return await usable_profiles(card)
    except CardError:
        return None


def kind_of(info2: EuiccInfo2) -> CardKind:
    """Decide by iotSpecificInfo and ipaMode (§4.1 step 3 of the start-up; ipaMode absent counts as IPAd)."""
    if info2.iot is None:
        return CardKind.CONSUMER
    if info2.iot.emulated:
        return CardKind.EMULATED
    return CardKind.IPAE if info2.ipa_mode == 1 else CardKind.IOT


def note_changes(facts: CardFacts, changes: StateChanges) -> None:
    """Compare the profiles with what was last known; if nobody ordered the difference, every eIM is to be told."""
    if not facts.profiles_known:
        return
    cause = StateChangeCause.UNDEFINED
    if changes.learn(str(facts.eid), snapshot(facts.profiles), tell=(eim.eim_id for eim in facts.eims), cause=cause):
        events.STATE_CHANGED.emit(cause=cause.name.lower())


NETWORKS: Final = "networks"
"""Document: ICCID -> MCC and MNC of the profile's owner."""


def note_networks(facts: CardFacts, memory: Memory) -> None:
    """Remember whose profiles these are, for the site's table of APNs. Raises ``StoreError``."""
    if not facts.profiles_known:
        return
    networks = {}
    for profile in facts.profiles:
        if profile.owner is not None:
            with contextlib.suppress(CodecError):
                networks[profile.identity] = str(Plmn.from_bytes(profile.owner.mcc_mnc))
    if memory.load(NETWORKS) != networks:
        memory.save(NETWORKS, networks)


def announce(facts: CardFacts) -> None:
    """Say what was found."""
    events.CARD_READY.emit(
        eid=facts.eid.short,
        kind=facts.kind.value,
        profiles=len(facts.profiles),
        eims=", ".join(eim.eim_id for eim in facts.eims) or "nobody yet",
    )
