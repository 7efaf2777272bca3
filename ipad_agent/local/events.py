"""What the LED, the metrics file and the flight recorder say (IPA-136x)."""

from __future__ import annotations

from pathlib import Path

from ipad_agent.events import INFO, WARNING, define


@define(
    "IPA-1360",
    WARNING,
    "The metrics could not be written to {path}: {reason}.",
    "Said once until it works again. The agent is not disturbed; check the folder and its permissions, or unset "
    "metrics.textfile.",
)
def TEXTFILE_FAILED(*, path: Path, reason: object) -> None: ...


@define(
    "IPA-1380",
    INFO,
    "A command of a person went to the modem: {command}; it answered {final}.",
    "`ipactl at`, which local.allow_at permits. Who asked is told just before (IPA-1322). Values are left out of it.",
)
def AT_SENT(*, command: str, final: str) -> None: ...


@define(
    "IPA-1381",
    WARNING,
    "A command of a person that may change the modem went to it: {command}; it answered {final}.",
    "`ipactl at --force`. Who asked is told just before (IPA-1322). The port is opened anew and set up again.",
)
def AT_FORCED(*, command: str, final: str) -> None: ...


@define("IPA-1361", INFO, "The metrics are written to {path} again.", "The trouble told before is over.")
def TEXTFILE_WORKS(*, path: Path) -> None: ...


@define(
    "IPA-1362",
    WARNING,
    "The LED {name} cannot be used: {reason}.",
    "Said once. The names are those in /sys/class/leds; the agent's user must be allowed to write there.",
)
def LED_FAILED(*, name: str, reason: object) -> None: ...


@define(
    "IPA-1363",
    INFO,
    "Recording the traffic to {path} for {seconds:.0f} s.",
    "AT lines, APDUs and the messages of eIM and SM-DP+ with their times (`ipactl record`). The files hold identifiers "
    "and are the agent's own; `ipactl record export` makes one that may be given away.",
)
def RECORDING(*, path: Path, seconds: float) -> None: ...


@define(
    "IPA-1364",
    INFO,
    "The recording in {path} ended: {why}, {records} records.",
    "It ends when its time is over, when it is stopped, or when the agent stops.",
)
def RECORDED(*, path: Path, why: str, records: int) -> None: ...
