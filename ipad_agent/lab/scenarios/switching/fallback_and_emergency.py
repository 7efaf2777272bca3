"""Stories about switches that no eIM ordered: to the fallback profile and back, to the emergency profile and back."""

from __future__ import annotations

from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.real_time_limits import scaled
from ipad_agent.lab.bench.varlink_call import LocalCallError, local_call
from ipad_agent.lab.euicc import (
    BOOTSTRAP,
    EMERGENCY,
    OPERATOR_A,
    OPERATOR_B,
    Profile,
    default_profiles,
    emergency_profile,
)
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import case, check_enabled, check_nothing_left, play, until
from ipad_agent.lab.scenarios.support.switch_steps import (
    ARMED,
    COMMITTED,
    FALLBACK,
    RETURN,
    SHORT_S,
    SWITCHED,
    UNPROVED,
    Hooks,
    check_end,
    count_calls,
    modem_state,
    proving,
    ready,
    said,
    told,
    works_with,
)

CHANGED = "IPA-4302"
IMPATIENT: dict[str, Table] = {
    "guardian": {"loss_s": 600, "unproven_loss_s": 2, "failed_cycles": 1, "check_s": 1, "return_after_s": 3},
}


def impatient() -> dict[str, Table]:
    """``IMPATIENT``, and no more patience with the eIM than this machine needs."""
    return {**IMPATIENT, "coap": {"exchange_timeout_s": scaled(1), "handshake_timeout_s": scaled(1)}}


@scenario(
    "fallback-and-return",
    "Without coverage and without rollback the fallback profile comes; later the device returns and proves it.",
    deadline_s=90,
)
async def fallback_and_return(run: Run) -> None:
    """The result of the switch goes over the fallback profile; the return has to prove itself as a switch does."""
    options = proving(cells={OPERATOR_A: None}, confirm_s=SHORT_S, config=impatient())
    async with run.bench(options) as bench:
        hooks, asked = Hooks(bench), count_calls(bench, FALLBACK, RETURN)
        order = bench.order("enable", OPERATOR_A)
        await bench.agent.start()
        await said(run, bench, "the new profile is not proved, and there is no way back", UNPROVED)
        await said(run, bench, "the guardian has the fallback profile enabled", CHANGED)
        bench.set_coverage(OPERATOR_A, True)
        await told(run, bench, order, "enable ok")
        run.check("the result came over the fallback profile", works_with(bench, BOOTSTRAP), modem_state(bench))
        await _heard_of_change(run, bench, "fallback")
        async with run.step("the device returns to the profile that was ordered"):
            await until(lambda: works_with(bench, OPERATOR_A), "return", deadline_s=20)
        await said(run, bench, "it is proved this time", COMMITTED)
        run.check("the card was asked to return", asked[RETURN] >= 1, f"{asked[RETURN]} times")
        run.check("the fallback was executed once", asked[FALLBACK] == 1, f"{asked[FALLBACK]} times")
        # The next result takes along what the card has to say about the changes that nobody ordered.
        last = bench.order("list-profiles")
        await told(run, bench, last, "listProfileInfo ok")
        await check_end(run, bench, OPERATOR_A, [order, last])
        run.check("the card knows of no return any more", bench.card.state.fallback_return is None)
        moments = ("pre-switch", "post-switch", "fallback", "pre-switch", "post-switch", "returned")
        hooks.check(run, *moments, iccids=(BOOTSTRAP, OPERATOR_A))
        heard = [event.id for event in bench.agent.said(ARMED, SWITCHED, UNPROVED, COMMITTED)]
        wanted = [ARMED, SWITCHED, UNPROVED, ARMED, SWITCHED, COMMITTED]
        run.check("the agent told the story in order", heard == wanted, " ".join(map(str, heard)))


@scenario(
    "emergency",
    "While the emergency profile is enabled every order is refused as the standard says; afterwards all is as before.",
    deadline_s=60,
)
async def emergency(run: Run) -> None:
    """Enabled and disabled over the local socket, as the vehicle would; the card notifies nobody of it."""
    async with run.bench(proving(profiles=_with_enabled(OPERATOR_A))) as bench:
        socket = bench.folder / "agent-run" / "io.github.ipadagent"
        await ready(bench)
        await until(socket.exists, "local socket", deadline_s=20)
        before = bench.card.profile_states()
        async with run.step("the device asks for the emergency profile"):
            await local_call(socket, "Emergency", enable=True)
            await until(lambda: works_with(bench, EMERGENCY), "emergency profile in a network", deadline_s=20)
        check_enabled(run, bench, EMERGENCY)
        run.check("nobody is notified", not bench.card.state.notifications)
        await play(
            run,
            bench,
            [
                case(f"enable {OPERATOR_B} --rollback", "package ecallActive", name="a switch meanwhile"),
                case("data-request info1", "ecallActive", name="a data request meanwhile"),
                case("trigger 1$smdp.lab.example$LAB-1", "ecallActive", name="a download meanwhile"),
            ],
        )
        check_enabled(run, bench, EMERGENCY)
        refused = ""
        async with run.step("the device asks for the fallback profile meanwhile"):
            try:
                await local_call(socket, "ExecuteFallback")
            except LocalCallError as refusal:
                refused = refusal.error
        run.check("it does not get it", refused == "RefusedByPolicy", refused)
        async with run.step("the emergency is over"):
            await local_call(socket, "Emergency", enable=False)
            await until(lambda: works_with(bench, OPERATOR_A), "former profile in a network", deadline_s=20)
        run.check("all profiles are as before", bench.card.profile_states() == before)
        await _heard_of_change(run, bench, "emergencyProfile")
        after = case("list-profiles", "listProfileInfo ok", name="an order afterwards")
        await play(run, bench, [after])
        check_enabled(run, bench, OPERATOR_A)
        check_nothing_left(run, bench)
        run.check("the agent never failed unexpectedly", not bench.agent.said("IPA-1006"))


def _with_enabled(iccid: str) -> list[Profile]:
    profiles = [*default_profiles(), emergency_profile()]
    for profile in profiles:
        profile.enabled = profile.iccid == iccid
    return profiles


async def _heard_of_change(run: Run, bench: Bench, cause: str) -> None:
    def heard() -> list[object]:
        return [entry["stateChange"] for entry in bench.eim.seen("request") if entry.get("notifyStateChange")]

    async with run.step(f"the eIM is told of a state change: {cause}"):
        await until(lambda: bool(heard()), "state change", deadline_s=20)
    run.check("with this cause only", set(heard()) == {cause}, f"{heard()}")
