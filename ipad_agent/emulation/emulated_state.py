"""What the emulated part of a card remembers: associated eIMs, stored results, grants, and the order under way.

Plain frozen values; a change makes a new one, so that an order which is given up leaves nothing behind. The whole is
one document, bound to one EID, that is replaced in one step (``store.EmulatedCardFile``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.es10.euicc_package import EuiccPackageResult
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, replace

FIRST_SEQ: Final = 0x40000000
"""Results are numbered from here on, far above what a card numbers its notifications with."""
LAST_SEQ: Final = 0x7FFFFFFF
MAX_EIMS: Final = 8
MAX_RESULTS: Final = 32
MAX_BUNDLES: Final = 16
MAX_COUNTER: Final = 0x7FFFFFFF
"""SGP.32 §2.11.1.1 asks for at least 0x7FFFFF."""
_EPOCH_S: Final = 1_700_000_000
_SECONDS_PER_NUMBER: Final = 4
_NUMBERS_WITHOUT_DISK: Final = 8
"""More than one run of the program gives to results while the disk refuses: only a package makes further ones, and that
has to be on the disk first."""


class UnusableState(ValueError):
    """A document that is not what this program writes."""


@dataclass(frozen=True, slots=True)
class EimEntry:
    """One associated eIM. ``config`` is its entry as GetEimConfigurationData tells it: without counter (SGP.32 v1.3
    §5.9.18), and with the token that was made."""

    eim_id: str
    config: bytes
    counter: int
    token: int | None

    @property
    def data(self) -> EimConfigurationData:
        return EimConfigurationData.parse(self.config)


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A signed result (BF51) that its eIM did not acknowledge yet. ``counter`` and the rest say for which package."""

    seq: int
    raw: bytes
    eim_id: str
    counter: int
    transaction_id: bytes | None
    token: int | None
    results: tuple[bytes, ...]

    @property
    def parsed(self) -> EuiccPackageResult:
        return EuiccPackageResult.parse(self.raw)


@dataclass(frozen=True, slots=True)
class RollbackGrant:
    """One ProfileRollback is allowed, to this profile; result ``seq`` tells of the enable."""

    previous: bytes
    seq: int


@dataclass(frozen=True, slots=True)
class ImmediateEnabling:
    """ImmediateEnable is allowed, if given only for profiles from this SM-DP+."""

    smdp_oid: bytes | None = None
    smdp_address: str | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """The operation that the card was about to be given: which one of the package, and what the card showed before.

    ``profiles`` maps ICCID octets (hex) to whether enabled; ``address`` is the default SM-DP+ where that was the
    matter.
    """

    index: int
    profiles: Mapping[str, bool]
    address: str | None = None


@dataclass(frozen=True, slots=True)
class RunningPackage:
    """A package whose counter is used up and whose result is not signed yet. ``operations`` is its list (A0), ``seq``
    the number that its result will have. ``former`` is the profile that was enabled when it began,
    ``last_notification`` the highest number of the card's notifications then; None where that is not known, or of no
    use."""

    eim_id: str
    counter: int
    transaction_id: bytes | None
    token: int | None
    seq: int
    operations: bytes
    former: bytes | None
    results: tuple[bytes, ...] = ()
    begun: Begun | None = None
    switched: bool = False
    grant: bool = False
    """A switch of this package was done, and it left the grant of a rollback."""
    last_notification: int | None = None


@dataclass(frozen=True, slots=True)
class LocalSwitch:
    """A switch that this device itself was about to make: rollback, fallback, return or immediate."""

    kind: str
    target: bytes
    former: bytes | None


class BindingState(StrEnum):
    """Whether the eIM of a provisioning bundle took this device's key."""

    PENDING = "pending"
    BOUND = "bound"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Binding:
    """The bundle that gave this card its eIMs: with which of them the device binds itself, and the counter that it
    began with. An eIM whose counter has moved on knows the card already."""

    issuance_id: str
    eim_id: str
    counter: int
    state: BindingState = BindingState.PENDING


