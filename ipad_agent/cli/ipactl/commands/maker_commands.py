"""Commands for the maker's bench: what a device may do with its card before anybody manages it, and what a person may
download."""

from __future__ import annotations

import base64
import getpass
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.errors import RefusedError, UnavailableError, UsageError
from ipad_agent.cli.ipactl.output.terminal_output import clean
from ipad_agent.cli.ipactl.output.value_texts import called
from ipad_agent.cli.ipactl.varlink_client import CARD_TIMEOUT_S
from ipad_agent.local.status_model import Status

from .outcome_wait import LONGEST_S, ask, ask_and_wait

MOST_BYTES: Final = 8192
MOST_CHARACTERS: Final = 255
NEEDS_CODE: Final = "1"
"""In the fifth field of an activation code (SGP.22 §4.1)."""
NEW_MANAGERS: Final = "The managers in this file will decide about the card's profiles from now on."
NOT_ORDERED: Final = (
    "A profile gets onto the card that no manager (eIM) has ordered; it takes room there and costs traffic."
)
_ENABLE: Final = "It is not enabled; that is for the manager (eIM) to order, which is told of it."


def provision(command: CommandContext) -> int:
    """AddInitialEim from a file."""
    data = _content(command.arguments.file)
    if not command.arguments.yes:
        _consent(command, NEW_MANAGERS, "Nothing was changed.")
    count = _call(command, "Provision", {"data": base64.b64encode(data).decode("ascii")}).get("count")
    managers = "one manager (eIM)" if count == 1 else f"{count} managers (eIM)"
    return command.done(f"The card has taken {managers}.", "`ipactl eims` shows who manages it now.")


def card(command: CommandContext) -> int:
    """One of the functions of the card."""
    match command.arguments.function:
        case "set-default-smdp":
            return _set_default_smdp(command)
        case "immediate-enable":
            return _immediate_enable(command)
        case _:
            return _activate_ipae(command)


def _set_default_smdp(command: CommandContext) -> int:
    address: str = command.arguments.address.strip()
    _call(command, "SetDefaultSmdp", {"address": address})
    if not address:
        return command.done("The card has no default SM-DP+ any more.")
    return command.done(f"The card's default SM-DP+ is {clean(address)} now.")


def _immediate_enable(command: CommandContext) -> int:
    enable = command.arguments.switch == "on"
    wanted = {"enable": enable, "smdp_oid": command.arguments.smdp_oid, "smdp_address": command.arguments.smdp}
    _call(command, "ConfigureImmediateEnabling", wanted)
    what = "may be" if enable else "are not"
    return command.done(f"Profiles {what} enabled right after their download.")


def _activate_ipae(command: CommandContext) -> int:
    value, _ = command.status()
    if value.card is None:
        raise UnavailableError(f"There is no card: {value.verdict.sentence}")
    typed: str | None = command.arguments.eid_ends
    if typed is None:
        _somebody_is_there(command, "Give the last four digits of the EID with --eid-ends.")
        command.say(command.output.note("!", "The agent will have no access to this card any more.", "warn"))
        command.out.write("Type the last four digits of the card's EID to go on: ")
        command.out.flush()
        typed = sys.stdin.readline()
    if typed.strip().upper() != value.card.eid[-4:]:
        raise RefusedError("Those are not the last four digits of this card's EID. Nothing was changed.")
    _call(command, "ActivateIpae", {})
    return command.done("The card's own assistant (IPAe) is active.")


def download(command: CommandContext) -> int:
    """Order it, and wait until the profile is installed."""
    code = _activation_code(command.arguments.code)
    if not command.arguments.yes:
        _consent(command, NOT_ORDERED, "Nothing was downloaded.")
    wanted = {
        "activation_code": code,
        "confirmation_code": _confirmation_code(command, code),
        "accept_rules": command.arguments.accept_rules,
    }
    if command.arguments.no_wait:
        ask(command, "Download", wanted)
        return command.done("The profile is being downloaded.", "`ipactl watch` shows what comes of it.")
    before, after = ask_and_wait(
        command, "Download", "downloading a profile", wanted, limit_s=LONGEST_S, over=lambda status: True
    )
    return command.done(f"{_new(before, after)} is installed.", _ENABLE)


def _activation_code(given: str) -> str:
    """On the command line everybody on the device can read it, so it may come by the standard input too."""
    text = sys.stdin.readline(MOST_CHARACTERS + 2) if given == "-" else given
    if not text.strip():
        raise UsageError("There is no activation code.")
    return text.strip()


def _confirmation_code(command: CommandContext, code: str) -> str | None:
    file: Path | None = command.arguments.confirmation_code_file
    if file is not None:
        return _from_file(file)
    if code.split("$")[4:5] != [NEEDS_CODE]:
        return None
    _somebody_is_there(command, "The confirmation code goes into a file, named with --confirmation-code-file.")
    return getpass.getpass("Confirmation code (not shown): ").strip()


def _from_file(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(MOST_CHARACTERS + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is no text"
        raise UsageError(f"{file} cannot be read: {reason}.") from None
    if not 0 < len(text) <= MOST_CHARACTERS:
        raise UsageError(f"{file} holds no confirmation code.")
    return text


def _new(before: Status, after: Status) -> str:
    """The profile that was not there before."""
    known = {profile.iccid for profile in before.profiles}
    new = [profile for profile in after.profiles if profile.iccid not in known]
    return called(new[0]) if len(new) == 1 else "The profile"


def _content(name: str) -> bytes:
    try:
        data = sys.stdin.buffer.read(MOST_BYTES + 1) if name == "-" else _head(Path(name))
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror or error}.") from None
    if not 0 < len(data) <= MOST_BYTES:
        raise UsageError(f"{name} is empty or larger than {MOST_BYTES} bytes.")
    return data


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)


def _consent(command: CommandContext, note: str, otherwise: str) -> None:
    _somebody_is_there(command, "Consent with --yes.")
    command.say(command.output.note("!", note, "warn"))
    command.out.write("Go on? [y/N] ")
    command.out.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RefusedError(otherwise)


def _somebody_is_there(command: CommandContext, hint: str) -> None:
    if not sys.stdin.isatty() or command.json:
        raise UsageError("Nobody can be asked here.", hint=hint)


def _call(command: CommandContext, method: str, parameters: Mapping[str, object]) -> Mapping[str, Any]:
    with command.connect() as agent:
        return agent.call(method, parameters, timeout_s=CARD_TIMEOUT_S)
