"""Every profile order and every error code that the virtual card can be brought to give (SGP.32 v1.2 §2.11.1.1.2)."""

from __future__ import annotations

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim import Order, PackageFaults, build_order
from ipad_agent.lab.eim.orders import package_bytes as eim_packages
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, OPERATOR_B, Quirks, default_profiles
from ipad_agent.lab.euicc.state.card_state import PPR1, PPR2
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import (
    UNKNOWN_ICCID,
    Case,
    case,
    check_enabled,
    check_nothing_left,
    check_result,
    play,
    quick,
    result_of,
    spare_profile,
)

PACKAGE_LIMIT_BYTES = 1500
RESULT_LIMIT_BYTES = 900
EXECUTE_FALLBACK, ENABLE_EMERGENCY, DISABLE_EMERGENCY = 0xBF5D, 0xBF5B, 0xBF5C
DAMAGED_OPERATION = bytes.fromhex("AD00")

SPARE, PASSING, EMERGENCY = spare_profile(1), spare_profile(2), spare_profile(3)


@scenario(
    "psmo-all", "Each profile order succeeds, and each of its error codes arrives at the eIM unchanged.", deadline_s=120
)
async def psmo_all(run: Run) -> None:
    """Codes that no order can provoke on this card: undefinedError(127) of anything but a second enable or a late
    disable, commandError(7) of configureImmediateEnable and unsetFallbackAttribute, undefinedError(127) as reason of
    processingTerminated: they tell of defects inside a card, and this one has no switch for them."""
    options = quick(
        profiles=[*default_profiles(), spare_profile(1), spare_profile(2), spare_profile(3, ecall=True)],
        quirks=Quirks(max_package_bytes=PACKAGE_LIMIT_BYTES, max_result_bytes=RESULT_LIMIT_BYTES),
        # The device has a second way to its eIM, so that it may be without any enabled profile for a while.
        link_follows_modem=False,
    )
    async with run.bench(options) as bench:
        await bench.agent.start()
        await _without_switch(run, bench)
        await _switches(run, bench)
        await _policy_and_busy(run, bench)
        await _fallback(run, bench)
        await _emergency(run, bench)
        await _interrupted(run, bench)
        run.check("the agent never failed unexpectedly", not bench.agent.said("IPA-1006"))


async def _without_switch(run: Run, bench: Bench) -> None:
    before = bench.card.profile_states()
    entries = await play(
        run,
        bench,
        [
            case("list-profiles", "listProfileInfo ok"),
            case("get-rat", "getRAT ok"),
            case("immediate-enable on 2.999.10 smdp.lab.example", "configureImmediateEnable ok"),
            case(
                f"immediate-enable on - {'x' * 256}",
                "configureImmediateEnable insufficientMemory",
                name="immediate-enable on for an address that is too long",
            ),
            case("immediate-enable off", "configureImmediateEnable ok"),
            case("set-default-dp other.example", "setDefaultDpAddress ok"),
            _psmo(
                "a list by an unknown criterion",
                eim_packages.list_profile_info(search=der.octets(b"?", 0x5F20)),
                expected=("listProfileInfo incorrectInputValues",),
            ),
            case("unset-fallback", "unsetFallbackAttribute fallbackProfileEnabled"),
            case(f"set-fallback {OPERATOR_A}", "setFallbackAttribute fallbackProfileEnabled"),
            case(f"set-fallback {UNKNOWN_ICCID}", "setFallbackAttribute iccidOrAidNotFound"),
            case(f"set-fallback {SPARE.iccid}", "setFallbackAttribute fallbackNotAllowed"),
            case(f"enable {UNKNOWN_ICCID}", "enable iccidOrAidNotFound"),
            case(f"disable {UNKNOWN_ICCID}", "disable iccidOrAidNotFound"),
            case(f"delete {UNKNOWN_ICCID}", "delete iccidOrAidNotFound"),
            case(f"enable {BOOTSTRAP}", "enable profileNotInDisabledState"),
            case(f"disable {OPERATOR_A}", "disable profileNotInEnabledState"),
            case(f"delete {BOOTSTRAP}", "delete profileNotInDisabledState"),
            case(f"enable {EMERGENCY.iccid}", "enable disallowedByPolicy"),
            case(
                f"get-rat + enable {UNKNOWN_ICCID} + list-profiles",
                "getRAT ok",
                "enable iccidOrAidNotFound",
                name="nothing runs after a failure",
            ),
            _psmo(
                "an operation that does not exist",
                eim_packages.get_rat(),
                DAMAGED_OPERATION,
                expected=("getRAT ok", "processingTerminated unknownOrDamagedCommand"),
            ),
            _psmo(
                "results that do not fit",
                *[eim_packages.list_profile_info()] * 3,
                expected=("listProfileInfo ok", "listProfileInfo ok", "processingTerminated resultSizeOverflow"),
            ),
            _psmo("a package that does not fit", *[eim_packages.get_rat()] * 800, expected=("package sizeOverflow",)),
            _faulty("a package for another card", PackageFaults(eid="8" * 32), "package invalidEid"),
            _faulty("a used counter", PackageFaults(counter=1), "package replayError"),
            _faulty("a counter out of range", PackageFaults(counter=0x800000), "package counterValueOutOfRange"),
        ],
    )
    listed = {p["iccid"]: p["state"] == "enabled" for p in entries[0]["facts"]["operations"][0]["profiles"]}
    run.check("the list says what the card holds", listed == before, f"{len(listed)} profiles")
    run.check("the address was set", bench.card.state.default_smdp == "other.example", bench.card.state.default_smdp)
    run.check("immediate enabling is off again", bench.card.state.immediate_enable is None)
    run.check("no refused order changed a profile", bench.card.profile_states() == before)
    check_nothing_left(run, bench)


