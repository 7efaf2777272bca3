"""Polls, switches and the guardian, whose defaults are the policy's, and the power that it all takes."""

from __future__ import annotations

from dataclasses import fields

from ipad_agent.policy import NORMAL, PRESETS, ScheduleSettings
from ipad_agent.policy.guardian.guardian_settings import NORMAL as GUARDIAN
from ipad_agent.policy.guardian.guardian_settings import GuardianSettings
from ipad_agent.policy.switching.switch_settings import NORMAL as SWITCH
from ipad_agent.policy.switching.switch_settings import SwitchSettings
from ipad_agent.records import dataclass

from .value_readers import DAY_S, Flag, Integer, Number, choices, key


@dataclass(frozen=True, slots=True)
class PollConfig:
    """When to ask the eIM for work. The defaults depend on the preset."""

    preset: str = key(
        choices(tuple(PRESETS)),
        "normal",
        "A set of defaults for this section, `[coap]` and `[https]`: `nbiot` is for NB-IoT.",
    )
    interval_s: float = key(Number(1, 31 * DAY_S), NORMAL.interval_s, "Between two polls when nothing is going on.")
    first_s: float = key(
        Number(0, DAY_S), NORMAL.first_s, "From a boot to the first poll, at least; modem and network need that long."
    )
    phase_window_s: float = key(
        Number(0, DAY_S),
        NORMAL.phase_window_s,
        "The first polls of a fleet spread over this much more, so that a power cut in a city is no flood at the eIM. "
        "Each device has its fixed place, from the SHA-256 of its EID.",
    )
    jitter: float = key(
        Number(0, 0.5, ""), NORMAL.jitter, "Share of every interval by which it is shortened or lengthened at random."
    )
    fast_phase_s: float = key(
        Number(0, DAY_S),
        NORMAL.fast_phase_s,
        "For this long after a boot or a provisioning polls are more frequent; 0 turns it off.",
    )
    fast_interval_s: float = key(Number(1, DAY_S), NORMAL.fast_interval_s, "Between two polls in that phase.")
    backoff_first_s: float = key(
        Number(0.1, DAY_S),
        NORMAL.backoff_first_s,
        "The first back-off after a failure (a random part of it); it doubles up to the interval. When the eIM fails "
        "or is out of reach and no order or result is under way, the second is already a random part of three quarters "
        "of the interval, so that a fleet does not come back all at once. A network attach, the first restart of the "
        "agent and `ipactl poll` do not wait.",
    )
    backoff_unknown_s: float = key(
        Number(0.1, 7 * DAY_S),
        NORMAL.backoff_unknown_s,
        "The same when the eIM does not know this EID: only a person can change that.",
    )
    backoff_trust_s: float = key(
        Number(0.1, 7 * DAY_S),
        NORMAL.backoff_trust_s,
        "The same when the eIM's certificate or key was refused: every attempt costs a handshake.",
    )
    backoff_local_s: float = key(
        Number(0.1, 3600),
        NORMAL.backoff_local_s,
        "The same when modem or card failed; it doubles up to one hour only, because it costs no traffic.",
    )
    busy_cap_s: float = key(
        Number(1, 7 * DAY_S),
        NORMAL.busy_cap_s,
        "The longest a busy eIM may send the device away.",
    )
    max_packages: int = key(
        Integer(1, 1000), NORMAL.max_packages, "Packages in one run; a guard against an eIM that never stops."
    )
    pause_s: float = key(
        Number(0.1, DAY_S),
        NORMAL.pause_s,
        "Pause after a run that reached that number; it doubles with every such run in a row.",
    )
    attach_gap_s: float = key(
        Number(0, 7 * DAY_S),
        NORMAL.attach_gap_s,
        "A network attach causes a poll unless the last one was less than this long ago.",
    )
    early_share: float = key(
        Number(0, 0.5, ""),
        NORMAL.early_share,
        "A regular poll that is due within this share of `interval_s` is made at once when the modem tells that its "
        "radio is connected anyway (+CSCON, see the table of modules): by the gateway's own traffic, or because the "
        "modem reports to the network as it does in PSM. Polls are never put off for it. 0: never earlier.",
    )

    def settings(self) -> ScheduleSettings:
        """The same numbers for the schedule."""
        return ScheduleSettings(**{item.name: getattr(self, item.name) for item in fields(ScheduleSettings)})


