"""Everything a card remembers without power, and the file it is kept in.

The file is one JSON text (bytes as hex), replaced atomically at every commit: whoever stops the process or cuts the
power between any two commits finds the last one whole. There is no fsync: what is simulated is a card that loses
power, not a host. Without a path the committed text lives in memory, with the same rules.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import types
import typing
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from ipad_agent.lab.euicc.errors import StateFileError

SCHEMA = 1
_T = TypeVar("_T")

TEST, PROVISIONING, OPERATIONAL = 0, 1, 2
"""ProfileClass."""
INSTALL, ENABLE, DISABLE, DELETE = 0, 1, 2, 3
"""Bits of NotificationEvent."""
PPR1, PPR2 = 1, 2
"""Bits of PprIds: disabling not allowed, deletion not allowed."""


@dataclass(slots=True)
class NotificationTarget:
    """Who wants to know of an event: one element of notificationConfigurationInfo."""

    event: int
    address: str


@dataclass(slots=True)
class Profile:
    """One profile with its metadata. ``iccid`` is 18 to 20 digits or letters A to E; ``http_params`` its
    connectivity parameters."""

    iccid: str
    aid: bytes
    name: str = ""
    service_provider: str = ""
    nickname: str = ""
    profile_class: int = OPERATIONAL
    enabled: bool = False
    icon_type: int | None = None
    icon: bytes = b""
    notify: list[NotificationTarget] = field(default_factory=list)
    mcc_mnc: bytes = b""
    gid1: bytes | None = None
    gid2: bytes | None = None
    dp_oid: str = ""
    ppr: list[int] = field(default_factory=list)
    service_data: bytes = b""
    """Content of serviceSpecificDataStoredInEuicc (BF22)."""
    ecall: bool = False
    fallback_attribute: bool = False
    fallback_allowed: bool = False
    preloaded: bool = False
    http_params: bytes = b""
    size_bytes: int = 20_000
    """What it takes of the card's memory, without icon and service data."""
    ci_pkid: bytes = b""
    """The CI under which it was downloaded, whose key signs its notifications; empty for the card's first."""


@dataclass(slots=True)
class EimEntry:
    """An associated eIM. ``fields`` holds the TLVs 81, 82, A5, A6, 87, 88, 89 as they were received, in tag order."""

    eim_id: str
    counter: int
    token: int | None
    fields: list[bytes]
    spki: bytes
    """SubjectPublicKeyInfo of the key that verifies its packages."""
    ci_pkid: bytes | None = None


@dataclass(slots=True)
class SignedResult:
    """An EPR that waits to be removed, with what is needed to make its successor after a rollback."""

    seq: int
    eim_id: str
    counter: int
    transaction_id: bytes | None
    token: int | None
    ci_pkid: bytes
    results: list[bytes]
    request_signature: bytes
    raw: bytes = b""
    """The whole BF51."""


@dataclass(slots=True)
class Notification:
    """A pending notification; ``raw`` is the whole OtherSignedNotification or ProfileInstallationResult."""

    seq: int
    event: int
    address: str
    iccid: str | None
    raw: bytes
    metadata: bytes
    """Its BF2F."""


@dataclass(slots=True)
class OneTimeKey:
    """otSK.EUICC and otPK.EUICC, kept so that a profile that was bound to them can be sent again."""

    smdp_oid: str
    curve: str
    private: bytes
    """32 bytes."""
    public: bytes
    """65 bytes, 04 first."""


@dataclass(slots=True)
class Installing:
    """A profile installation that has begun, as its result names it."""

    transaction_id: bytes
    smdp_oid: str
    smdp_address: str
    ci_pkid: bytes
    command: int = 0
    """BppCommandId of the command that is under way."""
    iccid: str | None = None


@dataclass(slots=True)
class RollbackGrant:
    """One ProfileRollback is allowed: back to ``previous``, as long as result ``seq`` was not removed."""

    previous: str
    seq: int


@dataclass(slots=True)
class ImmediateEnable:
    """Immediate enabling is on, perhaps only for profiles from one SM-DP+."""

    smdp_oid: str | None = None
    smdp_address: str | None = None


