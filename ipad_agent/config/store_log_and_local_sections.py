"""The machine around the agent: its disk, its log, and the faces shown to it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ipad_agent import agent_names
from ipad_agent.records import dataclass

from .value_readers import FilePath, Flag, Integer, Number, Text, choices, key

_GROUP: Final = r"(?:[A-Za-z0-9_][A-Za-z0-9_.@\\ -]*\$?)?"


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Where the agent keeps what it must not forget."""

    state_dir: Path = key(
        FilePath("a folder"),
        Path("/var/lib/ipad-agent"),
        "Journal and last known state. Must survive reboots and updates; a few kilobytes, few writes.",
    )
    runtime_dir: Path = key(
        FilePath("a folder"),
        Path("/run/ipad-agent"),
        "What may be forgotten at a reboot; should be in memory. The agent's lock of the port is here: only the "
        "agent's user should be able to write to it.",
    )


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What is said, and in which form."""

    level: str = key(choices(("debug", "info", "warning", "error")), "info", "The least important messages to show.")
    style: str = key(
        choices(("auto", "text", "journal", "json")),
        "auto",
        "`journal` has syslog priorities, `json` one object per line; `auto` is `journal` under systemd, else `text`.",
    )


@dataclass(frozen=True, slots=True)
class LocalConfig:
    """The faces to this machine: the socket of `ipactl`, and D-Bus."""

    socket: bool = key(Flag(), True, "Whether there is a socket (Varlink). `ipactl` needs it.")
    socket_path: Path | None = key(
        FilePath("a path"), None, "Where it is; without this `io.github.ipadagent` below `store.runtime_dir`."
    )
    read_group: str = key(
        Text("the name of a group, or empty", _GROUP, longest=64),
        "ipad-view",
        "Members may look, through the socket and on D-Bus alike. Where there is no such group, only root and the "
        "agent's own user may.",
    )
    examine_group: str = key(
        Text("the name of a group, or empty", _GROUP, longest=64),
        "ipad-examine",
        "Members may look, and have the device examined over the socket: the doctor and the support bundle, which "
        "change nothing. The web page's process is in it.",
    )
    control_group: str = key(
        Text("the name of a group, or empty", _GROUP, longest=64),
        "ipad-admin",
        "Members may also act; on D-Bus that is for polkit to say, where there is one. Where there is no such group, "
        "only root and the agent's own user may.",
    )
    max_clients: int = key(Integer(1, 1024), 32, "Connections at a time; more are closed at once.")
    name: str = key(
        Text("letters, digits and _", rf"(?:{agent_names.PATTERN})?", longest=32),
        "",
        "The name of this agent where there are several, one for each modem: behind a dot after its name on D-Bus. "
        "`ipad-agent run --modem NAME` sets it, and with it `store.state_dir` and `store.runtime_dir`.",
    )
    dbus: str = key(
        choices(("auto", "off")),
        "auto",
        "`auto` appears on the system bus when there is one and the D-Bus library is installed.",
    )
    memory_reset: bool = key(
        Flag(),
        False,
        "Whether the local memory reset may be asked for at all. It deletes profiles, and with them the way to the "
        "device.",
    )
    allow_at: bool = key(
        Flag(),
        False,
        "Whether those who may act may also send AT commands of their own to the modem (`ipactl at`). What takes the "
        "card or the line away from the agent is never sent.",
    )
    ipae_activation: bool = key(
        Flag(),
        False,
        "Whether the card's own assistant (IPAe) may be activated locally (`ipactl card activate-ipae`). This agent "
        "has no access to the card after that.",
    )
    emergency: bool = key(
        Flag(), True, "Whether the emergency profile may be enabled and disabled locally, where the card has one."
    )


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """Figures for Prometheus."""

    textfile: Path | None = key(
        FilePath("a file"),
        None,
        "Written for the textfile collector of node_exporter, whose folder takes names that end in `.prom`. The "
        "agent's user needs to be able to write in that folder.",
    )
    interval_s: float = key(Number(1, 86_400), 60.0, "Between two writes of that file.")


@dataclass(frozen=True, slots=True)
class RecordConfig:
    """The flight recorder: what is said to modem, card and servers, kept on the disk."""

    enabled: bool = key(
        Flag(),
        False,
        "Whether it records from the agent's start on. Without this it does when `ipactl record start` says so. The "
        "files hold identifiers and orders; only the agent's user can read them.",
    )
    max_bytes: int = key(
        Integer(1 << 20, 1 << 30),
        4 << 20,
        "So large the recording may be, in `records` below `store.state_dir`; the oldest eighth gives way to what is "
        "new.",
    )


@dataclass(frozen=True, slots=True)
class LedConfig:
    """A light on the box."""

    name: str | None = key(
        Text("the name of a folder in /sys/class/leds", r"[^/.\x00-\x1f\x7f][^/\x00-\x1f\x7f]*"),
        None,
        "Shows the agent's state on this LED of the machine.",
    )