@dataclass(frozen=True, slots=True)
class SwitchConfig:
    """How a new profile proves itself after a switch. The defaults depend on `poll.preset`."""

    confirm_s: float = key(
        Number(5, 3600),
        SWITCH.confirm_s,
        "From the switch to the end of the proof. A profile that is not proved by then is given up for the one before "
        "it. Less than 120 is for benches: registration alone takes a minute or two.",
    )
    probe_first_s: float = key(
        Number(0.1, 600), SWITCH.probe_first_s, "Between two looks at what is not proved yet, right after the switch."
    )
    probe_first_count: int = key(Integer(0, 1000), SWITCH.probe_first_count, "So many looks are made at that pace.")
    probe_s: float = key(Number(0.1, 600), SWITCH.probe_s, "Between two looks after those.")
    registration_s: float = key(
        Number(1, 3600),
        SWITCH.registration_s,
        "How long the modem may take to register with the new profile.",
    )
    ip_s: float = key(Number(1, 3600), SWITCH.ip_s, "From registration to an address and a route.")
    dns_s: float = key(Number(1, 3600), SWITCH.dns_s, "How long one look for the address of the eIM's name may take.")
    eim_s: float = key(
        Number(1, 3600), SWITCH.eim_s, "From there to an answer of the eIM, its name's address included."
    )
    application_s: float = key(
        Number(1, 3600), SWITCH.application_s, "How long one try of `site.application_probe` may take."
    )
    success: str = key(
        choices(("result-acked", "application-probe")),
        SWITCH.success,
        "What proves a profile. `result-acked`: the eIM acknowledged the result over it. `application-probe`: "
        "`site.application_probe` got through as well.",
    )

    def settings(self) -> SwitchSettings:
        """The same values for the switch."""
        return SwitchSettings(**{item.name: getattr(self, item.name) for item in fields(SwitchSettings)})


@dataclass(frozen=True, slots=True)
class GuardianConfig:
    """What to do about a lasting loss of connectivity. The defaults depend on `poll.preset`."""

    enabled: bool = key(
        Flag(),
        GUARDIAN.enabled,
        "Whether the fallback profile is enabled when connectivity stays lost. Only a card that marks one has it.",
    )
    loss_s: float = key(
        Number(1, 366 * DAY_S), GUARDIAN.loss_s, "Without any connectivity for this long, the fallback profile comes."
    )
    failed_cycles: int = key(
        Integer(1, 1000),
        GUARDIAN.failed_cycles,
        "So many polls in a row must have failed too: silence that nobody tried to break is no loss.",
    )
    check_s: float = key(Number(1, DAY_S), GUARDIAN.check_s, "Between two looks while connectivity is lost.")
    restart_modem_after_s: float = key(
        Number(0, 366 * DAY_S),
        GUARDIAN.restart_modem_after_s,
        "Cut off from the network for this long, or for half of the time after which the fallback profile comes, the "
        "modem is restarted; and again each time it has taken twice as long. 0: never, where others do it.",
    )
    unproven_loss_s: float = key(
        Number(1, 366 * DAY_S),
        GUARDIAN.unproven_loss_s,
        "Instead of `loss_s` after a switch that was never proved and could not be rolled back.",
    )
    return_after_s: float = key(
        Number(1, 366 * DAY_S),
        GUARDIAN.return_after_s,
        "From the change to the fallback profile to an attempt to go back, and between two attempts.",
    )
    max_returns: int = key(
        Integer(0, 1000),
        GUARDIAN.max_returns,
        "Attempts to go back; then the fallback profile stays until the eIM or a person decides. 0: no attempt.",
    )

    def settings(self) -> GuardianSettings:
        """The same values for the guardian."""
        return GuardianSettings(**{item.name: getattr(self, item.name) for item in fields(GuardianSettings)})


@dataclass(frozen=True, slots=True)
class PowerConfig:
    """The radio costs most of what the agent takes from a battery. Without `manage` no power setting of the modem is
    touched."""

    radio_idle_s: float = key(
        Number(1, 600),
        20.0,
        "After so long without a packet the network lets the radio rest, and the next one begins a new radio cycle. "
        "It is for counting only; operators have between 10 and 30.",
    )
    release: bool = key(
        Flag(),
        True,
        "Whether the modem is told after a poll that no more data comes, where its profile has a command for that. The "
        "radio rests at once then, not after `radio_idle_s`.",
    )
    manage: bool = key(
        Flag(),
        False,
        "Whether the agent sets PSM and eDRX of the modem to what is below. Off: they are read and shown, never set. "
        "Turned off again, the modem gets back what it had before.",
    )
    active_s: float | None = key(
        Number(16, 11_160),
        None,
        "With `manage`: how long the modem stays reachable after traffic before it sleeps (PSM, T3324), rounded up to "
        "what can be said. No less than a poll takes. Without it and `update_s` PSM is left as it is.",
    )
    update_s: float | None = key(
        Number(600, 35_712_000),
        None,
        "With `manage`: how often the modem reports to the network of itself (T3412), rounded up. Must be there with "
        "`active_s`, and longer.",
    )
    edrx_cycle_s: float | None = key(
        Number(5.12, 10_485.76),
        None,
        "With `manage`: how often the modem listens while it does not sleep (eDRX), the next longer one that there is. "
        "Without it eDRX is left as it is.",
    )
