"""A consumer card of the lab with the agent's IoT functions in front of it, and an eIM that knows the device key."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.card.es10c_functions import ConsumerEuicc
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.emulation.device_key import DeviceKey, SoftwareKey
from ipad_agent.emulation.emulated_cards import EmulatedCards, EmulateIot
from ipad_agent.emulation.emulated_euicc import EmulatedEuicc
from ipad_agent.emulation.emulated_state import EmulatedState
from ipad_agent.lab.eim import EimIdentity, VirtualEim
from ipad_agent.lab.euicc import Quirks, default_card
from ipad_agent.procedures.startup.initial_eim_provisioning import read_initial_eims
from ipad_agent.store import EmulatedCardFiles, Journal
from opened_pki import opened_pki

from .memory import DirectAccess, DirectCarrier, StillClock, World

DEVICE_KEY = ec.derive_private_key(0x1234567890ABCDEF, ec.SECP256R1())
"""For tests only: making one is slow, and everybody knows this one."""


@dataclass
class KeyInHand:
    """Implements ``KeyPlace``; ``key`` None is an installation that has none yet."""

    key: DeviceKey | None = None
    takes_keys: bool = True

    def load(self) -> DeviceKey | None:
        return self.key

    def create(self) -> DeviceKey:
        self.key = self.key or SoftwareKey(DEVICE_KEY)
        return self.key

    def put(self, key: SoftwareKey) -> None:
        self.key = key


class KeepsFallbackAllowed(ConsumerEuicc):
    """A consumer card that keeps fallbackAllowed (9F67) of some profiles, as some in the field do; not the lab's."""

    allowed: frozenset[str] = frozenset()

    async def get_profiles(self) -> tuple[ProfileInfo, ...]:
        return tuple(
            replace(profile, fallback_allowed=str(profile.iccid) in self.allowed)
            for profile in await super().get_profiles()
        )


@dataclass
class EmulatedWorld(World):
    """As ``World``; the key outlives a restart as a file does."""

    keys: KeyInHand = field(default_factory=KeyInHand)
    mode: EmulateIot = EmulateIot.WHEN_NEEDED

    @classmethod
    def consumer(cls, folder: Path, *, quirks: Quirks | None = None) -> EmulatedWorld:
        """Nobody manages the card yet; see ``provision``."""
        pki = opened_pki(folder)
        card = default_card(pki, quirks=quirks or Quirks(consumer=True), associated=False)
        return cls(card, VirtualEim(EimIdentity.from_pki(pki)))

    def restart(self) -> None:
        self.disk.power_cut()
        self.access = DirectAccess(self.card)
        self.files = EmulatedCardFiles(self.disk, "/state")
        self.euicc: EmulatedEuicc = EmulatedEuicc(
            EmulatedCards(  # type: ignore[assignment]  # in the place of the card itself
                self.consumer_card(),
                self.files,
                self.keys,
                StillClock(),
                mode=self.mode,
                random_bits=lambda bits: 41,
            )
        )
        self.journal = Journal(self.disk, "/state", StillClock())
        self.carrier = DirectCarrier(self.eim)

    allowed: frozenset[str] = frozenset()

    def consumer_card(self) -> ConsumerEuicc:
        """The card itself; it tells of the profiles in ``allowed`` that they may be for fallback."""
        card = KeepsFallbackAllowed(IsdrSession(self.access))
        card.allowed = self.allowed
        return card

    async def provision(self, *, counter: int = 0, ask_for_token: bool = True, indirect_download: bool = False) -> None:
        """Give the card its eIM, and the eIM the key, as import file and operator do."""
        data = self.eim.identity.configuration(
            fqdn=self.eim.identity.eim_id, ask_for_token=ask_for_token, indirect_download=indirect_download
        )
        result = await self.euicc.add_initial_eim(read_initial_eims(data, "the file"))
        assert result.error is None, result.error
        assert self.keys.key is not None
        self.eim.add_device(self.card.eid, counter=counter, token=result.tokens[0])
        device = self.eim.device(self.card.eid)
        device.euicc_spki, device.emulated = self.keys.key.spki, True

    @property
    def stored(self) -> dict[str, object]:
        """What is on the disk of this card now."""
        found = EmulatedCardFiles(self.disk, "/state").file(self.card.eid).load()
        assert found is not None
        return dict(found)

    @property
    def counter(self) -> int:
        """The counter of the only eIM, as the disk has it."""
        (entry,) = EmulatedState.from_document(self.stored).eims
        return entry.counter
