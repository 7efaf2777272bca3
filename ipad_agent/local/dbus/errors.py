"""How the bus fails. None of it stops the agent."""

from __future__ import annotations

from ipad_agent.errors import IpadError, Remedy


class BusError(IpadError):
    """The message bus of this machine cannot be used now."""

    remedy = Remedy.RETRY
    default_hint = "The agent works without D-Bus and tries again by itself."


class BusUnreachable(BusError):
    """There is no bus, or it does not take us."""

    default_hint = "Is a system bus running? Without one the agent works all the same; `local.dbus` switches this off."


class BusLost(BusError):
    """The connection to the bus ended, or the bus does not answer."""

    default_hint = "The agent connects again by itself; look at the journal of the bus if this happens often."


class NoBusLibrary(BusError):
    """Neither of the two D-Bus libraries is installed."""

    remedy = Remedy.ASK_PERSON
    default_hint = "Install dbus-fast or dbus-next for the agent's Python."


class NameTaken(BusError):
    """Another program owns our name on the bus."""

    remedy = Remedy.ASK_PERSON
    default_hint = "Is a second agent running? `busctl list` tells which process owns the name."


class NameRefused(BusError):
    """The bus does not allow us our name."""

    remedy = Remedy.ASK_PERSON
    default_hint = "Install systemd/io.github.ipadagent1.conf and run the agent as the user it names."


class RemoteFailure(BusError):
    """A peer on the bus answered a call with an error; ``name`` is its D-Bus name."""

    def __init__(self, name: str, sentence: str) -> None:
        super().__init__(f"{name}: {sentence}")
        self.name = name
