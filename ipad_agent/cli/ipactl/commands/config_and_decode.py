"""Commands that need no agent: the configuration, and messages read out."""

from __future__ import annotations

import sys
from pathlib import Path

from ipad_agent.cli.ipactl.command_context import CommandContext
from ipad_agent.cli.ipactl.errors import CommandError, NotRunningError, UsageError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.status_from_json import read
from ipad_agent.cli.ipactl.output.terminal_output import cells, clean
from ipad_agent.errors import CodecError
from ipad_agent.local.status_model import Configuration, ConfigurationValue

LARGEST_INPUT_BYTES = 64 << 20


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
    """Show what an APDU, an AT line, a message of SGP.22 or SGP.32, or a recording says."""
    from ipad_agent.codec.ber.describe_message import Node, describe
    from ipad_agent.recording.decode_input import meaning_lines, octets

    arguments = command.arguments
    content = _given(arguments.input)
    request, reveal = arguments.request, arguments.reveal
    try:
        lines = None
        if arguments.type is None and content.strip():
            lines = meaning_lines(content, request=request, reveal=reveal)
        if lines is not None:
            shown = list(lines)
            if command.json:
                command.data({"lines": shown})
            else:
                command.say(command.output.text(clean(line)) for line in shown)
            return Exit.DONE
        data = octets(content)
        if data is None:
            raise CodecError("it is neither hexadecimal, nor base64, nor bytes")
        tree = describe(data, arguments.type, prefer="request" if request else "response", reveal=reveal)
    except CodecError as error:
        raise CommandError(f"This is nothing that can be read: {error.message}.", hint=error.hint) from None

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


def _given(given: str) -> bytes:
    """What is meant: ``-`` is the standard input, an existing file its content, all else the thing itself."""
    if given == "-":
        return _limited(sys.stdin.buffer.read(LARGEST_INPUT_BYTES + 1))
    try:
        bytes.fromhex("".join(given.split()).replace(":", ""))
    except ValueError:
        pass
    else:
        return given.encode("ascii")
    try:
        with Path(given).open("rb") as file:
            return _limited(file.read(LARGEST_INPUT_BYTES + 1))
    except (OSError, ValueError) as error:
        if given[:2].upper() == "AT" or given[:1] in ("+", "^", "{"):
            return given.encode("utf-8", "surrogateescape")
        reason = error.strerror if isinstance(error, OSError) else None
        raise UsageError(
            f"{clean(given)[:60]!r} is neither hexadecimal, nor an AT line, nor a file that can be read: "
            f"{reason or error}."
        ) from None


def _limited(content: bytes) -> bytes:
    if len(content) > LARGEST_INPUT_BYTES:
        raise UsageError(f"That is more than {LARGEST_INPUT_BYTES >> 20} MB.")
    return content
