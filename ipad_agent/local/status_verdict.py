"""The verdict: which of the many things a status tells matters most, in one word and a few plain sentences.

``verdict_of`` goes down ``TABLE`` and takes the first row that applies, so the order of the rows is the order of
importance: what keeps the agent from working at all, then what it is doing, then what keeps it waiting. The sentences
are for somebody who knows a SIM card and has never read SGP.32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ipad_agent.records import dataclass, replace

from .status_model import Eim, LastOrder, Profile, Radio, Severity, Stage, State, Status, Switch, Time, Verdict

DOWNLOAD: Final = "download"
POLL: Final = "poll"
"""Names of ``Operation`` that have a state of their own."""
ROLLING_BACK: Final = "rolling-back"
ROLLED_BACK: Final = "rolled-back"
UNPROVED: Final = "unproved"
"""Phases of ``Switch`` that matter here: on the way back, back, and neither proved nor with a way back. All others only
differ in the ``stages``."""
ROLLED_BACK_SHOWN_S: Final = 86_400.0
"""A switch that was taken back stays the verdict for a day, unless another one ends before."""
UNKNOWN: Final = "unknown"
"""The target of a switch while only the card knows it (``Switch.target``)."""
BY_PERSON: Final = "person"
BY_RETURN: Final = "return"
"""Values of ``Guardian.fallback_cause`` besides the guardian's own word."""
ORDER_FAILED_SHOWN_S: Final = 86_400.0
"""An order that failed stays the verdict for a day, unless its eIM has another one done before."""
DISK: Final = "IPA-1208"
"""The warning that says that the disk does not keep what the agent knows."""
NOT_EMULATED: Final = frozenset({"IPA-1233", "IPA-1234"})
"""The warnings that say why a consumer card is not emulated although it was to be: the key, or what was kept for it."""
LASTING_FAILURES: Final = 3
"""So many polls in a row have to fail before it is more than bad luck."""


STAGES: Final = {
    "registration": "network",
    "ip": "address (IP)",
    "dns": "name service (DNS)",
    "eim": "manager (eIM)",
}
"""The stages of the proof that a profile works, where the word alone says too little; in sentences as in rows."""
_ALL_WELL: Final = frozenset({State.READY, State.ORDER_FAILED, State.POLLING, State.HELD, State.EIM_UNREACHABLE})
"""What is no news beside a disk that refuses."""


@dataclass(frozen=True, slots=True)
class _Words:
    sentence: str
    next: str | None = None
    next_at: Time | None = None
    advice: str | None = None
    severity: Severity | None = None
    """Where the row's own does not fit."""


@dataclass(frozen=True, slots=True)
class _Row:
    state: State
    severity: Severity
    rule: Callable[[Status], _Words | None]


def verdict_of(status: Status) -> Verdict:
    """The verdict on everything else in ``status``; its own ``verdict`` is not looked at."""
    for row in TABLE:
        words = row.rule(status)
        if words is not None:
            verdict = Verdict(
                row.state, words.severity or row.severity, words.sentence, words.next, words.next_at, words.advice
            )
            return _with_disk(status, verdict)
    raise AssertionError("the last row always applies")


def prevents_work(status: Status) -> str | None:
    """Why no manager can be asked for work now, as a sentence; None when nothing known speaks against it. What the
    network makes of it shows only when it is tried."""
    for rule in (_no_modem, _no_card, _trouble_of_ours, _starting, _consumer, _ipae, _unmanaged):
        words = rule(status)
        if words is not None:
            return words.sentence[:1].lower() + words.sentence[1:]
    return None


def _with_disk(status: Status, verdict: Verdict) -> Verdict:
    """A disk that refuses is said before everything else: nothing works as a person would expect then."""
    warning = next((warning for warning in status.warnings if warning.id == DISK), None)
    if warning is None:
        return verdict
    return replace(
        verdict,
        state=State.TROUBLE if verdict.state in _ALL_WELL else verdict.state,
        severity=Severity.BAD,
        sentence=f"No new order is taken. {_sentence(warning.sentence)} {verdict.sentence}",
        advice=verdict.advice or warning.what_to_do,
    )


