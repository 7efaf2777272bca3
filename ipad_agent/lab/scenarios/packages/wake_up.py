"""Stories about calls that bring the next poll forward."""

from __future__ import annotations

import asyncio

from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.modem.at.message_commands import sms_deliver
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import WAITING, quick, result_of, until

CALLER = "+491510000001"
KEYWORD = "Poll4711now"
WOKEN_BY = "IPA-1065"
IGNORED = "IPA-1067"


@scenario("sms-wake", "An SMS of the right sender with the keyword has the device poll; other messages are left alone.")
async def sms_wake(run: Run) -> None:
    """The next poll is an hour away."""
    config: dict[str, Table] = {"poll": {"interval_s": 3600}, "wake": {"sms": True, "sms_senders": [CALLER]}}
    async with run.bench(quick(provision="card", config=config)) as bench:
        keyword = bench.folder / "keyword"
        keyword.touch(mode=0o600)
        keyword.write_text(KEYWORD)
        bench.reconfigure({"wake": {"sms_keyword_file": keyword}})
        await bench.agent.start()
        await bench.eim.entry("request", deadline_s=30)
        await bench.agent.event(WAITING, deadline_s=30)
        bench.order("list-profiles")
        for sender, text, what in (
            ("+491519999999", KEYWORD, "an SMS of somebody else"),
            (CALLER, "Hello", "an SMS of the right sender without the keyword"),
        ):
            _receive(bench, sender, text)
            async with run.step(f"{what} is not followed") as step:
                event = await bench.agent.event(IGNORED, deadline_s=20)
                step.detail = event.text
        run.check("the eIM was not asked", not bench.eim.seen("handed out"))
        _receive(bench, CALLER, KEYWORD)
        async with run.step("an SMS with the keyword is followed") as step:
            event = await bench.agent.event(WOKEN_BY, deadline_s=20)
            await result_of(bench, "list-profiles")
            step.detail = event.text
        left = bench.modem.module.messages
        run.check("it is deleted, and the two others are left", sorted(left) == [0, 1], f"left: {sorted(left)}")
        await bench.agent.event(WAITING, deadline_s=30)
        bench.order("list-profiles", "5A")
        bench.modem.order(lambda module: setattr(module.settings, "message_indication", 2))
        _receive(bench, CALLER, KEYWORD)
        async with run.step("so is one that the modem does not keep (+CMT)"):
            await bench.agent.event(WOKEN_BY, deadline_s=20)
            await result_of(bench, "list-profiles 5A")
        shown = (bench.folder / "agent.log").read_text()
        run.check("neither keyword nor whole number are in the log", KEYWORD not in shown and CALLER not in shown)


def _receive(bench: Bench, sender: str, text: str) -> None:
    pdu = sms_deliver(sender, text)
    bench.modem.order(lambda module: module.receive_message(pdu))


@scenario("knock-wake", "A knock by UDP that proves the key has the device poll; any other datagram does nothing.")
async def knock_wake(run: Run) -> None:
    """Sent by the command of the product; the next poll is an hour away."""
    port = bench_port()
    config: dict[str, Table] = {"poll": {"interval_s": 3600}, "wake": {"knock": [f"127.0.0.1:{port}"]}}
    async with run.bench(quick(provision="card", config=config)) as bench:
        right, wrong = bench.folder / "knock.key", bench.folder / "wrong.key"
        for path, key in ((right, "11" * 32), (wrong, "22" * 32)):
            path.touch(mode=0o600)
            path.write_text(key)
        bench.reconfigure({"wake": {"knock_key_file": right}})
        await bench.agent.start()
        await bench.eim.entry("request", deadline_s=30)
        await bench.agent.event(WAITING, deadline_s=30)
        bench.order("list-profiles")
        await _knock(bench, port, str(wrong))
        async with run.step("a knock with another key is not followed") as step:
            step.detail = (await bench.agent.event(IGNORED, deadline_s=20)).text
        run.check("the eIM was not asked", not bench.eim.seen("handed out"))
        await _knock(bench, port, str(right))
        async with run.step("a knock with the key is followed") as step:
            step.detail = (await bench.agent.event(WOKEN_BY, deadline_s=20)).text
            await result_of(bench, "list-profiles")


def bench_port() -> int:
    """A free UDP port of loopback."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _knock(bench: Bench, port: int, key_file: str) -> None:
    words = bench.supply.command("knock", f"127.0.0.1:{port}", "--key-file", key_file)
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.DEVNULL)
    await process.wait()
    await until(lambda: process.returncode == 0, "knock that was sent", deadline_s=10)
