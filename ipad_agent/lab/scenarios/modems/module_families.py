"""One story for each family of modules that the lab plays: enable, download and switch through it, with its vices."""

from __future__ import annotations

from ipad_agent.lab.euicc import OPERATOR_A
from ipad_agent.lab.modem import PERSONALITIES, manners
from ipad_agent.lab.scenarios.scenario_runner import Body, Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import case, check_enabled, check_nothing_left, play
from ipad_agent.lab.scenarios.support.download_steps import (
    HOME,
    carried_out,
    check_calm,
    check_installed,
    indirect,
    offer,
    order_download,
)

MODULE_FOUND = "IPA-2002"
EVERY_DAY = frozenset({"fibocom-fm350", "sierra-em9191", "tdtech-mt5700", "telit-le910"})
"""Those with the most vices; the others wait for seconds of their own (late REFRESH, resets) and are told on demand."""
MAX_MANNERS = 60


def _story(name: str) -> Body:
    async def modem_family(run: Run) -> None:
        """The agent knows the module by what it says of itself, and the same three orders are carried out."""
        wanted = offer(size_bytes=4000)
        config = {"modem": {"allow_nvm_writes": True}}
        async with run.bench(indirect(wanted, personality=name, config=config)) as bench:
            await bench.agent.start()
            await play(run, bench, [case(f"enable {OPERATOR_A}", "enable ok")], deadline_s=90)
            check_enabled(run, bench, OPERATOR_A)
            found = bench.agent.said(MODULE_FOUND)
            run.check("the module is known", bool(found), found[-1].text if found else "")
            await carried_out(run, bench, order_download(bench, wanted), "a profile is downloaded", deadline_s=60)
            check_installed(run, bench, wanted)
            bench.cover(wanted.iccid, HOME)
            await play(run, bench, [case(f"enable {wanted.iccid} --rollback", "enable ok")], deadline_s=90)
            check_enabled(run, bench, wanted.iccid)
            check_nothing_left(run, bench)
            check_calm(run, bench)

    return modem_family


def _short(name: str) -> str:
    told = manners(PERSONALITIES[name])
    return told if len(told) <= MAX_MANNERS else told[: told.rfind(",", 0, MAX_MANNERS)]


for _name in PERSONALITIES:
    scenario(
        f"modem-{_name}",
        f"Enable, download and switch: {_short(_name)}.",
        deadline_s=180,
        every_day=_name in EVERY_DAY,
    )(_story(_name))
