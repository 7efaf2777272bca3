"""Answers to whoever reads: properties, the tree of objects, introspection. Pure, so that they cannot be slow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from ipad_agent.similar_names import near, plain

from .dbus_interfaces import (
    INTROSPECTABLE,
    MANAGER,
    MANAGER_OF_OBJECTS,
    OBJECT_MANAGER,
    OURS,
    PROPERTIES,
    ROOT,
    STANDARD,
    Interface,
    Method,
)
from .dbus_introspection import introspect
from .dbus_messages import Answer, Call, Failure
from .status_objects import Objects

_DBUS_ERROR = "org.freedesktop.DBus.Error."
NOTHING: Objects = {ROOT: {MANAGER.name: {}}}
"""What those see who may not look: that there is an agent, and what it could be asked."""
_STANDARD = {interface.name: interface for interface in (*STANDARD, MANAGER_OF_OBJECTS)}


def route(objects: Objects, call: Call) -> tuple[str, Method] | Failure:
    """The interface and the method that this call means, or why there is none."""
    known = objects.get(call.path)
    if known is None and not (_means(call, INTROSPECTABLE) and introspect(objects, call.path) is not None):
        return _failure("UnknownObject", f"There is no object {call.path}.")
    offered: dict[str, Interface] = {name: OURS[name] for name in known or ()} | _STANDARD
    if call.path != ROOT:
        del offered[OBJECT_MANAGER]
    if call.interface is not None:
        if call.interface not in offered:
            return _failure(
                "UnknownInterface",
                f"{call.path} has no interface {call.interface}.{_interface_meant(call.interface, offered)}",
            )
        offered = {call.interface: offered[call.interface]}
    for name, interface in offered.items():
        method = interface.method(call.member)
        if method is not None:
            if method.in_signature != call.signature:
                wanted = f"arguments of type '{method.in_signature}'" if method.takes else "no arguments"
                return _failure("InvalidArgs", f"{call.member} takes {wanted}, not '{call.signature}'.")
            return name, method
    there = [method.name for interface in offered.values() for method in interface.methods]
    return _failure("UnknownMethod", f"{call.path} has no method {call.member}.{_meant(call.member, there)}")


def read(objects: Objects, interface: str, call: Call) -> Answer | Failure:
    """The answer to a call of a standard interface that ``route`` found."""
    if interface == INTROSPECTABLE:
        return Answer("s", (introspect(objects, call.path),))
    if interface == OBJECT_MANAGER:
        return Answer("a{oa{sa{sv}}}", ({path: dict(found) for path, found in objects.items() if path != ROOT},))
    if interface == PROPERTIES:
        return _property(objects, call)
    return _failure("UnknownMethod", f"{interface} is not answered here.")


def peer(call: Call, machine: str | None) -> Answer | Failure:
    """The interface that every program has on every path; D-Bus specification, "org.freedesktop.DBus.Peer"."""
    if call.signature == "" and call.member == "Ping":
        return Answer()
    if call.signature == "" and call.member == "GetMachineId":
        return _failure("Failed", "This machine has no id.") if machine is None else Answer("s", (machine,))
    return _failure("UnknownMethod", f"There is no such method as {call.member}.")


def _property(objects: Objects, call: Call) -> Answer | Failure:
    wanted, *rest = cast("tuple[str, ...]", call.body)
    here = objects[call.path]
    if wanted in here:
        properties = here[wanted]
    elif wanted == "" and call.member == "GetAll":
        properties = {name: value for found in here.values() for name, value in found.items()}
    elif wanted == "":
        properties = next((found for found in here.values() if rest[0] in found), {})
    elif wanted in _STANDARD:
        properties = {}
    else:
        return _failure("UnknownInterface", f"{call.path} has no interface {wanted}.{_interface_meant(wanted, here)}")
    if call.member == "GetAll":
        return Answer("a{sv}", (dict(properties),))
    if rest[0] not in properties:
        meant = _meant(rest[0], properties, 0.75) or _elsewhere(rest[0], here)
        return _failure("UnknownProperty", f"{wanted or call.path} has no property {rest[0]}.{meant}")
    if call.member == "Set":
        return _failure("PropertyReadOnly", f"{rest[0]} cannot be set; what acts is a method.")
    return Answer("v", (properties[rest[0]],))


def _meant(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    found = near(name, known, cutoff)
    return "" if found is None else f" Perhaps {found}."


def _interface_meant(name: str, known: Iterable[str]) -> str:
    """By the last part, since the others are the same for all."""
    last = {each.rpartition(".")[2]: each for each in known}
    found = near(name.rpartition(".")[2], last)
    return "" if found is None else f" Perhaps {last[found]}."


def _elsewhere(name: str, here: Iterable[str]) -> str:
    """The property of this name that another kind of object has, where whoever asks may look at all."""
    for interface in OURS.values():
        found = next((each for each in interface.properties if plain(each) == plain(name)), None)
        if found is not None and interface.name not in here:
            return f" {interface.name} has {found}."
    return ""


def _means(call: Call, interface: str) -> bool:
    return call.interface in (interface, None) and call.member == "Introspect"


def _failure(name: str, sentence: str) -> Failure:
    return Failure(_DBUS_ERROR + name, sentence)
