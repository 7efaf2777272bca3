"""What the site asks for: when work is welcome, scripts, checks, the byte budget, and who may call for a poll."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ipad_agent.policy.polling.daily_window import DailyWindow
from ipad_agent.records import dataclass

from .secret_file import SecretFile
from .value_readers import DAY_S, PORT_NUMBER, FilePath, Flag, Integer, ListOf, Number, Secret, Text, TimeWindow, key

_PROBE: Final = rf"tcp://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):{PORT_NUMBER}|/[^\x00-\x1f\x7f]+"

_INTERFACE: Final = r"[^\s/:.\x00-\x1f\x7f][^\s/:\x00-\x1f\x7f]*"

_MOST_BYTES: Final = 10**15

_UDP_PLACE: Final = rf"(?:\d{{1,3}}(?:\.\d{{1,3}}){{3}}|\[[0-9A-Fa-f:.]+\]):{PORT_NUMBER}"


@dataclass(frozen=True, slots=True)
class ConditionsConfig:
    """When work of an eIM is fetched. What is owed is always delivered, and the scripts of `site.conditions_dir` have
    their say as well."""

    windows: tuple[DailyWindow, ...] = key(
        ListOf(TimeWindow(), most=48),
        (),
        "Times of the day, in the machine's local time zone; from 22:00 to 05:00 goes over midnight. Empty: always. A "
        "clock that was never set is in no window.",
    )
    external_power: bool = key(
        Flag(), False, "Whether the device must be on external power; one without any battery always is."
    )
    min_signal_dbm: int | None = key(
        Integer(-150, -20),
        None,
        "The least signal (RSRP, or RSSI where the modem tells no more). A modem that tells nothing holds nothing up.",
    )
    clock: bool = key(Flag(), False, "Whether the clock must have been set: a date before 2024 is none.")
    retry_s: float = key(Number(1, DAY_S), 900.0, "Between two looks while work is held back.")
    max_hold_s: float = key(
        Number(0, 366 * DAY_S),
        604_800.0,
        "After so long work is fetched all the same, so that no mistake in a condition takes a device away from its "
        "eIM for ever. 0: never.",
    )


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """The site's own scripts, and the network that the SIM serves."""

    hooks_dir: Path = key(
        FilePath("a folder"),
        Path("/etc/ipad-agent/hooks.d"),
        "Scripts told of every switch. They need not be there.",
    )
    conditions_dir: Path = key(
        FilePath("a folder"),
        Path("/etc/ipad-agent/conditions.d"),
        "Scripts asked whether work may be fetched: status 0 says yes, everything else no, and the last line of the "
        "output why not. They need not be there.",
    )
    script_timeout_s: float = key(
        Number(0.1, 600), 30.0, "How long one script may take; then it and its children are killed."
    )
    interface: str | None = key(
        Text("the name of a network interface", _INTERFACE, longest=15),
        None,
        "The network interface that the SIM serves, such as `wwan0`. With it a profile is proved by that interface "
        "alone, and not by a cable.",
    )
    application_probe: str | None = key(
        Text('"tcp://host:port" or the path of a program that begins with "/"', _PROBE),
        None,
        "What shows that the site's own application gets through: a connection that is made, or a program that ends "
        "with status 0.",
    )
    apn_table: Path | None = key(
        FilePath("a file"), None, "APNs by ICCID and by network (TOML), for profiles that the card names no APN for."
    )


@dataclass(frozen=True, slots=True)
class BudgetConfig:
    """How much traffic with servers is expected, headers of IP, UDP and TCP included. It is counted and shown."""

    day_bytes: int | None = key(Integer(1, _MOST_BYTES), None, "Bytes from midnight to midnight (UTC).")
    total_bytes: int | None = key(Integer(1, _MOST_BYTES), None, "Bytes in the life of the installation.")
    warn: tuple[float, ...] = key(
        ListOf(Number(0.01, 1, "")), (0.5, 0.8), "Shares of a budget at which a warning is given."
    )
    hold_at: float | None = key(
        Number(0.01, 1, ""),
        None,
        "Share of a budget from which on only results and the ways back of a switch leave the device: no work is "
        "fetched and no download begun, until the day is over or the budget is raised. Without it they are only shown.",
    )


@dataclass(frozen=True, slots=True)
class WakeConfig:
    """Calls without content that bring the next poll forward. Off by default; `ipactl poll` needs none of it."""

    sms: bool = key(
        Flag(),
        False,
        "Whether an SMS may call. The modem is then told to announce new messages (AT+CNMI); one of `sms_senders` that "
        "holds the keyword and nothing else is deleted, all others stay where they are.",
    )
    sms_senders: tuple[str, ...] = key(
        ListOf(Text("a number as the network shows it, such as +491511234567", r"\+?[0-9A-Za-z*#]{3,20}")),
        (),
        "Who may call by SMS; each as the network shows the number, with its country's code.",
    )
    sms_keyword_file: SecretFile | None = key(
        Secret(), None, "File with the text of such an SMS, 8 to 160 letters and digits; never the text itself."
    )
    knock: tuple[str, ...] = key(
        ListOf(Text("an address of this device like 10.8.0.2:4817 or [::1]:4817", _UDP_PLACE), most=4),
        (),
        "Where knocks are heard (UDP): addresses of loopback or of a tunnel. `ipad-agent knock` sends one.",
    )
    knock_key_file: SecretFile | None = key(
        Secret(), None, "File with the key of knocks in hexadecimal, 16 bytes or more; never the key itself."
    )
    any_interface: bool = key(Flag(), False, "Whether knocks are heard at other addresses too.")
    per_hour: int = key(
        Integer(1, 60), 6, "So many calls are followed in an hour, whoever sends them: each costs a poll."
    )
