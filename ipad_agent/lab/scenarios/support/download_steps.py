"""What the stories about profile downloads share: benches with an SM-DP+, orders to it, looks at what came of them."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import Any

from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.rsp_servers_on_bench import Offer, RspOptions
from ipad_agent.lab.eim import Order as EimOrder
from ipad_agent.lab.eim.device_records import HANDED_OUT, QUEUED
from ipad_agent.lab.eim.results.result_names import BPP_COMMANDS
from ipad_agent.lab.euicc.state.profile_list import with_check_digit
from ipad_agent.lab.modem import Cell
from ipad_agent.lab.scenarios.scenario_runner import Run
from ipad_agent.lab.smdp import NotificationRecord, OrderState
from ipad_agent.lab.smdp import Order as SmdpOrder

from .common_steps import NO_MORE_WORK, check_nothing_left, quick, until

STARTED, WAITING, UNFORESEEN = "IPA-1001", "IPA-1003", "IPA-1006"
HOME = Cell(plmn="26201")
"""Where downloaded profiles are served."""
DOWNLOAD_S = 30.0
REASONS = {
    0: "endUserRejection",
    1: "postponed",
    2: "timeout",
    3: "pprNotAllowed",
    4: "metadataMismatch",
    5: "loadBppExecutionError",
    127: "undefinedReason",
}
"""CancelSessionReason."""
ERRORS = {
    1: "incorrectInputValues",
    2: "invalidSignature",
    3: "invalidTransactionId",
    4: "unsupportedCrtValues",
    5: "unsupportedRemoteOperationType",
    6: "unsupportedProfileClass",
    7: "bspStructureError",
    8: "bspSecurityError",
    9: "installFailedDueToIccidAlreadyExistsOnEuicc",
    10: "installFailedDueToInsufficientMemoryForProfile",
    11: "installFailedDueToInterruption",
    12: "installFailedDueToPEProcessingError",
    13: "installFailedDueToDataMismatch",
    14: "testProfileInstallFailedDueToInvalidNaaKey",
    15: "pprNotAllowed",
    127: "installFailedDueToUnknownError",
}
"""ErrorReason (SGP.22 §2.5.6)."""


def offer(number: int = 1, **fields: Any) -> Offer:
    """A profile at the SM-DP+, with a matching ID and an ICCID of its own; ``fields`` as in ``Offer``."""
    iccid = with_check_digit(f"894902000090{number:07d}")
    return Offer(**{"matching_id": f"LAB-{number}", "iccid": iccid, **fields})


def direct(*offers: Offer, rsp: dict[str, Any] | None = None, **more: Any) -> BenchOptions:
    """A quick bench whose eIM does not relay: the agent goes to the SM-DP+ itself."""
    return _with_servers(*offers, rsp={"relay": "none", **(rsp or {})}, **more)


def indirect(*offers: Offer, rsp: dict[str, Any] | None = None, **more: Any) -> BenchOptions:
    """A quick bench whose eIM stands between the agent and the SM-DP+."""
    return _with_servers(*offers, rsp=rsp or {}, **more)


def _with_servers(*offers: Offer, rsp: dict[str, Any], **more: Any) -> BenchOptions:
    options = quick(**{"provision": "card", **more})
    return replace(options, rsp=RspOptions(offers=offers or (offer(),), **rsp))


def order_download(bench: Bench, wanted: Offer | str, *words: str) -> EimOrder:
    """The eIM's order for an offer, or for what a word says (``default``, ``smds:ADDRESS``)."""
    order = bench.order("trigger", wanted if isinstance(wanted, str) else bench.rsp.code(wanted), *words)
    poll_now(bench)
    return order


def poll_now(bench: Bench) -> None:
    """What an operator does who does not want to wait for the next poll; nothing while the agent is not up."""
    up = any(event.run == bench.agent.runs for event in bench.agent.said(STARTED))
    if bench.agent.running and bench.agent.pid is not None and up:
        os.kill(bench.agent.pid, signal.SIGUSR1)


async def carried_out(run: Run, bench: Bench, order: EimOrder, name: str, *, deadline_s: float = DOWNLOAD_S) -> None:
    """Until the eIM has its answer to the order and the agent finds nothing more to do."""
    async with run.step(name) as step:
        await until(
            lambda: order.state not in (QUEUED, HANDED_OUT), f"answer to {order.label!r}", deadline_s=deadline_s
        )
        bench.agent.skip()
        poll_now(bench)
        await bench.agent.event(NO_MORE_WORK, deadline_s=deadline_s)
        await bench.agent.event(WAITING, deadline_s=deadline_s)  # notifications are delivered at the end of a poll
        step.detail = order.state


def at_smdp(bench: Bench, wanted: Offer) -> SmdpOrder:
    """The SM-DP+'s side of an offer."""
    return next(one for one in bench.rsp.smdp.orders if one.package.metadata.iccid == wanted.iccid)


def install_results(bench: Bench, wanted: Offer) -> list[NotificationRecord]:
    """The installation results that the SM-DP+ has for an offer."""
    records = bench.rsp.smdp.notifications
    return [one for one in records if one.kind == "install-result" and one.iccid == wanted.iccid]


def check_installed(run: Run, bench: Bench, wanted: Offer, *, enabled: bool = False, name: str = "") -> None:
    """Card and SM-DP+ agree that the profile is installed, once, and nothing is owed to anybody."""
    where = f" ({name})" if name else ""
    state = bench.card.profile_states().get(wanted.iccid)
    expected = "enabled" if enabled else "disabled"
    seen = {None: "not there", True: "enabled", False: "disabled"}[state]
    run.check(f"the profile is on the card, {expected}{where}", seen == expected, seen)
    order = at_smdp(bench, wanted)
    run.check(f"the SM-DP+ knows that it is installed{where}", order.state is OrderState.INSTALLED, order.state.value)
    results = install_results(bench, wanted)
    good = len(results) == 1 and results[0].succeeded and results[0].verified
    run.check(f"by one result that the card signed{where}", good, f"{[(one.problem, one.times) for one in results]}")
    check_nothing_left(run, bench)


def check_not_installed(run: Run, bench: Bench, wanted: Offer, *, name: str = "") -> None:
    """There is no such profile on the card, the others are as before, and nothing is owed to anybody."""
    where = f" ({name})" if name else ""
    run.check(f"no profile came of it{where}", wanted.iccid not in bench.card.profile_states())
    check_nothing_left(run, bench)


def check_calm(run: Run, bench: Bench) -> None:
    """Nothing happened to the agent that nobody foresaw."""
    said = bench.agent.said(UNFORESEEN)
    run.check("the agent never failed unexpectedly", not said, said[0].text if said else "")


def outcome(bench: Bench) -> str:
    """How the SM-DP+'s latest session ended, in its own words: what the card signed."""
    session = bench.rsp.smdp.sessions.latest
    if session is None:
        return "no session"
    if session.cancel_reason is not None:
        return f"cancelled: {REASONS[session.cancel_reason]}"
    for record in bench.rsp.smdp.notifications:
        if record.transaction_id == session.transaction_id and record.error is not None:
            command, reason = record.error
            signed = "" if record.verified else f" ({record.problem})"
            return f"{BPP_COMMANDS[command]}: {ERRORS.get(reason, reason)}{signed}"
    last = bench.rsp.smdp.log[-1].reply.code
    # A mistyped confirmation code leaves the session open for another try.
    return session.step.value if last is None else f"refused: {last}"
