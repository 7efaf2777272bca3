"""``ipactl emulation``: registering an emulated card at its eIM, and the key by which this device signs for it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.errors import CommandError, UsageError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.new_file import READABLE, STANDARD_OUTPUT, new_file
from ipad_agent.errors import IpadError

from .doctor_command import configuration


def emulation(command: CommandContext) -> int:
    """Write the import file, show the fingerprint, or make a new key."""
    arguments = command.arguments
    if (arguments.action == "export") != (arguments.file is not None):
        raise UsageError("export wants the name of a file to write, and nothing else does.")
    try:
        if arguments.action == "export":
            return _export(command)
        return _fingerprint(command) if arguments.action == "fingerprint" else _new_key(command)
    except CommandError:
        raise
    except IpadError as error:
        raise CommandError(error.message, hint=error.hint) from error


def _export(command: CommandContext) -> int:
    from ipad_agent.wiring.emulation_export import export

    arguments, path = command.arguments, Path(command.arguments.file)
    # The file as this user; from the configuration on this is the agent's.
    with new_file(path, mode=READABLE) as file:
        exported = export(configuration(command), eid=arguments.eid, eim_id=arguments.eim, imei=_imei(command))
        file.write(exported.text)
    if str(path) == STANDARD_OUTPUT:
        return Exit.DONE
    if command.json:
        command.data(
            {
                "path": str(path),
                "eid": exported.eid,
                "eim": exported.eim_id,
                "counter": exported.counter,
                "fingerprint": exported.fingerprint,
            }
        )
        return Exit.DONE
    command.tell(
        f"{path}: register it at {exported.eim_id}, before the next order (counter {exported.counter}).",
        f"Compare the fingerprint by another way: {exported.fingerprint}",
    )
    return Exit.DONE


def _fingerprint(command: CommandContext) -> int:
    from ipad_agent.wiring.emulation_export import device_key_fingerprint

    found = device_key_fingerprint(configuration(command))
    if found is None:
        raise CommandError(
            "This installation has no device key.", hint="It is made when the agent emulates its first card."
        )
    if command.json:
        command.data({"fingerprint": found})
    else:
        command.say([found])
    return Exit.DONE


def _new_key(command: CommandContext) -> int:
    from ipad_agent.wiring.emulation_export import new_key

    if not command.arguments.yes:
        raise UsageError(
            "A new key makes every registration at an eIM void, and the cards forget their eIMs.",
            hint="Add --yes if that is wanted. docs/emulation.md tells what comes before and after.",
        )
    found, cards = new_key(configuration(command))
    if command.json:
        command.data({"fingerprint": found, "cards": cards})
        return Exit.DONE
    command.tell(
        f"The device key is now {found}; {cards} card{'' if cards == 1 else 's'} forgot their eIMs.",
        "Give the card a configuration whose counter is one above the eIM's, start the agent, export, and register the "
        "file as a replacement before the first poll.",
    )
    return Exit.DONE


def _imei(command: CommandContext) -> str | None:
    """As the running agent knows it; the file does without."""
    with suppress(CommandError):
        status, _ = command.status()
        if status.modem is not None and status.modem.imei is not None and status.modem.imei.isdecimal():
            return status.modem.imei
    return None