# -- what keeps the agent from working at all ------------------------------------------------------------------------


def _no_modem(status: Status) -> _Words | None:
    return _trouble(
        status,
        "modem",
        "The modem cannot be used",
        "Look for the modem again",
        "Check the modem's power and cable, and that no other program uses its port; `ipactl doctor` goes through it "
        "step by step.",
    )


def _no_card(status: Status) -> _Words | None:
    return _trouble(
        status,
        "card",
        "The modem answers, but the SIM card (eUICC) cannot be used",
        "Try the card again",
        "Check that the card is in its slot and is an eUICC; `ipactl doctor` goes through it step by step.",
    )


def _trouble_of_ours(status: Status) -> _Words | None:
    if status.trouble is None:
        return None
    return _trouble(
        status, status.trouble.side, "The agent cannot go on", "Start anew", "See the agent's log: `ipactl log`."
    )


def _trouble(status: Status, side: str, what: str, next: str, advice: str) -> _Words | None:
    trouble = status.trouble
    if trouble is None or trouble.side != side:
        return None
    sentence = f"{what}: {_sentence(trouble.sentence)}"
    switch = _under_way(status)
    if switch is not None and switch.deadline is not None:
        sentence += f" A change to profile {_name(status, switch.target)} has not been proved to work yet."
    return _Words(sentence, next, trouble.next_attempt, trouble.hint or advice)


def _starting(status: Status) -> _Words | None:
    return None if status.card is not None else _Words("The agent starts and looks for the modem and its SIM card.")


def _consumer(status: Status) -> _Words | None:
    if status.card is None or status.card.manageable or status.card.family == "ipae":
        return None
    stopped = next((warning for warning in status.warnings if warning.id in NOT_EMULATED), None)
    if stopped is not None:
        sentence = (
            f"The card is {status.card.kind}, and this device cannot emulate it now: {_sentence(stopped.sentence)}"
        )
        return _Words(sentence, "Look at the card again", status.next_look, stopped.what_to_do)
    return _Words(
        f"The card is {status.card.kind}; this agent manages only IoT cards and leaves it alone.",
        "Look at the card again",
        status.next_look,
        "Insert an IoT eUICC (an eSIM card after SGP.32), or have this device emulate one (card.emulate_iot, "
        "docs/emulation.md). Nothing was changed on this one.",
    )


def _ipae(status: Status) -> _Words | None:
    if status.card is None or status.card.manageable:
        return None
    return _Words(
        "The card looks after its profiles itself (its built-in assistant, IPAe, is active); this agent leaves it "
        "alone.",
        "Look at the card again",
        status.next_look,
        "Nothing, if that is intended. Else ask the card's issuer for one in IPAd mode.",
    )


# -- what it is doing ------------------------------------------------------------------------------------------------


def _rolling_back(status: Status) -> _Words | None:
    switch = _under_way(status)
    if switch is None or switch.phase != ROLLING_BACK:
        return None
    return _Words(
        f"Profile {_name(status, switch.target)} did not prove to work; going back to "
        f"{_name(status, switch.previous)}.",
        "See that the former profile works, then tell its manager",
    )


def _switching(status: Status) -> _Words | None:
    switch = _under_way(status)
    if switch is None or switch.phase in (ROLLED_BACK, UNPROVED):
        return None
    tried = [stage for stage in switch.stages if stage.ok is not None]
    failing = next((stage for stage in tried if not stage.ok), None)
    sentence = f"Changing from profile {_name(status, switch.previous)} to {_name(status, switch.target)}"
    if failing is not None:
        sentence += f"; waiting for: {_stage(failing)}"
    back = {
        "rollback": f"Go back to {_name(status, switch.previous)} unless the new profile works by then",
        "fallback": "Change to the fallback profile unless the new profile works by then",
    }.get(switch.way_back, "Go on proving the new profile; there is no way back from it")
    return _Words(f"{sentence}.", back, switch.deadline)


