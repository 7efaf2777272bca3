"""Which ports there are, whose module they belong to, and who has them: from the kernel, the profiles and the running
agents. No port is opened for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ipad_agent.modem.module_profile import ModuleProfile, UsbPorts
from ipad_agent.modem.port.port_lock import holders, plays_modem
from ipad_agent.modem.port.port_owners import advice, known_owners
from ipad_agent.modem.port.usb_sysfs import Tty
from ipad_agent.records import dataclass

from .errors import PortHeld


@dataclass(frozen=True, slots=True)
class AgentUse:
    """A running agent and its port, as it tells both; ``name`` is empty for the one of the default unit."""

    name: str
    port: str | None
    manufacturer: str | None = None
    model: str | None = None
    firmware: str | None = None
    profile: str | None = None
    transport: str | None = None

    @property
    def shown(self) -> str:
        """For people: what to type."""
        return f"ipad-agent@{self.name}" if self.name else "ipad-agent"


@dataclass(frozen=True, slots=True)
class PortRow:
    """``port`` is the device, ``stable`` the name to configure. ``use`` says what the port is for, as far as a profile
    knows: ``AT``, ``AT, preferred``, ``no AT port`` or ``not known``. ``held_by`` are processes, ``agent`` is the unit
    of the agent that uses it."""

    port: str
    stable: str
    usb: str | None
    interface: int | None
    module: str | None
    profile: str | None
    use: str
    held_by: tuple[str, ...]
    agent: str | None


def survey(
    ttys: Sequence[Tty],
    profiles: Sequence[ModuleProfile],
    agents: Iterable[AgentUse] = (),
    *,
    look: Callable[[Path], tuple[tuple[int, str], ...]] = holders,
) -> tuple[PortRow, ...]:
    """All serial ports, then the ports of agents that are none (pseudo-terminals, a bench's server)."""
    users = tuple(agents)
    rows = [_row(tty, profiles, users, look) for tty in ttys]
    shown = {_real(row.port) for row in rows}
    for agent in users:
        if agent.port is not None and _real(agent.port) not in shown:
            held = _held(Path(agent.port), look)
            rows.append(
                PortRow(agent.port, agent.port, None, None, _module(agent), agent.profile, "AT", held, agent.shown)
            )
    return tuple(rows)


def admit(
    path: Path, agents: Iterable[AgentUse], *, look: Callable[[Path], tuple[tuple[int, str], ...]] = holders
) -> None:
    """Raises ``PortHeld`` when the port is an agent's or another program's: it is not touched then."""
    for agent in agents:
        if agent.port is not None and _real(agent.port) == _real(str(path)):
            unit = agent.shown
            raise PortHeld(
                f"{path} is the port of the running agent ({unit}); it is not touched.",
                hint=f"`ipactl doctor` examines it through the agent. Or: sudo systemctl stop {unit}, this command "
                f"again, sudo systemctl start {unit}.",
            )
    device = Path(os.path.realpath(path))
    others = [(pid, name) for pid, name in look(device) if not plays_modem(pid, device)]
    if others:
        names = [name for _, name in others]
        listed = ", ".join(f"{name} (process {pid})" for pid, name in others)
        what = ", ".join(owner.what for owner in known_owners(names))
        raise PortHeld(
            f"{path} is held by {listed}" + (f", {what}" if what else "") + "; it is not touched.", hint=advice(names)
        )


def _row(
    tty: Tty,
    profiles: Sequence[ModuleProfile],
    agents: Sequence[AgentUse],
    look: Callable[[Path], tuple[tuple[int, str], ...]],
) -> PortRow:
    profile, ports = _known(tty, profiles)
    agent = next((one for one in agents if one.port is not None and _real(one.port) == _real(str(tty.path))), None)
    module = tty.product or (None if profile is None else profile.title)
    name = None if profile is None else profile.name
    if agent is not None:
        module, name = _module(agent) or module, agent.profile or name
    return PortRow(
        str(tty.path),
        str(tty.stable),
        tty.usb_id,
        tty.interface,
        module,
        name,
        _use(tty, ports),
        _held(tty.path, look),
        None if agent is None else agent.shown,
    )


def _known(tty: Tty, profiles: Sequence[ModuleProfile]) -> tuple[ModuleProfile | None, UsbPorts | None]:
    """By the USB id: which family that is; the module's own answers may name a more particular one."""
    for profile in profiles:
        for ports in profile.usb_ports:
            if tty.usb_id is not None and tty.usb_id in ports.ids:
                return profile, ports
    return None, None


def _use(tty: Tty, ports: UsbPorts | None) -> str:
    if tty.is_wwan:
        return "AT"
    if ports is None or ports.probe or tty.interface is None:
        return "not known"
    if tty.interface not in ports.interfaces:
        return "no AT port"
    return "AT, preferred" if tty.interface == ports.interfaces[0] else "AT"


def _held(path: Path, look: Callable[[Path], tuple[tuple[int, str], ...]]) -> tuple[str, ...]:
    device = Path(os.path.realpath(path))
    return tuple(f"{name} (process {pid})" for pid, name in look(device) if not plays_modem(pid, device))


def _module(agent: AgentUse) -> str | None:
    return " ".join(part for part in (agent.manufacturer, agent.model) if part) or None


def _real(port: str) -> str:
    return os.path.realpath(port)
