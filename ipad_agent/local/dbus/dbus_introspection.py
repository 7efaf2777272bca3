"""What ``busctl introspect`` and code generators read. Pure.

Nothing has to be escaped: names are those of our table, and elements of paths are letters, digits and ``_``.
"""

from __future__ import annotations

from collections.abc import Iterable

from .dbus_interfaces import MANAGER_OF_OBJECTS, OURS, ROOT, STANDARD, Arg, Interface
from .status_objects import Objects

_HEAD = (
    '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
    ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n'
)


def children(objects: Objects, path: str) -> tuple[str, ...]:
    """The next elements below this path."""
    start = path if path.endswith("/") else f"{path}/"
    return tuple(dict.fromkeys(found[len(start) :].split("/")[0] for found in objects if found.startswith(start)))


def introspect(objects: Objects, path: str) -> str | None:
    """The XML of one node; None when there is nothing at and below this path."""
    below = children(objects, path)
    here = objects.get(path)
    if here is None and not below:
        return None
    shown: list[Interface] = []
    if here is not None:
        shown += STANDARD
        if path == ROOT:
            shown.append(MANAGER_OF_OBJECTS)
        shown += [OURS[name] for name in here]
    lines = ["<node>", *(line for interface in shown for line in _interface(interface))]
    lines += [f'  <node name="{name}"/>' for name in below]
    return _HEAD + "\n".join([*lines, "</node>"]) + "\n"


def _interface(interface: Interface) -> Iterable[str]:
    yield f'  <interface name="{interface.name}">'
    for method in interface.methods:
        yield f'    <method name="{method.name}">'
        yield from (_arg(arg, "in") for arg in method.takes)
        yield from (_arg(arg, "out") for arg in method.gives)
        yield "    </method>"
    for signal in interface.signals:
        yield f'    <signal name="{signal.name}">'
        yield from (_arg(arg, None) for arg in signal.args)
        yield "    </signal>"
    for name, signature in interface.properties.items():
        yield f'    <property name="{name}" type="{signature}" access="read"/>'
    yield "  </interface>"


def _arg(arg: Arg, direction: str | None) -> str:
    way = "" if direction is None else f' direction="{direction}"'
    return f'      <arg name="{arg.name}" type="{arg.signature}"{way}/>'
