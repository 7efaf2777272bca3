"""What the socket says."""

from __future__ import annotations

from pathlib import Path

from ipad_agent.events import DEBUG, ERROR, INFO, WARNING, define


@define(
    "IPA-1320",
    INFO,
    "Local programs are answered on {path}.",
    "The Varlink socket, which `ipactl` uses, is open. Who may do what is decided by user and group of the caller.",
)
def LISTENING(*, path: Path) -> None: ...


@define(
    "IPA-1321",
    WARNING,
    "The local socket {path} cannot be opened: {reason}. Trying again in {wait_s:.0f} s.",
    "The agent does its work without it, only `ipactl` finds nobody. Check the folder and local.socket_path.",
)
def NO_SOCKET(*, path: Path, reason: str, wait_s: float) -> None: ...


@define(
    "IPA-1322",
    INFO,
    "User {uid} (process {pid}) asks for {method}.",
    "Somebody on this machine, through the local socket, wants the agent to do something.",
)
def ASKED(*, uid: int, pid: int, method: str) -> None: ...


@define(
    "IPA-1323",
    WARNING,
    "User {uid} (process {pid}) asked for {method} and may not: that needs {needs}.",
    "See local.read_group, local.examine_group and local.control_group. Told once a minute for each user.",
)
def NOT_ALLOWED(*, uid: int, pid: int, method: str, needs: str) -> None: ...


@define(
    "IPA-1324",
    INFO,
    "{method} was not done: {reason}",
    "The answer that user got; see the entry before this one.",
)
def NOT_DONE(*, method: str, reason: str) -> None: ...


@define(
    "IPA-1325",
    DEBUG,
    "A connection of user {uid} to the local socket was closed at once: {reason}.",
    "See local.max_clients. The agent itself is not held up by those who connect.",
)
def TURNED_AWAY(*, uid: int, reason: str) -> None: ...


@define(
    "IPA-1326",
    DEBUG,
    "The connection of user {uid} (process {pid}) to the local socket was closed: {reason}.",
    "The client sent what is no Varlink message, or did not read its answers, or left a message half sent.",
)
def DROPPED(*, uid: int, pid: int, reason: str) -> None: ...


@define(
    "IPA-1327",
    ERROR,
    "A call on the local socket failed in a way nobody expected: {reason}.",
    "A defect of this program; the agent itself goes on. Report it with the lines that follow.",
)
def DEFECT(*, reason: str) -> None: ...


@define(
    "IPA-1328",
    INFO,
    "User {uid} (process {pid}) calls very often on the local socket; the answers come more slowly.",
    "Every user has a number of calls per second, see the limits in docs/local-api.md. Nobody else is held up. Told "
    "once a minute for each user.",
)
def SLOWED(*, uid: int, pid: int) -> None: ...


@define(
    "IPA-1329",
    WARNING,
    "A connection to the local socket could not be taken: {reason}. Trying again in a second.",
    "Mostly the process has too many files open. The agent does its work, only `ipactl` has to wait.",
)
def NOT_ACCEPTED(*, reason: str) -> None: ...
