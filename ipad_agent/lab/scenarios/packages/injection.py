"""Stories about an eIM that does not wait for the next poll (SGP.32 v1.3 §3.1.1.2)."""

from __future__ import annotations

import asyncio
from typing import Any

from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.eim import TlsIdentity, build_order
from ipad_agent.lab.eim.errors import InjectionError
from ipad_agent.lab.eim.injection.transfer_messages import TransferAnswer, transfer
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import (
    WAITING,
    check_enabled,
    check_nothing_left_soon,
    check_result,
    quick,
    result_of,
)

LISTENING = "IPA-4081"
ARMED = "IPA-4201"
STRANGER = "IPA-4085"
FAR_AWAY = {"poll": {"interval_s": 3600, "backoff_first_s": 0.2}}


@scenario("injection-https", "An eIM in a hurry pushes packages over HTTPS; a stranger is turned away.", deadline_s=60)
async def over_https(run: Run) -> None:
    """The next poll is an hour away."""
    async with run.bench(_options("https")) as bench:
        await _pushed(run, bench, "https")
        async with run.step("what is no package is refused by its own code") as step:
            answer = await bench.injection.send(transfer(bytes.fromhex("BF5500")), carrier="https")
            step.detail = answer.text
        run.check("unknownPackage", answer == TransferAnswer("error", 2), answer.text)
        newest = {"admin_protocol": "gsma/rsp/v1.3.0"}
        answer = await bench.injection.push(bench.eim.eim, bench.eid, build_order(["list-profiles"]), **newest)
        run.check("an eIM of v1.3 gets its correlation back", answer.correlated and bool(answer.correlation))
        order = build_order(["list-eim"])
        answer = await bench.injection.push(bench.eim.eim, bench.eid, order, binding="json")
        run.check("in JSON it is received too", answer == TransferAnswer("received"), answer.text)
        check_result(run, "and carried out", await result_of(bench, order.label), ["listEim ok"])


@scenario("injection-coaps", "An eIM in a hurry pushes packages over CoAP and DTLS; a stranger is turned away.")
async def over_coaps(run: Run) -> None:
    """The same, and with a pre-shared key."""
    async with run.bench(_options("coaps")) as bench:
        await _pushed(run, bench, "coaps")
    async with run.bench(_options("coaps", tls="psk")) as bench:
        await _served(bench)
        answer = await bench.injection.push(bench.eim.eim, bench.eid, build_order(["list-profiles"]))
        run.check("it is received by its pre-shared key", answer.kind == "received", answer.text)
        check_result(run, "its result", await result_of(bench, "list-profiles"), ["listProfileInfo ok"])


def _options(carrier: str, **more: Any) -> BenchOptions:
    """The modem takes its time to register, so that a switch lasts long enough to be met."""
    modem: dict[str, object] = {"attach_s": 1.0}
    return quick(provision="card", inject=[carrier], modem=modem, config=dict(FAR_AWAY), **more)


async def _served(bench: Bench) -> None:
    await bench.agent.start()
    await bench.agent.event(LISTENING, deadline_s=30)
    await bench.eim.entry("request", deadline_s=30)
    await bench.agent.event(WAITING, deadline_s=30)


async def _pushed(run: Run, bench: Bench, carrier: str) -> None:
    await _served(bench)
    async with run.step("a question is pushed and answered at once") as step:
        answer = await bench.injection.push(bench.eim.eim, bench.eid, build_order(["list-profiles"]))
        step.detail = answer.text
    run.check("received", answer == TransferAnswer("received"), answer.text)
    check_result(run, "its result", await result_of(bench, "list-profiles"), ["listProfileInfo ok"])
    words = ["enable", OPERATOR_A, "--rollback"]
    order = build_order(words)
    answer = await bench.injection.push(bench.eim.eim, bench.eid, order)
    run.check("an order that switches the profile is received", answer.kind == "received", answer.text)
    await bench.agent.event(ARMED, deadline_s=20)
    again = asyncio.create_task(
        bench.injection.push(bench.eim.eim, bench.eid, build_order(["enable", BOOTSTRAP]), carrier=carrier)
    )
    check_result(run, "the switch", await result_of(bench, order.label), ["enable ok"])
    answer = await again
    run.check("what is pushed during the switch is refused", answer == TransferAnswer("error", 127), answer.text)
    check_result(
        run, "it is carried out by the poll that follows", await result_of(bench, f"enable {BOOTSTRAP}"), ["enable ok"]
    )
    await bench.agent.event(WAITING, deadline_s=30)
    check_enabled(run, bench, BOOTSTRAP)
    await check_nothing_left_soon(run, bench)
    async with run.step("a stranger is turned away and told of") as step:
        stranger = _stranger(bench)
        try:
            answer = await bench.injection.send(transfer(bytes.fromhex("BF5200")), carrier=carrier, identity=stranger)
            step.detail = answer.text
        except InjectionError as error:
            answer, step.detail = TransferAnswer("nothing"), str(error)
        await bench.agent.event(STRANGER, deadline_s=20)
    run.check("it heard nothing", answer.kind in ("nothing", "unreadable"), answer.text)


def _stranger(bench: Bench) -> TlsIdentity:
    other = bench.pki["eim-tls-issued"]
    return TlsIdentity(other.private_key, (other.certificate,))
