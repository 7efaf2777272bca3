"""Commands that only ask."""

from __future__ import annotations

from ipad_agent.cli.ipactl.command_context import Desk
from ipad_agent.cli.ipactl.errors import CommandError, RefusedError, UnavailableError, UsageError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.status_from_json import read
from ipad_agent.cli.ipactl.output.terminal_output import Paper, clean
from ipad_agent.cli.ipactl.output.value_texts import clock, sentence, tail
from ipad_agent.cli.ipactl.status_exit_code import exit_of
from ipad_agent.cli.ipactl.varlink_client import CARD_TIMEOUT_S
from ipad_agent.local.status_model import Happening, Owed, Plan, Profile, Status, to_plain


def status(desk: Desk) -> int:
    """The whole picture; the exit status follows the state."""
    from ipad_agent.cli.ipactl.screens.status_screen import status_lines

    value, plain = desk.status()
    if desk.json:
        desk.data(plain)
    else:
        desk.say(status_lines(value, desk.paper))
    return exit_of(value)


def profiles(desk: Desk) -> int:
    """The profiles on the card."""
    from ipad_agent.cli.ipactl.screens.list_screens import profile_lines

    value, plain = desk.status()
    if desk.json:
        desk.data({"profiles": plain.get("profiles", [])})
    else:
        desk.say(profile_lines(value, desk.paper))
    return _needs_card(value)


def eims(desk: Desk) -> int:
    """The managers of the card."""
    from ipad_agent.cli.ipactl.screens.list_screens import eim_lines

    value, plain = desk.status()
    if desk.json:
        desk.data({"eims": plain.get("eims", [])})
    else:
        desk.say(eim_lines(value, desk.paper))
    return _needs_card(value) or (Exit.DONE if value.eims else Exit.NO_EIM)


def budget(desk: Desk) -> int:
    """The data used, and for what."""
    from ipad_agent.cli.ipactl.screens.list_screens import budget_lines

    value, plain = desk.status()
    if desk.json:
        desk.data({"traffic": plain.get("traffic", {})})
    else:
        desk.say(budget_lines(value, desk.paper))
    return Exit.DONE


def owed(desk: Desk) -> int:
    """What has not been delivered yet; asks the card too."""
    from ipad_agent.cli.ipactl.screens.list_screens import owed_lines

    with desk.connect() as agent:
        plain = agent.call("ListOwed", timeout_s=CARD_TIMEOUT_S).get("owed")
    items = tuple(read(Owed, item) for item in plain) if isinstance(plain, list) else ()
    if desk.json:
        desk.data({"owed": plain})
    else:
        desk.say(owed_lines(items, desk.paper))
    return Exit.WAITING if items else Exit.DONE


def plan(desk: Desk) -> int:
    """What a change to a profile would need and do."""
    from ipad_agent.cli.ipactl.screens.plan_screen import plan_lines

    value, _ = desk.status()
    target = find_profile(value, desk.arguments.iccid)
    with desk.connect() as agent:
        plain = agent.call("PlanSwitch", {"iccid": target.iccid}, timeout_s=CARD_TIMEOUT_S).get("plan")
    found = read(Plan, plain)
    if desk.json:
        desk.data({"plan": plain})
    else:
        desk.say(plan_lines(found, value.profiles, desk.paper))
    return Exit.DONE if found.possible else Exit.REFUSED


def log(desk: Desk) -> int:
    """The last events."""
    with desk.connect() as agent:
        plain = agent.call("ListEvents", {"count": desk.arguments.count}).get("events")
    events = [read(Happening, item) for item in plain] if isinstance(plain, list) else []
    if desk.json:
        for item in events:
            desk.data(to_plain(item), one_line=True)
        return Exit.DONE
    if not events:
        desk.say(desk.paper.note("○", "Nothing has been said yet.", "waiting"))
    for event in events:
        desk.say(event_lines(event, desk.paper, with_date=True))
    return Exit.DONE


