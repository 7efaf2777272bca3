"""Commands that need no agent: the configuration, and messages read out."""

from __future__ import annotations

import base64
import binascii
import json
import sys
from collections.abc import Callable
from pathlib import Path

from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.errors import CommandError, UsageError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.terminal_output import cells, clean
from ipad_agent.errors import CodecError

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
    from ipad_agent.config import Config, load

    path: Path = command.arguments.config
    values = load(path) if path.exists() else Config()
    places = [(place, _written(value), origin) for place, value, origin in values.places()]
    if command.json:
        command.data({"config": [{"key": place, "value": value, "origin": origin} for place, value, origin in places]})
        return Exit.DONE
    if not path.exists():
        command.say(command.output.note("!", f"{path} does not exist; these are the defaults.", "warn"))
    widest = max(cells(place) for place, _, _ in places)
    for place, value, origin in places:
        shown = f"{place:<{widest}} = {value}"
        command.say([clean(shown + (f"    ({origin})" if command.arguments.origin else ""))])
    return Exit.DONE


def _written(value: object) -> str:
    """As in the file; bytes as hexadecimal, what is not set in words."""
    if value is None:
        return "(not set)"
    if isinstance(value, bool | int | float | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bytes):
        return f'"{value.hex().upper()}"'
    if isinstance(value, tuple):
        return f"[{', '.join(_written(item) for item in value)}]"
    return json.dumps(str(getattr(value, "path", value)), ensure_ascii=False)


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