async def _switches(run: Run, bench: Bench) -> None:
    a, b, passing = OPERATOR_A, OPERATOR_B, PASSING.iccid
    await play(
        run,
        bench,
        [
            case(f"enable {a} --rollback + delete {BOOTSTRAP}", "enable ok", "delete rollbackNotAvailable"),
            case(f"enable {b} + list-profiles", "enable ok", "listProfileInfo profileChangeOngoing"),
            case(f"enable {a} + enable {BOOTSTRAP}", "enable ok", "enable undefinedError"),
            case(f"enable {b} + disable {a}", "enable ok", "disable undefinedError"),
            case(f"disable {b} + enable {a}", "disable ok", "enable ok"),
            case(f"set-fallback {b}", "setFallbackAttribute ok"),
            case("unset-fallback", "unsetFallbackAttribute ok"),
            case("unset-fallback", "unsetFallbackAttribute noFallbackAttribute", name="unset-fallback once more"),
            case(f"set-fallback {BOOTSTRAP}", "setFallbackAttribute ok"),
            case(f"delete {SPARE.iccid}", "delete ok"),
            case(f"enable {passing}", "enable ok"),
            case(
                f"disable {passing} + delete {passing} + enable {a} --rollback",
                "disable ok",
                "delete ok",
                "enable rollbackNotAvailable",
            ),
            case(f"enable {b}", "enable ok"),
            case(f"disable {b}", "disable ok"),
        ],
        deadline_s=60,
    )
    run.check("no profile is enabled", bench.card.active_iccid is None and bench.card.enabled_iccid is None)
    await play(run, bench, [case(f"enable {a}", "enable ok", name="enable without any enabled profile")])
    run.check(
        "the deleted profiles are gone",
        set(bench.card.profile_states()) == {BOOTSTRAP, a, b, EMERGENCY.iccid},
        ", ".join(bench.card.profile_states()),
    )
    check_enabled(run, bench, a)
    check_nothing_left(run, bench)


async def _policy_and_busy(run: Run, bench: Bench) -> None:
    a, b = OPERATOR_A, OPERATOR_B
    bench.card.update_profile(a, ppr=[PPR1])
    bench.card.update_profile(b, ppr=[PPR2])
    await play(
        run,
        bench,
        [
            case(f"enable {b}", "enable disallowedByPolicy", name="enable against PPR1"),
            case(f"disable {a}", "disable disallowedByPolicy", name="disable against PPR1"),
            case(f"delete {b}", "delete disallowedByPolicy", name="delete against PPR2"),
        ],
    )
    bench.card.update_profile(a, ppr=[])
    bench.card.update_profile(b, ppr=[])
    bench.card.isdr.proactive_session_open = True
    await play(
        run,
        bench,
        [
            case(f"enable {b}", "enable catBusy", name="enable in a proactive session"),
            case(f"disable {a}", "disable catBusy", name="disable in a proactive session"),
        ],
    )
    bench.card.isdr.proactive_session_open = False
    check_enabled(run, bench, a)


async def _fallback(run: Run, bench: Bench) -> None:
    run.check("the device fell back", _local(bench, EXECUTE_FALLBACK) == 0)
    await play(run, bench, [case(f"delete {OPERATOR_A}", "delete returnFallbackProfile", name="delete the way back")])
    check_enabled(run, bench, BOOTSTRAP)


async def _emergency(run: Run, bench: Bench) -> None:
    run.check("the emergency profile is enabled", _local(bench, ENABLE_EMERGENCY) == 0)
    await play(run, bench, [case("list-profiles", "package ecallActive", name="an order during an emergency call")])
    run.check("the emergency is over", _local(bench, DISABLE_EMERGENCY) == 0)
    await play(run, bench, [case("list-profiles", "listProfileInfo ok", name="an order after it")])


async def _interrupted(run: Run, bench: Bench) -> None:
    bench.card.power_cut_at("operation-0")
    one = case(
        "set-default-dp third.example + get-rat",
        "setDefaultDpAddress ok",
        "processingTerminated interruption",
        name="a package that a power cut stopped",
    )
    bench.eim.skip()
    bench.eim.eim.enqueue(bench.eid, one.order)
    async with run.step("the power goes in the middle of a package"):
        await bench.power_lost.wait()
    await bench.power_back()
    entry = await result_of(bench, one.name)
    check_result(run, one.name, entry, one.expected)
    run.check("what was done before the cut stays", bench.card.state.default_smdp == "third.example")


def _psmo(name: str, *operations: bytes, expected: tuple[str, ...]) -> Case:
    return case(Order(eim_packages.PSMO, name, operations), *expected)


def _faulty(name: str, faults: PackageFaults, *expected: str) -> Case:
    order = build_order(["list-profiles"])
    order.faults = faults
    return case(order, *expected, name=name)


def _local(bench: Bench, function: int) -> int:
    """The device itself changes the profile (no eIM has a part in it); its result code. The card is then reset."""
    answer = der.parse(bench.card.es10.execute(der.tlv(function, der.boolean(True, 0x80))))
    bench.modem.order(lambda module: module.restart_card())
    return answer.get(0x80).integer()
