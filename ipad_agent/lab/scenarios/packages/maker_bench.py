"""A story about the maker's bench: what is done to a card before anybody manages it."""

from __future__ import annotations

from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import (
    NO_MORE_WORK,
    check_nothing_left_soon,
    check_result,
    quick,
    result_of,
    until,
)
from ipad_agent.lab.scenarios.support.download_steps import check_calm, check_installed, direct, offer
from ipad_agent.lab.scenarios.support.ipactl_run import ipactl

NO_EIM = "IPA-4003"
BUG = "IPA-1006"
SMDP = "smdp.example:8443"
CONFIRMATION = "4711-0815"


@scenario("maker-bench", "At the bench a card gets its default SM-DP+, immediate enabling, and its first manager.")
async def maker_bench(run: Run) -> None:
    """By the commands that people type."""
    config: dict[str, Table] = {"provisioning": {"initial_eim": None}}
    async with run.bench(quick(provision="none", ask_for_token=False, config=config)) as bench:
        await bench.agent.start()
        await bench.agent.event(NO_EIM, deadline_s=30)
        state = bench.card.state
        async with run.step("the default SM-DP+ is named") as step:
            step.detail = await ipactl(bench, "card", "set-default-smdp", SMDP)
        run.check("the card has it", state.default_smdp == SMDP, str(state.default_smdp))
        async with run.step("immediate enabling is allowed") as step:
            step.detail = await ipactl(bench, "card", "immediate-enable", "on", "--smdp", SMDP)
        run.check("the card knows", state.immediate_enable is not None)
        async with run.step("what the configuration does not allow is refused") as step:
            step.detail = await ipactl(bench, "card", "activate-ipae", "--eid-ends", bench.eid[-4:], expected=3)
        file = str(bench.folder / "initial-eim.der")
        async with run.step("without consent no manager gets onto the card") as step:
            step.detail = await ipactl(bench, "provision", file, expected=2)
        run.check("nobody manages it", not state.eims)
        async with run.step("the first manager gets onto the card") as step:
            step.detail = await ipactl(bench, "provision", file, "--yes")
        bench.order("list-profiles")
        check_result(run, "and orders something", await result_of(bench, "list-profiles"), ["listProfileInfo ok"])
        async with run.step("a second time it is refused") as step:
            step.detail = await ipactl(bench, "provision", file, "--yes", expected=3)
        async with run.step("and immediate enabling is the manager's to say") as step:
            step.detail = await ipactl(bench, "card", "immediate-enable", "off", expected=1)
        run.check("the agent had no trouble", BUG not in (bench.folder / "agent.log").read_text())


@scenario(
    "maker-download",
    "A person downloads a profile by its code where that is allowed, and the eIM hears of it.",
    deadline_s=60,
)
async def maker_download(run: Run) -> None:
    """By the command that people type; the confirmation code comes from a file."""
    wanted = offer(confirmation_code=CONFIRMATION)
    async with run.bench(direct(wanted, config={"download": {"by_hand": True}})) as bench:
        assert bench.rsp is not None
        code = bench.rsp.code(wanted)
        await bench.agent.start()
        await bench.agent.event(NO_MORE_WORK, deadline_s=30)
        file = bench.folder / "code-of-the-person"
        order = ("download", code, "--yes", "--confirmation-code-file", str(file))
        async with run.step("without consent nothing is downloaded") as step:
            step.detail = await ipactl(bench, "download", code, expected=2)
        file.write_text("0000-0000")
        async with run.step("with a wrong confirmation code the SM-DP+ refuses") as step:
            step.detail = await ipactl(bench, *order, expected=1)
        file.write_text(CONFIRMATION)
        async with run.step("with the right one the profile is installed") as step:
            step.detail = await ipactl(bench, *order)
        await until(lambda: bool(_told(bench)), "state change at the eIM", deadline_s=20)
        run.check("the eIM hears of a local change, once", _told(bench) == ["local"], str(_told(bench)))
        await check_nothing_left_soon(run, bench)
        check_installed(run, bench, wanted)
        file.unlink()
        secrets = (CONFIRMATION.encode(), wanted.matching_id.encode())
        written = [bench.agent.log_path, *(bench.folder / "agent-state").rglob("*")]
        leaks = [path.name for path in written if path.is_file() and any(one in path.read_bytes() for one in secrets)]
        run.check("neither code is in a log or in the state", not leaks, ", ".join(leaks))
        check_calm(run, bench)


def _told(bench: Bench) -> list[str]:
    return [entry["stateChange"] for entry in bench.eim.seen("request") if entry.get("stateChange")]
