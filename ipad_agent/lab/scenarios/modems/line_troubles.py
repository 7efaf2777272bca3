"""Stories about a line that is cut, shared or too narrow while the agent works."""

from __future__ import annotations

import asyncio
import contextlib
import os

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.euicc import OPERATOR_A, bulk_profiles, default_profiles
from ipad_agent.lab.modem import Fault, Uart
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import (
    LIST_WITH_ICONS,
    NO_MORE_WORK,
    case,
    check_enabled,
    check_nothing_left,
    check_nothing_left_soon,
    play,
    quick,
    result_of,
    until,
)
from ipad_agent.lab.scenarios.support.download_steps import (
    carried_out,
    check_calm,
    indirect,
    offer,
    order_download,
)

PORT_LOST, CONTENTION, WAY_DEMOTED, LINE_SPEED = "IPA-2003", "IPA-2005", "IPA-2008", "IPA-2072"
PROBES = (b"AT+QGPS=?\r", b"ATI\r", b"AT+CGMI\r", b"AT+COPS?\r")
"""What a connection manager asks every port it finds."""

CSIM_FIRST = """\
title = "A module whose AT+CSIM is thought to be the better way"
[match]
manufacturer = "ipad-agent lab"
[uicc]
order = ["csim", "cgla"]
[evidence]
"match" = { grade = "confirmed", source = "the lab" }
"uicc" = { grade = "confirmed", source = "the lab" }
"""


@scenario(
    "modem-hangup-mid-download",
    "The port goes away amid a download and returns under another name; the profile is there in the end, once.",
    deadline_s=90,
)
async def modem_hangup_mid_download(run: Run) -> None:
    """Whatever becomes of the first attempt, eIM and SM-DP+ hear of it; the second one has nothing in its way."""
    wanted = offer(size_bytes=12_000)
    async with run.bench(indirect(wanted)) as bench:
        await bench.agent.start()
        await bench.agent.event(NO_MORE_WORK, deadline_s=30)
        before = os.readlink(bench.modem.path)
        bench.modem.inject(Fault("vanish", "+CGLA", skip=45, late_s=0.5))
        order = order_download(bench, wanted)
        with contextlib.ExitStack() as taken:
            async with run.step("the port is lost in the middle"):
                await bench.agent.event(PORT_LOST, deadline_s=20)
            for descriptor in os.openpty():  # somebody else takes the old number meanwhile
                taken.callback(os.close, descriptor)
            await bench.modem.present.wait()
            after = os.readlink(bench.modem.path)
            run.check("it has another name", after != before, f"{before}, then {after}")
            await carried_out(run, bench, order, "the eIM has its answer", deadline_s=60)
        if wanted.iccid not in bench.card.profile_states():
            again = order_download(bench, wanted)
            await carried_out(run, bench, again, "ordered once more it is downloaded")
            run.check("the order is done", again.state == "done", again.state)
        run.check("the profile is there", wanted.iccid in bench.card.profile_states(), f"first order: {order.state}")
        check_nothing_left(run, bench)
        check_calm(run, bench)


@scenario(
    "modem-manager-intrudes",
    "Another program asks questions of its own on the agent's port: it is named, and no order is carried out twice.",
    deadline_s=90,
)
async def modem_manager_intrudes(run: Run) -> None:
    """It writes and reads on the same device, as a program of root can, and takes answers away that are the agent's."""
    profiles = default_profiles() + bulk_profiles(4, icon_bytes=512)
    async with run.bench(quick(provision="card", profiles=profiles)) as bench:
        await bench.agent.start()
        await bench.agent.event(NO_MORE_WORK, deadline_s=30)
        one = case(f"list-profiles + enable {OPERATOR_A}", "listProfileInfo ok", "enable ok", name="list and enable")
        bench.eim.eim.enqueue(bench.eid, one.order)
        async with run.step("the other program is noticed") as step:
            await _intrude(bench)
            said = bench.agent.said(CONTENTION)
            step.detail = said[0].text if said else ""
        run.check("the agent says so, and not all the time", 1 <= len(said) <= 3, f"{len(said)} times")
        entry = await result_of(bench, one.name, deadline_s=60)
        run.check("the order was carried out", [each["operation"] for each in entry["facts"]["operations"]] != [])
        await until(lambda: bench.card.enabled_iccid == OPERATOR_A, "enabled profile", deadline_s=30)
        await bench.agent.event(NO_MORE_WORK, deadline_s=30)
        accepted = [entry for entry in bench.eim.seen("result") if entry.get("order") == one.name]
        run.check("the result was sent once", len(accepted) == 1, f"{len(accepted)} times")
        check_enabled(run, bench, OPERATOR_A)
        await check_nothing_left_soon(run, bench)


