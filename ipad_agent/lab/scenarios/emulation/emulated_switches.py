"""Switches of an emulated card that the device makes by itself: back, to the fallback profile, and home again."""

from __future__ import annotations

from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.real_time_limits import scaled
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, Quirks
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import case, play, until
from ipad_agent.lab.scenarios.support.emulated_card_steps import (
    CONSUMER,
    EMULATE,
    TELLS_FALLBACK,
    accepted,
    check_emulated_end,
    kept,
    registered,
    told_enabled,
)
from ipad_agent.lab.scenarios.support.switch_steps import (
    COMMITTED,
    UNPROVED,
    WENT_BACK,
    proving,
    said,
    told,
    works_with,
)

CHANGED = "IPA-4302"
SHORT_S = 2.0
"""The profile must fail, so no machine is too slow for it."""
IMPATIENT: dict[str, Table] = {
    "guardian": {"loss_s": 600, "unproven_loss_s": 1, "failed_cycles": 1, "check_s": 1, "return_after_s": 2},
}


@scenario(
    "emulated-rollback",
    "On an emulated card a profile without coverage is given up, and one signed result tells of both switches.",
    deadline_s=60,
)
async def emulated_rollback(run: Run) -> None:
    """The grant is the device's, the way back the card's own EnableProfile; it is used up by it."""
    options = _proving()
    async with run.bench(options) as bench:
        await registered(run, bench)
        listed = case("list-profiles", "listProfileInfo ok")
        await play(run, bench, [listed])
        order = bench.order("enable", OPERATOR_A, "--rollback")
        await said(run, bench, "the device goes back", WENT_BACK, deadline_s=40)
        entry = await told(run, bench, order, "enable ok", "rollback ok")
        run.check("the result came over the profile from before", works_with(bench, BOOTSTRAP))
        run.check("its signature is of the device's key", entry["facts"]["signature"] == "right (token)")
        run.check("the eIM's picture is the one from before", told_enabled(bench.eim) == BOOTSTRAP)
        await check_emulated_end(run, bench, BOOTSTRAP, [listed.order, order], shown=("rolled-back",))
        run.check("the grant is used up", kept(bench)["rollback"] is None)


@scenario(
    "emulated-fallback-and-return",
    "On an emulated card the fallback profile comes without coverage; later the device returns and proves it.",
    deadline_s=90,
)
async def emulated_fallback_and_return(run: Run) -> None:
    """The attribute is the device's own, for a profile of which the card tells that its operator allows it."""
    config: dict[str, Table] = {
        **IMPATIENT,
        "coap": {"exchange_timeout_s": scaled(1), "handshake_timeout_s": scaled(1)},
    }
    options = _proving(quirks=TELLS_FALLBACK, config=config)
    async with run.bench(options) as bench:
        await registered(run, bench)
        attribute = case(f"set-fallback {BOOTSTRAP}", "setFallbackAttribute ok")
        await play(run, bench, [attribute])
        order = bench.order("enable", OPERATOR_A)
        await said(run, bench, "the new profile is not proved, and there is no way back", UNPROVED, deadline_s=40)
        await said(run, bench, "the guardian has the fallback profile enabled", CHANGED, deadline_s=40)
        bench.set_coverage(OPERATOR_A, True)
        await told(run, bench, order, "enable ok")
        run.check("the result came over the fallback profile", works_with(bench, BOOTSTRAP))
        async with run.step("the device returns to the profile that was ordered"):
            await until(lambda: works_with(bench, OPERATOR_A), "return", deadline_s=20)
        await said(run, bench, "it is proved this time", COMMITTED)
        last = case("list-profiles 5A 9F70 9F26 9F67", "listProfileInfo ok", name="the list")
        (entry,) = await play(run, bench, [last])
        rows = {row["iccid"]: row for row in entry["facts"]["operations"][0]["profiles"]}
        holders = [iccid for iccid, row in rows.items() if row.get("fallback")]
        run.check("the list tells who has the attribute", holders == [BOOTSTRAP], str(holders))
        causes = [one["stateChange"] for one in bench.eim.seen("request") if one.get("stateChange")]
        run.check("the eIM was told of the fallback", "fallback" in causes, str(causes))
        orders = [attribute.order, order, last.order]
        await check_emulated_end(run, bench, OPERATOR_A, orders)
        run.check("the way to return is used up", kept(bench)["fallback_return"] is None)
        run.check("each order has the counter that comes next", len(accepted(bench.eim)) == len(orders))


def _proving(*, quirks: Quirks = CONSUMER, config: dict[str, Table] | None = None) -> BenchOptions:
    """The ordered profile has no coverage."""
    tables = {**EMULATE, **(config or {})}
    return proving(confirm_s=SHORT_S, cells={OPERATOR_A: None}, quirks=quirks, config=tables)
