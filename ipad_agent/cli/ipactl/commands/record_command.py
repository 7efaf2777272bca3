"""``ipactl record``: the flight recorder on and off, and its recording into a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipad_agent.cli.ipactl.command_context import DEFAULT_CONFIG, CommandContext
from ipad_agent.cli.ipactl.errors import CommandError, NotAllowedError, NotRunningError, RefusedError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.new_file import STANDARD_OUTPUT, new_file
from ipad_agent.cli.ipactl.output.terminal_output import clean
from ipad_agent.cli.ipactl.output.value_texts import span

if TYPE_CHECKING:
    from ipad_agent.recording.recording_format import Record

RECORDS: Final = "records"
"""The folder below the agent's state."""


def record(command: CommandContext) -> int:
    """One of start, stop, status and export."""
    actions: Mapping[str, Callable[[CommandContext], int]] = {
        "start": _start,
        "stop": _stop,
        "status": _status,
        "export": _export,
    }
    return actions[command.arguments.action](command)


def _start(command: CommandContext) -> int:
    seconds: float | None = command.arguments.seconds
    with command.connect() as agent:
        path = agent.call("Record", {} if seconds is None else {"seconds": seconds}).get("path")
    if command.json:
        command.data({"path": path})
        return Exit.DONE
    how_long = "until `ipactl record stop`" if seconds is None else f"for {span(seconds)}"
    command.tell(
        f"Recording {how_long} into {clean(str(path))}.",
        "Its files hold the numbers of card and device. `ipactl record export FILE` writes one without them.",
    )
    return Exit.DONE


def _stop(command: CommandContext) -> int:
    with command.connect() as agent:
        was = agent.call("GetRecorder").get("recording")
        agent.call("StopRecording")
    sentence = "The recording ended; it is kept." if was else "Nothing was being recorded."
    return command.done(sentence, "`ipactl record export FILE` writes it into a file." if was else None)


def _status(command: CommandContext) -> int:
    with command.connect() as agent:
        state = agent.call("GetRecorder")
    if command.json:
        command.data(dict(state))
        return Exit.DONE
    path, ended, left = clean(str(state.get("path"))), state.get("ended"), state.get("left_s")
    if state.get("recording") is True:
        how_long = f"for another {span(left)}" if isinstance(left, int | float) else "until it is stopped"
        command.tell(f"Recording {how_long} into {path}: {state.get('records')} records so far.")
    elif ended:
        command.tell(f"Not recording: {clean(str(ended))}. What was recorded is in {path}.")
    else:
        command.tell("Not recording.", "`ipactl record start --for 10m` begins it.")
    return Exit.DONE


def _export(command: CommandContext) -> int:
    from ipad_agent.doctor.bundle.identifier_forms import Known
    from ipad_agent.doctor.bundle.leak_check import check_content
    from ipad_agent.errors import IpadError
    from ipad_agent.recording.recording_format import read
    from ipad_agent.recording.redacted_recording import redact

    arguments = command.arguments
    source: Path = arguments.source or _folder(command)
    _check_readable(source)
    try:
        found = read(source)
    except IpadError as error:
        raise CommandError(f"{error.message[:1].upper()}{error.message[1:]}.", hint=error.hint) from None
    full: bool = arguments.full
    if full and not found.redacted:
        _ask_for_consent(command)
    records: Sequence[Record] = found.records
    known = Known()
    if not full and not found.redacted:
        redacted = redact(records)
        records = redacted.records
        known = Known(redacted.numbers, redacted.secrets).usable
    redacted_now = not full or found.redacted
    content = b"".join(_content(records, arguments.form, found.version, redacted=redacted_now))
    try:
        check_content(arguments.form, content, known)
    except IpadError as error:
        raise RefusedError(f"Not written: {error.message}.", hint=error.hint) from None
    with new_file(Path(arguments.file)) as file:
        file.write(content)
    name = str(arguments.file)
    if name == STANDARD_OUTPUT:
        return Exit.DONE
    if command.json:
        facts = {"path": name, "records": len(records), "unreadable_lines": found.unreadable_lines}
        command.data({**facts, "redacted": redacted_now})
        return Exit.DONE
    torn = f" {found.unreadable_lines} torn lines were left out." if found.unreadable_lines else ""
    command.tell(
        f"{name}: {len(records)} records.{torn}",
        "Numbers of card, profiles, modem and subscriber are replaced, codes and PINs are taken out. Names of "
        "servers and profiles and the signatures are still in it: read it before you send it."
        if redacted_now
        else "It holds every number and code as it is: give it only to people you trust.",
    )
    return Exit.DONE


def _folder(command: CommandContext) -> Path:
    """Where the running agent records; without one, what the configuration says."""
    from ipad_agent.config import Config, load

    config_file: Path = command.arguments.config
    if str(config_file) == DEFAULT_CONFIG:
        with suppress(NotRunningError), command.connect() as agent:
            return Path(str(agent.call("GetRecorder").get("path")))
        if not config_file.exists():
            return Path(Config().store.state_dir) / RECORDS
    return Path(load(config_file).store.state_dir) / RECORDS


def _check_readable(source: Path) -> None:
    """Python's ``glob`` says of a folder that may not be read that it is empty."""
    try:
        if source.is_dir():
            os.listdir(source)
        else:
            source.stat()
    except PermissionError:
        raise NotAllowedError(
            f"{source} belongs to the agent and cannot be read by this user.", hint="Say it with sudo."
        ) from None
    except OSError as error:
        raise CommandError(
            f"There is no recording in {source}: {error.strerror or error}.", hint="`ipactl record start` begins one."
        ) from None


def _ask_for_consent(command: CommandContext) -> None:
    if command.arguments.yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError("With all numbers and codes it is written with --yes only.", hint="Or leave out --full.")
    sys.stderr.write(
        "The file will hold EID, ICCIDs, IMSI, IMEI, activation codes and PINs as they are.\nType yes to go on: "
    )
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() != "yes":
        raise RefusedError("Nothing was written.")


def _content(records: Sequence[Record], form: str, version: str, *, redacted: bool) -> Iterator[bytes]:
    if form == "pcapng":
        from ipad_agent.recording.gsmtap_pcapng import pcapng

        return pcapng(records)
    if form == "text":
        from ipad_agent.recording.recording_text import text_lines

        return (f"{line}\n".encode("utf-8", "replace") for line in text_lines(records, reveal=not redacted))
    from ipad_agent.recording.recording_format import lines_of

    return lines_of(records, version=version, redacted=redacted)
