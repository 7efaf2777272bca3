"""Stories about identifiers that are no numbers: ICCIDs with letters in every part that a profile can have in a switch,
on a card whose EID has letters too, behind a modem that prints EF.ICCID as it stands there."""

from __future__ import annotations

from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.varlink_call import local_call
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, Profile, default_profiles
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import until
from ipad_agent.lab.scenarios.support.switch_steps import (
    ARMED,
    COMMITTED,
    FALLBACK,
    GOING_BACK,
    LONG_S,
    ROLLBACK,
    SHORT_S,
    SWITCHED,
    UNPROVED,
    WENT_BACK,
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

SOURCE, TARGET = "898602B012345678927", "898600B5012345678901"
"""As operators in China number their cards; the first has 19 characters, so that there is a filler."""
LETTERS_EID = "89ABCDEF890490321234512345678901"
CHANGED, CARD_TOLERATED, MODEM_TOLERATED = "IPA-4302", "IPA-9010", "IPA-9011"
AS_IN_FILE: dict[str, object] = {"iccid_as_in_file": True}
IMPATIENT: dict[str, Table] = {
    "guardian": {"loss_s": 600, "unproven_loss_s": 2, "failed_cycles": 1, "check_s": 1, "return_after_s": 3600},
    "coap": {"exchange_timeout_s": 1, "handshake_timeout_s": 1},
}


@scenario(
    "iccid-letters",
    "Profiles with letters in their ICCID as target, source and fallback; the switch is proved, or taken back.",
    deadline_s=150,
)
async def iccid_letters(run: Run) -> None:
    """Every part of it in turn: each is found by its octets, and never taken for no profile."""
    await _target(run)
    await _both(run)
    await _fallback(run)


async def _target(run: Run) -> None:
    """From a number to letters, and the person on site asks for a plan first."""
    async with run.bench(_options(BOOTSTRAP, TARGET)) as bench:
        hooks, asked = Hooks(bench), count_calls(bench, ROLLBACK)
        await ready(bench)
        socket = bench.folder / "agent-run" / "io.github.ipadagent"
        async with run.step("a plan is made for it, however its letters are written") as step:
            await until(socket.exists, "local socket", deadline_s=20)
            plan = (await local_call(socket, "PlanSwitch", iccid=TARGET.lower()))["plan"]
            step.detail = str(plan["target"])
        run.check("nothing speaks against it", plan["possible"] is True and plan["target"] == TARGET)
        order = bench.order("enable", TARGET.lower(), "--rollback")
        await told(run, bench, order, "enable ok")
        run.check("the result came over the new profile", works_with(bench, TARGET), modem_state(bench))
        await said(run, bench, "the switch is committed", COMMITTED)
        await check_end(run, bench, TARGET, [order], chapters=(ARMED, SWITCHED, COMMITTED))
        hooks.check(run, "pre-switch", "post-switch", "committed", iccids=(BOOTSTRAP, TARGET))
        run.check("nobody asked for a rollback", asked[ROLLBACK] == 0, str(asked[ROLLBACK]))
        _check_counted(run, bench)


async def _both(run: Run) -> None:
    """From letters to letters without coverage: armed with the way back, which is taken."""
    options = _options(SOURCE, TARGET, dark=True, modem=AS_IN_FILE)
    async with run.bench(options) as bench:
        hooks, asked = Hooks(bench), count_calls(bench, ROLLBACK)
        await ready(bench)
        order = bench.order("enable", TARGET, "--rollback")
        armed = await said(run, bench, "the switch is armed with a way back", ARMED)
        ways = (armed.facts["previous"], armed.facts["target"], armed.facts["way"])
        short = tuple(f"{iccid[:4]}…{iccid[-4:]}" for iccid in (SOURCE, TARGET))
        run.check("between the right two profiles", ways == (*short, "rollback"), f"{ways}")
        await said(run, bench, "its time is over", GOING_BACK)
        await said(run, bench, "the old profile is back", WENT_BACK)
        await told(run, bench, order, "enable ok", "rollback ok")
        run.check("the result came over the old profile", works_with(bench, SOURCE), modem_state(bench))
        await check_end(run, bench, SOURCE, [order], chapters=(ARMED, SWITCHED, GOING_BACK, WENT_BACK))
        hooks.check(run, "pre-switch", "post-switch", "rolled-back", iccids=(SOURCE, TARGET))
        run.check("one rollback was asked for", asked[ROLLBACK] == 1, str(asked[ROLLBACK]))
        noticed = len(bench.agent.said(MODEM_TOLERATED))
        run.check("the modem's way of printing was noticed once", noticed == 1, f"{noticed} times")
        _check_counted(run, bench)


async def _fallback(run: Run) -> None:
    """Without a grant and without coverage: the guardian gets the device back to a fallback profile with letters."""
    options = _options(SOURCE, TARGET, dark=True, config=IMPATIENT)
    async with run.bench(options) as bench:
        asked = count_calls(bench, FALLBACK)
        await ready(bench)
        order = bench.order("enable", TARGET)
        await said(run, bench, "the new profile is not proved, and there is no way back", UNPROVED)
        await said(run, bench, "the guardian has the fallback profile enabled", CHANGED)
        await told(run, bench, order, "enable ok")
        run.check("the result came over the fallback profile", works_with(bench, SOURCE), modem_state(bench))
        # The next result takes along what the card has to say about the change that nobody ordered.
        last = bench.order("list-profiles")
        await told(run, bench, last, "listProfileInfo ok")
        await check_end(run, bench, SOURCE, [order, last], chapters=(ARMED, SWITCHED, UNPROVED))
        run.check("the fallback was executed once", asked[FALLBACK] == 1, f"{asked[FALLBACK]} times")


def _options(
    source: str,
    target: str,
    *,
    dark: bool = False,
    modem: dict[str, object] | None = None,
    config: dict[str, Table] | None = None,
) -> BenchOptions:
    """``source`` is enabled and the fallback profile, ``target`` the other; ``dark``: without coverage."""
    return proving(
        confirm_s=SHORT_S if dark else LONG_S,
        cells={target: None} if dark else {},
        profiles=_profiles(source, target),
        eid=LETTERS_EID,
        modem=modem,
        config=config,
    )


def _profiles(source: str, target: str) -> list[Profile]:
    profiles = default_profiles()
    for profile in profiles:
        profile.iccid = {BOOTSTRAP: source, OPERATOR_A: target}.get(profile.iccid, profile.iccid)
    return profiles


def _check_counted(run: Run, bench: Bench) -> None:
    """What it took to serve this card was said, each thing once."""
    said = [str(event.facts["function"]) for event in bench.agent.said(CARD_TOLERATED)]
    run.check("letters of the EID are tolerated, and that is told", said.count("GetEID") == 1, ", ".join(said))
    run.check("and those of the ICCIDs", "GetProfilesInfo" in said, ", ".join(said))
    run.check("the card was not reset for it", not bench.agent.said("IPA-1010"))
