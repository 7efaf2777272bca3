"""Commands that only ask."""

from __future__ import annotations

import re
from typing import Final

from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.errors import CommandError, UnavailableError, UsageError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.status_from_json import read
from ipad_agent.cli.ipactl.output.terminal_output import clean
from ipad_agent.cli.ipactl.output.value_texts import sentence, tail
from ipad_agent.cli.ipactl.status_exit_code import exit_of
from ipad_agent.cli.ipactl.varlink_client import CARD_TIMEOUT_S
from ipad_agent.local.status_model import Owed, Plan, Profile, Status


def status(command: CommandContext) -> int:
    """The whole picture; the exit status follows the state."""
    if command.arguments.watch:
        from .watch_command import watch

        command.arguments.screen = not command.json
        return watch(command)
    from ipad_agent.cli.ipactl.screens.status_screen import status_lines

    value, plain = command.status()
    if command.json:
        command.data(plain)
    else:
        command.say(status_lines(value, command.output))
    return exit_of(value)


def profiles(command: CommandContext) -> int:
    """The profiles on the card."""
    from ipad_agent.cli.ipactl.screens.list_screens import profile_lines

    value, plain = command.status()
    if command.json:
        command.data({"profiles": plain.get("profiles", [])})
    else:
        command.say(profile_lines(value, command.output))
    return _needs_card(value)


def eims(command: CommandContext) -> int:
    """The managers of the card."""
    from ipad_agent.cli.ipactl.screens.list_screens import eim_lines

    value, plain = command.status()
    if command.json:
        command.data({"eims": plain.get("eims", [])})
    else:
        command.say(eim_lines(value, command.output))
    return _needs_card(value) or (Exit.DONE if value.eims else Exit.NO_EIM)


def budget(command: CommandContext) -> int:
    """The data used, and for what."""
    from ipad_agent.cli.ipactl.screens.list_screens import budget_lines

    value, plain = command.status()
    if command.json:
        command.data({"traffic": plain.get("traffic", {})})
    else:
        command.say(budget_lines(value, command.output))
    return Exit.DONE


def owed(command: CommandContext) -> int:
    """What has not been delivered yet; asks the card too."""
    from ipad_agent.cli.ipactl.screens.list_screens import owed_lines

    with command.connect() as agent:
        plain = agent.call("ListOwed", timeout_s=CARD_TIMEOUT_S).get("owed")
    items = tuple(read(Owed, item) for item in plain) if isinstance(plain, list) else ()
    if command.json:
        command.data({"owed": plain})
    else:
        command.say(owed_lines(items, command.output))
    return Exit.WAITING if items else Exit.DONE


def plan(command: CommandContext) -> int:
    """What a change to a profile would need and do."""
    from ipad_agent.cli.ipactl.screens.plan_screen import plan_lines

    value, _ = command.status()
    target = find_profile(value, command.arguments.iccid)
    with command.connect() as agent:
        plain = agent.call("PlanSwitch", {"iccid": target.iccid}, timeout_s=CARD_TIMEOUT_S).get("plan")
    found = read(Plan, plain)
    if command.json:
        command.data({"plan": plain})
    else:
        command.say(plan_lines(found, value.profiles, command.output))
    return Exit.DONE if found.possible else Exit.REFUSED


def metrics(command: CommandContext) -> int:
    """Figures for a monitoring system."""
    with command.connect() as agent:
        text = agent.call("Metrics").get("text")
    if command.json:
        command.data({"text": text})
    else:
        command.say(clean(line) for line in str(text or "").splitlines())
    return Exit.DONE


def eid(command: CommandContext) -> int:
    """The card's number: plain, as a label, or as a QR code."""
    value, _ = command.status()
    if value.card is None:
        raise UnavailableError(f"There is no card whose number could be told: {value.verdict.sentence}")
    if command.json:
        command.data({"eid": value.card.eid, "check_digits_ok": value.card.eid_check_digits_ok})
        return Exit.DONE
    from ipad_agent.cli.ipactl.screens.eid_label import label_lines, qr_lines

    if command.arguments.qr:
        command.say(qr_lines(value.card.eid, command.output))
    command.say(label_lines(value, command.output) if command.arguments.label else [clean(value.card.eid)])
    return Exit.DONE if value.card.eid_check_digits_ok else Exit.FAILED


def explain(command: CommandContext) -> int:
    """What a message means; also without an agent, from the messages of this installation."""
    wanted = f"IPA-{command.arguments.id.strip(' ()').upper().removeprefix('IPA').lstrip('-_')}"
    try:
        with command.connect() as agent:
            found = agent.call("Explain", {"id": wanted})
    except CommandError:
        # Also when an agent knows no such message: other processes of this installation have messages of their own.
        here = _explained_here(wanted)
        if here is None:
            raise UnavailableError(
                f"There is no message {wanted}.", hint="`ipactl log` shows messages with their ids, such as IPA-1005."
            ) from None
        found = here
    if command.json:
        command.data({"id": wanted, **found})
        return Exit.DONE
    command.say(command.output.note("●", f"{wanted} ({clean(str(found.get('level')))})", "label"))
    command.say(command.output.row("Says", clean(str(found.get("sentence")))))
    command.say(command.output.row("Means", sentence(str(found.get("explanation")))))
    return Exit.DONE


def _explained_here(wanted: str) -> dict[str, str] | None:
    from ipad_agent.cli.ipactl.event_explanation import explanation

    return explanation(wanted)


SHORTEST_END: Final = 4
_ICCID_END: Final = re.compile(r"(?:0X)?[0-9A-F]{4,}")


def find_profile(value: Status, wanted: str) -> Profile:
    """The profile with this ICCID, or whose ICCID ends like this (four digits or letters at least), or the only
    one that is shown under this name."""
    text = wanted.translate(str.maketrans("", "", " -….")).upper()
    digits = text.rstrip("F")
    if not _ICCID_END.fullmatch(text):
        name = clean(wanted).strip(' "“”').casefold()
        called = [profile for profile in value.profiles if name and name in _names(profile)]
        if len(called) == 1:
            return called[0]
        raise UsageError(
            f"{clean(wanted)!r} is no ICCID.", hint="Give its digits, the last four at least, or its name."
        )
    ends = [text, digits] if len(digits) >= SHORTEST_END else [text]
    found = [profile for profile in value.profiles if any(profile.iccid.upper().endswith(end) for end in ends)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"The ICCIDs of {len(found)} profiles end with {digits}.", hint="Give more digits.")
    known = ", ".join(tail(profile.iccid) for profile in value.profiles) or "none"
    raise UnavailableError(f"No profile {tail(digits)} is on the card; known: {known}.", hint="See `ipactl profiles`.")


def _names(profile: Profile) -> set[str]:
    return {clean(name).strip().casefold() for name in (profile.nickname, profile.name) if name}


def _needs_card(value: Status) -> Exit:
    state = exit_of(value)
    return state if value.card is None and state in (Exit.NO_CARD, Exit.NO_MODEM) else Exit.DONE
