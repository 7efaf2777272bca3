"""Profiles, managers, what is owed, and the data used: one block each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from ipad_agent.cli.ipactl.output.terminal_output import GLUE, TerminalOutput, clean
from ipad_agent.cli.ipactl.output.value_texts import (
    CARRIERS,
    changed,
    check,
    grouped,
    plural,
    sentence,
    size,
    span,
    tail,
    title,
    until,
    when,
)
from ipad_agent.local.status_model import Owed, Profile, Status

from .status_screen import eim_sentence, order_sentence

KINDS: Final = {"result": "Result", "notification": "Notice"}
RULES: Final = {"ppr1": "must not be disabled", "ppr2": "must not be deleted"}


def profile_lines(status: Status, output: TerminalOutput) -> Iterator[str]:
    """Every profile on the card, the enabled one with a full dot."""
    if not status.profiles:
        yield from output.note("○", "No profile is known to be on the card.", "waiting")
    for profile in status.profiles:
        head = title(profile) or "(no name)"
        yield from output.note(
            "●" if profile.enabled else "○",
            f"{head}, {changed(profile, 0.0)}",
            "good" if profile.enabled else "label",
        )
        checked = check(profile.iccid, profile.iccid_check_digit_ok)
        yield from output.row("ICCID", f"{grouped(profile.iccid)} {checked}".rstrip())
        facts = list(_facts(profile))
        if facts:
            yield from output.row("", "; ".join(facts))


def _facts(profile: Profile) -> Iterator[str]:
    if profile.provider and profile.provider != (profile.nickname or profile.name):
        yield f"from {clean(profile.provider)}"
    if profile.profile_class is not None:
        yield {"provisioning": "provisioning (to get the device going)"}.get(
            profile.profile_class, clean(profile.profile_class)
        )
    if profile.fallback:
        yield "fallback: what the card changes to when the enabled one has lost its network for good"
    if profile.emergency:
        yield "for emergencies"
    for rule in profile.policy_rules:
        yield f"{RULES.get(rule, 'rule')} ({clean(rule)})"


def eim_lines(status: Status, output: TerminalOutput) -> Iterator[str]:
    """Every manager: where it is, when it was asked, when it will be."""
    if not status.eims:
        yield from output.note(
            "○", "The card names no manager (eIM), the server from which profiles are managed.", "waiting"
        )
        if status.verdict.advice is not None:
            yield from output.note(" ", f"What to do: {sentence(status.verdict.advice)}", "label")
    for eim in status.eims:
        good = eim.failures == 0 and (eim.last_order is None or eim.last_order.ok)
        yield from output.note("●" if good else "✗", eim_sentence(eim, 0.0), "good" if good else "bad")
        if eim.host is not None and eim.host != eim.eim_id:
            way = f" over {CARRIERS.get(eim.carrier, clean(eim.carrier))}" if eim.carrier is not None else ""
            yield from output.row("Address", f"{clean(eim.host)}{way}")
        if eim.last_order is not None:
            yield from output.row("Order", order_sentence(eim.last_order, 0.0))
        if eim.next_poll is not None:
            why = f": {clean(eim.next_reason)}" if eim.next_reason else ""
            yield from output.row("Next poll", f"{until(eim.next_poll)}{why}")
        if eim.failures:
            yield from output.row("Failures", f"{eim.failures} in a row")


def owed_lines(owed: tuple[Owed, ...], output: TerminalOutput) -> Iterator[str]:
    """What has not been delivered yet, to whom, since when, and why."""
    if not owed:
        yield from output.note("●", "Nothing is owed: all results and notifications were delivered.", "good")
        return
    yield from output.note("○", f"{plural(len(owed), 'item')} not delivered yet. Nothing of it gets lost.", "waiting")
    for item in owed:
        yield ""
        yield from output.row(KINDS.get(item.kind, "Item"), f"{sentence(item.what)}")
        number = f", number {item.seq_number} on the card" if item.seq_number is not None else ""
        since = f", waiting for {span(item.since.age_s)}" if item.since is not None else ""
        yield from output.row("For", f"{clean(item.receiver)}{since}{number}")
        if item.attempts:
            why = f"; the last: {clean(item.reason)}" if item.reason else ""
            yield from output.row("Tried", plural(item.attempts, "time") + why)
        if item.next_attempt is not None:
            yield from output.row("Next", f"tried again {until(item.next_attempt)}")


def budget_lines(status: Status, output: TerminalOutput) -> Iterator[str]:
    """How much went over the network, and what for."""
    traffic = status.traffic
    limit = traffic.budget_bytes_per_day
    if limit is None:
        yield from output.note("●", f"{size(traffic.today_bytes)} today. No daily budget is set.", "good")
    else:
        share = traffic.today_bytes * 100 // limit if limit else 100
        state = "bad" if share >= 100 else "waiting" if share >= 80 else "good"
        yield from output.note(
            "✗" if share >= 100 else "○" if share >= 80 else "●",
            f"{size(traffic.today_bytes)} of {size(limit)} today  {output.bar(traffic.today_bytes, limit, 20)} "
            f"{share}{GLUE}%",
            state,
        )
    if traffic.only_results:
        yield from output.more("✗ Only results and the way back of a switch leave; `ipactl poll --now` fetches work")
    whole = traffic.budget_bytes_total
    of_whole = "" if whole is None else f" of {size(whole)} ({traffic.total_bytes * 100 // whole}{GLUE}%)"
    yield from output.row("In total", f"{size(traffic.total_bytes)}{of_whole} since the installation")
    for item in traffic.by:
        way = CARRIERS.get(item.carrier, clean(item.carrier))
        yield from output.row("", f"{size(item.size_bytes)} for {clean(item.purpose)} over {way}")
    if len({share.profile for share in traffic.by_profile}) > 1:
        label = "Profiles"
        for profile, size_bytes in sorted(_by_profile(status).items()):
            shown = "no known profile" if profile == "unknown" else f"profile {tail(profile)}"
            yield from output.row(label, f"{size(size_bytes)} with {shown}")
            label = ""
    radio = traffic.radio
    if radio.cycles or radio.wake_ups:
        today = f"{plural(radio.cycles_today, 'radio cycle')} today, {radio.cycles} in all"
        yield from output.row(
            "Radio", f"{today}; {plural(radio.wake_ups_today, 'wake-up')} today, {radio.wake_ups} in all"
        )
    polls = [(eim, eim.last_poll) for eim in status.eims if eim.last_poll is not None]
    for eim, poll in polls:
        if poll is not None and poll.cost_bytes is not None:
            yield from output.row("Last poll", f"{size(poll.cost_bytes)} for {clean(eim.eim_id)}, {when(poll.at)}")
    yield from output.more("Counted is what the agent sent and received, with the headers of IP, UDP and TCP.")


def _by_profile(status: Status) -> Counter[str]:
    sums: Counter[str] = Counter()
    for share in status.traffic.by_profile:
        sums[share.profile] += share.size_bytes
    return sums