def event_lines(event: Happening, paper: Paper, *, with_date: bool = False) -> list[str]:
    """One event with its local time and its id; trouble stands out."""
    pattern = "%m-%d %H:%M:%S" if with_date else "%H:%M:%S"
    head = clock(event.at_s, pattern)
    mark, colour = {"warning": ("! ", "warn"), "error": ("✗ ", "bad")}.get(event.level, ("", "label"))
    text = f"{mark}{sentence(event.text)} ({clean(event.id)})"
    return paper.hang(head, text, colour=colour, indent="")


def metrics(desk: Desk) -> int:
    """Figures for a monitoring system."""
    with desk.connect() as agent:
        text = agent.call("Metrics").get("text")
    if desk.json:
        desk.data({"text": text})
    else:
        desk.say(clean(line) for line in str(text or "").splitlines())
    return Exit.DONE


def eid(desk: Desk) -> int:
    """The card's number: plain, as a label, or as a QR code."""
    value, _ = desk.status()
    if value.card is None:
        raise UnavailableError(f"There is no card whose number could be told: {value.verdict.sentence}")
    if desk.json:
        desk.data({"eid": value.card.eid, "check_digits_ok": value.card.eid_check_digits_ok})
        return Exit.DONE
    from ipad_agent.cli.ipactl.screens.eid_label import label_lines, qr_lines

    if desk.arguments.qr:
        desk.say(qr_lines(value.card.eid, desk.paper))
    desk.say(label_lines(value, desk.paper) if desk.arguments.label else [clean(value.card.eid)])
    return Exit.DONE if value.card.eid_check_digits_ok else Exit.FAILED


def explain(desk: Desk) -> int:
    """What a message means; also without an agent, from the messages of this installation."""
    wanted = desk.arguments.id.strip().upper()
    wanted = wanted if wanted.startswith("IPA-") else f"IPA-{wanted}"
    try:
        with desk.connect() as agent:
            found = agent.call("Explain", {"id": wanted})
    except CommandError as error:
        if isinstance(error, RefusedError) and error.name == "NotFound":
            raise UnavailableError(f"There is no message {wanted}.") from None
        here = _explained_here(wanted)
        if here is None:
            raise UnavailableError(f"There is no message {wanted}.") from None
        found = here
    if desk.json:
        desk.data({"id": wanted, **found})
        return Exit.DONE
    desk.say(desk.paper.note("●", f"{wanted} ({clean(str(found.get('level')))})", "label"))
    desk.say(desk.paper.row("Says", clean(str(found.get("sentence")))))
    desk.say(desk.paper.row("Means", sentence(str(found.get("explanation")))))
    return Exit.DONE


def _explained_here(wanted: str) -> dict[str, str] | None:
    from ipad_agent.cli.ipactl.event_explanation import explanation

    return explanation(wanted)


def find_profile(value: Status, wanted: str) -> Profile:
    """The profile with this ICCID, or whose ICCID ends like this (four digits at least)."""
    digits = wanted.translate(str.maketrans("", "", " -….")).rstrip("fF")
    if len(digits) < 4 or not (digits.isascii() and digits.isdigit()):
        raise UsageError(f"{clean(wanted)!r} is no ICCID.", hint="Give all of its digits, or the last four at least.")
    found = [profile for profile in value.profiles if profile.iccid.endswith(digits)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"The ICCIDs of {len(found)} profiles end with {digits}.", hint="Give more digits.")
    known = ", ".join(tail(profile.iccid) for profile in value.profiles) or "none"
    raise UnavailableError(f"No profile {tail(digits)} is on the card; known: {known}.", hint="See `ipactl profiles`.")


def _needs_card(value: Status) -> Exit:
    state = exit_of(value)
    return state if value.card is None and state in (Exit.NO_CARD, Exit.NO_MODEM) else Exit.DONE
