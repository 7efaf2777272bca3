"""What the D-Bus service says (IPA-134x)."""

from __future__ import annotations

from ipad_agent.events import DEBUG, ERROR, INFO, WARNING, define


@define(
    "IPA-1340",
    INFO,
    "On the system bus as {name} ({library}).",
    "Programs on this machine can read the status and ask for actions over D-Bus; see docs/dbus.md.",
)
def ON_THE_BUS(*, name: str, library: str) -> None: ...


@define(
    "IPA-1341",
    INFO,
    "Not on D-Bus: {reason} Trying again from time to time.",
    "The agent needs no bus and does its work without one. It tries again after at most a minute each time, and says "
    'so when that works. `local.dbus = "off"` ends the attempts.',
)
def NO_BUS(*, reason: str) -> None: ...


@define(
    "IPA-1342",
    WARNING,
    "The connection to D-Bus ended: {reason} Connecting again.",
    "Normal when the bus is restarted. The agent itself is not disturbed; verbs that were asked over D-Bus carry on, "
    "only their answers are lost.",
)
def BUS_LOST(*, reason: str) -> None: ...


@define(
    "IPA-1343",
    ERROR,
    "Another program owns {name} on D-Bus; trying again.",
    "Two agents on one machine, or a test that was left running: `busctl status` with this name tells which. The "
    "agent works on without D-Bus and takes the name when it becomes free.",
)
def NAME_TAKEN(*, name: str) -> None: ...


@define(
    "IPA-1344",
    ERROR,
    "D-Bus does not allow this agent the name {name}: {reason}",
    "The policy file systemd/io.github.ipadagent1.conf is not installed, or the agent runs as another user than the "
    "one it names (ipad). The agent works on without D-Bus and tries again.",
)
def NAME_REFUSED(*, name: str, reason: str) -> None: ...


@define(
    "IPA-1345",
    INFO,
    "Not on D-Bus: neither dbus-fast nor dbus-next is installed.",
    "The agent needs neither. Install one of them and restart the agent to have the D-Bus service.",
)
def NO_LIBRARY() -> None: ...


@define(
    "IPA-1346",
    INFO,
    "{verb} was asked over D-Bus by user id {uid} (process {pid}).",
    "Who asked for something that acts, for the record. What became of it follows in the log.",
)
def ASKED(*, verb: str, uid: int | str, pid: int | str) -> None: ...


@define(
    "IPA-1347",
    WARNING,
    "{verb} over D-Bus was denied to user id {uid} (process {pid}): {reason}",
    "Only root, the agent's own user, whom polkit allows it, and without polkit the members of the control group may "
    "act. See docs/dbus.md. Of one user this is said at most every 10 seconds.",
)
def DENIED(*, verb: str, uid: int | str, pid: int | str, reason: str) -> None: ...


@define(
    "IPA-1348",
    DEBUG,
    "{count} events were not passed on over D-Bus because the bus was slow.",
    "They are complete in the log. Signals are not kept for a bus that does not take them.",
)
def EVENTS_DROPPED(*, count: int) -> None: ...


@define(
    "IPA-1349",
    ERROR,
    "A defect in the D-Bus service: {error} The agent itself is not disturbed.",
    "The service starts again by itself. Please report this message with the lines that follow it.",
)
def DEFECT(*, error: str) -> None: ...


@define(
    "IPA-1350",
    INFO,
    "User id {uid} (process {pid}) calls very often over D-Bus; what is too much is not answered.",
    "Every user has a number of calls per second, see docs/dbus.md. Nobody else is held up. Told once a minute.",
)
def TURNED_AWAY(*, uid: int | str, pid: int | str) -> None: ...
