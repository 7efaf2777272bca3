"""The numbers of the poll schedule, as two presets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ipad_agent.records import dataclass


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """When to poll an eIM. Names as in section ``[poll]`` of the configuration."""

    interval_s: float = 24 * 3600.0
    """Between two polls when nothing is going on."""
    first_s: float = 60.0
    """From a boot to the first poll, at least: modem and network need that long."""
    phase_window_s: float = 300.0
    """Over this much more the first polls of a fleet spread, each device at its own fixed place."""
    jitter: float = 0.1
    """Share of an interval by which it is shortened or lengthened at random."""
    fast_phase_s: float = 3600.0
    """For this long after a boot or a provisioning polls are more frequent; 0 turns it off."""
    fast_interval_s: float = 300.0
    """Between two polls in the fast phase."""
    backoff_first_s: float = 600.0
    """The first back-off after a failure; doubles up to the interval (see ``poll_outcome.SECOND_SHARE``)."""
    backoff_unknown_s: float = 4 * 3600.0
    """The first back-off when the eIM does not know this EID: only a person can change that."""
    backoff_trust_s: float = 3600.0
    """The first back-off when the eIM's certificate or key was refused: every attempt costs a handshake."""
    backoff_local_s: float = 300.0
    """The first back-off when modem or card failed; doubles up to one hour, as it costs no traffic."""
    busy_cap_s: float = 24 * 3600.0
    """The longest a busy eIM may send the device away."""
    max_packages: int = 16
    """Packages in one run; after that the run ends and the next begins after a pause."""
    pause_s: float = 60.0
    """Between two runs when more packages wait; doubles with every full run in a row."""
    attach_gap_s: float = 3600.0
    """A network attach causes a poll unless one was made within this time."""
    early_share: float = 0.0
    """A regular poll that is due within this share of the interval is made when the radio is connected anyway."""


NORMAL: Final = ScheduleSettings()

# Narrow band: every poll costs seconds of radio time, round trips take seconds, and traffic is counted in kilobytes.
NBIOT: Final = ScheduleSettings(
    first_s=120.0,
    phase_window_s=900.0,
    jitter=0.2,
    fast_phase_s=0.0,
    max_packages=4,
    pause_s=600.0,
    attach_gap_s=6 * 3600.0,
    early_share=0.1,
)

PRESETS: Final[Mapping[str, ScheduleSettings]] = MappingProxyType({"normal": NORMAL, "nbiot": NBIOT})
