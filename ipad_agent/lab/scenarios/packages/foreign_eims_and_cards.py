"""Peers that somebody else wrote: what they do differently costs a message, never an order."""

from __future__ import annotations

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.eim import EimSettings
from ipad_agent.lab.euicc import OPERATOR_A, OPERATOR_B, Quirks
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import (
    NO_MORE_WORK,
    case,
    check_enabled,
    check_nothing_left,
    play,
    quick,
)
from ipad_agent.lab.scenarios.support.download_steps import (
    at_smdp,
    carried_out,
    check_installed,
    indirect,
    offer,
    order_download,
)
from ipad_agent.lab.smdp import OrderState

DATA = "data-request smdp,info1,info2,smds,token,eum,euicc,ipa,device,notifications"
TOLD_DIALECT = "IPA-3105"
LEFT_OUT = "IPA-4352"


@scenario(
    "stranger-v1-eim",
    "An eIM of v1.0 that loses an order over every field it does not know loses none, and hears every result once.",
    deadline_s=90,
)
async def stranger_v1_eim(run: Run) -> None:
    """A switch as the very first order, when nothing is known of it; data, a refusal, a download through it although
    its entry does not say so; and, known by then, after a restart of the agent."""
    eim = EimSettings(dialect="1.0", only_v1_0=True)
    wanted = offer(size_bytes=4000)
    config = {"download": {"way": "indirect"}}
    options = indirect(wanted, rsp={"indirect": False}, carrier="https", eim=eim, config=config)
    async with run.bench(options) as bench:
        await bench.agent.start()
        await _orders(run, bench, OPERATOR_A, "first")
        run.check("the agent has found out what it speaks", bool(bench.agent.said(TOLD_DIALECT)))
        order = order_download(bench, wanted)
        await carried_out(run, bench, order, "a profile is downloaded through it")
        run.check("the order is done for the eIM", order.state == "done", order.state)
        check_installed(run, bench, wanted)
        lost = offer(9)
        order = order_download(bench, f"1${bench.rsp.smdp_address}${lost.matching_id}")
        await carried_out(run, bench, order, "a download that the SM-DP+ refuses is over for it")
        run.check("the order has failed", order.state == "failed", order.state)
        crashes = _crashes(bench)
        await bench.agent.terminate()
        await bench.agent.start()
        await _orders(run, bench, OPERATOR_B, "after a restart")
        run.check("what it cannot read was not tried again", _crashes(bench) == crashes, str(bench.eim.seen("crash")))
        aborted = [entry for entry in bench.eim.entries if entry.get("aborted") or entry["kind"] == "aborted"]
        run.check("it lost no order", not aborted, str(aborted))
        _heard_once(run, bench)
        state = at_smdp(bench, wanted).state
        run.check("the SM-DP+ knows of the profile", state is OrderState.INSTALLED, state.value)
        run.check("the agent never failed unexpectedly", not bench.agent.said("IPA-1006"))


async def _orders(run: Run, bench: Bench, iccid: str, name: str) -> None:
    await play(
        run,
        bench,
        [
            case(f"enable {iccid} --rollback", "enable ok", name=f"{name}: a switch"),
            case("list-profiles", "listProfileInfo ok", name=f"{name}: a list"),
            case(DATA, "ok", name=f"{name}: data"),
            case("delete 89490200009999999990", "delete iccidOrAidNotFound", name=f"{name}: a refusal of the card"),
        ],
        deadline_s=60,
    )
    check_enabled(run, bench, iccid)
    check_nothing_left(run, bench)


def _crashes(bench: Bench) -> int:
    return len(bench.eim.seen("crash"))


def _heard_once(run: Run, bench: Bench) -> None:
    numbers = [entry["facts"]["seqNumber"] for entry in bench.eim.seen("result") if "seqNumber" in entry["facts"]]
    run.check("it heard every signed result once", len(numbers) == len(set(numbers)) > 0, str(numbers))


@scenario(
    "odd-card",
    "A card that answers with nothing, or in forms of its own, is provisioned, switched and asked all the same.",
    deadline_s=60,
)
async def odd_card(run: Run) -> None:
    """AddInitialEim and RemoveNotificationFromList without content, certificates in wrappers of their own; then
    certificates that nobody can read and lists that the card refuses."""
    quirks = Quirks(empty_content=frozenset({0xBF57, 0xBF30}), certificates_apart=True)
    async with run.bench(quick(quirks=quirks, link_follows_modem=False)) as bench:
        await bench.agent.start()
        await bench.agent.event(NO_MORE_WORK, deadline_s=30)
        run.check("the eIM is on the card", bench.card.state.eim(bench.identity.eim_id) is not None)
        entries = await play(
            run,
            bench,
            [
                case("data-request info1,eum,euicc", "ok", name="data with certificates in wrappers of their own"),
                case("list-profiles", "listProfileInfo ok", name="a list"),
                case(f"enable {OPERATOR_A} --rollback", "enable ok", name="a switch"),
            ],
        )
        told = sorted(name for name in entries[0]["facts"] if name not in ("ok", "transactionId"))
        run.check("all was told", told == ["euiccCertificate", "euiccInfo1", "eumCertificate"], ", ".join(told))
        check_enabled(run, bench, OPERATOR_A)
        check_nothing_left(run, bench)
        resets = bench.modem.module.uicc.reset_count
        bench.card.isdr.quirks = Quirks(unreadable_certificates=True, refused_lists=True)
        (entry,) = await play(
            run, bench, [case("data-request info1,eum,euicc,notifications,results", "ok", name="data")]
        )
        told = sorted(name for name in entry["facts"] if name not in ("ok", "transactionId"))
        run.check("what the card does not tell is left out", told == ["euiccInfo1"], ", ".join(told))
        run.check("and the log says so", len(bench.agent.said(LEFT_OUT)) >= 3, str(len(bench.agent.said(LEFT_OUT))))
        await play(
            run,
            bench,
            [
                case(
                    "data-request notifications", "undefinedError", name="a list that the card refuses is no empty list"
                )
            ],
        )
        run.check("the card was never called lost", not bench.agent.said("IPA-1004"))
        run.check("nor reset for it", bench.modem.module.uicc.reset_count == resets)
        run.check("the agent never failed unexpectedly", not bench.agent.said("IPA-1006"))
