"""What a face may ask of the agent, and how the agent says no.

The agent implements ``Service``; socket and D-Bus are skins over it. Calls return at once or have a deadline of their
own; none of them waits for the card for longer than the agent itself would.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from ipad_agent.records import dataclass

from .status_model import Configuration, Happening, HistoryEntry, Owed, Plan, Status


class Refused(Exception):
    """The agent does not do what was asked. ``error`` is one of the error names of the interface file, ``facts`` its
    parameters; the text is a sentence for people."""

    def __init__(self, error: str, sentence: str, **facts: str | int | None) -> None:
        super().__init__(sentence)
        self.error = error
        self.sentence = sentence
        self.facts = facts


NOT_READY = "NotReady"
BUSY = "Busy"
REFUSED_BY_POLICY = "RefusedByPolicy"
CARD_ERROR = "CardError"
NOT_AUTHORIZED = "NotAuthorized"
NOT_FOUND = "NotFound"
INVALID = "InvalidParameter"
DOWNLOAD_FAILED = "DownloadFailed"


@dataclass(frozen=True, slots=True)
class RecorderState:
    """``left_s`` is None when it goes on until it is stopped. ``ended`` says why the last recording is over, and is
    empty when there was none."""

    recording: bool
    folder: str
    max_bytes: int
    left_s: float | None = None
    records: int = 0
    ended: str = ""


class Service(Protocol):
    """The agent as the faces see it. All verbs raise ``Refused``."""

    def status(self) -> Status:
        """The picture of now; costs no I/O."""

    def watch(self, on_change: Callable[[], None]) -> Callable[[], None]:
        """Call ``on_change`` (in the event loop, cheap) whenever the status may have changed; returns the way out."""

    def listen(self, on_event: Callable[[Happening], None]) -> Callable[[], None]:
        """Call ``on_event`` for every event of level info and above; returns the way out."""

    def recent(self, count: int) -> tuple[Happening, ...]:
        """The last events, oldest first."""

    def history(self, count: int) -> tuple[HistoryEntry, ...]:
        """The last things that were done on this device, oldest first; also from before a restart."""

    async def poll(self, eim_id: str | None) -> None:
        """Poll this eIM, or all, now. Returns when that has been scheduled; refused where modem, card or eIM are
        missing."""

    async def plan(self, iccid: str) -> Plan:
        """What a switch to this profile would do. Asks card and modem; changes nothing."""

    async def rollback(self) -> None:
        """Go back to the previous profile now, if a switch is armed and the way back is a rollback."""

    async def confirm(self) -> None:
        """Accept the armed switch as proved, without waiting for the proof."""

    async def execute_fallback(self) -> None:
        """Switch to the fallback profile now; nothing is changed when it is enabled already."""

    async def return_from_fallback(self) -> None:
        """Switch back from the fallback profile now; the former profile has to prove itself after that."""

    async def emergency(self, *, enable: bool) -> None:
        """Enable or disable the emergency profile (SGP.32 v1.2 §5.9.22, §5.9.23)."""

    async def memory_reset(self, *, what: tuple[str, ...]) -> None:
        """Factory reset of the eUICC (§5.9.5). ``what``: operational-profiles, test-profiles, default-smdp, eims,
        immediate-enable."""

    async def provision(self, data: bytes) -> int:
        """Give the card its first eIMs from the content of a file (§5.9.4); how many it has taken."""

    async def set_default_smdp(self, address: str) -> None:
        """Name the card's default SM-DP+ (§5.9.25); empty for none."""

    async def configure_immediate_enabling(
        self, *, enable: bool, smdp_oid: str | None, smdp_address: str | None
    ) -> None:
        """Whether the card lets profiles of this SM-DP+ be enabled right after their download (§5.9.17)."""

    async def download(self, activation_code: str, *, confirmation_code: str | None, rules_accepted: bool) -> str:
        """Download a profile with an activation code, where the configuration allows it; its ICCID. Returns at the end,
        and goes on where the caller leaves. ``rules_accepted``: consent to the profile's policy rules."""

    async def activate_ipae(self) -> None:
        """Hand the card over to its own IPAe (§3.8)."""

    async def owed(self) -> tuple[Owed, ...]:
        """What is owed, with what the card holds (which asks the card)."""

    def doctor(self) -> AsyncIterator[dict[str, object]]:
        """Check layer by layer, through the agent's own card and modem; each item as it becomes known."""

    async def bundle(self) -> bytes:
        """The support bundle (a gzip-compressed tar), redacted and checked."""

    def configuration(self) -> Configuration:
        """What the agent runs with."""

    def metrics(self) -> str:
        """Prometheus text."""

    async def send_at(self, command: str, *, force: bool, timeout_s: float) -> tuple[tuple[str, ...], str]:
        """Send an AT command to the modem, in turn with the agent's own; returns the lines of its answer and its final
        result. ``force``: also one that may change the modem (see ``at_command``)."""

    async def record(self, *, seconds: float | None) -> str:
        """Record AT lines, APDUs and the servers' messages for so long, or until it is stopped; returns the folder."""

    async def stop_recording(self) -> None:
        """End that; nothing when nothing is recorded."""

    def recorder(self) -> RecorderState:
        """Whether it is recorded, where, and for how long."""
