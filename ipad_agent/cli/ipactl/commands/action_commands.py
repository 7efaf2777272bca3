"""Commands that have the agent do something.

SGP.32 gives an IPA no general right to enable or disable profiles: that is for the manager (eIM) to order, in packages
that the card checks itself. What an IPA may do on its own is a short list, and these commands are that list.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Final

from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.command_line import MEMORY_PARTS
from ipad_agent.cli.ipactl.errors import RefusedError, UnavailableError, UsageError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.status_from_json import read
from ipad_agent.cli.ipactl.output.terminal_output import clean
from ipad_agent.cli.ipactl.output.value_texts import called, named, sentence, span, when
from ipad_agent.cli.ipactl.screens.status_screen import eim_sentence, order_sentence
from ipad_agent.cli.ipactl.varlink_client import CARD_TIMEOUT_S
from ipad_agent.local.status_model import Eim, Profile, Status
from ipad_agent.local.status_verdict import prevents_work
from ipad_agent.printable import printable

from . import query_commands
from .outcome_wait import ask, ask_and_wait, look, soon_over

NOT_OURS: Final = (
    "Only the profile's manager (eIM) may order this change: SGP.32 gives the device no command for it. On its own the "
    "device may only change to the fallback profile and back."
)


def poll(command: CommandContext) -> int:
    """Ask the manager, or all, for work now."""
    with command.connect() as agent:
        before = look(agent)
        agent.call("Poll", {"eim_id": command.arguments.eim}, timeout_s=CARD_TIMEOUT_S)
        found = soon_over(agent, command.arguments.eim, before)
    if found is None:
        whom = clean(command.arguments.eim) if command.arguments.eim else "every manager (eIM)"
        hint = "`ipactl watch` shows what comes of it."
        if before.operation is not None:
            doing = f"{clean(before.operation.name)}, begun {when(before.operation.since)}"
            return command.done(f"The agent is at work ({doing}) and asks {whom} for work after that.", hint)
        return command.done(f"The agent asks {whom} for work now.", hint)
    wrong = prevents_work(found)
    if wrong is not None:
        raise UnavailableError(f"Nobody could be asked for work: {wrong}", hint=found.verdict.advice)
    asked = [eim for eim in found.eims if command.arguments.eim in (None, eim.eim_id, printable(eim.eim_id))]
    failed = [eim for eim in asked if eim.last_poll is not None and not eim.last_poll.ok]
    if failed:
        raise UnavailableError("; ".join(eim_sentence(eim, 0.0) for eim in failed) + ".", hint=found.verdict.advice)
    return command.done("; ".join(eim_sentence(eim, 0.0) for eim in asked) + ".", _orders(asked))


def _orders(asked: list[Eim]) -> str | None:
    """What became of the last order of a manager where it failed; that it was asked is what the command was for."""
    failed = [eim for eim in asked if eim.last_order is not None and not eim.last_order.ok]
    return (
        " ".join(sentence(f"Its order: {order_sentence(eim.last_order, 0.0)}") for eim in failed if eim.last_order)
        or None
    )


def rollback(command: CommandContext) -> int:
    """Go back to the former profile."""
    if command.arguments.no_wait:
        return _asked(command, "Rollback", "The device was told to go back to the former profile.")
    _, value = ask_and_wait(command, "Rollback", "going back to the former profile")
    switch = value.switch
    if switch is not None and switch.phase not in ("rolled-back", "rolling-back"):
        raise UnavailableError(
            f"The device did not go back: {_enabled(value)} is enabled. {value.verdict.sentence}",
            hint=value.verdict.advice or "`ipactl log` tells why.",
        )
    return command.done(f"The device went back: {_enabled(value)} is enabled.")


def confirm(command: CommandContext) -> int:
    """Accept a change as proved."""
    if command.arguments.no_wait:
        return _asked(command, "Confirm", "The device was told to keep the new profile.")
    _, value = ask_and_wait(command, "Confirm", "keeping the new profile")
    if value.switch is not None and value.switch.phase == "rolled-back":
        raise UnavailableError(f"It was too late: the device went back, {_enabled(value)} is enabled.")
    return command.done(f"{_enabled(value)} is kept; the device will not go back by itself.")


def fallback(command: CommandContext) -> int:
    """Change to the fallback profile, or back from it."""
    if command.arguments.back:
        return _return(command)
    if command.arguments.no_wait:
        return _asked(command, "ExecuteFallback", "The device was told to change to the fallback profile.")
    return _fall_back(command)


def _fall_back(command: CommandContext) -> int:
    before, value = ask_and_wait(
        command, "ExecuteFallback", "changing to the fallback profile", over=lambda status: True
    )
    if _identity(before) == _identity(value):  # the agent did not refuse, so it is as it should be
        return command.done(f"{_enabled(value)} is the fallback profile and is enabled already; nothing was changed.")
    return command.done(
        f"{_enabled(value)} is enabled now, the fallback profile.",
        "`ipactl fallback --return` goes back to the profile from before.",
    )


def _return(command: CommandContext) -> int:
    if command.arguments.no_wait:
        return _asked(command, "ReturnFromFallback", "The device was told to go back from the fallback profile.")
    _, value = ask_and_wait(command, "ReturnFromFallback", "going back from the fallback profile")
    return _proved(command, value)


def _proved(command: CommandContext, value: Status) -> int:
    """What the proof of a change that this device ordered came to."""
    switch = value.switch
    if switch is not None and switch.phase == "rolled-back":
        tried = named(switch.target, value.profiles)
        raise UnavailableError(f"{tried} did not work here; {_enabled(value)} is enabled again.")
    if switch is not None and switch.phase == "unproved":
        raise RefusedError(
            f"{_enabled(value)} is enabled, but did not prove to work.",
            hint=value.verdict.advice or "`ipactl status` shows what is missing.",
            name="NotProved",
            exit=Exit.WAITING,
        )
    return command.done(f"{_enabled(value)} is enabled and works.")


def _identity(value: Status) -> str | None:
    return next((profile.iccid for profile in value.profiles if profile.enabled), None)


def _enabled(value: Status) -> str:
    """The enabled profile by name."""
    profile = next((profile for profile in value.profiles if profile.enabled), None)
    return "no profile" if profile is None else called(profile)


def _asked(command: CommandContext, method: str, sentence: str) -> int:
    """The order was given; only a refusal was waited for."""
    ask(command, method)
    return command.done(sentence, "`ipactl watch` shows what comes of it.")


def emergency(command: CommandContext) -> int:
    """Enable or disable the emergency profile."""
    enable = command.arguments.switch == "on"
    _verb(command, "Emergency", {"enable": enable})
    return command.done(f"The emergency profile is {'enabled' if enable else 'disabled'}.")


def switch(command: CommandContext) -> int:
    """Change to a profile as far as an IPA may; with ``--dry-run`` only say what a change would do."""
    if command.arguments.dry_run:
        return query_commands.plan(command)
    value, _ = command.status()
    target = query_commands.find_profile(value, command.arguments.iccid)
    method = _local_function(value, target)
    if method is None:
        return command.done(f"{called(target)} is enabled already; nothing to do.")
    within_s: float | None = command.arguments.confirm_within
    if within_s is not None:
        _verb(command, method)
        return _prove(command, target, within_s)
    if command.arguments.no_wait:
        return _asked(command, method, f"The device was told to change to {called(target)}.")
    if method == "ExecuteFallback":
        return _fall_back(command)
    return _return(command)


def _local_function(value: Status, target: Profile) -> str | None:
    """Which of the device's own functions leads to this profile; None when it is there already."""
    if target.enabled:
        return None
    enabled = next((profile for profile in value.profiles if profile.enabled), None)
    before = value.switch.previous if value.switch is not None else None
    if enabled is not None and enabled.fallback and target.iccid == before:
        return "ReturnFromFallback"
    if target.fallback and value.card is not None and value.card.fallback_supported:
        return "ExecuteFallback"
    hint = "Have the manager order it, then `ipactl poll`; `ipactl plan` says whether it would work here."
    if enabled is not None and enabled.fallback:
        hint += " `ipactl fallback --return` goes back to the profile that was enabled before."
    raise RefusedError(f"Not done: {called(target)}. {NOT_OURS}", hint=hint, name="RefusedByPolicy")


