"""What is passed on as a person wrote it: ``ipactl varlink`` calls the agent's interface itself, where systemd's
varlinkctl is not at hand; ``ipactl at`` sends an AT command."""

from __future__ import annotations

import json
import re

from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.errors import CommandError, RefusedError, UsageError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.terminal_output import clean
from ipad_agent.cli.ipactl.varlink_client import CARD_TIMEOUT_S, INTERFACE, SERVICE_INTERFACE, Connection
from ipad_agent.similar_names import near


def varlink(command: CommandContext) -> int:
    """Show what the service says of itself, or call one of its methods."""
    return _info(command) if command.arguments.action == "info" else _call(command)


def _info(command: CommandContext) -> int:
    with command.connect() as agent:
        info = agent.call(f"{SERVICE_INTERFACE}.GetInfo")
        wanted = {"interface": INTERFACE}
        description = agent.call(f"{SERVICE_INTERFACE}.GetInterfaceDescription", wanted).get("description")
    if command.json:
        command.data({**info, "description": description})
        return Exit.DONE
    for name in ("vendor", "product", "version", "url"):
        command.say(command.output.row(name, clean(str(info.get(name, "")))))
    command.say(["", *(clean(line) for line in str(description or "").splitlines())])
    return Exit.DONE


def _call(command: CommandContext) -> int:
    try:
        parameters = json.loads(command.arguments.parameters)
    except ValueError:
        parameters = None
    if not isinstance(parameters, dict):
        raise UsageError("The parameters have to be a JSON object.", hint="""Such as '{"iccid": "8949..."}'.""")
    with command.connect() as agent:
        try:
            if command.arguments.more:
                for reply in agent.stream(command.arguments.method, parameters, timeout_s=None):
                    command.data(reply, one_line=True)
            else:
                command.data(agent.call(command.arguments.method, parameters, timeout_s=CARD_TIMEOUT_S))
        except RefusedError as refused:
            raise _explained(refused, command.arguments.method, agent) from None
    return Exit.DONE


def _explained(refused: RefusedError, method: str, agent: Connection) -> CommandError:
    """With what the interface has instead, where the name of the method or of a parameter is wrong."""
    if refused.name not in ("MethodNotFound", "InvalidParameter") or "sentence" in refused.facts:
        return refused
    description = agent.call(f"{SERVICE_INTERFACE}.GetInterfaceDescription", {"interface": INTERFACE})
    declared = dict(re.findall(r"^method (\w+)\s*\((.*?)\)\s*->", str(description.get("description")), re.M | re.S))
    name = method.removeprefix(f"{INTERFACE}.")
    if name in declared:
        takes = " ".join(declared[name].split())
        return UsageError(refused.message, hint=f"{name} takes ({takes}).")
    meant = near(name, declared)
    perhaps = "" if meant is None else f"Perhaps {meant}; "
    hint = f"{perhaps}`ipactl varlink info` lists all. An older agent knows fewer."
    return UsageError(f"The interface has no method {name}.", hint=hint)


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