@dataclass(slots=True)
class CardState:
    """The non-volatile memory."""

    eid: str
    schema: int = SCHEMA
    profiles: list[Profile] = field(default_factory=list)
    eims: list[EimEntry] = field(default_factory=list)
    results: list[SignedResult] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    next_seq: int = 1
    next_token: int = 1
    running: SignedResult | None = None
    """The package whose counter is stored but whose result is not: only a power cut leaves one."""
    installing: Installing | None = None
    """The installation whose result is not there yet: what a power cut leaves, the next start tells."""
    one_time_keys: list[OneTimeKey] = field(default_factory=list)
    rollback: RollbackGrant | None = None
    fallback_return: str | None = None
    emergency_return: str | None = None
    """ICCID of the profile to go back to, "" for none; None while no emergency profile is enabled."""
    before_test_profile: str = ""
    """ICCID of the profile that is enabled again when the enabled test profile is disabled; "" for none."""
    immediate_enable: ImmediateEnable | None = None
    default_smdp: str = ""
    factory_smdp: str = ""
    root_smds: str = ""
    free_memory_bytes: int = 400_000

    def take_seq(self) -> int:
        """The next number of the space that notifications and results share."""
        seq = self.next_seq
        self.next_seq += 1
        return seq

    def take_token(self) -> int:
        """The next association token; the counter never goes back."""
        token = self.next_token
        self.next_token += 1
        return token

    def profile(self, iccid: str | None) -> Profile | None:
        """The profile with this ICCID."""
        return next((p for p in self.profiles if p.iccid == iccid), None)

    @property
    def enabled(self) -> Profile | None:
        """The enabled profile."""
        return next((p for p in self.profiles if p.enabled), None)

    def eim(self, eim_id: str) -> EimEntry | None:
        """The entry of an associated eIM."""
        return next((e for e in self.eims if e.eim_id == eim_id), None)


class StateStore:
    """The state in memory and its last committed text."""

    def __init__(self, path: Path | None, first: CardState) -> None:
        """Open ``path``, or begin with ``first`` and write it. ``StateFileError`` if the file is of another card."""
        self._path = path
        if path is not None and path.exists():
            try:
                self._text = path.read_text()
            except (OSError, UnicodeDecodeError) as error:
                raise StateFileError(f"{path} cannot be read: {error}") from error
            self.state = loads(self._text)
            if self.state.eid != first.eid:
                raise StateFileError(f"{path} belongs to EID {self.state.eid}, not to {first.eid}")
        else:
            self.state = first
            self.commit()

    def commit(self) -> None:
        """Make the state in memory the one that survives."""
        self._text = dumps(self.state)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._path.with_name(self._path.name + ".new")
            temporary.write_text(self._text)
            os.replace(temporary, self._path)

    def roll_back(self) -> None:
        """Forget what was not committed."""
        self.state = loads(self._text)


def dumps(state: CardState) -> str:
    """The text of a state, in one line: indented it takes ten times as long, and cards are written often."""
    return json.dumps(state, default=_plain)


def loads(text: str) -> CardState:
    """A state from its text; ``StateFileError`` when it is not one."""
    try:
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise StateFileError(f"not a card state of schema {SCHEMA}")
        return _typed(CardState, data)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise StateFileError(f"not a card state: {error}") from error


def _plain(value: Any) -> Any:
    """What JSON itself does not know."""
    if isinstance(value, bytes):
        return value.hex().upper()
    return {name: getattr(value, name) for name in _names(typing.cast("Hashable", type(value)))}


@functools.cache
def _names(kind: Hashable) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(typing.cast("Any", kind)))


@functools.cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _typed(kind: type[_T], value: Any) -> _T:
    """``value`` from JSON as ``kind``: dataclass, list, optional, bytes, str, int, bool."""
    return typing.cast("_T", _convert(kind, value))


def _convert(kind: Any, value: Any) -> Any:
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        inner = next(k for k in typing.get_args(kind) if k is not types.NoneType)
        return _convert(inner, value)
    if typing.get_origin(kind) is list:
        if not isinstance(value, list):
            raise TypeError(f"a list, not {value!r}")
        return [_convert(typing.get_args(kind)[0], item) for item in value]
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise TypeError(f"an object, not {value!r}")
        hints = _hints(typing.cast("Hashable", kind))
        return typing.cast("Any", kind)(**{name: _convert(hints[name], item) for name, item in value.items()})
    if kind is bytes:
        return bytes.fromhex(value)
    if type(value) is not kind:
        raise TypeError(f"{kind.__name__}, not {value!r}")
    return value
