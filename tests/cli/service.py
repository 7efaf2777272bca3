"""The agent behind the socket, as the tests of the command need it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from ipad_agent.local.local_verbs import RecorderState, Refused
from ipad_agent.local.status_model import Configuration, ConfigurationValue, Happening, HistoryEntry, Owed, Plan, Status
from situations import DOCTOR, HAPPENINGS, HISTORY, OWED, PLANS, SITUATIONS


class Service:
    """``local.local_verbs.Service`` that remembers its calls; with ``refusal`` it refuses them."""

    def __init__(self) -> None:
        self.now = SITUATIONS["ready"]
        self.calls: list[tuple[object, ...]] = []
        self.refusal: Refused | None = None
        self._watchers: list[Callable[[], None]] = []

    def change(self, situation: str) -> None:
        self.now = SITUATIONS[situation]
        for watcher in self._watchers:
            watcher()

    def _did(self, *call: object) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.calls.append(call)

    def status(self) -> Status:
        return self.now

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        self._watchers.append(on_change)
        return lambda: self._watchers.remove(on_change)

    def listen(self, on_event: Callable[[Happening], None]) -> Callable[[], None]:
        return lambda: None

    def recent(self, count: int) -> tuple[Happening, ...]:
        return HAPPENINGS[-count:] if count else ()

    def history(self, count: int) -> tuple[HistoryEntry, ...]:
        return HISTORY[-count:] if count else ()

    async def poll(self, eim_id: str | None) -> None:
        self._did("poll", eim_id)

    async def plan(self, iccid: str) -> Plan:
        return PLANS["possible"]

    async def rollback(self) -> None:
        self._did("rollback")

    async def confirm(self) -> None:
        self._did("confirm")

    async def execute_fallback(self) -> None:
        self._did("execute_fallback")

    async def return_from_fallback(self) -> None:
        self._did("return_from_fallback")

    async def emergency(self, *, enable: bool) -> None:
        self._did("emergency", enable)

    async def memory_reset(self, *, what: tuple[str, ...]) -> None:
        self._did("memory_reset", what)

    async def provision(self, data: bytes) -> int:
        self._did("provision", data)
        return 1

    async def set_default_smdp(self, address: str) -> None:
        self._did("set_default_smdp", address)

    async def configure_immediate_enabling(
        self, *, enable: bool, smdp_oid: str | None, smdp_address: str | None
    ) -> None:
        self._did("configure_immediate_enabling", enable, smdp_oid, smdp_address)

    async def download(self, activation_code: str, *, confirmation_code: str | None, rules_accepted: bool) -> str:
        self._did("download", activation_code, confirmation_code, rules_accepted)
        return "89490200009000000011"

    async def activate_ipae(self) -> None:
        self._did("activate_ipae")

    async def owed(self) -> tuple[Owed, ...]:
        return OWED

    async def doctor(self) -> AsyncIterator[dict[str, object]]:
        for item in DOCTOR["healthy"]:
            yield item

    async def bundle(self) -> bytes:
        return b"\x1f\x8b archive"

    def configuration(self) -> Configuration:
        value = ConfigurationValue("poll.interval_s", "60.0", "file", 12)
        return Configuration("/etc/ipad-agent/config.toml", False, (value,))

    def metrics(self) -> str:
        return "ipad_polls_total 3\n"

    async def send_at(self, command: str, *, force: bool, timeout_s: float) -> tuple[tuple[str, ...], str]:
        self._did("send_at", command, force, timeout_s)
        return ("+CSQ: 20,99",), "OK"

    async def record(self, *, seconds: float | None) -> str:
        self._did("record", seconds)
        return "/var/lib/ipad-agent/record.jsonl"

    async def stop_recording(self) -> None:
        self._did("stop_recording")

    def recorder(self) -> RecorderState:
        return RecorderState(True, "/var/lib/ipad-agent/records", 4 << 20, 60.0, 12)
