"""Module profiles: what a family of modems can do and how well that is known, and which one fits a module.

``module_profile_files.py`` reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from ipad_agent.records import dataclass, field

from .errors import ProfileError
from .module_settings import (
    Deadlines,
    Events,
    Evidence,
    Grade,
    Init,
    Match,
    Port,
    Power,
    Queries,
    Refresh,
    Releases,
    Remark,
    Rung,
    Slots,
    SpeedUp,
    Uicc,
    UsbPorts,
    VendorLpa,
)

__all__ = [
    "GENERIC",
    "GENERIC_NAME",
    "STANDARD_LADDER",
    "Evidence",
    "Grade",
    "Init",
    "Match",
    "ModuleProfile",
    "ProfileSet",
    "Refresh",
    "Rung",
    "Uicc",
    "UsbPorts",
]

GENERIC_NAME: Final = "generic-3gpp"

STANDARD_LADDER: Final = {
    0: Rung(rung=0),
    2: Rung(rung=2, commands=("AT+CFUN=4",), restore=("AT+CFUN=1",)),
    3: Rung(rung=3, commands=("AT+CFUN=0",), restore=("AT+CFUN=1",), port_may_vanish=True),
    5: Rung(rung=5, commands=("AT+CFUN=1,1",), pause_s=5.0, port_may_vanish=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleProfile:
    """Everything the agent knows about a family of modems."""

    name: str
    title: str = ""
    match: Match = field(default_factory=Match)
    port: Port = field(default_factory=Port)
    speed_up: SpeedUp = field(default_factory=SpeedUp)
    usb: tuple[UsbPorts, ...] = ()
    init: Init = field(default_factory=Init)
    uicc: Uicc = field(default_factory=Uicc)
    deadlines: Deadlines = field(default_factory=Deadlines)
    events: Events = field(default_factory=Events)
    queries: Queries = field(default_factory=Queries)
    power: Power = field(default_factory=Power)
    refresh: Refresh = field(default_factory=Refresh)
    releases: Releases = field(default_factory=Releases)
    slots: Slots = field(default_factory=Slots)
    vendor_lpa: VendorLpa = field(default_factory=VendorLpa)
    ladder: Mapping[int, Rung] = field(default_factory=lambda: dict(STANDARD_LADDER))
    remarks: tuple[Remark, ...] = ()
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    set_keys: frozenset[str] = frozenset()
    base: str | None = None

    def matches(self, manufacturer: str, model: str, revision: str) -> int:
        """How well the profile fits: 0 does not fit, 1 fits anything, more is more specific."""
        if self.match == Match(usb=self.match.usb) and self.name != GENERIC_NAME:
            return 0  # a file that only says where ports are, or one to be chosen by its name
        score = 1
        criteria = ((self.match.manufacturer, manufacturer), (self.match.model, model), (self.match.revision, revision))
        for weight, (pattern, answer) in zip((1, 2, 4), criteria, strict=True):
            if pattern is not None:
                if re.fullmatch(pattern, answer, re.IGNORECASE) is None:
                    return 0
                score += weight
        return score

    def evidence_for(self, key: str) -> Evidence | None:
        """How well ``section.key`` is known; None for what the file leaves as it is everywhere."""
        return self.evidence.get(key) or self.evidence.get(key.split(".")[0])

    @property
    def usb_ports(self) -> tuple[UsbPorts, ...]:
        """Where the AT ports are, from ``[match]`` with ``[port]`` and from ``[[usb]]``."""
        if not self.match.usb or self.port.at_interface is None:
            return self.usb
        own = UsbPorts(
            ids=self.match.usb,
            at_interface=self.port.at_interface,
            second_at_interface=self.port.second_at_interface,
        )
        return (own, *self.usb)


GENERIC: Final = ModuleProfile(name=GENERIC_NAME, title="Any module that follows 3GPP TS 27.007")


@dataclass(frozen=True, slots=True)
class ProfileSet:
    """The profiles found, and what was wrong with the files that had to be left out."""

    profiles: tuple[ModuleProfile, ...]
    problems: tuple[ProfileError, ...] = ()

    def choose(self, manufacturer: str, model: str, revision: str) -> ModuleProfile:
        """The most specific profile that fits; the built-in generic one when none does."""
        scored = [(profile.matches(manufacturer, model, revision), profile) for profile in self.profiles]
        best = max(scored, key=lambda pair: pair[0], default=(0, GENERIC))
        return best[1] if best[0] else GENERIC

    def named(self, name: str) -> ModuleProfile | None:
        """The profile of this name, which is the file's name without ``.toml``."""
        return next((profile for profile in self.profiles if profile.name == name), None)