def _prove(command: CommandContext, target: Profile, within_s: float) -> int:
    """Wait for the proof that the new profile works."""
    deadline = time.monotonic() + within_s
    with command.connect() as agent:
        replies = agent.stream("Subscribe", {"events": False}, timeout_s=None, tick_s=1.0)
        for reply in replies:
            plain = None if reply is None else reply.get("status")
            if plain is not None:
                value = read(Status, plain)
                enabled = any(profile.enabled and profile.iccid == target.iccid for profile in value.profiles)
                under_way = value.switch is not None and value.switch.ended is None
                if enabled and not under_way:
                    return command.done(f"{called(target)} is enabled and works.")
                if not enabled and value.switch is not None and value.switch.phase == "rolled-back":
                    back = named(value.switch.previous, value.profiles)
                    raise UnavailableError(f"{called(target)} did not work here; the device went back to {back}.")
            if time.monotonic() >= deadline:
                break
    raise RefusedError(
        f"No proof within {span(within_s)} that {called(target)} works.",
        hint="The agent goes on trying; `ipactl status` shows how far it is.",
        name="NotProved",
        exit=Exit.WAITING,
    )


def reset_euicc(command: CommandContext) -> int:
    """Delete from the card what is named, after the person has shown to mean this card."""
    value, _ = command.status()
    if value.card is None:
        raise UnavailableError(f"There is no card to reset: {value.verdict.sentence}")
    parts: list[str] = command.arguments.what
    last = value.card.eid[-4:]
    typed: str | None = command.arguments.eid_ends
    if typed is None:
        typed = _ask_for_digits(command, value, parts)
    if typed.strip().upper() != last:
        raise RefusedError("Those are not the last four digits of this card's EID. Nothing was changed.")
    with command.connect() as agent:
        agent.call("MemoryReset", {"what": parts}, timeout_s=CARD_TIMEOUT_S)
    return command.done("The card was reset.", "`ipactl status` shows what is left.")


def _ask_for_digits(command: CommandContext, value: Status, parts: list[str]) -> str:
    if not sys.stdin.isatty() or command.json:
        raise UsageError("Nobody can be asked here.", hint="Give the last four digits of the EID with --eid-ends.")
    command.say(command.output.note("!", "This deletes from the card, for good:", "warn"))
    for part in parts:
        command.say(command.output.note(" ", f"- {part}: {MEMORY_PARTS[part]}", "label"))
    if "operational-profiles" in parts:
        names = ", ".join(called(profile) for profile in value.profiles) or "none known"
        command.say(
            command.output.note(" ", f"On the card now: {names}. The device may lose its way to the network.", "label")
        )
    command.out.write("Type the last four digits of the card's EID to go on: ")
    command.out.flush()
    return sys.stdin.readline()


def _verb(command: CommandContext, method: str, parameters: Mapping[str, object] | None = None) -> None:
    with command.connect() as agent:
        agent.call(method, parameters, timeout_s=CARD_TIMEOUT_S)
