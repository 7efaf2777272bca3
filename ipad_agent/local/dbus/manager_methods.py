"""The methods of the Manager: from arguments to the agent and back."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, cast

from ipad_agent.local.iccid_parameter import checked
from ipad_agent.local.local_verbs import INVALID, Refused, Service
from ipad_agent.local.status_model import Happening, Plan, to_plain

from .dbus_interfaces import ERROR, MANAGER
from .dbus_messages import Answer, Failure
from .dbus_values import count, string_map, text

RECENT_LIMIT: Final = 1000
MOST_PROVISIONING_BYTES: Final = 16 << 10
"""As much as a provisioning bundle may have."""
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


async def _provision(service: Service, body: tuple[object, ...]) -> tuple[object, ...]:
    (data,) = cast("tuple[bytes]", body)
    if not 0 < len(data) <= MOST_PROVISIONING_BYTES:
        raise Refused(INVALID, f"Up to {MOST_PROVISIONING_BYTES} bytes can be given to a card.", parameter="data")
    return (await service.provision(bytes(data)),)


async def _set_default_smdp(service: Service, body: tuple[object, ...]) -> tuple[object, ...]:
    (address,) = cast("tuple[str]", body)
    await service.set_default_smdp(address)
    return ()


async def _configure_immediate_enabling(service: Service, body: tuple[object, ...]) -> tuple[object, ...]:
    enable, smdp_oid, smdp_address = cast("tuple[bool, str, str]", body)
    await service.configure_immediate_enabling(
        enable=enable, smdp_oid=smdp_oid or None, smdp_address=smdp_address or None
    )
    return ()


async def _activate_ipae(service: Service, body: tuple[object, ...]) -> tuple[object, ...]:
    await service.activate_ipae()
    return ()


async def _download(service: Service, body: tuple[object, ...]) -> tuple[object, ...]:
    activation_code, confirmation_code, accept_rules = cast("tuple[str, str, bool]", body)
    iccid = await service.download(
        activation_code, confirmation_code=confirmation_code or None, rules_accepted=accept_rules
    )
    return (text(iccid),)


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
    "Provision": _provision,
    "SetDefaultSmdp": _set_default_smdp,
    "ConfigureImmediateEnabling": _configure_immediate_enabling,
    "ActivateIpae": _activate_ipae,
    "Download": _download,
    "Bundle": _bundle,
}
