"""Commands that need no agent: the configuration, and messages read out."""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Callable
from pathlib import Path

from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.errors import CommandError, NotRunningError, UsageError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.status_from_json import read
from ipad_agent.cli.ipactl.output.terminal_output import cells, clean
from ipad_agent.errors import CodecError
from ipad_agent.local.status_model import Configuration, ConfigurationValue

LARGEST_INPUT_BYTES = 4 << 20


def config(command: CommandContext) -> int:
    """Check the configuration, or show what it comes to."""
    return _check(command) if command.arguments.action == "check" else _show(command)


def _check(command: CommandContext) -> int:
    from ipad_agent.config import check

    path: Path = command.arguments.config
    problems = check(path)
    if command.json:
        command.data({"path": str(path), "problems": problems})
    elif problems:
        for problem in problems:
            command.say(command.output.note("✗", clean(problem), "bad"))
    else:
        command.tell(f"{path}: fine")
    return Exit.USAGE if problems else Exit.DONE


def _show(command: CommandContext) -> int:
    """What the running agent uses; what the file says where none runs, or where a file is named."""
    from ipad_agent.cli.ipactl.command_context import DEFAULT_CONFIG

    path: Path = command.arguments.config
    own = str(path) == DEFAULT_CONFIG or command.agent is not None
    running = _running(command) if own else None
    shown = _of_file(path, command.agent) if running is None else running
    if command.json:
        plain = [
            {"key": item.key, "value": item.value, "origin": item.origin, "line": item.line} for item in shown.values
        ]
        command.data({"running": running is not None, "path": shown.path, "changed": shown.changed, "config": plain})
        return Exit.DONE
    if running is None and own:
        what = f"this is what {path} says" if path.exists() else f"{path} does not exist; these are the defaults"
        command.say(command.output.note("!", f"The agent is not running: {what}.", "warn"))
    elif running is None and not path.exists():
        command.say(command.output.note("!", f"{path} does not exist; these are the defaults.", "warn"))
    elif shown.changed:
        text = f"{clean(shown.path or '')} was changed since the agent read it; that counts from its next start on."
        command.say(command.output.note("!", text, "warn"))
    widest = max(cells(item.key) for item in shown.values)
    for item in shown.values:
        origin = f"    ({_origin(item, shown.path)})" if command.arguments.origin else ""
        command.say([clean(f"{item.key:<{widest}} = {item.value}{origin}")])
    return Exit.DONE


def _running(command: CommandContext) -> Configuration | None:
    """As the agent has it; None when none runs."""
    try:
        with command.connect() as agent:
            answer = agent.call("GetConfiguration")
    except NotRunningError:
        if getattr(command.arguments, "socket", None) is not None and command.agent is None:
            raise
        return None
    return read(Configuration, answer.get("configuration"))


def _of_file(path: Path, agent: str | None) -> Configuration:
    from ipad_agent.config import load_if_there, written

    config = load_if_there(path, modem=agent)
    values = tuple(
        ConfigurationValue(key, written(value), origin, config.lines.get(key) if origin == "file" else None)
        for key, value, origin in config.places()
    )
    return Configuration(None if config.path is None else str(config.path), False, values)


def _origin(item: ConfigurationValue, path: str | None) -> str:
    if item.origin != "file":
        return item.origin
    return f"{path or 'file'}" + (f", line {item.line}" if item.line is not None else "")


def decode(command: CommandContext) -> int:
    """Show an SGP.22 or SGP.32 message as a tree with the names of the specification."""
    from ipad_agent.codec.ber.describe_message import Node, describe

    arguments = command.arguments
    try:
        tree = describe(
            _message(arguments.input),
            arguments.type,
            prefer="request" if arguments.request else "response",
            reveal=arguments.reveal,
        )
    except CodecError as error:
        raise CommandError(f"This is no message that can be read: {error.message}.", hint=error.hint) from None

    def plain(node: Node) -> dict[str, object]:
        return {
            "tag": node.tag,
            "name": node.name,
            "type": node.type_name,
            "text": node.text,
            "children": [plain(child) for child in node.children],
        }

    if command.json:
        command.data(plain(tree))
    else:
        command.say(command.output.text(clean(line)) for line in tree.lines())
    return Exit.DONE


def _message(given: str) -> bytes:
    """The bytes that are meant: ``-`` is the standard input, an existing file its content, all else hexadecimal. What
    is read may be binary, hexadecimal or base64."""
    if given == "-":
        return _guessed(sys.stdin.buffer.read(LARGEST_INPUT_BYTES + 1))
    digits = "".join(given.split()).replace(":", "")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        pass
    try:
        with Path(given).open("rb") as file:
            return _guessed(file.read(LARGEST_INPUT_BYTES + 1))
    except OSError as error:
        raise UsageError(
            f"{clean(given)[:60]!r} is neither hexadecimal nor a file that can be read: {error.strerror or error}."
        ) from None


def _guessed(content: bytes) -> bytes:
    if len(content) > LARGEST_INPUT_BYTES:
        raise UsageError(f"That is more than {LARGEST_INPUT_BYTES >> 20} MB.")
    try:
        text = "".join(content.decode("ascii").split())
    except UnicodeDecodeError:
        return content
    readers: tuple[Callable[[str], bytes], ...] = (
        lambda text: bytes.fromhex(text.replace(":", "")),
        lambda text: base64.b64decode(text, validate=True),
    )
    for reader in readers:
        try:
            return reader(text)
        except (ValueError, binascii.Error):
            continue
    return content
