"""The bench's hold on a process: its messages as they come, its end however it comes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO

import pytest

from ipad_agent.lab.bench.agent_process import AgentEvent, AgentProcess
from ipad_agent.lab.errors import AgentEndedError, NothingHappenedError


def line(name: str | None, text: str = "something", **facts: object) -> str:
    return json.dumps({"id": name, "level": "info", "text": text, "facts": facts, "t": 1.5})


def script(*lines: str, then: str = "") -> list[str]:
    """A process that says these lines on stderr and then does ``then``."""
    body = (
        f"import sys, time, signal, os\nfor text in {list(lines)!r}: print(text, file=sys.stderr, flush=True)\n{then}"
    )
    return [sys.executable, "-c", body]


FOREVER = "signal.pause()"
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', file=sys.stderr, flush=True)\nsignal.pause()"


class Maker:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[AgentProcess] = []

    async def __call__(self, command: list[str]) -> AgentProcess:
        agent = AgentProcess(self.folder / "agent.toml", self.folder / "agent.log", command=command)
        self.made.append(agent)
        await agent.start()
        return agent


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Maker]:
    maker = Maker(tmp_path)
    yield maker
    for agent in maker.made:
        await agent.close()


async def test_messages_are_found_in_the_order_of_the_story(run: Maker) -> None:
    lines = [line("IPA-1"), line("IPA-2", "first"), line("IPA-1"), line("IPA-2", "second", eim="x")]
    agent = await run(script(*lines, then=FOREVER))
    assert (await agent.event("IPA-2", deadline_s=10)).text == "first"
    assert (await agent.event("IPA-1", deadline_s=10)).t_s == 1.5
    found = await agent.event(deadline_s=10, where=lambda event: event.facts.get("eim") == "x")
    assert found.text == "second"
    assert len(agent.said("IPA-2")) == 2


async def test_nothing_within_the_deadline_shows_what_was_said_instead(run: Maker) -> None:
    agent = await run(script(line("IPA-1", "only this"), then=FOREVER))
    await agent.event("IPA-1", deadline_s=10)
    with pytest.raises(NothingHappenedError, match="only this"):
        await agent.event("IPA-9", deadline_s=0.05)


async def test_the_end_of_the_process_ends_the_waiting(run: Maker) -> None:
    agent = await run(script(line("IPA-1"), "Traceback: no JSON at all", then="sys.exit(3)"))
    with pytest.raises(AgentEndedError, match=r"ended with 3[\s\S]*no JSON at all"):
        await agent.event("IPA-9", deadline_s=10)
    assert not agent.running
    assert agent.events[-1] == AgentEvent(None, "raw", "Traceback: no JSON at all", at_s=agent.events[-1].at_s, run=1)


async def test_killed_agent_can_be_started_again_and_its_log_goes_on(run: Maker) -> None:
    agent = await run(script(line("IPA-1"), then=FOREVER))
    await agent.event("IPA-1", deadline_s=10)
    await agent.kill()
    assert agent.returncode == -signal.SIGKILL
    await agent.start()
    assert (await agent.event("IPA-1", deadline_s=10)).run == 2
    assert agent.log_path.read_text().count("IPA-1") == 2


async def test_terminate_gives_the_exit_status(run: Maker) -> None:
    agent = await run(
        script(line("IPA-1"), then="signal.signal(15, lambda *_: sys.exit(0))\nprint(file=sys.stderr)\n" + FOREVER)
    )
    await agent.event("IPA-1", deadline_s=10)
    assert await agent.terminate() in (0, -signal.SIGTERM)


async def test_agent_that_does_not_end_is_reported_and_killed(run: Maker) -> None:
    agent = await run(script(then=STUBBORN))
    await agent.event(deadline_s=10, where=lambda event: event.text == "deaf")
    with pytest.raises(NothingHappenedError, match="SIGTERM"):
        await agent.terminate(deadline_s=0.1)
    assert not agent.running


async def test_a_line_without_end_does_not_fill_the_memory(run: Maker) -> None:
    agent = await run(script(then="sys.stderr.write('x' * 3_000_000)\nsys.stderr.flush()"))
    assert await agent.wait_ended(deadline_s=20) == 0
    assert sum(len(event.text) for event in agent.events) == 3_000_000
    assert len(agent.events) >= 2


async def test_stream_gives_everything_until_the_end(run: Maker) -> None:
    agent = await run(script(line("IPA-1"), line("IPA-2")))
    assert [event.id async for event in agent.stream()] == ["IPA-1", "IPA-2"]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"text": 5}', '"x"', "\x00"])
def test_any_line_is_a_message_of_some_sort(text: str) -> None:
    assert AgentEvent.parse(text) == AgentEvent(None, "raw", text)


LAB = """
import asyncio, sys
from pathlib import Path
from ipad_agent.lab.bench.agent_process import AgentProcess

async def main() -> None:
    folder = Path(sys.argv[1])
    agent = AgentProcess(folder / "agent.toml", folder / "agent.log", command=[sys.executable, "-c", sys.argv[2]])
    await agent.start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


AGENT = """
import os, signal
alive = open({alive!r}, "w")
print(os.getpid(), file=alive, flush=True)
signal.pause()
"""


@pytest.fixture
def alive(tmp_path: Path) -> Iterator[tuple[Path, IO[str], IO[str]]]:
    """A named pipe and its two ends; before anybody had it open for writing, it would be at its end."""
    path = tmp_path / "alive"
    os.mkfifo(path)
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK)) as reader, open(path, "w") as writer:
        yield path, reader, writer


async def test_the_agent_of_a_lab_that_is_killed_ends_with_it(
    tmp_path: Path, alive: tuple[Path, IO[str], IO[str]]
) -> None:
    path, reader, writer = alive
    said = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(said), reader
    )
    agent = AGENT.format(alive=str(path))
    lab = await asyncio.create_subprocess_exec(sys.executable, "-c", LAB, str(tmp_path), agent)
    async with asyncio.timeout(60):
        pid = int(await said.readline())
    writer.close()
    lab.kill()
    try:
        async with asyncio.timeout(60):
            assert await said.read() == b"", "whoever held it open is gone"
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        transport.close()
        await lab.wait()