@dataclass(frozen=True, slots=True)
class EmulatedState:
    """All of it. ``fingerprint`` names the device key that signs for this card, ``bundles`` the provisioning bundles
    that were used up here (issuance_id, the latest last)."""

    eid: bytes
    fingerprint: str
    next_seq: int
    next_token: int
    eims: tuple[EimEntry, ...] = ()
    results: tuple[StoredResult, ...] = ()
    rollback: RollbackGrant | None = None
    fallback: bytes | None = None
    fallback_return: bytes | None = None
    immediate: ImmediateEnabling | None = None
    running: RunningPackage | None = None
    local: LocalSwitch | None = None
    info1: bytes | None = None
    binding: Binding | None = None
    bundles: tuple[str, ...] = ()

    @classmethod
    def fresh(cls, eid: bytes, fingerprint: str, *, wall_s: float, token: int) -> EmulatedState:
        """The state of a card that was never managed, or whose state is lost. An eIM wants numbers that rise and a
        token that no old order carries: both must lie beyond what a lost state may have used, so the first number
        follows the clock, and the first token is the caller's random one."""
        return cls(eid, fingerprint, _number_at(wall_s), token)

    def after_start(self, wall_s: float) -> EmulatedState:
        """What the disk held, for a run of the program that begins. The run before may have given numbers to results
        that the disk refused, and an eIM may have them: it would never take another result with the same number."""
        return replace(self, next_seq=max(self.next_seq + _NUMBERS_WITHOUT_DISK, _number_at(wall_s)))

    def eim(self, eim_id: str) -> EimEntry | None:
        """The entry with this id."""
        return next((entry for entry in self.eims if entry.eim_id == eim_id), None)

    def knows_key(self, eim_id: str) -> bool:
        """Whether this eIM said, when the device registered itself there, that it knows the key."""
        return self.binding is not None and self.binding.eim_id == eim_id and self.binding.state is BindingState.BOUND

    def with_eim(self, entry: EimEntry) -> EmulatedState:
        """With this entry in the place of the one with its id."""
        return replace(self, eims=tuple(entry if old.eim_id == entry.eim_id else old for old in self.eims))

    def result(self, seq: int) -> StoredResult | None:
        """The stored result with this number."""
        return next((result for result in self.results if result.seq == seq), None)

    def with_result(self, result: StoredResult) -> EmulatedState:
        """With one result more; the oldest makes room."""
        return replace(self, results=(*self.results, result)[-MAX_RESULTS:])

    def without_result(self, seq: int) -> EmulatedState:
        """The eIM has it: the rollback that it allowed ends with it, going back would contradict it."""
        kept = tuple(result for result in self.results if result.seq != seq)
        grant = None if self.rollback is not None and self.rollback.seq == seq else self.rollback
        return replace(self, results=kept, rollback=grant)

    def after_switch(self, grant: RollbackGrant | None = None) -> EmulatedState:
        """Another profile was enabled, or none: what was granted for the way back before is void."""
        return replace(self, rollback=grant, fallback_return=None)

    # -- as a document -------------------------------------------------------------------------------------------------

    def to_document(self) -> dict[str, object]:
        """Plain data, see ``from_document``."""
        return {
            "eid": self.eid,
            "key": self.fingerprint,
            "next_seq": self.next_seq,
            "next_token": self.next_token,
            "eims": [[entry.config, entry.counter] for entry in self.eims],
            "results": [_stored(result) for result in self.results],
            "rollback": None if self.rollback is None else [self.rollback.previous, self.rollback.seq],
            "fallback": self.fallback,
            "fallback_return": self.fallback_return,
            "immediate": None if self.immediate is None else [self.immediate.smdp_oid, self.immediate.smdp_address],
            "running": None if self.running is None else _running(self.running),
            "local": None if self.local is None else [self.local.kind, self.local.target, self.local.former],
            "info1": self.info1,
            "binding": None if self.binding is None else _binding(self.binding),
            "bundles": list(self.bundles),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, object]) -> EmulatedState:
        """What ``to_document`` made. Raises ``UnusableState`` for anything else: a counter that cannot be read must
        not count as a low one."""
        try:
            return _read(document)
        except (KeyError, TypeError, ValueError, AttributeError, CodecError) as error:
            raise UnusableState(f"{type(error).__name__}: {error}") from error


