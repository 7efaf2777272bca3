"""A consumer card that an eIM manages because the device emulates the IoT functions in front of it."""

from __future__ import annotations

import asyncio
import sys

from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, OPERATOR_B, Quirks
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import case, check_enabled, check_nothing_left, play, quick

PROVISIONED = "IPA-4004"
EMULATING = "IPA-1231"
BUNDLE_TAKEN = "IPA-1273"
BOUND = "IPA-4373"
EMULATE: dict[str, Table] = {"card": {"emulate_iot": "when-needed"}}


@scenario(
    "emulated-psmo-all",
    "A consumer card is given an eIM, registered by its import file, and carries out what the eIM orders.",
    deadline_s=60,
)
async def emulated_psmo_all(run: Run) -> None:
    async with run.bench(quick(quirks=Quirks(consumer=True), config=EMULATE)) as bench:
        await _registered(run, bench)
        entries = await play(
            run,
            bench,
            [
                case(
                    "list-profiles + get-rat + immediate-enable on",
                    "listProfileInfo ok",
                    "getRAT ok",
                    "configureImmediateEnable ok",
                    name="lists and settings",
                ),
                case(f"enable {OPERATOR_A} --rollback", "enable ok", name="a switch"),
                case(
                    f"disable {OPERATOR_A} + enable {BOOTSTRAP} + delete {OPERATOR_B}",
                    "disable ok",
                    "enable ok",
                    "delete ok",
                    name="there and back, and one profile less",
                ),
                case("list-eim", "listEim ok", name="the eIMs"),
                case("data-request info1,info2,results", "ok", name="data"),
            ],
        )
        signatures = {entry["facts"].get("signature") for entry in entries} - {None}
        run.check("every result is signed by the device's key", signatures == {"right (token)"}, str(signatures))
        check_enabled(run, bench, BOOTSTRAP)
        check_nothing_left(run, bench)
        run.check("the agent never failed unexpectedly", not bench.agent.said("IPA-1006"))


@scenario(
    "emulated-power-cut",
    "The agent is killed in the middle of an order on a consumer card: nothing is done twice, and the eIM learns it.",
    deadline_s=60,
)
async def emulated_power_cut(run: Run) -> None:
    async with run.bench(quick(quirks=Quirks(consumer=True), config=EMULATE)) as bench:
        await _registered(run, bench)
        bench.card.isdr.steps = lambda name: bench.agent.kill_now() if name == "after-swap" else None
        order = bench.order("enable", OPERATOR_A, "--rollback")
        await bench.agent.wait_ended(deadline_s=20)
        bench.card.isdr.steps = lambda name: None
        run.check("the card has done it, and nobody knows", bench.card.enabled_iccid == OPERATOR_A)
        await bench.agent.start()
        await bench.agent.event("IPA-1240", deadline_s=30)
        await bench.agent.event("IPA-4030", deadline_s=30)
        run.check("the eIM knows that it was done", order.state == "done", order.state)
        check_enabled(run, bench, OPERATOR_A)


@scenario(
    "emulated-provision-bundle",
    "A provisioning bundle gives a consumer card its eIM and the device its key; the device registers itself.",
    deadline_s=60,
)
async def emulated_provision_bundle(run: Run) -> None:
    options = quick(quirks=Quirks(consumer=True), config=EMULATE, carrier="https", provision="none")
    async with run.bench(options) as bench:
        bundle = bench.folder / "bundle.json"
        bundle.touch(mode=0o600)
        bundle.write_bytes(bench.issue_bundle())
        bench.reconfigure({"provisioning": {"bundle": bundle}})
        bench.eim.eim.bindings.answers.append((500, None))
        await bench.agent.start()
        await bench.agent.event(BUNDLE_TAKEN, deadline_s=20)
        await bench.agent.event(BOUND, deadline_s=20)
        answers = [entry["status"] for entry in bench.eim.seen("bind")]
        run.check("the device asked again and is registered", answers == [500, 204], str(answers))
        run.check("the bundle is used up", not bundle.exists())
        (entry,) = await play(run, bench, [case(f"enable {OPERATOR_A} --rollback", "enable ok", name="a switch")])
        signature = entry["facts"].get("signature")
        run.check("the result is signed by the key of the bundle", signature == "right (token)", str(signature))
        check_enabled(run, bench, OPERATOR_A)
        check_nothing_left(run, bench)


async def _registered(run: Run, bench: Bench) -> None:
    """Start the agent, and do what the device's owner and the eIM's operator do once."""
    await bench.agent.start()
    await bench.agent.event(EMULATING, deadline_s=20)
    await bench.agent.event(PROVISIONED, deadline_s=20)
    file = bench.folder / "import.json"
    export = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ipad_agent.cli.ipactl", "emulation", "export", str(file)),
        *("--config", str(bench.agent.config)),
        stdout=asyncio.subprocess.DEVNULL,
    )
    run.check("the import file is written", await export.wait() == 0)
    device = bench.eim.eim.import_device(file.read_bytes())
    run.check("the eIM knows the device's key", device.emulated)
