"""``lab up --tls psk``: the key can be typed by a client that takes it as text, and the printed command does so."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.command.lab_command import describe

from .by_hand import get_eim_package


async def test_the_printed_command_of_a_stranger_polls_with_the_pre_shared_key(tmp_path: Path) -> None:
    async with Bench(BenchOptions(provision="card", tls="psk", link_follows_modem=False)) as bench:
        facts = describe(bench)
        body = get_eim_package(bench.eid)
        printed, _, client = facts["stranger"].partition(" | xxd -r -p | ")
        assert printed == f"printf {body.hex().upper()}"
        (tmp_path / "body").write_bytes(body)
        words = [str(tmp_path / "body") if word == "-" else word for word in shlex.split(client)]
        process = await asyncio.create_subprocess_exec(
            *words, "-B", "20", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        answer, _ = await asyncio.wait_for(process.communicate(), 60)
    assert answer.startswith(bytes.fromhex("BF4F 03 020101"))


async def test_a_key_that_no_command_line_can_hold_is_kept_and_its_file_named(tmp_path: Path) -> None:
    (tmp_path / "psk.key").write_text("00" * 16)
    async with Bench(BenchOptions(provision="card", tls="psk"), folder=tmp_path) as bench:
        facts = describe(bench)
    assert facts["psk"]["keyFile"] == str(tmp_path / "psk.key")
    assert "stranger" not in facts
