"""What each method does: parameters checked, the agent asked, the answer made plain."""

from __future__ import annotations

import asyncio
import base64
import logging
import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Final, NoReturn, Protocol, cast

from ipad_agent import events as catalogue
from ipad_agent.local import local_verbs
from ipad_agent.local.at_command import LONGEST_WAIT_S
from ipad_agent.local.iccid_parameter import checked
from ipad_agent.local.local_verbs import Refused, Service
from ipad_agent.local.status_model import DoctorItem, Happening, to_plain
from ipad_agent.printable import is_printable

from .client_limits import MAX_EVENTS_WAITING, STATUS_GAP_S
from .idl_types import Field
from .varlink_interface import MEMORY_PARTS, Method

Parameters = Mapping[str, object]
Answer = Mapping[str, object]
MAX_EVENTS: Final = 1000
AT_TIMEOUT_S: Final = 30.0
MOST_PROVISIONING_BYTES: Final = 8192
MAX_HISTORY: Final = 1000
MAX_RECORD_S: Final = 86_400.0
MAX_NAME: Final = 256


class WrongParameter(Exception):
    """A parameter that the interface does not have, or of another type than it says."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Gone(Exception):
    """The client is no longer there."""


class Client(Protocol):
    """Who gets several replies."""

    @property
    def gone(self) -> bool: ...

    def when_gone(self, wake: Callable[[], None]) -> None:
        """Call this when the client goes."""

    async def send(self, answer: Answer) -> None:
        """One reply that is not the last. Raises ``Gone``; waits while the client does not read."""


def check(method: Method, parameters: Parameters) -> None:
    """Raises ``WrongParameter`` when the parameters are not those of the interface."""
    known = {field.name: field for field in method.takes}
    for name in parameters:
        if name not in known:
            raise WrongParameter(name[:MAX_NAME])
    for field in method.takes:
        if not _fits(field, parameters.get(field.name)):
            raise WrongParameter(field.name)


def _fits(field: Field, value: object) -> bool:
    match field.type.lstrip("?"):
        case _ if value is None:
            return field.type.startswith("?")
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "string":
            return _is_text(value, field.longest or MAX_NAME)
        case "[]string":
            return isinstance(value, list) and len(value) <= MAX_NAME and all(_is_text(item) for item in value)
        case _:
            return False


def _is_text(value: object, longest: int = MAX_NAME) -> bool:
    """A text that can be written anywhere: of usable length, without half characters and control characters."""
    return isinstance(value, str) and len(value) <= longest and is_printable(value)


class Methods:
    """The methods of the interface over one agent."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._simple: Mapping[str, Callable[[Parameters], Awaitable[Answer]]] = {
            "GetStatus": self._get_status,
            "ListEvents": self._list_events,
            "ListHistory": self._list_history,
            "ListProfiles": self._list_profiles,
            "ListEims": self._list_eims,
            "ListOwed": self._list_owed,
            "PlanSwitch": self._plan,
            "GetConfiguration": self._configuration,
            "Metrics": self._metrics,
            "Explain": self._explain,
            "Poll": self._poll,
            "Rollback": self._rollback,
            "Confirm": self._confirm,
            "ExecuteFallback": self._execute_fallback,
            "ReturnFromFallback": self._return_from_fallback,
            "Emergency": self._emergency,
            "MemoryReset": self._memory_reset,
            "Provision": self._provision,
            "SetDefaultSmdp": self._set_default_smdp,
            "ConfigureImmediateEnabling": self._configure_immediate_enabling,
            "ActivateIpae": self._activate_ipae,
            "Download": self._download,
            "Bundle": self._bundle,
            "Record": self._record,
            "StopRecording": self._stop_recording,
            "GetRecorder": self._recorder,
            "SendAt": self._send_at,
        }

    @property
    def simple(self) -> frozenset[str]:
        """Those with exactly one reply."""
        return frozenset(self._simple)

    async def call(self, name: str, parameters: Parameters) -> Answer:
        """The one reply of a method in ``simple``. Raises ``Refused``."""
        return await self._simple[name](parameters)

    # -- several replies ---------------------------------------------------------------------------------------------

    async def doctor(self, client: Client) -> Answer:
        """One reply for each item; the last one is returned. A step that has begun ends before the client's going
        takes effect, so that nothing on the way to the card is cut off."""
        last: Answer | None = None
        async with aclosing(_generator(self._service.doctor())) as items:
            async for found in items:
                if last is not None:
                    await client.send(last)
                last = {"item": to_plain(_doctor_item(found))}
        if last is None:
            raise Refused(local_verbs.NOT_READY, "There was nothing to check.")
        return last

    async def subscribe(self, client: Client, parameters: Parameters) -> NoReturn:
        """Replies until the client goes, then raises ``Gone``."""
        subscription = _Subscription(
            self._service,
            status=parameters.get("status") is not False,
            events=parameters.get("events") is not False,
        )
        client.when_gone(subscription.wake)
        try:
            for happening in self._recent(parameters.get("recent"), 0):
                await client.send({"status": None, "event": to_plain(happening), "lost": None})
            while not client.gone:
                for answer in subscription.due(asyncio.get_running_loop().time()):
                    await client.send(answer)
                await subscription.wait()
            raise Gone
        finally:
            subscription.end()

    # -- one reply ---------------------------------------------------------------------------------------------------

    async def _get_status(self, _: Parameters) -> Answer:
        return {"status": to_plain(self._service.status())}

    async def _list_events(self, parameters: Parameters) -> Answer:
        return {"events": to_plain(self._recent(parameters.get("count"), MAX_EVENTS))}

    def _recent(self, count: object, default: int) -> tuple[Happening, ...]:
        wanted = default if count is None else cast(int, count)
        if not 0 <= wanted <= MAX_EVENTS:
            raise Refused(local_verbs.INVALID, f"From 0 to {MAX_EVENTS} events can be asked for.", parameter="count")
        return self._service.recent(wanted)

    async def _list_history(self, parameters: Parameters) -> Answer:
        count = parameters.get("count")
        wanted = MAX_HISTORY if count is None else cast(int, count)
        if not 0 <= wanted <= MAX_HISTORY:
            raise Refused(local_verbs.INVALID, f"From 0 to {MAX_HISTORY} can be asked for.", parameter="count")
        return {"history": to_plain(self._service.history(wanted))}

    async def _list_profiles(self, _: Parameters) -> Answer:
        return {"profiles": to_plain(self._service.status().profiles)}

    async def _list_eims(self, _: Parameters) -> Answer:
        return {"eims": to_plain(self._service.status().eims)}

    async def _list_owed(self, _: Parameters) -> Answer:
        return {"owed": to_plain(await self._service.owed())}

    async def _plan(self, parameters: Parameters) -> Answer:
        iccid = checked(cast(str, parameters["iccid"]))
        return {"plan": to_plain(await self._service.plan(iccid))}

    async def _configuration(self, _: Parameters) -> Answer:
        return {"configuration": to_plain(self._service.configuration())}

    async def _metrics(self, _: Parameters) -> Answer:
        return {"text": self._service.metrics()}

    async def _explain(self, parameters: Parameters) -> Answer:
        event = catalogue.CATALOGUE.get(cast(str, parameters["id"]).strip().upper())
        if event is None:
            raise Refused(local_verbs.NOT_FOUND, "There is no message with this id.", what=cast(str, parameters["id"]))
        level = logging.getLevelName(event.level).lower()
        return {"level": level, "sentence": event.sentence, "explanation": event.explanation}

    async def _poll(self, parameters: Parameters) -> Answer:
        await self._service.poll(cast("str | None", parameters.get("eim_id")))
        return {}

    async def _rollback(self, _: Parameters) -> Answer:
        await self._service.rollback()
        return {}

    async def _confirm(self, _: Parameters) -> Answer:
        await self._service.confirm()
        return {}

    async def _execute_fallback(self, _: Parameters) -> Answer:
        await self._service.execute_fallback()
        return {}

    async def _return_from_fallback(self, _: Parameters) -> Answer:
        await self._service.return_from_fallback()
        return {}

    async def _emergency(self, parameters: Parameters) -> Answer:
        await self._service.emergency(enable=cast(bool, parameters["enable"]))
        return {}

    async def _memory_reset(self, parameters: Parameters) -> Answer:
        what = tuple(dict.fromkeys(cast("list[str]", parameters["what"])))
        unknown = [part for part in what if part not in MEMORY_PARTS]
        if unknown or not what:
            allowed = ", ".join(sorted(MEMORY_PARTS))
            raise Refused(local_verbs.INVALID, f"What is to be reset is one or more of: {allowed}.", parameter="what")
        await self._service.memory_reset(what=what)
        return {}

    async def _provision(self, parameters: Parameters) -> Answer:
        try:
            data = base64.b64decode(cast(str, parameters["data"]), validate=True)
        except ValueError:
            raise Refused(local_verbs.INVALID, "That is no base64.", parameter="data") from None
        if not 0 < len(data) <= MOST_PROVISIONING_BYTES:
            sentence = f"Up to {MOST_PROVISIONING_BYTES} bytes can be given to a card."
            raise Refused(local_verbs.INVALID, sentence, parameter="data")
        return {"count": await self._service.provision(data)}

    async def _set_default_smdp(self, parameters: Parameters) -> Answer:
        await self._service.set_default_smdp(cast(str, parameters["address"]))
        return {}

    async def _configure_immediate_enabling(self, parameters: Parameters) -> Answer:
        await self._service.configure_immediate_enabling(
            enable=cast(bool, parameters["enable"]),
            smdp_oid=cast("str | None", parameters.get("smdp_oid")),
            smdp_address=cast("str | None", parameters.get("smdp_address")),
        )
        return {}

    async def _activate_ipae(self, _: Parameters) -> Answer:
        await self._service.activate_ipae()
        return {}

    async def _download(self, parameters: Parameters) -> Answer:
        iccid = await self._service.download(
            cast(str, parameters["activation_code"]),
            confirmation_code=cast("str | None", parameters.get("confirmation_code")),
            rules_accepted=parameters.get("accept_rules") is True,
        )
        return {"iccid": iccid}

    async def _bundle(self, _: Parameters) -> Answer:
        return {"bundle": base64.b64encode(await self._service.bundle()).decode("ascii")}

    async def _send_at(self, parameters: Parameters) -> Answer:
        wanted = parameters.get("timeout_s")
        timeout_s = AT_TIMEOUT_S if wanted is None else _as_float(cast("int | float", wanted))
        if not 0 < timeout_s <= LONGEST_WAIT_S:
            raise Refused(local_verbs.INVALID, f"Up to {LONGEST_WAIT_S:.0f} s can be waited.", parameter="timeout_s")
        lines, final = await self._service.send_at(
            cast(str, parameters["command"]), force=parameters.get("force") is True, timeout_s=timeout_s
        )
        return {"lines": to_plain(lines), "final": final}

    async def _record(self, parameters: Parameters) -> Answer:
        wanted = parameters.get("seconds")
        seconds = None if wanted is None else _as_float(cast("int | float", wanted))
        if seconds is not None and not 0 < seconds <= MAX_RECORD_S:
            raise Refused(local_verbs.INVALID, f"Up to {MAX_RECORD_S:.0f} s can be recorded.", parameter="seconds")
        return {"path": await self._service.record(seconds=seconds)}

    async def _stop_recording(self, _: Parameters) -> Answer:
        await self._service.stop_recording()
        return {}

    async def _recorder(self, _: Parameters) -> Answer:
        state = self._service.recorder()
        return {
            "recording": state.recording,
            "path": state.folder,
            "max_bytes": state.max_bytes,
            "left_s": state.left_s,
            "records": state.records,
            "ended": state.ended,
        }


