"""Stories about what modems do to the card's answers and to its REFRESH."""

from __future__ import annotations

from ipad_agent.lab.euicc import OPERATOR_A, Quirks, ResponseMode, bulk_profiles, default_profiles
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import (
    LIST_WITH_ICONS,
    NO_MORE_WORK,
    case,
    check_enabled,
    check_nothing_left,
    play,
    quick,
)

GET_RESPONSE = 0xC0

UNKNOWN_MODULE = """\
title = "The lab's module, with less patience than the agent has for an unknown one"
[match]
manufacturer = "ipad-agent lab"
[deadlines]
sim_ready_s = 3
refresh_wait_s = 1
[[reset]]
rung = 0
[[reset]]
rung = 2
commands = ["AT+CFUN=4"]
pause_s = 0.5
restore = ["AT+CFUN=1"]
[[reset]]
rung = 3
commands = ["AT+CFUN=0"]
pause_s = 0.5
restore = ["AT+CFUN=1"]
[evidence]
"match" = { grade = "confirmed", source = "the lab" }
"deadlines" = { grade = "confirmed", source = "the lab" }
"reset" = { grade = "confirmed", source = "the lab" }
"""


@scenario(
    "modem-61xx-or-auto-fetch",
    "Long answers are whole whether the modem collects them, the card or the agent.",
    deadline_s=60,
)
async def modem_61xx_or_auto_fetch(run: Run) -> None:
    """The same 10 kB list in every way an answer can come; its signature says that not a byte was lost."""
    raw: dict[str, object] = {"transports": "csim"}
    fetched: dict[str, object] = {"transports": "csim", "auto_fetch": True}
    sessions: dict[str, object] = {"transports": "cgla"}
    for name, modem, quirks in (
        ("the host gets 61xx", raw, Quirks()),
        ("the modem collects", fetched, Quirks()),
        ("the card answers inline", raw, Quirks(response_mode=ResponseMode.INLINE)),
        ("the modem hands out all at once", sessions, Quirks(response_mode=ResponseMode.WHOLE)),
        ("GET RESPONSE in class 80 only", raw, Quirks(get_response_classes=frozenset({0x80}), strict_le=True)),
        ("Le is refused in STORE DATA", sessions, Quirks(reject_store_data_le=True)),
    ):
        profiles = [*default_profiles(), *bulk_profiles(9)]
        options = quick("generic", provision="card", modem=modem, quirks=quirks, profiles=profiles)
        async with run.bench(options) as bench:
            await bench.agent.start()
            (entry,) = await play(run, bench, [case(LIST_WITH_ICONS, "listProfileInfo ok", name=name)])
            size_bytes = len(entry["raw"]) // 2
            listed = len(entry["facts"]["operations"][0]["profiles"])
            run.check(f"{name}: the list is whole", listed == len(profiles), f"{listed} profiles, {size_bytes} bytes")
            run.check(f"{name}: it was long", len(bench.eim.bodies[-2]) > 10_000, f"{len(bench.eim.bodies[-2])} bytes")
            heard = bench.modem.engine.commands
            asked = any(_instruction(text) == GET_RESPONSE for text in heard)
            wanted = modem is not fetched and quirks.response_mode is not ResponseMode.WHOLE
            run.check(f"{name}: who asked for the rest", asked == wanted, "the agent" if asked else "not the agent")
            check_nothing_left(run, bench)


@scenario(
    "refresh-ignored",
    "A modem that ignores the card's REFRESH is reset, step by step, until both agree.",
    deadline_s=120,
)
async def refresh_ignored(run: Run) -> None:
    """Three modules: one that looks at the card again after CFUN=4, one that needs CFUN=0 and loses its port, and one
    of which the agent knows nothing, so that it climbs from step to step."""
    folder = run.folder / "modems"
    folder.mkdir()
    (folder / "lab.toml").write_text(UNKNOWN_MODULE)
    for name, steps in (
        ("sim7600", ["AT+CFUN=4", "AT+CFUN=1"]),
        ("eg916q", ["AT+CFUN=0", "AT+CFUN=1"]),
        ("generic", ["AT+CFUN=4", "AT+CFUN=1", "AT+CFUN=0", "AT+CFUN=1"]),
    ):
        options = quick(
            name, provision="card", modem={"refresh": "ignored"}, config={"modem": {"profiles_dir": folder}}
        )
        async with run.bench(options) as bench:
            await bench.agent.start()
            await bench.agent.event(NO_MORE_WORK, deadline_s=30)
            resets = bench.modem.module.uicc.reset_count
            await play(run, bench, [case(f"enable {OPERATOR_A}", "enable ok", name=f"{name}: enable")], deadline_s=60)
            check_enabled(run, bench, OPERATOR_A)
            module = bench.modem.module
            run.check(f"{name}: the modem executed no REFRESH", module.refresh_count == 0, f"{module.refresh_count}")
            count = module.uicc.reset_count - resets
            run.check(f"{name}: one reset of the card was enough", count == 1, f"{count} resets")
            taken = [text for text in bench.modem.engine.commands if text.startswith("AT+CFUN=")]
            run.check(f"{name}: the steps in order", taken[: len(steps)] == steps, ", ".join(taken))
            check_nothing_left(run, bench)


def _instruction(text: str) -> int | None:
    """The INS byte of the APDU in an AT+CSIM or AT+CGLA command."""
    name, _, rest = text.partition("=")
    if name not in ("AT+CSIM", "AT+CGLA"):
        return None
    apdu = rest.rpartition(",")[2].strip('"')
    return int(apdu[2:4], 16)