def _number_at(wall_s: float) -> int:
    """A number that follows the clock, so that it needs no memory."""
    ahead = max(0, int(wall_s) - _EPOCH_S) // _SECONDS_PER_NUMBER
    return min(FIRST_SEQ + ahead, LAST_SEQ // 2 + FIRST_SEQ // 2)


def _stored(result: StoredResult) -> list[object]:
    return [
        result.seq,
        result.raw,
        result.eim_id,
        result.counter,
        result.transaction_id,
        result.token,
        list(result.results),
    ]


def _binding(binding: Binding) -> list[object]:
    return [binding.issuance_id, binding.eim_id, binding.counter, binding.state.value]


def _read_binding(found: object) -> Binding:
    issuance_id, eim_id, counter, state = _list(found)
    return Binding(_text(issuance_id), _text(eim_id), _number(counter), BindingState(_text(state)))


def _running(running: RunningPackage) -> dict[str, object]:
    begun = running.begun
    return {
        "eim_id": running.eim_id,
        "counter": running.counter,
        "transaction_id": running.transaction_id,
        "token": running.token,
        "seq": running.seq,
        "operations": running.operations,
        "former": running.former,
        "results": list(running.results),
        "begun": None if begun is None else [begun.index, dict(begun.profiles), begun.address],
        "switched": running.switched,
        "grant": running.grant,
        "last_notification": running.last_notification,
    }


def _read(document: Mapping[str, object]) -> EmulatedState:
    rollback, immediate = document["rollback"], document["immediate"]
    running, local = document["running"], document["local"]
    return EmulatedState(
        eid=_octets(document["eid"]),
        fingerprint=_text(document["key"]),
        next_seq=_number(document["next_seq"]),
        next_token=_number(document["next_token"]),
        eims=tuple(_entry(item) for item in _list(document["eims"])),
        results=tuple(_result(item) for item in _list(document["results"])),
        rollback=None if rollback is None else RollbackGrant(_octets(_list(rollback)[0]), _number(_list(rollback)[1])),
        fallback=_maybe_octets(document["fallback"]),
        fallback_return=_maybe_octets(document["fallback_return"]),
        immediate=None
        if immediate is None
        else ImmediateEnabling(_maybe_octets(_list(immediate)[0]), _maybe_text(_list(immediate)[1])),
        running=None if running is None else _read_running(running),
        local=None
        if local is None
        else LocalSwitch(_text(_list(local)[0]), _octets(_list(local)[1]), _maybe_octets(_list(local)[2])),
        info1=_maybe_octets(document["info1"]),
        # Releases before bundles wrote neither.
        binding=None if document.get("binding") is None else _read_binding(document["binding"]),
        bundles=tuple(_text(one) for one in _list(document.get("bundles", ()))),
    )


def _entry(item: object) -> EimEntry:
    config, counter = _octets(_list(item)[0]), _number(_list(item)[1])
    data = EimConfigurationData.parse(config)
    return EimEntry(data.eim_id, config, counter, data.association_token)


def _result(item: object) -> StoredResult:
    seq, raw, eim_id, counter, transaction_id, token, results = _list(item)
    return StoredResult(
        _number(seq),
        _octets(raw),
        _text(eim_id),
        _number(counter),
        _maybe_octets(transaction_id),
        None if token is None else _number(token),
        tuple(_octets(one) for one in _list(results)),
    )


def _read_running(found: object) -> RunningPackage:
    if not isinstance(found, Mapping):
        raise TypeError("running")
    begun, token = found["begun"], found["token"]
    last = found.get("last_notification")  # releases before this wrote none
    read: Begun | None = None
    if begun is not None:
        index, profiles, address = _list(begun)
        if not isinstance(profiles, Mapping):
            raise TypeError("begun")
        read = Begun(
            _number(index), {_text(name): bool(state) for name, state in profiles.items()}, _maybe_text(address)
        )
    tlv.parse(_octets(found["operations"]))
    return RunningPackage(
        eim_id=_text(found["eim_id"]),
        counter=_number(found["counter"]),
        transaction_id=_maybe_octets(found["transaction_id"]),
        token=None if token is None else _number(token),
        seq=_number(found["seq"]),
        operations=_octets(found["operations"]),
        former=_maybe_octets(found["former"]),
        results=tuple(_octets(one) for one in _list(found["results"])),
        begun=read,
        switched=found["switched"] is True,
        grant=found["grant"] is True,
        last_notification=None if last is None else _number(last),
    )


def _list(value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise TypeError("a list")
    return value


def _octets(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("octets")
    return value


def _maybe_octets(value: object) -> bytes | None:
    return None if value is None else _octets(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text")
    return value


def _maybe_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a number")
    return value
