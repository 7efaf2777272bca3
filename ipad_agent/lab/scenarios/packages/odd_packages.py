"""Stories about packages that are not as they should be, or are in the words of another release."""

from __future__ import annotations

from typing import Any

from ipad_agent.lab.bench.agent_toml import Table
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.eim import EimSettings, Order, PackageFaults, build_order
from ipad_agent.lab.eim.https.esipa_https import OF_V1_3
from ipad_agent.lab.euicc import OPERATOR_A, OPERATOR_B, Quirks
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import Case, case, check_enabled, check_nothing_left, play, quick

REFUSED_UNSIGNED = "package refused unsigned"


@scenario(
    "replay",
    "Replayed, forged and misdirected packages change nothing; the eIM gets the card's own refusal.",
    deadline_s=60,
)
async def replay(run: Run) -> None:
    """Old counter, the same bytes again, foreign key, damaged signature, DER signature, wrong EID, unknown eIM."""
    async with run.bench(quick(provision="card")) as bench:
        await bench.agent.start()
        good = case(f"enable {OPERATOR_A}", "enable ok", name="a good package")
        back = case(f"enable {OPERATOR_B}", "enable ok", name="another good package")
        await play(run, bench, [good, back])
        before, counter = bench.card.profile_states(), _counter(bench)
        again = Order("raw", "", (_package(good),), transaction_id=good.order.transaction_id)
        await play(
            run,
            bench,
            [
                case(again, "package replayError", name="the same bytes again"),
                _faulty("the counter before", PackageFaults(counter=counter), "package replayError"),
                _faulty("a foreign key", PackageFaults(signature="wrong-key"), REFUSED_UNSIGNED),
                _faulty("a damaged signature", PackageFaults(signature="corrupt"), REFUSED_UNSIGNED),
                _faulty("a signature in DER", PackageFaults(signature="der"), REFUSED_UNSIGNED),
                _faulty("another EID", PackageFaults(eid="89" * 16), "package invalidEid"),
            ],
        )
        run.check("no profile changed", bench.card.profile_states() == before)
        run.check("the card's counter stays", _counter(bench) == counter, f"{counter}, then {_counter(bench)}")
        await play(run, bench, [case("list-profiles", "listProfileInfo ok", name="a good package after all that")])
        check_enabled(run, bench, OPERATOR_B)
        check_nothing_left(run, bench)


@scenario(
    "malformed-package",
    "Garbage, truncated and unknown packages each get the error that the standard names.",
    deadline_s=60,
)
async def malformed_package(run: Run) -> None:
    """First inside a proper answer, then whole answers that are none; after all of it the agent still works."""
    async with run.bench(quick(provision="card")) as bench:
        await bench.agent.start()
        whole = bytes.fromhex("BF5109300780046E6F6E655F370101")
        await play(
            run,
            bench,
            [
                _raw("an unknown kind", bytes.fromhex("BF600401020304"), "unknownPackage"),
                _raw("a primitive tag", bytes.fromhex("C10101"), "unknownPackage"),
                _raw("an empty eUICC package", bytes.fromhex("BF5100"), "invalidPackageFormat"),
                _raw("an eUICC package with noise in it", bytes.fromhex("BF5104FFFFFFFF"), "invalidPackageFormat"),
                _raw("an eUICC package without its end", whole[:2] + b"\x02" + whole[3:5], "invalidPackageFormat"),
                _raw("a data request with noise in it", bytes.fromhex("BF5203FF00FF"), "invalidPackageFormat"),
                _raw("a trigger with noise in it", bytes.fromhex("BF5402FF05"), "invalidPackageFormat"),
            ],
        )
        for name, body in (
            ("noise", bytes.fromhex("FF00DEADBEEF80")),
            ("another function's answer", bytes.fromhex("BF5000")),
            ("half of an answer", bytes.fromhex("BF4F81F0BF51")),
        ):
            order = Order("raw-body", f"body: {name}", (body,))
            bench.eim.eim.enqueue(bench.eid, order)
            before = len(bench.eim.seen("result"))
            async with run.step(f"{name} as the whole answer: the agent asks again later") as step:
                await bench.eim.entry("handed out", deadline_s=20, where=lambda e: str(e["order"]).startswith("body"))
                await bench.eim.entry("request", deadline_s=20)
                told = [str(entry["facts"].get("name")) for entry in bench.eim.seen("result")[before:]]
                step.detail = f"told: {', '.join(told) or 'nothing'}"
            run.check(f"{name}: the eIM is told once", told == ["invalidPackageFormat"], ", ".join(told))
        await play(run, bench, [case("list-profiles", "listProfileInfo ok", name="a good package after all that")])
        run.check("the card got nothing but good packages", _counter(bench) == 1, f"counter {_counter(bench)}")
        run.check("the agent never failed unexpectedly", not bench.agent.said("IPA-1006"))
        check_nothing_left(run, bench)


@scenario(
    "four-dialects",
    "With eIMs of v1.0, v1.1, v1.2 and v1.3 and cards of either kind, switches, data and acknowledgements work.",
    deadline_s=90,
)
async def four_dialects(run: Run) -> None:
    """Each release of an eIM once, with an agent that is told another one or finds out by itself; every pair of them
    is played in memory by the tests."""
    for name, settings, agent, more in (
        ("eIM and card of v1.0", EimSettings(dialect="1.0", double_tags=True), "auto", {"quirks": Quirks.v1_0()}),
        ("eIM of v1.1, agent told v1.0", EimSettings(dialect="1.1"), "1.0", {}),
        ("eIM of v1.2, card of v1.0", EimSettings(dialect="1.2"), "1.1", {"quirks": Quirks.v1_0()}),
        ("eIM of v1.3", EimSettings(dialect="1.3"), "auto", {"carrier": "https", "https": OF_V1_3}),
    ):
        config: dict[str, Table] = {"eim": {"dialect": agent}}
        options: dict[str, Any] = {"provision": "card", "eim": settings, "config": config, **more}
        async with run.bench(quick(**options)) as bench:
            await bench.agent.start()
            entries = await play(
                run,
                bench,
                [
                    case("list-profiles", "listProfileInfo ok", name=f"{name}: list"),
                    case(f"enable {OPERATOR_A} --rollback", "enable ok", name=f"{name}: enable"),
                    case("data-request smdp,info1,info2,smds,token,ipa,device", "ok", name=f"{name}: data"),
                ],
            )
            notified = [*entries[1]["facts"].get("notifications", []), *bench.eim.seen("notification")]
            run.check(f"{name}: the eIM has the notifications", bool(notified), f"{len(notified)}")
            check_enabled(run, bench, OPERATOR_A)
            check_nothing_left(run, bench)


def _raw(name: str, package: bytes, expected: str) -> Case:
    return case(Order("raw", "", (package,)), expected, name=name)


def _faulty(name: str, faults: PackageFaults, expected: str) -> Case:
    order = build_order(["delete", OPERATOR_A])
    order.faults = faults
    return case(order, expected, name=name)


def _package(one: Case) -> bytes:
    """The bytes that were handed out for it."""
    if one.order.package is None:
        raise AssertionError("nothing was handed out")
    return one.order.package


def _counter(bench: Bench) -> int:
    entry = bench.card.state.eim(bench.identity.eim_id)
    return -1 if entry is None else entry.counter
