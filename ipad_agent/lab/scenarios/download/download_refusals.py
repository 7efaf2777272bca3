"""Downloads that must not end with a profile: codes that are missing, rules that forbid, servers that are wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.rsp_servers_on_bench import Offer
from ipad_agent.lab.eim.results.result_names import BPP_COMMANDS
from ipad_agent.lab.euicc import Quirks
from ipad_agent.lab.euicc.state.policy_rules import AuthorisationRule, Operator
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.download_steps import (
    ERRORS,
    at_smdp,
    carried_out,
    check_calm,
    check_installed,
    check_not_installed,
    direct,
    indirect,
    offer,
    order_download,
    outcome,
)
from ipad_agent.lab.smdp import Fault, Metadata, OrderState

CODE, WRONG_CODE = "4711-0815", "0000-0000"
CODE_FILE = "confirmation-code"
ANYBODY = (Operator(b"\xee\xee\xee"),)
PPR1, PPR2 = 1, 2
ASKS_FOR_CONSENT = Quirks(rules=(AuthorisationRule((PPR1, PPR2), ANYBODY, consent_required=True),))


@scenario(
    "download-confirmation-code",
    "A confirmation code is known by the device, by the eIM, by nobody, or wrongly; it is never written down.",
    deadline_s=60,
)
async def download_confirmation_code(run: Run) -> None:
    """Nobody knowing it postpones the download at the SM-DP+, which then still has the profile."""
    for name, options, words, given, expected in (
        ("nobody knows it", direct, (), None, "cancelled: postponed"),
        ("the device knows it", direct, (), CODE, "installed"),
        ("the device has a wrong one", direct, (), WRONG_CODE, "refused: 8.2.7/3.8"),
        ("the eIM knows it", indirect, ("--cc", CODE), None, "installed"),
    ):
        wanted = offer(confirmation_code=CODE)
        config = {"download": {"confirmation_code_file": CODE_FILE}} if given else {}
        async with run.bench(options(wanted, config=config)) as bench:
            if given:
                path = bench.folder / CODE_FILE
                path.touch(mode=0o600)
                path.write_text(given)
            await _ends(run, bench, wanted, name, expected, *words)
            if expected == "cancelled: postponed":
                state = at_smdp(bench, wanted).state
                run.check("the profile is still there to be fetched", state is OrderState.AVAILABLE, state.value)
            written = [bench.agent.log_path, *(bench.folder / "agent-state").rglob("*")]
            leaks = [path.name for path in written if path.is_file() and (given or CODE).encode() in path.read_bytes()]
            run.check(f"the code is in no log and no journal ({name})", not leaks, ", ".join(leaks))


@scenario(
    "download-ppr-refused",
    "A profile that cannot be disabled or deleted later only comes where the card's rules and the owner allow it.",
    deadline_s=60,
)
async def download_ppr_refused(run: Run) -> None:
    """The Rules Authorisation Table decides, and where it asks for consent, the configuration."""
    with_consent = {"download": {"eim_is_consent": True}}
    refused = "cancelled: pprNotAllowed"
    for name, ppr, quirks, config, expected in (
        ("the card lets nobody set such rules", PPR2, Quirks(rules=()), {}, refused),
        ("consent is needed and not given", PPR2, ASKS_FOR_CONSENT, {}, "cancelled: endUserRejection"),
        ("consent is needed and configured", PPR2, ASKS_FOR_CONSENT, with_consent, "installed"),
        ("it would be locked in beside another profile", PPR1, Quirks(), with_consent, refused),
    ):
        wanted = offer(ppr=(ppr,))
        async with run.bench(direct(wanted, quirks=quirks, config=config)) as bench:
            await _ends(run, bench, wanted, name, expected)


async def _ends(run: Run, bench: Bench, wanted: Offer, name: str, expected: str, *words: str) -> None:
    """One order on a fresh bench, and how its session must have ended at the SM-DP+."""
    order = order_download(bench, wanted, *words)
    await bench.agent.start()
    await carried_out(run, bench, order, name)
    if expected == "installed":
        run.check(f"the order is done for the eIM ({name})", order.state == "done", order.state)
        check_installed(run, bench, wanted, name=name)
    else:
        run.check(f"the eIM knows that it failed ({name})", order.state == "failed", order.state)
        seen = outcome(bench)
        run.check(f"the SM-DP+ knows why ({name})", seen == expected, f"expected {expected}, seen {seen}")
        check_not_installed(run, bench, wanted, name=name)
    check_calm(run, bench)


# Wrong packages


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A package that is wrong in one way, and how its session must end at the SM-DP+."""

    name: str
    fault: Fault
    expected: str