async def _intrude(bench: Bench) -> None:
    """Ask, and take whatever answers there are, until the agent noticed it and some time more."""
    port = os.open(bench.modem.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        for number in range(400):
            with contextlib.suppress(OSError):
                os.write(port, PROBES[number % len(PROBES)])
            await asyncio.sleep(0.02)
            if number % 3 == 0:
                with contextlib.suppress(OSError):
                    os.read(port, 64)
            if number > 50 and bench.agent.said(CONTENTION):
                return
    finally:
        os.close(port)


@scenario(
    "modem-csim-truncates",
    "A module cuts long answers over AT+CSIM without a word; the agent notices, goes on by AT+CGLA and remembers that.",
    deadline_s=60,
)
async def modem_csim_truncates(run: Run) -> None:
    """The 10 kB list is whole although the first attempt was cut at 256 bytes; after a restart nothing is cut."""
    folder = run.folder / "modems"
    folder.mkdir()
    (folder / "lab.toml").write_text(CSIM_FIRST)
    profiles = [*default_profiles(), *bulk_profiles(9)]
    options = quick(
        "generic",
        provision="card",
        modem={"csim_auto_fetch": True, "csim_answer_cap_bytes": 256},
        profiles=profiles,
        config={"modem": {"profiles_dir": folder}},
    )
    async with run.bench(options) as bench:
        await bench.agent.start()
        (entry,) = await play(run, bench, [case(LIST_WITH_ICONS, "listProfileInfo ok", name="list")])
        listed = len(entry["facts"]["operations"][0]["profiles"])
        run.check("the list is whole", listed == len(profiles), f"{listed} profiles")
        run.check("the agent noticed the cut", len(bench.agent.said(WAY_DEMOTED)) == 1)
        await bench.agent.terminate()
        heard = len(bench.modem.engine.commands)
        await bench.agent.start()
        await play(run, bench, [case(LIST_WITH_ICONS, "listProfileInfo ok", name="list again")])
        run.check("it is not cut again", len(bench.agent.said(WAY_DEMOTED)) == 1)
        run.check("there were commands", bench.modem.engine.command_count > heard)
        check_nothing_left(run, bench)


@scenario(
    "modem-uart-speed-up",
    "The agent raises a UART to 921600 bit/s over a module that loses bytes at it, dies there, and is found there.",
    deadline_s=60,
)
async def modem_uart_speed_up(run: Run) -> None:
    """What is sent at another speed than the module's is noise, both ways. The next agent knows nothing of the change;
    when it is stopped in order, the module is back at its first speed."""
    uart = Uart(change="before-ok", loses_first_bytes=3)
    options = quick("eg25", provision="card", modem={"uart": uart}, config={"modem": {"fast_baud": 921600}})
    async with run.bench(options) as bench:
        await bench.agent.start()
        await play(run, bench, [case(f"enable {OPERATOR_A}", "enable ok")])
        raised = bench.agent.said(LINE_SPEED)
        run.check("the speed is raised", bench.modem.module.line_rate == 921600, raised[0].text if raised else "")
        async with run.step("the agent is killed and starts again"):
            await bench.agent.kill()
            await bench.agent.start()
            await play(run, bench, [case(LIST_WITH_ICONS, "listProfileInfo ok", name="list")])
        told = bench.agent.said(LINE_SPEED)[-1].text
        run.check("the module is found where it was left", "answers at this speed and not at 115200" in told, told)
        await bench.agent.terminate()
        run.check("and left as it was before", bench.modem.module.line_rate == 115200)
        check_enabled(run, bench, OPERATOR_A)
        check_nothing_left(run, bench)
