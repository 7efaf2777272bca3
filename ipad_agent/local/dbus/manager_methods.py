"""The methods of the Manager: from arguments to the agent and back."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, cast

from ipad_agent.local.iccid_parameter import checked
from ipad_agent.local.local_verbs import Refused, Service
from ipad_agent.local.status_model import Happening, Plan, to_plain

from .dbus_interfaces import ERROR, MANAGER
from .dbus_messages import Answer, Failure
from .dbus_values import count, string_map, text

RECENT_LIMIT: Final = 1000
BUNDLE_LIMIT_BYTES: Final = 16 << 20
"""A message on the system bus may have 32 MiB."""

Verb = Callable[[Service, tuple[object, ...]], Awaitable[tuple[object, ...]]]


async def run(service: Service, name: str, body: tuple[object, ...]) -> Answer | Failure:
    """Run one method with arguments of the right types. What the agent refuses comes back as a ``Failure``."""
    method = MANAGER.method(name)
    assert method is not None, "only methods of the table are routed"
    try:
        return Answer(method.out_signature, await VERBS[name](service, body))
    except Refused as refused:
        return failure(refused.error, refused.sentence)


def failure(error: str, sentence: str) -> Failure:
    """An error of the agent under its name on the bus."""
    name = error if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", error) else "Failed"
    return Failure(ERROR + name, text(sentence))


async def _status(service: Service, body: tuple[object, ...]) -> tuple[object, ...]:
    return (json.dumps(to_plain(service.status()), ensure_ascii=False),)


async def _recent(service: Service, body: tuple[object, ...]) -> tuple[object, ...]:
    (wanted,) = cast("tuple[int]", body)
    events = service.recent(min(wanted, RECENT_LIMIT))
    return (tuple(_event(event) for event in events),)


async def _history(service: Service, body: tuple[object, ...]) -> tuple[object, ...]:
    (wanted,) = cast("tuple[int]", body)
    return (json.dumps(to_plain(service.history(min(wanted, RECENT_LIMIT))), ensure_ascii=False),)


def _event(event: Happening) -> tuple[object, ...]:
    at_us = count(event.at_s * 1_000_000)
    return (at_us, text(event.id), text(event.level), text(event.text), string_map(event.facts))


async def _poll(service: Service, body: tuple[object, ...]) -> tuple[object, ...]:
    (eim_id,) = cast("tuple[str]", body)
    await service.poll(eim_id or None)
    return ()


async def _plan(service: Service, body: tuple[object, ...]) -> tuple[object, ...]:
    (iccid,) = cast("tuple[str]", body)
    return _plan_out(await service.plan(checked(iccid)))


def _plan_out(plan: Plan) -> tuple[object, ...]:
    words = {True: "yes", False: "no", None: "unknown"}
    lines = tuple((text(line.name), words[line.ok], text(line.sentence)) for line in plan.lines)
    return (text(plan.target), plan.possible, lines, tuple(text(step) for step in plan.steps))


async def _rollback(service: Service, body: tuple[object, ...]) -> tuple[object, ...]:
    await service.rollback()
    return ()


async def _confirm(service: Service, body: tuple[object, ...]) -> tuple[object, ...]:
    await service.confirm()
    return ()


async def _fallback(service: Service, body: tuple[object, ...]) -> tuple[object, ...]:
    await service.execute_fallback()
    return ()


async def _return(service: Service, body: tuple[object, ...]) -> tuple[object, ...]:
    await service.return_from_fallback()
    return ()


async def _emergency(service: Service, body: tuple[object, ...]) -> tuple[object, ...]:
    (enable,) = cast("tuple[bool]", body)
    await service.emergency(enable=enable)
    return ()


async def _bundle(service: Service, body: tuple[object, ...]) -> tuple[object, ...]:
    archive = await service.bundle()
    if len(archive) > BUNDLE_LIMIT_BYTES:
        raise Refused("TooLarge", "The bundle is too large for the bus; fetch it with ipactl bundle.")
    return (archive,)


VERBS: Final[Mapping[str, Verb]] = {
    "GetStatus": _status,
    "Recent": _recent,
    "History": _history,
    "Poll": _poll,
    "PlanSwitch": _plan,
    "Rollback": _rollback,
    "Confirm": _confirm,
    "ExecuteFallback": _fallback,
    "ReturnFromFallback": _return,
    "Emergency": _emergency,
    "Bundle": _bundle,
}