def _bpp(action: str, value: Any, expected: str) -> _Wrong:
    return _Wrong(action if value is None else f"{action} {value}", Fault(PACKAGE, action, value), expected)


PACKAGE, AUTHENTICATE = "getBoundProfilePackage", "authenticateClient"
MALFORMED = "cancelled: loadBppExecutionError"
UNUSABLE = "cancelled: undefinedReason"
WRONG_PACKAGES = (
    _bpp("bpp-transaction", None, "initialiseSecureChannel: invalidTransactionId"),
    _bpp("bpp-signature", None, "initialiseSecureChannel: invalidSignature"),
    _bpp("bpp-remote-op", 2, "initialiseSecureChannel: unsupportedRemoteOperationType"),
    _bpp("bpp-key-type", 0x11, "initialiseSecureChannel: unsupportedCrtValues"),
    _bpp("bpp-key-length", 32, "initialiseSecureChannel: unsupportedCrtValues"),
    _bpp("bpp-host-id", b"SOMEBODY", "configureISDP: bspSecurityError"),
    _bpp("bpp-mac", 1, "configureISDP: bspSecurityError"),
    _bpp("bpp-mac", 2, "storeMetadata: bspSecurityError"),
    _bpp("bpp-mac", 3, "replaceSessionKeys: bspSecurityError"),
    _bpp("bpp-mac", 99, "loadProfileElements: bspSecurityError"),
    _bpp("bpp-swap", 4, "loadProfileElements: bspSecurityError"),
    _bpp("bpp-drop", 4, "loadProfileElements: bspSecurityError"),
    _bpp("bpp-repeat", 4, "loadProfileElements: bspSecurityError"),
    _bpp("bpp-keys", None, "loadProfileElements: bspSecurityError"),
    _bpp("bpp-tag", 4, MALFORMED),
    _bpp("bpp-group-length", (0xA3, 1), MALFORMED),
    _bpp("bpp-cut", 3, UNUSABLE),
    _bpp("bpp-cut-bytes", 1000, UNUSABLE),
    _bpp("bpp-length", 5, UNUSABLE),
    _bpp("bpp-trailing", b"\x00\x01", UNUSABLE),
)
"""What the card can judge it signs; what is not a package at all never reaches it and is cancelled."""


@scenario(
    "download-bpp-errors",
    "Each way a profile package can be wrong leaves no profile, and a signed word about it at the SM-DP+.",
    deadline_s=180,
)
async def download_bpp_errors(run: Run) -> None:
    """One after another on one card, then a right one: no failure may spoil the next download."""
    offers = [offer(number) for number, _ in enumerate(WRONG_PACKAGES, 1)]
    last = offer(900)
    async with run.bench(direct(*offers, last)) as bench:
        before = bench.card.profile_states()
        await bench.agent.start()
        for wrong, wanted in zip(WRONG_PACKAGES, offers, strict=True):
            bench.rsp.smdp.faults.arm(wrong.fault)
            order = order_download(bench, wanted)
            await carried_out(run, bench, order, wrong.name)
            run.check("the eIM knows that it failed", order.state == "failed", order.state)
            seen = outcome(bench)
            run.check("the SM-DP+ knows why", seen == wrong.expected, f"expected {wrong.expected}, seen {seen}")
            check_not_installed(run, bench, wanted)
        await _every_refusal_of_the_card(run, bench, offers[0])
        run.check("the other profiles are as before", bench.card.profile_states() == before)
        await _then_a_right_one(run, bench, last)


