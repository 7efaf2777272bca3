"""The stage at which a new profile does not get on, and since when."""

from __future__ import annotations

from ipad_agent.policy.switching.proof_stage import Finding, Stage
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.records.switch_record import Switch

from . import events


class FailingStage:
    """Which stage holds up the proof, and for how long: said when it changes and when it takes too long."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._since_s = context.clock.monotonic()
        self._late = False
        self._last: Finding | None = None

    @property
    def stage(self) -> str:
        """The proof waits for it; until one was looked at, for the eIM."""
        return Stage.EIM.value if self._last is None else self._last.stage.value

    @property
    def detail(self) -> str:
        """Why it does not pass."""
        return "no answer" if self._last is None else self._last.detail

    def note(self, failing: Finding, current: Switch) -> None:
        """It was looked at once more, and still does not pass."""
        now_s = self._context.clock.monotonic()
        if self._last is None or self._last.stage is not failing.stage:
            self._since_s, self._late = now_s, False
            events.STAGE.emit(stage=failing.stage.value, detail=failing.detail)
        self._last = failing
        limit_s = self._limit_s(failing.stage)
        if not self._late and now_s - self._since_s > limit_s:
            self._late = True
            left_s = current.left_s(self._context.clock)
            events.LATE.emit(stage=failing.stage.value, limit_s=limit_s, detail=failing.detail, left_s=left_s)

    def _limit_s(self, stage: Stage) -> float:
        settings = self._context.switching
        return {
            Stage.CARD: settings.registration_s,
            Stage.REGISTRATION: settings.registration_s,
            Stage.IP: settings.ip_s,
            Stage.DNS: settings.dns_s,
            Stage.EIM: settings.eim_s,
            Stage.APPLICATION: settings.application_s,
        }[stage]
