"""What the socket says."""

from __future__ import annotations

from ipad_agent.events import DEBUG, ERROR, INFO, WARNING, define

LISTENING = define(
    "IPA-1320",
    INFO,
    "Local programs are answered on {path}.",
    "The Varlink socket, which `ipactl` uses, is open. Who may do what is decided by user and group of the caller.",
)
NO_SOCKET = define(
    "IPA-1321",
    WARNING,
    "The local socket {path} cannot be opened: {reason}. Trying again in {wait_s:.0f} s.",
    "The agent does its work without it, only `ipactl` finds nobody. Check the folder and local.socket_path.",
)
ASKED = define(
    "IPA-1322",
    INFO,
    "User {uid} (process {pid}) asks for {method}.",
    "Somebody on this machine, through the local socket, wants the agent to do something.",
)
NOT_ALLOWED = define(
    "IPA-1323",
    WARNING,
    "User {uid} (process {pid}) asked for {method} and may not: that needs {needs}.",
    "See local.read_group and local.control_group. Told once a minute for each user.",
)
NOT_DONE = define(
    "IPA-1324",
    INFO,
    "{method} was not done: {reason}",
    "The answer that user got; see the entry before this one.",
)
TURNED_AWAY = define(
    "IPA-1325",
    DEBUG,
    "A connection of user {uid} to the local socket was closed at once: {reason}.",
    "See local.max_clients. The agent itself is not held up by those who connect.",
)
DROPPED = define(
    "IPA-1326",
    DEBUG,
    "The connection of user {uid} (process {pid}) to the local socket was closed: {reason}.",
    "The client sent what is no Varlink message, or did not read its answers, or left a message half sent.",
)
DEFECT = define(
    "IPA-1327",
    ERROR,
    "A call on the local socket failed in a way nobody expected: {reason}.",
    "A defect of this program; the agent itself goes on. Report it with the lines that follow.",
)
SLOWED = define(
    "IPA-1328",
    INFO,
    "User {uid} (process {pid}) calls very often on the local socket; the answers come more slowly.",
    "Every user has a number of calls per second, see the limits in docs/local-api.md. Nobody else is held up. Told "
    "once a minute for each user.",
)
NOT_ACCEPTED = define(
    "IPA-1329",
    WARNING,
    "A connection to the local socket could not be taken: {reason}. Trying again in a second.",
    "Mostly the process has too many files open. The agent does its work, only `ipactl` has to wait.",
)