def _stage(stage: Stage) -> str:
    name = STAGES.get(stage.name, stage.name)
    return f"{name}, {stage.detail}" if stage.detail else name


def _downloading(status: Status) -> _Words | None:
    doing = status.operation
    if doing is None or doing.name != DOWNLOAD:
        return None
    sentence = "Downloading a profile"
    if doing.done is not None and doing.total:
        sentence += f" ({doing.done * 100 // doing.total} %)"
    return _Words(f"{sentence}; the enabled profile stays as it is meanwhile.", "Tell its manager how it ended")


def _emergency(status: Status) -> _Words | None:
    profile = _enabled(status)
    if profile is None or not profile.emergency:
        return None
    return _Words(
        f"The emergency profile {_label(profile)} is enabled; until that ends nothing else is changed on the card.",
        advice="`ipactl emergency off` ends it.",
    )


def _fallback(status: Status) -> _Words | None:
    guardian = status.guardian
    if guardian is None or not guardian.in_fallback:
        return None
    profile = _enabled(status)
    name = "" if profile is None else f" {_label(profile)}"
    next = "Try the former profile again" if guardian.next_return is not None else "Wait for orders from the manager"
    if guardian.fallback_cause == BY_PERSON:
        return _Words(
            f"Somebody on this device had it change to its fallback profile{name}.",
            next,
            guardian.next_return,
            "`ipactl fallback --return` goes back to the former profile now.",
            Severity.WAITING,
        )
    if guardian.fallback_cause == BY_RETURN:
        return _Words(
            f"The former profile was tried again and did not work, so the device uses its fallback profile{name}.",
            next,
            guardian.next_return,
            "Find out why the former profile does not work here (coverage, APN, contract).",
        )
    return _Words(
        f"The connection was lost for long, so the device uses its fallback profile{name}.",
        next,
        guardian.next_return,
        "Find out why the former profile lost its network.",
    )


def _rolled_back(status: Status) -> _Words | None:
    switch = status.switch
    if switch is None or switch.phase != ROLLED_BACK:
        return None
    if switch.ended is not None and switch.ended.age_s > ROLLED_BACK_SHOWN_S:
        return None
    failed = next((stage for stage in switch.stages if stage.ok is False), None)
    why = "" if failed is None else f" It failed at: {_stage(failed)}."
    return _Words(
        f"Profile {_name(status, switch.target)} was tried and did not work, so the device went back to "
        f"{_name(status, switch.previous)}.{why}",
        *_next_poll(status),
        "Find out why the new profile does not work here (coverage, APN, contract) before it is enabled again.",
    )


def _polling(status: Status) -> _Words | None:
    if status.operation is None or status.operation.name != POLL:
        return None
    eim = next((eim for eim in status.eims if eim.eim_id == status.operation.eim_id), None)
    again = ""
    if eim is not None and eim.failures:
        again = " again, after it answered with an error" if eim.answered else " again, after it could not be reached"
    sentence = f"Asking {status.operation.eim_id or 'the manager'} for work{again}"
    # Such a poll takes a minute, and would look like a healthy one all that time.
    lost = status.guardian is not None and status.guardian.lost_for_s is not None
    if lost and status.radio is not None and status.radio.registered is False:
        sentence += f"; the modem is in no mobile network{_seen(status.radio)}"
    return _Words(f"{sentence}.")


# -- what keeps it waiting -------------------------------------------------------------------------------------------


def _unmanaged(status: Status) -> _Words | None:
    if status.eims:
        return None
    return _Words(
        "Nobody manages this card yet: it names no remote manager (eIM).",
        "Look at the card again",
        status.next_look,
        "Set provisioning.initial_eim to the file that your eIM's operator gave you, or have the card provisioned.",
    )


