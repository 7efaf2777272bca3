"""``ipactl varlink``: the agent's interface itself, where systemd's varlinkctl is not at hand."""

from __future__ import annotations

import json

from ipad_agent.cli.ipactl.command_context import Desk
from ipad_agent.cli.ipactl.errors import UsageError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.terminal_output import clean
from ipad_agent.cli.ipactl.varlink_client import CARD_TIMEOUT_S, INTERFACE, SERVICE_INTERFACE


def varlink(desk: Desk) -> int:
    """Show what the service says of itself, or call one of its methods."""
    return _info(desk) if desk.arguments.action == "info" else _call(desk)


def _info(desk: Desk) -> int:
    with desk.connect() as agent:
        info = agent.call(f"{SERVICE_INTERFACE}.GetInfo")
        wanted = {"interface": INTERFACE}
        description = agent.call(f"{SERVICE_INTERFACE}.GetInterfaceDescription", wanted).get("description")
    if desk.json:
        desk.data({**info, "description": description})
        return Exit.DONE
    for name in ("vendor", "product", "version", "url"):
        desk.say(desk.paper.row(name, clean(str(info.get(name, "")))))
    desk.say(["", *(clean(line) for line in str(description or "").splitlines())])
    return Exit.DONE


def _call(desk: Desk) -> int:
    try:
        parameters = json.loads(desk.arguments.parameters)
    except ValueError:
        parameters = None
    if not isinstance(parameters, dict):
        raise UsageError("The parameters have to be a JSON object.", hint="""Such as '{"iccid": "8949..."}'.""")
    with desk.connect() as agent:
        if desk.arguments.more:
            for reply in agent.stream(desk.arguments.method, parameters, timeout_s=None):
                desk.data(reply, one_line=True)
        else:
            desk.data(agent.call(desk.arguments.method, parameters, timeout_s=CARD_TIMEOUT_S))
    return Exit.DONE
