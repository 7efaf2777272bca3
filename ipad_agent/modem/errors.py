"""What can go wrong with the modem and the line to it."""

from __future__ import annotations

from ipad_agent.errors import ConfigError, ModemError, Remedy


class PortLost(ModemError):
    """The port vanished (unplugged, modem restarted, watchdog); it is opened again by its stable path."""

    default_hint = "The agent waits for the port to come back; check cable and supply voltage if it does not."


class PortUnavailable(ModemError):
    """The port cannot be opened: not there, no permission, or in other hands."""

    remedy = Remedy.RETRY
    default_hint = "Check modem.port, the permissions of the device node and who else uses it."


class PortMissing(PortUnavailable):
    """There is no such device: most often the modem is unplugged."""

    default_hint = (
        "Check plug, power and cable of the modem. A name that stays is in /dev/serial/by-id; modem.port = auto finds "
        "it by itself."
    )


class PortBusy(PortUnavailable):
    """Another program holds the port."""

    remedy = Remedy.ASK_PERSON
    default_hint = "Give the agent a port of its own: stop the other program or let it ignore this port."


class ModemNotFound(PortUnavailable):
    """The port is to be looked for, and no known modem is there."""

    default_hint = (
        "The agent goes on looking. If the modem is plugged in and powered, set modem.port to its AT port, or add its "
        "USB id to a module profile (hw/README.md)."
    )


class SeveralModems(PortUnavailable):
    """The port is to be looked for, and more than one modem could be meant; guessing could manage the wrong card."""

    remedy = Remedy.ASK_PERSON
    default_hint = "Set modem.port to the one that is meant."


class PortContention(ModemError):
    """Answers to commands that the agent did not send: another program talks on the same port."""

    remedy = Remedy.ASK_PERSON
    default_hint = "Usually ModemManager: set ENV{ID_MM_PORT_IGNORE} for this port (see hw/99-ipad-agent.rules)."


class CommandTimeout(ModemError):
    """The modem did not finish a command in time. What it does with it stays unknown."""


class LinkDead(ModemError):
    """No answer to AT whatever was tried: wrong port, wrong speed, or a modem that hangs."""

    remedy = Remedy.RETRY_AFTER_RESET
    default_hint = "Check that modem.port is an AT port (not the diagnostic one) and the speed of a UART."


class LineDamaged(ModemError):
    """What arrived is not what the command can have as answer: bytes were lost or answers got mixed."""

    default_hint = "On a UART, wire RTS/CTS or lower the speed."


class CommandRefused(ModemError):
    """A final result other than OK. ``cme`` is the +CME ERROR number when there was one."""

    def __init__(self, command: str, final: str, *, cme: int | None = None, meaning: str = "") -> None:
        super().__init__(f"{command} was refused: {final}" + (f" ({meaning})" if meaning else ""))
        self.command = command
        self.final = final
        self.cme = cme


class ResetNotPossible(ModemError):
    """This rung of the reset ladder does not exist for the module, or needs the operator's consent."""

    remedy = Remedy.GIVE_UP


class ProfileError(ConfigError):
    """A module profile (hw/modems/*.toml) that cannot be used; the place is ``file: key``."""
