"""Where the system bus is, and whether anybody takes connections there: asked in a way that cannot block."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from .errors import BusUnreachable

VARIABLE: Final = "DBUS_SYSTEM_BUS_ADDRESS"
DEFAULT: Final = "unix:path=/var/run/dbus/system_bus_socket"
"""D-Bus specification, "Well-known Message Bus Instances"."""


def system_bus(environment: Mapping[str, str] = os.environ) -> str:
    """The addresses of the system bus, as D-Bus writes them."""
    return environment.get(VARIABLE) or DEFAULT


def machine_id(path: str = "/etc/machine-id") -> str | None:
    """The id of this machine, where it has one."""
    try:
        found = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return found if re.fullmatch("[0-9a-f]{32}", found) else None


def usable(addresses: str) -> str:
    """The first of these addresses where somebody takes connections. Raises ``BusUnreachable``.

    Only Unix sockets: they alone tell the bus who we are. A connection is made and dropped, without waiting: where a
    bus is so stuck that it takes no connection any more, the libraries would wait for it in a way that stops the whole
    process.
    """
    problems = []
    for entry in addresses.split(";"):
        for place in _unix_socket(entry):
            problem = _knock(place)
            if problem is None:
                return entry
            problems.append(f"{entry}: {problem}")
    raise BusUnreachable(f"{'; '.join(problems) or f'{addresses!r} names no Unix socket'}.")


def _unix_socket(entry: str) -> Iterator[str]:
    """The socket's name in an address, if it is a Unix socket."""
    transport, _, options = entry.partition(":")
    if transport != "unix":
        return
    for option in options.split(","):
        name, _, value = option.partition("=")
        if name == "path":
            yield unquote(value)
        elif name == "abstract":
            yield "\0" + unquote(value)


def _knock(place: str) -> str | None:
    """None when there is a bus, else what is wrong."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
        visitor.setblocking(False)
        try:
            visitor.connect(place)
        except BlockingIOError:
            return "takes no more connections"
        except (OSError, ValueError) as error:
            return (error.strerror if isinstance(error, OSError) else None) or str(error)
    return None