class _Subscription:
    """What one subscriber has not been told yet."""

    def __init__(self, service: Service, *, status: bool, events: bool) -> None:
        self._service = service
        self._changed = status
        self._told_at_s = -math.inf
        self._happenings: deque[Happening] = deque()
        self._lost = 0
        self._woken = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._leave = [service.watch(self._on_change)] if status else []
        if events:
            self._leave.append(service.listen(self._on_event))

    def due(self, now_s: float) -> list[Answer]:
        """What may be told now; leaves nothing behind but a status that came too soon after the last."""
        answers: list[Answer] = []
        while self._happenings:
            lost, self._lost = self._lost, 0
            event = to_plain(self._happenings.popleft())
            answers.append({"status": None, "event": event, "lost": lost or None})
        wait_s = self._told_at_s + STATUS_GAP_S - now_s
        if self._changed and wait_s <= 0:
            self._changed, self._told_at_s = False, now_s
            answers.append({"status": to_plain(self._service.status()), "event": None, "lost": None})
        elif self._changed and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._time)
        return answers

    async def wait(self) -> None:
        """Until there may be something to tell."""
        await self._woken.wait()
        self._woken.clear()

    def wake(self) -> None:
        """There may be something to do."""
        self._woken.set()

    def end(self) -> None:
        """No more."""
        for leave in self._leave:
            leave()
        if self._timer is not None:
            self._timer.cancel()

    def _time(self) -> None:
        self._timer = None
        self.wake()

    def _on_change(self) -> None:
        self._changed = True
        self.wake()

    def _on_event(self, happening: Happening) -> None:
        if len(self._happenings) >= MAX_EVENTS_WAITING:
            self._happenings.popleft()
            self._lost += 1
        self._happenings.append(happening)
        self.wake()


async def _generator(items: AsyncIterator[dict[str, object]]) -> AsyncGenerator[dict[str, object], None]:
    """An iterator that can be closed, whatever the agent gave."""
    try:
        async for item in items:
            yield item
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()


def _doctor_item(found: Mapping[str, object]) -> DoctorItem:
    ok, fix = found.get("ok"), found.get("fix")
    return DoctorItem(
        layer=str(found.get("layer", "")),
        sentence=str(found.get("sentence", "")),
        ok=ok if isinstance(ok, bool) else None,
        fix=None if fix is None else str(fix),
    )


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
