"""The doctor inside a running agent: with its card and modem, and never in the middle of what it does."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace

from ipad_agent.clock import SystemClock
from ipad_agent.config import load
from ipad_agent.doctor import Face, run_with
from ipad_agent.doctor.agent_doctor import agent_parts, polls_of
from ipad_agent.doctor.doctor_items import Layer
from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.store import Memory
from ipad_agent.store.memory_filesystem import MemoryFilesystem
from ipad_agent.wiring.configured_card import open_card
from situations import EIM_ID, SITUATIONS

from .fakes import Findings

QUICK = {"refresh_delay_s": 0.01, "card_init_s": 0.01, "attach_s": 0.01, "reboot_s": 0.05}


async def test_the_agents_own_card_and_modem_are_examined_between_its_procedures() -> None:
    lock, during = asyncio.Lock(), False
    seen_during: list[bytes] = []

    @contextlib.asynccontextmanager
    async def turn() -> AsyncIterator[None]:
        async with lock:
            yield

    async with Bench(BenchOptions(provision="card", modem=QUICK)) as made:
        config = replace(load(made.folder / "agent.toml"), path=None)
        clock = SystemClock()
        card = open_card(config, Memory(MemoryFilesystem(), state_dir="/s", runtime_dir="/r"), clock)
        status = SITUATIONS["ready"]
        parts = agent_parts(
            config, clock, card, take_turn=turn, status=lambda: status, faces=lambda: (Face("socket", True, "open"),)
        )

        async def procedure() -> None:
            """Holds the card's session for a while, as a download does."""
            nonlocal during
            async with lock:
                await card.euicc.get_eid()
                during, before = True, len(made.slot.trace)
                await asyncio.sleep(0.2)
                seen_during.extend(command for command, _ in list(made.slot.trace)[before:])
                during = False

        working = asyncio.create_task(procedure())
        while not during:  # noqa: ASYNC110 - until the procedure has the card
            await asyncio.sleep(0.01)
        found = Findings()
        async with asyncio.timeout(60):
            async for item in run_with(parts):
                found.append(item)
        await working
        await card.euicc.close()
    assert seen_during == []
    assert set(found.wrong) <= {"disk"}  # the bench's folder is made by an agent's start
    assert found.of(Layer.ISDR).ok
    assert found.of(Layer.HANDSHAKE).ok
    assert found.of(Layer.FACES).sentence == "socket: open."


def test_the_last_polls_are_told_from_the_status() -> None:
    assert polls_of(SITUATIONS["ready"]) == {EIM_ID: "the last poll ended: one package carried out."}
    assert polls_of(SITUATIONS["eim-unreachable"]) == {EIM_ID: "the last poll ended: unreachable."}
    assert polls_of(SITUATIONS["order-failed"])[EIM_ID] == (
        "the last poll ended: one package carried out. Its last order failed: delete 8943…0811 "
        "profileNotInDisabledState (that profile is enabled, and only a disabled one can be deleted)."
    )
    assert polls_of(SITUATIONS["starting"]) == {}


def test_an_agent_that_never_calls_the_doctor_pays_next_to_nothing_for_it() -> None:
    heavy = "{'OpenSSL', 'aiocoap', 'h11', 'tarfile', 'importlib.metadata'}"
    parts = "bundle.support_bundle, bundle.bundle_sources, agent_doctor, recorder_taps"
    imports = ", ".join(f"ipad_agent.doctor.{part}" for part in parts.split(", "))
    source = "import sys, ipad_agent.wiring.configured_card, ipad_agent.wiring.eim_links; before = set(sys.modules); "
    source += f"import ipad_agent.doctor, {imports}; "
    source += f"print(sorted({heavy} & (set(sys.modules) - before)))"
    ran = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
