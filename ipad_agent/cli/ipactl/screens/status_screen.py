"""The status screen: the verdict first, then what happens next, the facts, and at the end what needs attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ipad_agent.cli.ipactl.output.terminal_output import GLUE, TerminalOutput, clean
from ipad_agent.cli.ipactl.output.value_texts import (
    CARRIERS,
    called,
    changed,
    check,
    grouped,
    mark,
    named,
    plural,
    sentence,
    size,
    span,
    tail,
    uncapital,
    until,
    when,
)
from ipad_agent.local.status_model import Eim, LastOrder, Operation, Profile, Severity, Stage, Status, Switch
from ipad_agent.local.status_verdict import STAGES, order_failure

_COLOUR: Final = {
    Severity.GOOD: "good",
    Severity.BUSY: "busy",
    Severity.WAITING: "waiting",
    Severity.BAD: "bad",
}
WHY_FALLBACK: Final = {
    "guardian": " after a lasting loss of connectivity",
    "person": " because somebody on this device wanted it",
    "return": " because the former profile did not work when it was tried again",
}
_AS_LAST_SEEN: Final = "as last seen: "
DOTS: Final = {Severity.WAITING: "○", Severity.BAD: "✗"}
"""What is not as it should be; all else goes on by itself."""


def status_lines(status: Status, output: TerminalOutput, *, later_s: float = 0.0) -> list[str]:
    """The whole screen; ``later_s`` is how long ago the status was taken."""
    lines = [*verdict_lines(status, output, later_s=later_s), ""]
    for facts in (
        _operation,
        _switch,
        _held,
        _card,
        _profiles,
        _eims,
        _guardian,
        _modem,
        _network,
        _owed,
        _data,
        _clock,
    ):
        lines += facts(status, output, later_s)
    warnings = list(warning_lines(status, output))
    return [*lines, "", *warnings] if warnings else lines


def verdict_lines(status: Status, output: TerminalOutput, *, later_s: float = 0.0) -> list[str]:
    """The word and its sentence, what comes next and when, and what a person can do."""
    verdict = status.verdict
    colour = _COLOUR.get(verdict.severity, "waiting")
    dot = DOTS.get(verdict.severity, "●")
    word = clean(str(verdict.state))
    lines = output.hang(f"{output.dot(dot)} {word}", sentence(verdict.sentence), colour=colour, indent="")
    if verdict.next is not None:
        time = f", {until(verdict.next_at, later_s)}" if verdict.next_at is not None else ""
        lines += output.more(f"Next: {uncapital(clean(verdict.next).rstrip('.'))}{time}.")
    if verdict.advice is not None:
        lines += output.more(f"What to do: {sentence(verdict.advice)}")
    return lines


def warning_lines(status: Status, output: TerminalOutput) -> Iterator[str]:
    """What a person should know, each with what to do about it."""
    for warning in status.warnings:
        yield from output.note("!", f"{sentence(warning.sentence)} ({clean(warning.id)})", "warn")
        if warning.what_to_do is not None:
            yield from output.note(" ", f"What to do: {sentence(warning.what_to_do)}", "warn")


def stage_lines(stages: tuple[Stage, ...], output: TerminalOutput) -> Iterator[str]:
    """What proves that a profile works, one line each."""
    for stage in stages:
        detail = clean(stage.detail) or ("not tried yet" if stage.ok is None else "")
        name = STAGES.get(stage.name, clean(stage.name))
        yield from output.more(f"{mark(stage.ok)} {name}" + (f": {detail}" if detail else ""))


def progress(operation: Operation, output: TerminalOutput, bar_size: int = 20) -> str:
    """How far it is, as a bar and in words; blank when that is not known."""
    if operation.done is None or not operation.total:
        return ""
    counts = (
        f"{size(operation.done)} of {size(operation.total)}"
        if operation.unit == "bytes"
        else f"{operation.done} of {operation.total} {clean(operation.unit or '')}".rstrip()
    )
    share = min(operation.done * 100 // operation.total, 100)
    return f"{output.bar(operation.done, operation.total, bar_size)} {share}{GLUE}% ({counts})"


def _operation(status: Status, output: TerminalOutput, later_s: float) -> Iterator[str]:
    operation = status.operation
    if operation is None:
        return
    far = progress(operation, output)
    yield from output.row(
        "Now", f"{clean(operation.name)}, begun {when(operation.since, later_s)}" + (f"  {far}" if far else "")
    )


def _switch(status: Status, output: TerminalOutput, later_s: float) -> Iterator[str]:
    switch = status.switch
    if switch is None:
        return
    way = f"from {named(switch.previous, status.profiles)} to {named(switch.target, status.profiles)}"
    ended = f", ended {when(switch.ended, later_s)}: {clean(switch.phase)}" if switch.ended is not None else ""
    who = "" if switch.cause in ("", "unknown") else f", asked for by {_cause(switch.cause)}"
    yield from output.row("Change", f"{way}{who} {when(switch.since, later_s)}{ended}")
    if switch.ended is not None and all(stage.ok is not False for stage in switch.stages):
        return
    yield from stage_lines(switch.stages, output)
    if switch.ended is None and switch.phase not in ("rolling-back", "rolled-back") and status.trouble is None:
        yield from output.more(_way_back(switch))


def _cause(cause: str) -> str:
    return _CAUSES.get(cause, clean(cause))


_CAUSES: Final = {
    "eIM": "the manager (eIM)",
    "eim": "the manager (eIM)",
    "the eIM's order": "the manager (eIM)",
    "local": "a person",
}


def _way_back(switch: Switch) -> str:
    if switch.way_back == "none":
        return "There is no way back from this change; it goes on until it works."
    return "ipactl confirm keeps the new profile now; ipactl rollback goes back now."


def _held(status: Status, output: TerminalOutput, later_s: float) -> Iterator[str]:
    label = "Held by"
    for condition in status.held_by:
        yield from output.row(label, f"{clean(condition.name)}: {clean(condition.sentence)}")
        label = ""


def _card(status: Status, output: TerminalOutput, later_s: float) -> Iterator[str]:
    card = status.card
    if card is None:
        return
    kind = (_AS_LAST_SEEN if status.trouble else "") + clean(card.kind).removeprefix("an ").removeprefix("a ")
    yield from output.row("Card", kind + (f", {size(card.free_memory_bytes)} free" if card.free_memory_bytes else ""))
    wrong = "" if card.eid_check_digits_ok else "(check digits wrong: a test card, or misread)"
    if not card.eid.isdecimal():
        wrong = "(not digits only, so nothing in it can be checked)"
    parts = ("number (EID)", grouped(card.eid), check(card.eid, card.eid_check_digits_ok), wrong)
    yield from output.more(" ".join(part for part in parts if part))
    if card.family == "emulated" and (doubt := _unacknowledged(status)) is not None:
        yield from output.more(doubt)


def _unacknowledged(status: Status) -> str | None:
    """Of an emulated card: that nothing shows yet that its eIMs know the key by which this device signs for it."""
    refusing = next((eim for eim in status.eims if eim.trouble is not None and not eim.failures), None)
    if refusing is not None:
        return f"{clean(refusing.eim_id)} does not acknowledge a result; does it know this device's key?"
    if status.eims and not any(eim.last_order or eim.key_known for eim in status.eims):
        return "no eIM has acknowledged anything yet; it has to know this device's key"
    return None


def _profiles(status: Status, output: TerminalOutput, later_s: float) -> Iterator[str]:
    if status.card is None or not (status.card.manageable or status.profiles):
        return
    enabled = next((profile for profile in status.profiles if profile.enabled), None)
    yield from output.row(
        "Profile", f"{called(enabled)}, {changed(enabled, later_s)}" if enabled is not None else "none is enabled"
    )
    others = [profile for profile in status.profiles if not profile.enabled]
    fallback = next((profile for profile in status.profiles if profile.fallback), None)
    if others or fallback is not None:
        text = f"{len(others)} more on the card" if others else ""
        yield from output.more("; ".join(part for part in (text, _fallback(fallback, enabled)) if part))


def _fallback(fallback: Profile | None, enabled: Profile | None) -> str:
    if fallback is None:
        return "none of them is for fallback"
    return "this is the fallback profile" if fallback is enabled else f"the fallback profile is {called(fallback)}"


def _eims(status: Status, output: TerminalOutput, later_s: float) -> Iterator[str]:
    label = "Manager"
    for eim in status.eims:
        yield from output.row(label, eim_sentence(eim, later_s))
        label = ""
        if eim.last_order is not None:
            yield from output.row("Order", order_sentence(eim.last_order, later_s))


def eim_sentence(eim: Eim, later_s: float) -> str:
    """One manager: where, how, and how the last poll went."""
    name = f"{clean(eim.eim_id)} (eIM)"
    if eim.carrier is not None:
        name += f" over {CARRIERS.get(eim.carrier, clean(eim.carrier))}"
    if not eim.on_card:
        name += ", no longer on the card"
    poll = eim.last_poll
    if poll is None:
        return f"{name}; not asked yet"
    if not poll.ok and eim.answered:
        count = f", {eim.failures} times in a row" if eim.failures > 1 else ""
        return f"{name}; answered {when(poll.at, later_s)}: {clean(eim.trouble or poll.outcome)}{count}"
    if not poll.ok:
        answered = (
            f"last answered {when(eim.last_success, later_s)}" if eim.last_success is not None else "never answered"
        )
        return f"{name}; failed {when(poll.at, later_s)}: {clean(eim.trouble or poll.outcome)}; {answered}"
    cost = [plural(poll.packages, "order")] if poll.packages else []
    cost += [size(poll.cost_bytes)] if poll.cost_bytes is not None else []
    cost += ["no handshake"] if eim.handshake == "no" else []
    cost += [f"{poll.duration_s:.1f}{GLUE}s"] if poll.duration_s is not None else []
    refused = f"; {clean(eim.trouble)}" if eim.trouble is not None else ""
    return f"{name}; answered {when(poll.at, later_s)}: {', '.join([clean(poll.outcome), *cost])}{refused}"


def order_sentence(order: LastOrder, later_s: float) -> str:
    """The last order of a manager, and what became of it."""
    if order.ok:
        return f"✓ the last one was done {when(order.at, later_s)}: {clean(order.what)}"
    return f"✗ the last one failed {when(order.at, later_s)}: {clean(order_failure(order)).rstrip('.')}"


def _guardian(status: Status, output: TerminalOutput, later_s: float) -> Iterator[str]:
    guardian = status.guardian
    if guardian is None or not guardian.enabled:
        return
    if guardian.in_fallback:
        back = (
            f"the former profile is tried again {until(guardian.next_return, later_s)}"
            if guardian.next_return is not None
            else "only the manager, or ipactl fallback --return, ends it"
        )
        why = WHY_FALLBACK.get(guardian.fallback_cause or "", "")
        tried = f"; tried {plural(guardian.return_attempts, 'time')} so far" if guardian.return_attempts else ""
        yield from output.row("Guard", f"in fallback{why}; {back}{tried}")
    elif guardian.lost_for_s is not None:
        rounds = plural(guardian.failed_cycles, "failed round")
        lost = f"connection lost for {span(guardian.lost_for_s + later_s)}, {rounds}"
        acts = f"; changes to the fallback profile {until(guardian.acts_at, later_s)}" if guardian.acts_at else ""
        yield from output.row("Guard", lost + acts)


def _same_iccid(one: str, other: str) -> bool:
    if one == other:
        return True  # mostly, and then nothing has to be loaded
    from ipad_agent.codec.identifiers import same_iccid

    return same_iccid(one, other)


def _modem_gone(status: Status) -> bool:
    return status.trouble is not None and status.trouble.side == "modem"


def _modem(status: Status, output: TerminalOutput, later_s: float) -> Iterator[str]:
    modem = status.modem
    if modem is None:
        yield from output.row("Modem", "none")
        return
    who = (
        " ".join(clean(part) for part in (modem.manufacturer, modem.model, modem.firmware) if part) or "not identified"
    )
    seen = _AS_LAST_SEEN if _modem_gone(status) and modem.model else ""
    port = f" on {clean(modem.port)}" if modem.port else ""
    sim = f", SIM {clean(modem.sim)}" if modem.sim and not seen else ""
    yield from output.row("Modem", f"{seen}{who}{port}{sim}")
    enabled = next((profile for profile in status.profiles if profile.enabled), None)
    if (
        modem.iccid is not None
        and enabled is not None
        and not _same_iccid(modem.iccid, enabled.iccid)
        and status.switch is None
    ):
        yield from output.more(f"✗ it still shows profile {tail(modem.iccid)}, not the enabled one")


def _network(status: Status, output: TerminalOutput, later_s: float) -> Iterator[str]:
    radio = status.radio
    if radio is None:
        return
    seen = _AS_LAST_SEEN if _modem_gone(status) else ""
    state = seen + (clean(radio.registration) if radio.registration else "unknown")
    where = " ".join(clean(part) for part in (radio.network, radio.technology) if part and radio.registered)
    signal = f"{clean(radio.signal_kind or 'signal')} {radio.signal_dbm} dBm" if radio.signal_dbm is not None else ""
    saving = clean(radio.power_saving) if radio.power_saving not in (None, "off") else ""
    yield from output.row("Network", ", ".join(part for part in (state, where, signal, saving) if part))


def _owed(status: Status, output: TerminalOutput, later_s: float) -> Iterator[str]:
    if not status.owed:
        if status.card is not None and status.card.manageable:
            yield from output.row("Owed", "nothing: everything was delivered")
        return
    label = "Owed"
    for owed in status.owed[:3]:
        tried = f"; next attempt {until(owed.next_attempt, later_s)}" if owed.next_attempt is not None else ""
        yield from output.row(label, f"to {clean(owed.receiver)}: {clean(owed.what)}{tried}")
        label = ""
    if len(status.owed) > 3:
        yield from output.more(f"and {len(status.owed) - 3} more: ipactl owed")


def _data(status: Status, output: TerminalOutput, later_s: float) -> Iterator[str]:
    traffic = status.traffic
    if not traffic.total_bytes and traffic.budget_bytes_per_day is None:
        return
    budget = f" of {size(traffic.budget_bytes_per_day)}" if traffic.budget_bytes_per_day is not None else ""
    yield from output.row("Data", f"{size(traffic.today_bytes)}{budget} today; {size(traffic.total_bytes)} in all")


def _clock(status: Status, output: TerminalOutput, later_s: float) -> Iterator[str]:
    if not status.clock_set:
        yield from output.row("Clock", "✗ not set: certificates cannot be judged, and times shown are guesses")
