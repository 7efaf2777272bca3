from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from ipad_agent.agent.guardian_actions import _facts as fallback_facts
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.records.local_switch_record import What
from ipad_agent.procedures.switching.local_switch import End, LocalSwitch
from ipad_agent.site.hook_scripts import MOMENTS, Hooks

from .conftest import Heard
from .places import script


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_hook_learns_the_moment_and_the_facts(tmp_path: Path, heard: Heard, moment: str) -> None:
    script(tmp_path / "d", "10", f'echo "$1 $IPAD_MOMENT $IPAD_ICCID ${{IPAD_APN-none}}" > {tmp_path}/said')
    await Hooks(tmp_path / "d", 10).run(moment, {"ICCID": "8949000000000000012"})
    assert (tmp_path / "said").read_text() == f"{moment} {moment} 8949000000000000012 none\n"
    assert heard.all == [("IPA-1403", {"name": "10", "moment": moment})]


async def test_a_hook_that_fails_or_hangs_is_reported_and_the_next_one_runs(tmp_path: Path, heard: Heard) -> None:
    script(tmp_path / "d", "10", "echo no route; exit 1")
    script(tmp_path / "d", "20", "sleep 60")
    script(tmp_path / "d", "30", f"touch {tmp_path}/ran")
    await Hooks(tmp_path / "d", 0.2).run("pre-switch", {})
    assert heard.all == [
        ("IPA-1402", {"name": "10", "moment": "pre-switch", "reason": "no route"}),
        ("IPA-1402", {"name": "20", "moment": "pre-switch", "reason": "did not answer in 0.2 s"}),
        ("IPA-1403", {"name": "30", "moment": "pre-switch"}),
    ]
    assert (tmp_path / "ran").exists()


async def test_facts_cannot_change_how_a_hook_is_run(tmp_path: Path) -> None:
    script(tmp_path / "d", "10", f'echo "$PATH $IPAD_PATH $IPAD_MOMENT" > {tmp_path}/said')
    await Hooks(tmp_path / "d", 10).run("committed", {"PATH": "/tmp", "MOMENT": "fallback"})
    path, told, moment = (tmp_path / "said").read_text().split()
    assert ("/tmp" not in path, told, moment) == (True, "/tmp", "committed")


async def test_without_a_folder_there_is_nobody_to_tell(tmp_path: Path, heard: Heard) -> None:
    await Hooks(tmp_path / "none", 10).run("committed", {})
    assert heard.all == []


def test_the_hook_of_a_fallback_is_told_the_apn_of_the_fallback_profile() -> None:
    site = SimpleNamespace(apn={"8949": "fallback.example"}.get)
    done = LocalSwitch(What.FALLBACK, End.DONE, "8950", "8949")
    assert fallback_facts(cast(Context, SimpleNamespace(site=site)), done) == {
        "ICCID": "8949",
        "PREVIOUS_ICCID": "8950",
        "CAUSE": What.FALLBACK.value,
        "APN": "fallback.example",
    }
