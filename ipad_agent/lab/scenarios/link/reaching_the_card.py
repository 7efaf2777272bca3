"""Stories about reaching a card that does not show itself as the letter says."""

from __future__ import annotations

from functools import partial

from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, Quirks
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import NO_MORE_WORK, case, check_enabled, play, quick, until

GSMA_AID = "A0000005591010FFFFFFFF8900000100"
MAKERS_AID = "A0000005591010FFFFFFFF8900050500"
DECLARATION = "80AA000005A903840101"
IPAE_LEFT_ALONE, IPAE_GAVE_WAY = "IPA-4002", "IPA-4360"
MODULE_FOUND, ASKED_LATER = "IPA-2002", "IPA-2024"


@scenario(
    "ipae-card",
    "A card with an IPAe of its own is told of the IPAd; it is left alone when it stays, unless the owner insists.",
    deadline_s=150,
)
async def ipae_card(run: Run) -> None:
    """Four cards: one that gives way to the first declaration, one that needs it said again, one that stays, and the
    same with card.take_from_ipae."""
    for name, quirks in (
        ("gives way at once", Quirks(ipae=True)),
        ("has to be told once more", Quirks(ipae=True, ipae_ends_after=2, ipae_refuses_es10=True)),
    ):
        async with run.bench(quick(provision="card", quirks=quirks)) as bench:
            await bench.agent.start()
            await bench.agent.event(NO_MORE_WORK, deadline_s=30)
            check_declared_first(run, bench, name)
            run.check(
                f"{name}: it was told again", bool(bench.agent.said(IPAE_GAVE_WAY)) == (quirks.ipae_ends_after == 2)
            )
            await play(run, bench, [case(f"enable {OPERATOR_A}", "enable ok", name=f"{name}: enable")], deadline_s=40)
            check_enabled(run, bench, OPERATOR_A)
            await until(partial(_nothing_left, bench), "card without anything left", deadline_s=30)
    stays = Quirks(ipae=True, ipae_ends_after=None, ipae_refuses_es10=True)
    async with run.bench(quick(provision="card", quirks=stays)) as bench:
        await bench.agent.start()
        await bench.agent.event(IPAE_LEFT_ALONE, deadline_s=30)
        run.check("stays: the eIM hears nothing", not bench.eim.bodies, f"{len(bench.eim.bodies)} requests")
        check_not_reset(run, bench, "stays")
    config: dict[str, Table] = {"card": {"take_from_ipae": True}}
    async with run.bench(quick(provision="card", quirks=stays, config=config)) as bench:
        await bench.agent.start()
        await bench.agent.event(NO_MORE_WORK, deadline_s=60)
        await play(
            run, bench, [case(f"enable {OPERATOR_A}", "enable ok", name="the owner insists: enable")], deadline_s=40
        )
        check_enabled(run, bench, OPERATOR_A)


@scenario(
    "second-aid",
    "A card whose ISD-R has another AID is found, whatever the modem calls an application that is not there.",
    deadline_s=150,
)
async def second_aid(run: Run) -> None:
    """A bare ERROR, CME 13 and CME 22, over sessions only and over +CSIM only."""
    quirks = Quirks(isdr_aid=bytes.fromhex(MAKERS_AID))
    config: dict[str, Table] = {"card": {"isdr_aids": [GSMA_AID, MAKERS_AID]}}
    for absent, transports in (("error", "cgla"), ("cme13", "cgla"), ("cme22", "cgla"), ("cme22", "csim")):
        name = f"{absent} over {transports}"
        modem: dict[str, object] = {"absent_application": absent, "transports": transports}
        options = quick("generic", provision="card", modem=modem, quirks=quirks, config=config)
        async with run.bench(options) as bench:
            await bench.agent.start()
            await bench.agent.event(NO_MORE_WORK, deadline_s=40)
            check_not_reset(run, bench, name)
            target = OPERATOR_A if bench.card.enabled_iccid == BOOTSTRAP else BOOTSTRAP
            await play(run, bench, [case(f"enable {target}", "enable ok", name=f"{name}: enable")], deadline_s=40)
            check_enabled(run, bench, target)


@scenario(
    "sim-busy-at-start",
    "A modem that answers everything with SIM busy while its card starts is asked again, and known in the end.",
    deadline_s=90,
)
async def sim_busy_at_start(run: Run) -> None:
    """The identity, the module's settings and TERMINAL CAPABILITY are refused at first."""
    for personality, setting in (("eg25", "AT$QCSIMSLEEP=0"), ("sara-r5", "AT+USIMSTAT=1")):
        async with run.bench(quick(personality, provision="card", modem={"busy_answers": 9})) as bench:
            await bench.agent.start()
            await bench.agent.event(NO_MORE_WORK, deadline_s=40)
            model = bench.modem.module.options.model
            found = [str(event) for event in bench.agent.said(MODULE_FOUND)]
            run.check(
                f"{personality}: the module is known", bool(found) and model in found[-1], found[-1] if found else ""
            )
            heard = bench.modem.engine.commands
            run.check(f"{personality}: its settings were sent", setting in heard, setting)
            run.check(f"{personality}: and nothing was reset", not _resets(bench), ", ".join(_resets(bench)))
            check_declared_first(run, bench, personality)
            await play(
                run, bench, [case(f"enable {OPERATOR_A}", "enable ok", name=f"{personality}: enable")], deadline_s=40
            )
            check_enabled(run, bench, OPERATOR_A)
            if personality == "sara-r5":
                reports = bench.modem.module.settings.sim_reports
                run.check("sara-r5: it announces the states that are waited for", reports == 1, f"+USIMSTAT={reports}")


def check_declared_first(run: Run, bench: Bench, name: str) -> None:
    """TERMINAL CAPABILITY was taken before the first channel was opened."""
    heard = bench.modem.engine.commands
    declared = [at for at, text in enumerate(heard) if DECLARATION in text]
    opened = [at for at, text in enumerate(heard) if text.startswith("AT+CCHO") or '"0070' in text]
    good = bool(declared) and bool(opened) and declared[0] < opened[0]
    run.check(f"{name}: the IPAd was declared before the first channel", good)


def check_not_reset(run: Run, bench: Bench, name: str) -> None:
    """No rung of the reset ladder was climbed."""
    run.check(f"{name}: nothing was reset", not _resets(bench), ", ".join(_resets(bench)))


def _nothing_left(bench: Bench) -> bool:
    """A card that falls back into its IPAe at a reset is told again at the next look only."""
    return not bench.card.state.results and not bench.card.state.notifications


def _resets(bench: Bench) -> list[str]:
    return [text for text in bench.modem.engine.commands if text.startswith("AT+CFUN=")]