def _no_coverage(status: Status) -> _Words | None:
    if status.radio is None or status.radio.registered is not False:
        return None
    if any(eim.last_poll is not None and eim.last_poll.ok for eim in status.eims):
        return None  # the managers are reached over another network
    return _Words(
        f"The modem is in no mobile network{_seen(status.radio)}.",
        *_next_poll(status),
        "Check the antenna and the coverage, and that the enabled profile is active at its operator.",
    )


def _seen(radio: Radio) -> str:
    return f" ({radio.registration})" if radio.registration else ""


def _held(status: Status) -> _Words | None:
    if not status.held_by:
        return None
    reasons = "; ".join(condition.sentence.strip().rstrip(".") for condition in status.held_by)
    return _Words(f"Work waits, as this site wants it: {reasons}.", *_next_poll(status))


def _eim_unreachable(status: Status) -> _Words | None:
    polled = _all_failing(status)
    if not polled or any(eim.answered for eim in polled):
        return None
    worst = max(polled, key=lambda eim: eim.failures)
    lasting = worst.failures >= LASTING_FAILURES
    count = f", {worst.failures} times in a row" if worst.failures > 1 else ""
    return _Words(
        f"The manager {worst.eim_id} could not be asked for work{count}: {_sentence(worst.trouble or 'no answer')}",
        *_next_poll(status),
        "`ipactl doctor` shows where it ends: name, network, certificate or the eIM itself." if lasting else None,
        Severity.BAD if lasting else Severity.WAITING,
    )


_REGISTER: Final = (
    "Let whoever runs that manager register what `ipactl emulation export` writes, or see there why it refuses."
)


def _eim_refuses(status: Status) -> _Words | None:
    """Somebody answers, so nothing is wrong with this device or its network."""
    disk = any(warning.id == DISK for warning in status.warnings)  # then it is not the eIM that refuses
    failing = [] if disk else [eim for eim in _all_failing(status) if eim.answered]
    if failing:
        worst = max(failing, key=lambda eim: eim.failures)
        count = f", {worst.failures} times in a row" if worst.failures > 1 else ""
        trouble = _sentence(worst.trouble or "no reason given")
        sentence = f"The manager {worst.eim_id} answers, but gives no work{count}: {trouble}"
    else:
        refusing = [eim for eim in status.eims if eim.trouble is not None and not eim.failures]
        if not refusing:
            return None
        worst = refusing[0]
        sentence = f"The manager {worst.eim_id} {_sentence(worst.trouble or '')} Everything else goes on."
    lasting = worst.failures >= LASTING_FAILURES
    return _Words(
        sentence,
        *_next_poll(status),
        _REGISTER
        if status.card is not None and status.card.family == "emulated"
        else "Nothing on this device: whoever runs that manager can see there why it refuses.",
        Severity.BAD if lasting else Severity.WAITING,
    )


def _all_failing(status: Status) -> list[Eim]:
    """The managers that were asked, if none of them could be asked successfully."""
    polled = [eim for eim in status.eims if eim.failures or eim.last_poll is not None]
    return polled if all(eim.failures for eim in polled) else []


def _order_failed(status: Status) -> _Words | None:
    """The last order of a manager was not done, or not all of it. Everything else goes on."""
    failed = [
        (eim, eim.last_order)
        for eim in status.eims
        if eim.last_order is not None and not eim.last_order.ok and eim.last_order.at.age_s <= ORDER_FAILED_SHOWN_S
    ]
    if not failed:
        return None
    eim, order = min(failed, key=lambda item: item[1].at.age_s)
    return _Words(
        f"The last order of {eim.eim_id} failed: {order_failure(order)}",
        *_next_poll(status),
        "Tell whoever runs that manager; it has the card's answer too. This ends when another order of it goes well.",
    )


