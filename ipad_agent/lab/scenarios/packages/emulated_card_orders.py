"""A consumer card that an eIM manages because the device emulates the IoT functions in front of it."""

from __future__ import annotations

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, OPERATOR_B
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import case, play, until
from ipad_agent.lab.scenarios.support.emulated_card_steps import (
    TELLS_FALLBACK,
    accepted,
    check_emulated_end,
    emulated,
    registered,
)

FOUND_OUT = "IPA-1240"
DELIVERED = "IPA-4030"
SMDP = "smdp.elsewhere.example"
BUNDLE_TAKEN = "IPA-1273"
BOUND = "IPA-4373"


@scenario(
    "emulated-psmo-all",
    "A consumer card is given an eIM, registered by its import file, and carries out what the eIM orders.",
    deadline_s=60,
)
async def emulated_psmo_all(run: Run) -> None:
    """Every order about profiles, and of each that can fail a failure: the list ends there."""
    async with run.bench(emulated(quirks=TELLS_FALLBACK)) as bench:
        await registered(run, bench)
        cases = [
            case(
                "list-profiles + get-rat + immediate-enable on",
                "listProfileInfo ok",
                "getRAT ok",
                "configureImmediateEnable ok",
                name="lists and settings",
            ),
            case(
                f"set-default-dp {SMDP} + set-fallback {BOOTSTRAP}",
                "setDefaultDpAddress ok",
                "setFallbackAttribute ok",
                name="default SM-DP+ and fallback attribute",
            ),
            case("unset-fallback + list-profiles", "unsetFallbackAttribute fallbackProfileEnabled", name="not now"),
            case(f"delete {BOOTSTRAP} + delete {OPERATOR_B}", "delete profileNotInDisabledState", name="not that one"),
            case(f"enable {OPERATOR_A} --rollback", "enable ok", name="a switch"),
            case(f"enable {OPERATOR_A}", "enable profileNotInDisabledState", name="enabled already"),
            case("unset-fallback", "unsetFallbackAttribute ok", name="no fallback"),
            case("unset-fallback", "unsetFallbackAttribute noFallbackAttribute", name="none to take away"),
            case(
                f"disable {OPERATOR_A} + enable {BOOTSTRAP} + delete {OPERATOR_B}",
                "disable ok",
                "enable ok",
                "delete ok",
                name="there and back, and one profile less",
            ),
            case(f"enable {OPERATOR_B}", "enable iccidOrAidNotFound", name="the one that is gone"),
            case("list-eim", "listEim ok", name="the eIMs"),
        ]
        await play(run, bench, cases)
        run.check("the card has the new default SM-DP+", bench.card.state.default_smdp == SMDP)
        left = sorted(bench.card.profile_states())
        run.check("the card has one profile less", left == [BOOTSTRAP, OPERATOR_A], str(left))
        await check_emulated_end(run, bench, BOOTSTRAP, [one.order for one in cases])


@scenario(
    "emulated-power-cut",
    "Agent, or device and card, die when an emulated card has done an order and nobody knows: the eIM learns it, once.",
    deadline_s=60,
)
async def emulated_power_cut(run: Run) -> None:
    """The worst moment. Every other one is in tests/whole/test_emulated_card.py, without the wait."""
    async with run.bench(emulated()) as bench:
        await registered(run, bench)
        bench.card.isdr.steps = lambda name: bench.agent.kill_now() if name == "after-swap" else None
        first = bench.order("enable", OPERATOR_A, "--rollback")
        await bench.agent.wait_ended(deadline_s=20)
        bench.card.isdr.steps = bench.card._at_step
        run.check("the card has done it, and nobody knows", _unknown(bench, OPERATOR_A))
        await bench.agent.start()
        await bench.agent.event(FOUND_OUT, deadline_s=30)
        await bench.agent.event(DELIVERED, deadline_s=30)
        run.check("the eIM knows that it was done", first.state == "done", first.state)
        bench.card.power_cut_at("after-swap")
        second = bench.order("enable", BOOTSTRAP)
        await until(bench.power_lost.is_set, "power cut", deadline_s=20)
        await bench.agent.wait_ended(deadline_s=20)
        run.check("the card has done it again, and nobody knows", bench.card.enabled_iccid == BOOTSTRAP)
        await bench.power_back()
        await bench.agent.event(FOUND_OUT, deadline_s=30)
        await bench.agent.event(DELIVERED, deadline_s=30)
        run.check("the eIM knows that too", second.state == "done", second.state)
        await check_emulated_end(run, bench, BOOTSTRAP, [first, second])


def _unknown(bench: Bench, iccid: str) -> bool:
    return bench.card.enabled_iccid == iccid and not accepted(bench.eim)


@scenario(
    "emulated-provision-bundle",
    "A provisioning bundle gives a consumer card its eIM and the device its key; the device registers itself.",
    deadline_s=60,
)
async def emulated_provision_bundle(run: Run) -> None:
    options = emulated(carrier="https", provision="none")
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
        await check_emulated_end(run, bench, OPERATOR_A, [])
