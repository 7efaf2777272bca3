"""``ipactl doctor``: layer by layer, through the running agent, or by itself when none runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.errors import CommandError, NotRunningError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.status_from_json import read
from ipad_agent.cli.ipactl.screens.doctor_screen import exit_of_items, item_lines
from ipad_agent.cli.ipactl.varlink_client import CARD_TIMEOUT_S, DEFAULT_SOCKET, start_only
from ipad_agent.local.status_model import DoctorItem, to_plain

if TYPE_CHECKING:
    from ipad_agent.config import Config
    from ipad_agent.doctor import Item

LONGEST_LAYER_S = CARD_TIMEOUT_S * 3
"""A handshake over a bad network takes minutes, and is tried over each way."""


def doctor(command: CommandContext) -> int:
    """Show each finding as it comes; the exit status names the first layer that failed."""
    items: list[DoctorItem] = []
    try:
        for item in _asked(command):
            items.append(item)
            _show(command, item)
        return _end(command, items)
    except NotRunningError as trouble:
        if items:
            raise
        if getattr(command.arguments, "socket", None) is not None and not command.arguments.config.exists():
            # Looking at another device than the one that was meant would help nobody.
            raise NotRunningError(
                trouble.message,
                hint="Start that agent; or name its configuration with --config, and the device is looked at without "
                "it.",
            ) from None
        if not command.json:
            command.say(command.output.note("✗", trouble.message, "bad"))
            command.say(command.output.note(" ", "Looking at the device without it.", "label"))
            command.say([""])

    def show(found: Item) -> None:
        items.append(DoctorItem(found.layer.value, found.sentence, found.ok, found.fix))
        _show(command, items[-1])

    asyncio.run(alone(configuration(command), show))
    found = _end(command, items)
    if found is not Exit.DONE:
        return found
    if not command.json:
        command.say(command.output.note("✗", "But the agent is not running.", "bad"))
        command.say(
            command.output.note(" ", f"What to do: {start_only(command.arguments.socket or DEFAULT_SOCKET)}", "label")
        )
    return Exit.NOT_RUNNING


def _asked(command: CommandContext) -> Iterator[DoctorItem]:
    with command.connect() as agent:
        for reply in agent.stream("Doctor", timeout_s=LONGEST_LAYER_S):
            if reply is not None and reply.get("item") is not None:
                yield read(DoctorItem, reply["item"])


def configuration(command: CommandContext) -> Config:
    """The configuration, read as whoever runs this; from here on this process is the agent's user."""
    from ipad_agent.config import load_if_there
    from ipad_agent.doctor.agent_user import become

    path: Path = command.arguments.config
    config = load_if_there(path, modem=command.agent)
    try:
        become(config.store.state_dir)
    except OSError as error:
        raise CommandError(f"This command cannot become the agent's user: {error}.") from None
    return config


async def alone(config: Config, found: Callable[[Item], None]) -> None:
    """Examine without an agent; ``found`` is told each item as it becomes known."""
    from ipad_agent.doctor import run_alone
    from ipad_agent.events import LOGGER

    LOGGER.addHandler(logging.NullHandler())  # what the rooms say on the way is in the items
    LOGGER.propagate = False
    async with aclosing(run_alone(config)) as items:
        async for item in items:
            found(item)


def _show(command: CommandContext, item: DoctorItem) -> None:
    """For people each finding as it comes; programs get all of them as one document at the end."""
    if not command.json:
        command.say(item_lines(item, command.output))


def _end(command: CommandContext, items: list[DoctorItem]) -> Exit:
    if command.json:
        command.data({"items": [to_plain(item) for item in items]})
    return exit_of_items(items)
