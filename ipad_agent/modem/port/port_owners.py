"""Programs that are known to hold the ports of modems: what each is, and how it and the agent get along.

The names are those of processes as the kernel tells them, 15 characters at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ipad_agent.records import dataclass


@dataclass(frozen=True, slots=True)
class PortOwner:
    """``what`` completes "this is ..."; ``advice`` is what a person does so that both can work."""

    what: str
    advice: str


MODEM_MANAGER: Final = "ModemManager"
_ANOTHER_AGENT: Final = "ipad-agent"

_SESSION: Final = PortOwner(
    "a terminal program", "Leave it: only one program at a time can ask a modem and know whose answer it gets."
)
_DIALLER: Final = PortOwner(
    "the data connection over this port",
    "Give the agent the modem's second AT port (modem.port); the first one stays with the connection.",
)
_TOOL: Final = PortOwner(
    "a tool that asks this modem now and then", "Stop it, or let it use another AT port than the agent does."
)

OWNERS: Final = {
    MODEM_MANAGER: PortOwner(
        "ModemManager",
        "Let ModemManager ignore this port: hw/99-ipad-agent.rules does; or set modem.inhibit_modem_manager. "
        "docs/modemmanager.md tells which of the two.",
    ),
    _ANOTHER_AGENT: PortOwner(
        "another ipad-agent", "One agent per modem: stop the other one, or give it the port of its own modem."
    ),
    "gsmd": PortOwner(
        "the modem service of Teltonika's RutOS",
        'It keeps all AT ports for itself: let the agent send its commands through it (modem.port = "gsmctl"), or give '
        "it a modem of its own.",
    ),
    "pppd": _DIALLER,
    "wvdial": _DIALLER,
    "comgt": _DIALLER,
    "gcom": _DIALLER,
    "chat": _DIALLER,
    "minicom": _SESSION,
    "picocom": _SESSION,
    "screen": _SESSION,
    "tio": _SESSION,
    "cu": _SESSION,
    "lpac": PortOwner("another profile assistant (LPA)", "Two assistants on one card disturb each other: stop it."),
    "sms_tool": _TOOL,
    "smsd": _TOOL,
    "gammu-smsd": _TOOL,
    "gammu": _TOOL,
    "atinout": _TOOL,
    "gpsd": PortOwner("the service for positions", "Tell gpsd the modem's NMEA port; it took an AT port for one."),
    "brltty": PortOwner(
        "the service for braille displays", "Remove the package brltty: it takes some serial adapters for displays."
    ),
}


def known_owners(names: Iterable[str]) -> tuple[PortOwner, ...]:
    """Those of these process names that are known, each once, in their order."""
    return tuple(dict.fromkeys(OWNERS[name] for name in names if name in OWNERS))


def advice(names: Iterable[str]) -> str:
    """What to do about the programs of these names."""
    known = known_owners(names)
    if not known:
        return "Stop that program, or let it use another port."
    return " ".join(owner.advice for owner in known)
