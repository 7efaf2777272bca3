"""From the name of the eIM to a secured session with it; not one byte of ESipa is sent."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from ipad_agent.doctor.doctor_items import Item, Layer, as_sentence
from ipad_agent.doctor.examination_facts import Seen, Target
from ipad_agent.doctor.examined_rooms import DoctorParts
from ipad_agent.errors import IpadError
from ipad_agent.net import BackendLacks, CoapsEndpoint, HandshakeFailed, Refusal, TrustRefused, Unreachable
from ipad_agent.net.dns_lookup import Address, resolve
from ipad_agent.net.host_address import is_address

from .handshake import shake_hands
from .host_checks import shown_time

DNS_S: Final = 20.0
CONNECT_S: Final = 20.0
LONGEST_HANDSHAKE_S: Final = 150.0
_CHECK_DNS: Final = "Check the name server of this device, and the name in the eIM's entry or host in [[eim]]."
_CHECK_ROUTE: Final = "Check that the device has a data connection, and its routes; a private APN may not lead there."


async def dns(parts: DoctorParts, seen: Seen) -> list[Item]:
    """From names to addresses."""
    found: dict[str, Item] = {}
    for target in seen.targets:
        host = target.endpoint.host
        try:
            target.addresses = await resolve(host, target.endpoint.port, timeout_s=DNS_S)
        except Unreachable as error:
            target.alive = False
            found.setdefault(host, Item(Layer.DNS, False, as_sentence(error.message), _CHECK_DNS))
            continue
        if not target.addresses:
            target.alive = False
            found.setdefault(host, Item(Layer.DNS, False, f"The name {host} has no address.", _CHECK_DNS))
        elif is_address(host):
            found.setdefault(host, Item(Layer.DNS, True, f"{host} is an address and needs no name server."))
        else:
            listed = ", ".join(map(str, target.addresses))
            found.setdefault(host, Item(Layer.DNS, True, f"{host} is {listed}."))
    return list(found.values())


async def route(parts: DoctorParts, seen: Seen) -> list[Item]:
    """Whether packets can leave: for TCP a connection tells, for UDP only the route can be told before an answer."""
    return _one_way_is_enough(seen, [(target, await _route(target)) for target in seen.alive])


async def _route(target: Target) -> Item:
    udp = isinstance(target.endpoint, CoapsEndpoint)
    problem = "it has no address"
    for address in target.addresses:
        try:
            sentence = await (_udp_route if udp else _tcp_connection)(target, address)
        except OSError as error:
            problem = error.strerror or str(error)
            continue
        return Item(Layer.ROUTE, True, sentence)
    target.alive = False
    sentence = f"{target.place} cannot be reached over {'UDP' if udp else 'TCP'}: {problem}."
    return Item(Layer.ROUTE, False, sentence, _CHECK_ROUTE)


async def _udp_route(target: Target, address: Address) -> str:
    with socket.socket(address.family, socket.SOCK_DGRAM) as probe:
        probe.connect(address.sockaddr)
        own = probe.getsockname()[0]
    return f"There is a route to {target.place} for UDP, from {own}; whether anybody answers, the session will tell."


async def _tcp_connection(target: Target, address: Address) -> str:
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(str(address), target.endpoint.port)
    except TimeoutError:
        raise OSError(None, f"no answer within {CONNECT_S:g} s") from None
    writer.transport.abort()
    return f"{target.place} takes TCP connections."


async def handshake(parts: DoctorParts, seen: Seen) -> list[Item]:
    """A full handshake with the pin of the card, then goodbye. It costs two to three kilobytes per way."""
    now_s = parts.clock.wall()
    return _one_way_is_enough(seen, [(target, await _handshake(target, now_s)) for target in seen.alive])


async def _handshake(target: Target, now_s: float) -> Item:
    way = f"{target.eim_id} over {target.carrier}"
    try:
        session = await shake_hands(target.endpoint, target.addresses, now_s=now_s, longest_s=LONGEST_HANDSHAKE_S)
    except (TrustRefused, HandshakeFailed, Unreachable, BackendLacks) as error:
        target.alive = False
        return Item(Layer.HANDSHAKE, False, f"{way}: {error.message}.", _fix(error, now_s))
    sentence = f"{way}: {session.cipher}, {session.how} ({session.took_s:.1f} s)."
    return Item(Layer.HANDSHAKE, True, sentence)


def _fix(error: IpadError, now_s: float) -> str:
    if isinstance(error, TrustRefused) and error.reason in (Refusal.EXPIRED, Refusal.NOT_YET_VALID):
        return (
            f"Compare the dates with this device's clock, which says {shown_time(now_s)}: either the clock is wrong, "
            "or the eIM's operator has to renew the certificate."
        )
    if isinstance(error, Unreachable):
        return "Check whether the eIM runs, its port, and that no firewall or APN on the way drops these packets."
    return error.hint


def _one_way_is_enough(seen: Seen, found: list[tuple[Target, Item]]) -> list[Item]:
    """A way that fails is no trouble while another one to the same eIM goes on."""
    living = {target.eim_id for target in seen.alive}
    return [
        Item(item.layer, None, f"{item.sentence} Another way to this eIM is left.")
        if item.ok is False and target.eim_id in living
        else item
        for target, item in found
    ]


async def eim(parts: DoctorParts, seen: Seen) -> list[Item]:
    """What is known of its answers. It is not asked: a question for work would fetch the work."""
    found = []
    for eim_id in dict.fromkeys(target.eim_id for target in seen.targets):
        last = parts.last_poll(eim_id)
        asked = "It was not asked for work now, because that would fetch the work."
        found.append(Item(Layer.EIM, None, f"{eim_id}: {last or 'no poll of it is known.'} {asked}"))
    return found
