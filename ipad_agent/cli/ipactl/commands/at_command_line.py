"""``ipactl at``: an AT command of a person, and what the modem answers."""

from __future__ import annotations

from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.terminal_output import clean
from ipad_agent.cli.ipactl.varlink_client import CARD_TIMEOUT_S


def at(command: CommandContext) -> int:
    """Send it; the lines of the answer, and the modem's error where it is one, which is a failure."""
    wanted = command.arguments
    parameters = {"command": wanted.at, "force": wanted.force, "timeout_s": wanted.timeout}
    with command.connect() as agent:
        answer = agent.call("SendAt", parameters, timeout_s=CARD_TIMEOUT_S + wanted.timeout)
    lines = answer.get("lines")
    lines = [str(line) for line in lines] if isinstance(lines, list) else []
    final = str(answer.get("final"))
    if command.json:
        command.data({"lines": lines, "final": final})
    else:
        command.say(clean(line) for line in lines)
        if final != "OK":
            command.say(command.output.note("✗", f"The modem answered: {clean(final)}.", "bad"))
    return Exit.DONE if final == "OK" else Exit.FAILED