def order_failure(order: LastOrder) -> str:
    """What was ordered and why it was not done, as a sentence: the peer's own words, and ours."""
    words = f": {order.words}" if order.words else ""
    reason = f" ({order.reason})" if order.reason and order.words else f": {order.reason}" if order.reason else ""
    what = "" if order.words is not None and order.words.startswith(order.what) else order.what
    return _sentence(f"{what}{words}{reason}".removeprefix(": "))


def _ready(status: Status) -> _Words | None:
    profile = _enabled(status)
    enabled = "No profile is enabled" if profile is None else f"Profile {_label(profile)} is enabled"
    failing = [eim.eim_id for eim in status.eims if eim.failures and not eim.answered]
    erring = [eim.eim_id for eim in status.eims if eim.failures and eim.answered]
    managers = ", ".join(eim.eim_id for eim in status.eims)
    sentence = f"{enabled}; managed by {managers}."
    if failing:
        sentence += f" Not reached at the last attempt: {', '.join(failing)}."
    if erring:
        sentence += f" Answered with an error at the last attempt: {', '.join(erring)}."
    return _Words(sentence, *_next_poll(status))


TABLE: Final = (
    _Row(State.NO_MODEM, Severity.BAD, _no_modem),
    _Row(State.NO_CARD, Severity.BAD, _no_card),
    _Row(State.TROUBLE, Severity.BAD, _trouble_of_ours),
    _Row(State.STARTING, Severity.BUSY, _starting),
    _Row(State.CONSUMER_CARD, Severity.BAD, _consumer),
    _Row(State.IPAE_CARD, Severity.WAITING, _ipae),
    _Row(State.ROLLING_BACK, Severity.BUSY, _rolling_back),
    _Row(State.SWITCHING, Severity.BUSY, _switching),
    _Row(State.DOWNLOADING, Severity.BUSY, _downloading),
    _Row(State.EMERGENCY, Severity.WAITING, _emergency),
    _Row(State.FALLBACK, Severity.BAD, _fallback),
    _Row(State.ROLLED_BACK, Severity.BAD, _rolled_back),
    _Row(State.POLLING, Severity.BUSY, _polling),
    _Row(State.UNMANAGED, Severity.BAD, _unmanaged),
    _Row(State.NO_COVERAGE, Severity.BAD, _no_coverage),
    _Row(State.HELD, Severity.WAITING, _held),
    _Row(State.EIM_UNREACHABLE, Severity.WAITING, _eim_unreachable),
    _Row(State.EIM_REFUSES, Severity.WAITING, _eim_refuses),
    _Row(State.ORDER_FAILED, Severity.BAD, _order_failed),
    _Row(State.READY, Severity.GOOD, _ready),
)
"""In order of importance; the last row always applies."""


# -- words -----------------------------------------------------------------------------------------------------------


def _under_way(status: Status) -> Switch | None:
    return status.switch if status.switch is not None and status.switch.ended is None else None


def _enabled(status: Status) -> Profile | None:
    return next((profile for profile in status.profiles if profile.enabled), None)


def _label(profile: Profile) -> str:
    name = profile.nickname or profile.name or profile.provider
    return f"“{name}” (…{profile.iccid[-4:]})" if name else f"…{profile.iccid[-4:]}"


def _name(status: Status, iccid: str | None) -> str:
    """A profile as a person would call it."""
    if iccid is None:
        return "(none)"
    if iccid == UNKNOWN:
        return "one that only the card knows"
    known = next((profile for profile in status.profiles if profile.iccid == iccid), None)
    return f"…{iccid[-4:]}" if known is None else _label(known)


def _sentence(text: str) -> str:
    return text.strip().rstrip(".") + "."


def _next_poll(status: Status) -> tuple[str | None, Time | None]:
    planned: list[tuple[float, Eim, Time]] = [
        (-eim.next_poll.age_s, eim, eim.next_poll) for eim in status.eims if eim.next_poll is not None
    ]
    if not planned:
        return None, None
    _, eim, at = min(planned, key=lambda item: item[0])
    return f"Ask {eim.eim_id} for work", at
