"""A card of v1.3 that has no emergency profile says so when one is to be ended; nothing changed, and nobody is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipad_agent.codec.es10.es10_control import parse_disable_emergency_profile
from ipad_agent.procedures.switching.local_switch import End

from .local_switches import Bench

ECALL_NOT_AVAILABLE = bytes.fromhex("BF5C03800108")


async def test_ecall_not_available_is_told_and_no_state_change(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(pki_folder)
    await bench.start()
    await bench.emergency_on()
    code = parse_disable_emergency_profile(ECALL_NOT_AVAILABLE)
    assert int(code) == 8

    async def refuse() -> object:
        return code

    before = bench.pending, dict(bench.world.documents.load("profiles"))
    monkeypatch.setattr(bench.world.euicc, "disable_emergency_profile", refuse)
    done = await bench.emergency_off()
    assert done.end is End.NOT_AVAILABLE
    assert done.previous == done.enabled
    assert (bench.pending, dict(bench.world.documents.load("profiles"))) == before
