"""What the ring on the disk says (IPA-403x)."""

from __future__ import annotations

from pathlib import Path

from ipad_agent.events import INFO, WARNING, define


@define(
    "IPA-4038",
    WARNING,
    "The recording in {path} ended: the disk refused it ({reason}).",
    "Only the recording is lost. It leaves the last megabyte of the disk to the agent's own records: make room or "
    "lower record.max_bytes, then `ipactl record start`.",
)
def RECORDING_FAILED(*, path: Path, reason: str) -> None: ...


@define(
    "IPA-4039",
    INFO,
    "Recording the traffic to {path} until it is stopped.",
    "As IPA-1363; the oldest gives way when the recording is as large as record.max_bytes allows. `ipactl record stop` "
    "ends it.",
)
def RECORDING_ON(*, path: Path) -> None: ...
