"""What an emulated card is to its eIMs: the card's own memory, with the IoT part taken from the device's disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.card.es10c_functions import ConsumerEuicc
from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.identifiers import Iccid
from ipad_agent.emulation import associated_eims
from ipad_agent.emulation.device_key import DeviceKey, SoftwareKey, fingerprint
from ipad_agent.emulation.emulated_state import EmulatedState, RunningPackage
from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import VirtualEuicc
from ipad_agent.lab.euicc.state.card_state import CardState, Notification, Profile
from ipad_agent.records import dataclass, replace
from ipad_agent.store import EmulatedCardFile
from ipad_agent.store.filesystem import Filesystem

KEY: Final = SoftwareKey(ec.derive_private_key(0x7057, ec.SECP256R1()))
"""The same in every history: making one takes longer than some of them."""
_CHANGES: Final = {0xBF31: "enable", 0xBF32: "disable", 0xBF33: "delete"}


class KeyInHand:
    """Implements ``KeyPlace``."""

    def load(self) -> DeviceKey:
        return KEY

    def create(self) -> DeviceKey:
        return KEY

    @property
    def takes_keys(self) -> bool:
        return True

    def put(self, key: SoftwareKey) -> None:
        raise AssertionError("no history has a provisioning bundle")


class KeepsFallbackAllowed(ConsumerEuicc):
    """A consumer card that keeps fallbackAllowed (9F67) of its profiles, as some in the field do; the lab's does not,
    and no history would ever come to a fallback."""

    async def get_profiles(self) -> tuple[ProfileInfo, ...]:
        return tuple(replace(profile, fallback_allowed=True) for profile in await super().get_profiles())


@dataclass(frozen=True, slots=True)
class Eim:
    """As much of an association as anybody here asks for."""

    eim_id: str
    token: int | None


@dataclass(frozen=True, slots=True)
class Result:
    """As much of a stored result."""

    seq: int
    eim_id: str
    counter: int
    transaction_id: bytes | None


@dataclass(frozen=True, slots=True)
class Grant:
    """A rollback that is allowed; ``previous`` in digits."""

    previous: str


class EmulatedCardView:
    """Has the names of ``CardState`` that the rest of the torture looks at. ``done`` counts what the card itself
    did by ES10c, by operation and ICCID."""

    running: Final = None
    """A package of the card's own; there are none."""

    def __init__(self, card: VirtualEuicc, disk: Filesystem, directory: str) -> None:
        self._card = card
        self._disk = disk
        self._directory = directory
        self._seen: tuple[bytes, EmulatedState] | None = None
        self.done: list[tuple[str, str]] = []
        self.live: Callable[[], EmulatedState | None] = lambda: None
        """The state in the memory of the agent that runs."""
        self.on_done: Callable[[RunningPackage | None], None] = lambda running: None
        """Told of the package that the disk knows to be under way, whenever the card has done something."""
        for tag, name in _CHANGES.items():
            self._watch(tag, name)

    def associate(self, configurations: list[bytes]) -> dict[str, int | None]:
        """As AddInitialEim would, before the agent's first start; the tokens."""
        state = EmulatedState.fresh(bytes.fromhex(self._card.eid), fingerprint(KEY.spki), wall_s=0.0, token=1)
        request = der.tlv(0xBF57, der.tlv(0xA0, *configurations))
        state, answer = associated_eims.add_initial(state, request, ())
        assert der.parse(answer).find(0xA0) is not None, answer.hex()
        EmulatedCardFile(self._disk, self._directory, self._card.eid).write(state.to_document())
        return {entry.eim_id: entry.token for entry in state.eims}

    @property
    def iot(self) -> EmulatedState | None:
        """What the agent has in mind, and while it does not run what the disk holds; None when that is nothing."""
        found = self.live()
        if found is not None:
            return found
        path = f"{self._directory}/emulated-{self._card.eid}.json"
        try:
            raw = self._disk.read(path)
        except OSError:
            return None if self._seen is None else self._seen[1]
        if self._seen is None or self._seen[0] != raw:
            document = EmulatedCardFile(self._disk, self._directory, self._card.eid).load()
            if document is None:
                return None
            self._seen = raw, EmulatedState.from_document(document)
        return self._seen[1]

    @property
    def state(self) -> CardState:
        return self._card.state

    @property
    def eims(self) -> list[Eim]:
        return [Eim(entry.eim_id, entry.token) for entry in self._entries()]

    def eim(self, eim_id: str) -> Eim | None:
        return next((entry for entry in self.eims if entry.eim_id == eim_id), None)

    @property
    def results(self) -> list[Result]:
        found = () if self.iot is None else self.iot.results
        return [Result(one.seq, one.eim_id, one.counter, one.transaction_id) for one in found]

    @property
    def notifications(self) -> list[Notification]:
        return self._card.state.notifications

    @property
    def profiles(self) -> list[Profile]:
        return self._card.state.profiles

    @property
    def enabled(self) -> Profile | None:
        return self._card.state.enabled

    @property
    def rollback(self) -> Grant | None:
        grant = None if self.iot is None else self.iot.rollback
        return None if grant is None else Grant(str(Iccid.from_tbcd(grant.previous)))

    @property
    def fallback(self) -> Profile | None:
        """The profile with the fallback attribute."""
        holder = None if self.iot is None or self.iot.fallback is None else str(Iccid.from_tbcd(self.iot.fallback))
        return next((profile for profile in self.profiles if profile.iccid == holder), None)

    @property
    def package_under_way(self) -> bool:
        """Whether what the card does now will be told by a result."""
        iot = self.iot
        return iot is not None and (iot.running is not None or (iot.local is not None and iot.local.kind == "rollback"))

    def _entries(self) -> Iterator[Eim]:
        iot = self.iot
        yield from () if iot is None else (Eim(entry.eim_id, entry.token) for entry in iot.eims)

    def _watch(self, tag: int, name: str) -> None:
        es10 = self._card.es10
        inner = es10.handler(tag)

        def handler(isdr: object, command: bytes) -> bytes:
            identifier = der.parse(command, ber=True)
            named = identifier.find(0xA0) or identifier
            answer = inner(isdr, command)  # type: ignore[arg-type]
            if der.parse(answer).get(0x80).integer() == 0:
                self.done.append((name, str(Iccid.from_tbcd(named.get(0x5A).value))))
                self.on_done(None if self.iot is None else self.iot.running)
            return answer

        es10.register(tag, handler)
