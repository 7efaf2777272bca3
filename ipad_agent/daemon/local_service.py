"""The agent as its faces see it: socket, D-Bus and ``ipactl`` call this, and nothing else of the agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from ipad_agent.agent.card_requests import NotServing
from ipad_agent.agent.main_loop import Agent
from ipad_agent.clock import Clock
from ipad_agent.codec.identifiers import Iccid
from ipad_agent.config import Config, written
from ipad_agent.errors import CardError, CodecError, IpadError
from ipad_agent.local import local_verbs
from ipad_agent.local.at_command import Risk, examine
from ipad_agent.local.events import AT_FORCED, AT_SENT
from ipad_agent.local.flight_recorder import Recorder
from ipad_agent.local.iccid_parameter import no_iccid
from ipad_agent.local.local_verbs import RecorderState, Refused
from ipad_agent.local.prometheus.metrics import Metrics
from ipad_agent.local.status_model import (
    Configuration,
    ConfigurationValue,
    Happening,
    HistoryEntry,
    Owed,
    Plan,
    PlanLine,
    Status,
)
from ipad_agent.local.status_verdict import prevents_work
from ipad_agent.modem.module_profile import ModuleProfile
from ipad_agent.policy import Wake
from ipad_agent.policy.guardian.fallback_cause import FallbackCause
from ipad_agent.policy.switching.switch_table import Happening as SwitchHappening
from ipad_agent.policy.switching.switch_table import Phase, Way
from ipad_agent.printable import printable
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.person_decision import Call
from ipad_agent.procedures.records.local_switch_record import What
from ipad_agent.procedures.startup import euicc_memory_reset
from ipad_agent.procedures.switching import emergency_profile as emergency
from ipad_agent.procedures.switching import profile_proof
from ipad_agent.procedures.switching import switch_plan as plan
from ipad_agent.procedures.switching.local_switch import End, LocalSwitch
from ipad_agent.procedures.switching.switch_transaction import replaced
from ipad_agent.status.card_notifications import notifications_of
from ipad_agent.status.history import MOST as HISTORY_MOST

from . import download_by_hand
from .maker_functions import MakerFunctions, MakersCard, ReceivesBundles

if TYPE_CHECKING:
    from ipad_agent.doctor import Parts

T = TypeVar("T")

LOOK_LIMIT_S: Final = 30.0
"""For a look at the card, its turn included."""
CHANGE_LIMIT_S: Final = 400.0
"""For a change of the profile: a reset of the card climbs its ladder within it."""
DOWNLOAD_LIMIT_S: Final = 3600.0
"""For a download, once it has its turn: a narrow link takes its time."""

_REFUSALS: Final = {
    End.NOT_AVAILABLE: (local_verbs.REFUSED_BY_POLICY, "card"),
    End.EMERGENCY: (local_verbs.REFUSED_BY_POLICY, "emergency"),
    End.BUSY: (local_verbs.BUSY, None),
    End.REFUSED: (local_verbs.CARD_ERROR, None),
    End.NOT_BEGUN: (local_verbs.CARD_ERROR, None),
}

_OTHER_REASONS: Final = {
    (What.FALLBACK, End.NOT_AVAILABLE): "no profile on the card is marked for fallback",
    (What.RETURN, End.NOT_AVAILABLE): "the card knows no profile to return to, so the device is not in fallback",
    (What.EMERGENCY_ON, End.NOT_AVAILABLE): "the card has no emergency profile",
}
"""Where an end can be said better when one knows what was ordered."""


def _stamp(path: Path) -> tuple[int, int] | None:
    """Tells one state of a file from another; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


class SendLine(Protocol):
    """A way to the modem, in turn with everything else: the lines of the answer and its final result. ``forced``: what
    is known of modem and card may be wrong afterwards. Raises ``ModemError``, and ``TimeoutError`` without a turn."""

    async def __call__(self, text: str, *, forced: bool, timeout_s: float) -> tuple[tuple[str, ...], str]: ...


async def _no_modem(text: str, *, forced: bool, timeout_s: float) -> tuple[tuple[str, ...], str]:
    raise Refused(local_verbs.NOT_READY, "There is no modem whose line could be used.")


