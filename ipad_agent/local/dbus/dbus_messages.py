"""Messages of the bus as values of our own, so that only ``dbus_library.py`` knows a D-Bus library."""

from __future__ import annotations

from ipad_agent.records import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """A method call that came in. ``interactive``: the caller agrees to be asked for a password meanwhile."""

    sender: str
    path: str
    interface: str | None
    member: str
    signature: str
    body: tuple[object, ...]
    serial: int
    wants_reply: bool = True
    interactive: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a method gives back."""

    signature: str = ""
    body: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """How a method says no. ``name`` is a complete D-Bus error name."""

    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal; whom it goes to is said when it is sent."""

    path: str
    interface: str
    member: str
    signature: str
    body: tuple[object, ...]
