"""Stories about being stopped: in order, again and again, or because the port went away."""

from __future__ import annotations

import contextlib
import os
import time

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.real_time_limits import scaled, stuck_after
from ipad_agent.lab.eim import Fault
from ipad_agent.lab.euicc import OPERATOR_A, bulk_profiles, default_profiles
from ipad_agent.lab.modem import Fault as ModemFault
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import (
    NO_MORE_WORK,
    case,
    check_enabled,
    check_nothing_left,
    check_result,
    connection_attempts,
    quick,
    result_of,
    until,
)

STOP_LIMIT_S = 2.0
PORT_LOST, NEXT_POLL = "IPA-2003", "IPA-1003"


@scenario(
    "sigterm",
    "Told to stop in the middle of a poll, the agent ends within two seconds and owes nothing less.",
    deadline_s=60,
)
async def sigterm(run: Run) -> None:
    """Three moments: waiting for the eIM, for the modem, and for the network; the orders are carried out afterwards."""
    async with run.bench(quick(provision="card")) as bench:
        for name, stand_still, mend in (
            ("while the eIM does not answer", _silent_eim, bench.eim.eim.faults.clear),
            ("while the modem does not answer", _silent_modem, bench.modem.engine.clear_faults),
            ("while the network is down", _no_network, lambda: bench.proxy.set_link_up(True)),
        ):
            one = case("list-profiles", "listProfileInfo ok", name=f"an order {name}")
            bench.eim.eim.enqueue(bench.eid, one.order)
            bench.eim.skip()
            async with run.step(f"the agent stands still {name}"):
                await stand_still(bench)
            began_s = time.monotonic()
            status = await bench.agent.terminate()
            took_s = time.monotonic() - began_s
            run.check(f"it ends in time {name}", took_s < scaled(STOP_LIMIT_S), f"{took_s:.2f} s")
            run.check("its exit status says that all is well", status == 0, str(status))
            mend()
            await bench.agent.start()
            check_result(run, one.name, await result_of(bench, one.name), one.expected)
            bench.agent.skip()
            await bench.agent.event(NO_MORE_WORK, deadline_s=20)
            await bench.agent.terminate()
        check_nothing_left(run, bench)


async def _silent_eim(bench: Bench) -> None:
    bench.eim.eim.faults.arm(Fault("result", "lose-request", times=-1))
    await bench.agent.start()
    await bench.eim.entry("fault", deadline_s=20)


async def _silent_modem(bench: Bench) -> None:
    await bench.agent.start()
    await bench.eim.entry("handed out", deadline_s=20)
    bench.modem.inject(ModemFault("silent", "+CGLA", times=None))
    heard = bench.modem.engine.command_count
    await until(lambda: bench.modem.engine.command_count > heard, "a command for the modem", deadline_s=20)


async def _no_network(bench: Bench) -> None:
    bench.proxy.set_link_up(False)
    lost = bench.proxy.link.counters["up"].lost
    await bench.agent.start()
    await until(lambda: bench.proxy.link.counters["up"].lost > lost, "a datagram", deadline_s=20)


@scenario(
    "crash-loop",
    "Killed again and again in the middle of a poll, the agent does not storm the eIM with polls.",
    deadline_s=60,
)
async def crash_loop(run: Run) -> None:
    """Restarts within the back-off must not touch the network, and a second crash makes the back-off longer."""
    restarts = 4
    async with run.bench(quick(provision="card")) as bench:
        bench.eim.eim.faults.arm(Fault("get", "lose-request", times=-1))
        began_s = time.monotonic()
        await bench.agent.start()
        async with run.step("the first poll is killed"):
            await bench.eim.entry("fault", deadline_s=20)
            await bench.agent.kill()
        # All restarts have to fit into the back-off, however long one takes on this machine.
        backoff_s = max(8.0, 2.0 * restarts * (time.monotonic() - began_s))
        bench.reconfigure({"poll": {"interval_s": 10 * backoff_s, "backoff_first_s": backoff_s}})
        waits_s = []
        for number in range(restarts):
            waits_s.append(await _restart(run, bench, number + 1))
            await bench.agent.kill()
        polls = len(connection_attempts(bench))
        run.check("no restart made another poll", polls == 1, f"{polls} connections in {restarts + 1} runs")
        await bench.agent.start()
        async with run.step("left alone, it polls when the back-off is over, and is killed again"):
            await bench.eim.entry("fault", deadline_s=32 + backoff_s)
            await bench.agent.kill()
        wait_s = await _restart(run, bench, restarts + 2)
        run.check("the back-off grows", wait_s > 1.5 * waits_s[0], f"{waits_s[0]:.1f} s, then {wait_s:.1f} s")
        polls = len(connection_attempts(bench))
        run.check("two polls were made in all", polls == 2, f"{polls} connections in {bench.agent.runs} runs")


async def _restart(run: Run, bench: Bench, number: int) -> float:
    """Start the agent; how long it means to wait."""
    bench.agent.skip()
    await bench.agent.start()
    async with run.step(f"restart {number}: the agent waits") as step:
        event = await bench.agent.event(NEXT_POLL, deadline_s=20)
        step.detail = str(event.facts["sentence"])
    return float(event.facts["wait_s"])


@scenario(
    "port-vanishes",
    "The port goes away amid a package, returns under another name, and the work goes on.",
    deadline_s=90,
)
async def port_vanishes(run: Run) -> None:
    """A USB modem that re-enumerates: the card's answer is lost with the port, the path leads to another device."""
    profiles = default_profiles() + bulk_profiles(4, icon_bytes=512)
    async with run.bench(quick(provision="card", profiles=profiles)) as bench:
        await bench.agent.start()
        await bench.agent.event(NO_MORE_WORK, deadline_s=30)
        before = os.readlink(bench.modem.path)
        one = case(
            f"list-profiles + enable {OPERATOR_A}", "listProfileInfo ok", "enable ok", name="list and enable, port gone"
        )
        bench.eim.eim.enqueue(bench.eid, one.order)
        await bench.eim.entry("handed out", deadline_s=20)
        bench.modem.inject(ModemFault("vanish", "+CGLA", skip=2, late_s=1.5))
        with contextlib.ExitStack() as taken:
            async with run.step("the port is lost"):
                await bench.agent.event(PORT_LOST, deadline_s=20)
            # Somebody else takes the old number meanwhile.
            for descriptor in os.openpty():
                taken.callback(os.close, descriptor)
            async with run.step("the port is back"), stuck_after(20):
                await bench.modem.present.wait()
            after = os.readlink(bench.modem.path)
            run.check("it has another name", after != before, f"{before}, then {after}")
            check_result(run, one.name, await result_of(bench, one.name, deadline_s=60), one.expected)
            bench.agent.skip()
            await bench.agent.event(NO_MORE_WORK, deadline_s=20)
        accepted = [entry for entry in bench.eim.seen("result") if entry.get("order") == one.name]
        run.check("the result was sent once", len(accepted) == 1, f"{len(accepted)} times")
        check_enabled(run, bench, OPERATOR_A)
        check_nothing_left(run, bench)