async def _every_refusal_of_the_card(run: Run, bench: Bench, wanted: Offer) -> None:
    """Each command with each reason it can sign, by a switch of the card: what it says arrives unchanged."""
    ordinary = bench.card.isdr.quirks
    at_smdp(bench, wanted).final_on_error = False
    at_smdp(bench, wanted).state = OrderState.AVAILABLE
    for command, name in BPP_COMMANDS.items():
        for reason, why in ERRORS.items():
            bench.card.isdr.quirks = replace(ordinary, install_error=(command, reason))
            order = order_download(bench, wanted)
            await carried_out(run, bench, order, f"the card says {name}, {why}")
            seen, expected = outcome(bench), f"{name}: {why}"
            run.check("the SM-DP+ has the card's words", seen == expected, f"expected {expected}, seen {seen}")
    bench.card.isdr.quirks = ordinary
    check_not_installed(run, bench, wanted)


async def _then_a_right_one(run: Run, bench: Bench, wanted: Offer) -> None:
    order = order_download(bench, wanted)
    await carried_out(run, bench, order, "a right package after all of them")
    check_installed(run, bench, wanted)
    check_calm(run, bench)


# Sessions that the IPA gives up


@dataclass(frozen=True, slots=True)
class _Cause:
    """Why a session is cancelled: what the offer is like, or what the SM-DP+ does wrong."""

    name: str
    reason: str
    offer: dict[str, Any]
    fault: Fault | None = None


CAUSES = (
    _Cause("nobody has the confirmation code", "postponed", {"confirmation_code": CODE}),
    _Cause("the profile could never be disabled", "pprNotAllowed", {"ppr": (PPR1,)}),
    _Cause("a rule needs consent that nobody gives", "endUserRejection", {"ppr": (PPR2,)}),
    _Cause(
        "the package holds another profile than was shown",
        "metadataMismatch",
        {},
        Fault(PACKAGE, "bpp-metadata", Metadata(offer(800).iccid, name="Another")),
    ),
    _Cause("the package cannot be cut into segments", "loadBppExecutionError", {}, Fault(PACKAGE, "bpp-tag", 4)),
    _Cause("a certificate has expired", "undefinedReason", {}, Fault(AUTHENTICATE, "wrong-certificate", "expired")),
)
LATER = "IPA-4063"


@scenario(
    "download-cancel-all",
    "For every reason an IPA has, card and SM-DP+ end the session together, directly and through the eIM.",
    deadline_s=90,
)
async def download_cancel_all(run: Run) -> None:
    """The cancellation is signed by the card. Only what was postponed or timed out may be tried again, and is."""
    for name, options in (("directly", direct), ("through the eIM", indirect)):
        offers = [offer(number, **cause.offer) for number, cause in enumerate(CAUSES, 1)]
        late, last = offer(899), offer(900)
        async with run.bench(options(*offers, late, last, quirks=ASKS_FOR_CONSENT)) as bench:
            await bench.agent.start()
            for cause, wanted in zip(CAUSES, offers, strict=True):
                await _is_cancelled(run, bench, cause, wanted, name)
            if options is direct:
                await _times_out_once(run, bench, late)
            await _then_a_right_one(run, bench, last)


async def _is_cancelled(run: Run, bench: Bench, cause: _Cause, wanted: Offer, way: str) -> None:
    if cause.fault is not None:
        bench.rsp.smdp.faults.arm(cause.fault)
    order = order_download(bench, wanted)
    await carried_out(run, bench, order, f"{cause.name} ({way})")
    expected = f"cancelled: {cause.reason}"
    seen = outcome(bench)
    run.check("the card signed the reason", seen == expected, f"expected {expected}, seen {seen}")
    state = at_smdp(bench, wanted).state
    over = OrderState.AVAILABLE if cause.reason == "postponed" else OrderState.ERROR
    run.check("the SM-DP+ keeps the profile only if it was postponed", state is over, state.value)
    run.check("the eIM knows that it failed", order.state == "failed", order.state)
    check_not_installed(run, bench, wanted)


async def _times_out_once(run: Run, bench: Bench, wanted: Offer) -> None:
    bench.rsp.smdp.faults.arm(Fault(PACKAGE, "http", 503))
    bench.agent.skip()
    order = order_download(bench, wanted)
    async with run.step("the SM-DP+ is overloaded; the download is put off"):
        await bench.agent.event(LATER, deadline_s=20)
    seen = outcome(bench)
    run.check("the card signed the reason", seen == "cancelled: timeout", seen)
    await carried_out(run, bench, order, "it is begun once more, by itself")
    check_installed(run, bench, wanted)