class AgentService:
    """Implements ``local.local_verbs.Service``."""

    def __init__(
        self,
        agent: Agent,
        config: Config,
        clock: Clock,
        *,
        doctor: Callable[[], Parts],
        metrics: Metrics,
        recorder: Recorder,
        modem_profile: Callable[[], ModuleProfile | None] = lambda: None,
        send_line: SendLine = _no_modem,
        makers_card: MakersCard | None = None,
        bundles: ReceivesBundles | None = None,
    ) -> None:
        self._agent = agent
        self._board = agent.board
        self._config = config
        self._clock = clock
        self._doctor = doctor
        self._metrics = metrics
        self._recorder = recorder
        self._modem_profile = modem_profile
        self._send_line = send_line
        self._makers_card = makers_card
        self._bundles = bundles
        self._stamp = None if config.path is None else _stamp(config.path)

    # -- what there is to see ----------------------------------------------------------------------------------------

    def status(self) -> Status:
        """See ``Service``."""
        return self._board.snapshot()

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """See ``Service``."""
        return self._board.watch(on_change)

    def listen(self, on_event: Callable[[Happening], None]) -> Callable[[], None]:
        """See ``Service``."""
        return self._board.listen(on_event)

    def recent(self, count: int) -> tuple[Happening, ...]:
        """See ``Service``."""
        return self._board.recent(count)

    def history(self, count: int) -> tuple[HistoryEntry, ...]:
        """See ``Service``."""
        return self._board.history.entries(count)

    def configuration(self) -> Configuration:
        """See ``Service``."""
        config = self._config
        values = tuple(
            ConfigurationValue(place, written(value), origin, config.lines.get(place) if origin == "file" else None)
            for place, value, origin in config.places()
        )
        path = None if config.path is None else str(config.path.absolute())
        return Configuration(
            path, changed=config.path is not None and _stamp(config.path) != self._stamp, values=values
        )

    def metrics(self) -> str:
        """See ``Service``."""
        return self._metrics.text(self.status())

    async def owed(self) -> tuple[Owed, ...]:
        """See ``Service``."""

        async def look(context: Context, eims: tuple[str, ...]) -> tuple[Owed, ...]:
            found = await notifications_of(context)
            stored = context.redeliveries.all(str(context.eid))
            self._board.owed(found, stored=stored)
            return self._board.snapshot().owed

        return await self._turn(look, LOOK_LIMIT_S)

    async def plan(self, iccid: str) -> Plan:
        """See ``Service``."""
        try:
            name = str(Iccid.parse(iccid))
        except CodecError:
            raise no_iccid() from None

        async def look(context: Context, eims: tuple[str, ...]) -> plan.SwitchPlan:
            return await plan.plan(context, name)

        made = await self._turn(look, LOOK_LIMIT_S)
        lines = tuple(PlanLine(point.name, point.ok, point.sentence) for point in made.points)
        return Plan(made.target, made.possible, lines, made.steps)

    async def doctor(self) -> AsyncIterator[dict[str, object]]:
        """See ``Service``."""
        from ipad_agent.doctor import run_with  # most agents never need it

        async with aclosing(run_with(self._doctor())) as items:
            async for item in items:
                yield item.plain()

    async def bundle(self) -> bytes:
        """See ``Service``."""
        from ipad_agent.doctor import run_with
        from ipad_agent.doctor.bundle.bundle_sources import collect
        from ipad_agent.doctor.bundle.support_bundle import build

        async with aclosing(run_with(self._doctor())) as items:
            found = [item async for item in items]
        sources = collect(
            self._config,
            clock=self._clock,
            doctor=found,
            status=self.status(),
            events=self.recent(500),
            history=self.history(HISTORY_MOST),
            modem_profile=self._modem_profile(),
        )
        try:
            return await asyncio.to_thread(build, sources)
        except IpadError as refusal:
            raise Refused(local_verbs.REFUSED_BY_POLICY, refusal.message, rule="redaction") from refusal

    # -- what there is to do -----------------------------------------------------------------------------------------

    async def poll(self, eim_id: str | None) -> None:
        """See ``Service``."""
        status = self.status()
        prevents = prevents_work(status)
        if prevents is not None:
            self._agent.poke(Wake.COMMAND)  # modem and card are looked for at once
            raise Refused(
                local_verbs.NOT_READY, f"Nobody can be asked for work: {prevents}", hint=status.verdict.advice
            )
        self._agent.poke(Wake.COMMAND, None if eim_id is None else self._named(eim_id))

    def _named(self, wanted: str) -> str:
        """The eIM with this id, or the one that is shown like this: an id may be text that cannot be shown. Raises
        ``Refused``."""
        known = [eim.eim_id for eim in self.status().eims]
        alike = [eim_id for eim_id in known if printable(eim_id) == wanted]
        if wanted in known:
            return wanted
        if len(alike) != 1:
            raise Refused(local_verbs.NOT_FOUND, f"No eIM is called {wanted}.", what=wanted)
        return alike[0]

    async def rollback(self) -> None:
        """See ``Service``."""
        switch = self._agent.switches.open()
        if switch is None or switch.way is Way.NONE or switch.phase is not Phase.PROVING:
            raise Refused(
                local_verbs.REFUSED_BY_POLICY,
                "There is no switch that could be taken back: a profile goes back only while its switch is being "
                "proved, and only where the eIM allowed it.",
                rule="switch",
            )
        self._agent.person_decision.say(Call.ROLLBACK)

    async def confirm(self) -> None:
        """See ``Service``."""
        switch = self._agent.switches.open()
        if switch is None or switch.phase not in (Phase.PROVING, Phase.UNPROVED):
            raise Refused(local_verbs.REFUSED_BY_POLICY, "No switch waits to be confirmed.", rule="switch")
        if self._agent.person_decision.waited_for:
            self._agent.person_decision.say(Call.CONFIRM)
            return

        async def accept(context: Context, eims: tuple[str, ...]) -> None:
            await profile_proof.accept(context, SwitchHappening.CONFIRMED)

        await self._turn(accept, LOOK_LIMIT_S)

    async def execute_fallback(self) -> None:
        """See ``Service``."""
        actions = self._agent.guardian_actions
        await self._switch(partial(actions.fall_back, by=FallbackCause.PERSON))

    async def return_from_fallback(self) -> None:
        """See ``Service``."""
        actions = self._agent.guardian_actions
        await self._switch(partial(actions.go_back, by=FallbackCause.PERSON))

    async def emergency(self, *, enable: bool) -> None:
        """See ``Service``."""
        if not self._config.local.emergency:
            raise Refused(
                local_verbs.REFUSED_BY_POLICY, "local.emergency is false in the configuration.", rule="local.emergency"
            )

        async def change(context: Context, eims: tuple[str, ...]) -> LocalSwitch:
            order = emergency.enable if enable else emergency.disable
            done = await order(context, context.local_switch_record, eims)
            if done.end is End.DONE:
                await replaced(context)
                self._agent.guardian_actions.guardian.switched()
            return done

        await self._switch(change)

    async def memory_reset(self, *, what: tuple[str, ...]) -> None:
        """See ``Service``."""

        async def change(context: Context, eims: tuple[str, ...]) -> None:
            allowed = self._config.local.memory_reset
            await euicc_memory_reset.reset(context, self._agent.memory, what, allowed=allowed)
            await replaced(context)
            self._agent.guardian_actions.guardian.switched()

        await self._turn(change, CHANGE_LIMIT_S)

    async def provision(self, data: bytes) -> int:
        """See ``Service``."""
        maker = self._maker()
        count = await self._made(lambda context: maker.provision(context, data))
        self._agent.poke(Wake.COMMAND)  # they are polled at once
        return count

    async def set_default_smdp(self, address: str) -> None:
        """See ``Service``."""
        maker = self._maker()
        await self._made(lambda context: maker.set_default_smdp(address))

    async def configure_immediate_enabling(
        self, *, enable: bool, smdp_oid: str | None, smdp_address: str | None
    ) -> None:
        """See ``Service``."""
        maker = self._maker()
        await self._made(
            lambda context: maker.configure_immediate_enabling(
                enable=enable, smdp_oid=smdp_oid, smdp_address=smdp_address
            )
        )

    async def activate_ipae(self) -> None:
        """See ``Service``."""
        maker = self._maker()
        await self._made(lambda context: maker.activate_ipae())
        self._agent.poke(Wake.COMMAND)  # the card is looked at anew

    async def download(self, activation_code: str, *, confirmation_code: str | None, rules_accepted: bool) -> str:
        """See ``Service``."""
        code = download_by_hand.wanted(self._config, activation_code, confirmation_code)
        begun = False

        async def job(context: Context, eims: tuple[str, ...]) -> str | Refused:
            nonlocal begun
            begun = True
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time() + DOWNLOAD_LIMIT_S)
            try:
                return await download_by_hand.carry_out(
                    context,
                    eims,
                    self._agent.journal,
                    code,
                    confirmation_code=confirmation_code,
                    rules_accepted=rules_accepted,
                )
            except Refused as refused:
                return refused

        try:
            async with asyncio.timeout(LOOK_LIMIT_S) as limit:
                done = await self._turn(job, DOWNLOAD_LIMIT_S + LOOK_LIMIT_S)
        except TimeoutError:
            sentence = "The download takes long and goes on." if begun else "The agent is busy with something else."
            raise Refused(local_verbs.BUSY, sentence) from None
        if not isinstance(done, Refused) or done.error == local_verbs.DOWNLOAD_FAILED:
            self._agent.poke(Wake.RESULT_OWED)  # the SM-DP+ waits for the card's notification, of a failure too
        if isinstance(done, Refused):
            raise done
        return done

    async def _made(self, call: Callable[[Context], Awaitable[T]]) -> T:
        """A turn for a function whose own refusals are for the caller, and no trouble of the agent's loop."""

        async def job(context: Context, eims: tuple[str, ...]) -> T | Refused:
            try:
                return await call(context)
            except Refused as refused:
                return refused

        made = await self._turn(job, LOOK_LIMIT_S)
        if isinstance(made, Refused):
            raise made
        return made

    def _maker(self) -> MakerFunctions:
        if self._makers_card is None:
            raise Refused(local_verbs.NOT_READY, "There is no card here.")
        return MakerFunctions(self._makers_card, self._config, self._agent.memory, self._bundles)

    async def send_at(self, command: str, *, force: bool, timeout_s: float) -> tuple[tuple[str, ...], str]:
        """See ``Service``."""
        if not self._config.local.allow_at:
            raise Refused(
                local_verbs.REFUSED_BY_POLICY,
                "Not sent: local.allow_at is false in the configuration. Set it to true and restart the agent.",
                rule="local.allow_at",
            )
        found = examine(command)
        if found is None:
            raise Refused(local_verbs.INVALID, "That is no AT command of one line.", parameter="command")
        if found.risk is Risk.NEVER:
            raise Refused(local_verbs.REFUSED_BY_POLICY, f"Never sent from here. {found.why}", rule="at")
        if found.risk is Risk.CHANGES and not force:
            raise Refused(local_verbs.REFUSED_BY_POLICY, f"Not sent. {found.why} With force it is sent.", rule="at")
        try:
            lines, final = await self._send_line(found.text, forced=found.risk is Risk.CHANGES, timeout_s=timeout_s)
        except TimeoutError:
            raise Refused(local_verbs.BUSY, "The agent is busy with something that must not be disturbed.") from None
        said = AT_FORCED if found.risk is Risk.CHANGES else AT_SENT
        said.emit(command=found.shown, final=final)
        return lines, final

    async def record(self, *, seconds: float | None) -> str:
        """See ``Service``."""
        return self._recorder.start(seconds)

    async def stop_recording(self) -> None:
        """See ``Service``."""
        self._recorder.stop()

    def recorder(self) -> RecorderState:
        """See ``Service``."""
        return self._recorder.state

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _switch(self, job: Callable[[Context, tuple[str, ...]], Awaitable[LocalSwitch]]) -> None:
        async def asked(context: Context, eims: tuple[str, ...]) -> LocalSwitch:
            with self._board.history.person():
                return await job(context, eims)

        done = await self._turn(asked, CHANGE_LIMIT_S)
        refusal = _REFUSALS.get(done.end)
        if refusal is not None:
            error, rule = refusal
            facts = {} if rule is None else {"rule": rule}
            reason = _OTHER_REASONS.get((done.what, done.end), done.end.value)
            raise Refused(error, f"{done.what.value.capitalize()} did not happen: {reason}.", **facts)

    async def _turn(self, job: Callable[[Context, tuple[str, ...]], Awaitable[T]], limit_s: float) -> T:
        try:
            async with asyncio.timeout(limit_s):
                return await self._agent.card_requests.ask(job)
        except TimeoutError:
            raise Refused(local_verbs.BUSY, "The agent is busy with something that must not be disturbed.") from None
        except NotServing as error:
            prevents = prevents_work(self.status())
            sentence = (
                error.message[:1].upper() + error.message[1:] + "." if prevents is None else f"Not done: {prevents}"
            )
            raise Refused(local_verbs.NOT_READY, sentence, hint=self.status().verdict.advice) from error
        except euicc_memory_reset.ResetRefused as error:
            raise Refused(local_verbs.REFUSED_BY_POLICY, f"{error.message}. {error.hint}", rule="reset") from error
        except IpadError as error:
            name = local_verbs.CARD_ERROR if isinstance(error, CardError) else local_verbs.NOT_READY
            raise Refused(name, f"Not done: {error.message}.", hint=error.hint or None) from error
