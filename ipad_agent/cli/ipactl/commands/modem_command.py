"""``ipactl modem``: which ports there are, who answers, what a modem can do; without an agent, and never in its way."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ipad_agent.cli.ipactl.command_context import CommandContext, running_agents
from ipad_agent.cli.ipactl.errors import CommandError, RefusedError, UsageError
from ipad_agent.cli.ipactl.exit_codes import Exit
from ipad_agent.cli.ipactl.output.terminal_output import clean

if TYPE_CHECKING:
    from ipad_agent.config import Config
    from ipad_agent.modem_examination.modem_examination import ModemExamination, Probe
    from ipad_agent.modem_examination.port_survey import AgentUse, PortRow

T = TypeVar("T")
_CONSENT: Final = (
    "This changes to the card's fallback profile and back. Meanwhile the device has no connection, and the modem may "
    "restart."
)


class NoModemError(CommandError):
    """Nothing on the port speaks AT."""

    exit = Exit.NO_MODEM
    name = "NoModem"


def modem(command: CommandContext) -> int:
    """The chosen action."""
    actions: dict[str, Callable[[CommandContext], int]] = {
        "list": _list,
        "probe": _probe,
        "test": _test,
        "at": _at,
        "draft": _draft,
    }
    return actions[command.arguments.action](command)


# -- list --------------------------------------------------------------------------------------------------------------
def _list(command: CommandContext) -> int:
    from ipad_agent.modem.module_profile_files import load, search_path
    from ipad_agent.modem.port.port_lock import sees_every_process
    from ipad_agent.modem.port.usb_sysfs import read_ttys
    from ipad_agent.modem_examination.port_survey import survey

    _be_quiet()
    config = _config(command)
    profiles = load(search_path(config.modem.profiles_dir))
    rows = survey(read_ttys(), profiles.profiles, _agents(command))
    if command.json:
        command.data({"ports": [_plain(row) for row in rows]})
        return Exit.DONE if rows else Exit.NO_MODEM
    if not rows:
        command.say(command.output.note("○", "There is no serial port, and no agent uses one.", "waiting"))
        hint = "Is the modem plugged in and powered? `lsusb` and `dmesg` tell what the kernel saw."
        command.say(command.output.note(" ", hint, "label"))
        return Exit.NO_MODEM
    for row in rows:
        _show_row(command, row)
    if not sees_every_process():
        command.say(
            command.output.note(" ", "Not every process is shown to this user; sudo shows who holds what.", "label")
        )
    return Exit.DONE


def _show_row(command: CommandContext, row: PortRow) -> None:
    output = command.output
    use = "what it is for is not known" if row.use == "not known" else row.use
    head = f"{row.port}: {row.module or 'no known module'}, {use}"
    command.say(output.note("●" if row.use.startswith("AT") else "○", clean(head), "good"))
    if row.stable != row.port:
        command.say(output.row("Name", clean(row.stable)))
    if row.usb is not None:
        command.say(output.row("USB", clean(f"{row.usb}, interface {row.interface}")))
    if row.profile is not None:
        command.say(output.row("Profile", clean(row.profile)))
    if row.agent is not None:
        command.say(output.row("Agent", clean(row.agent)))
    if row.held_by:
        command.say(output.row("Held by", clean(", ".join(row.held_by))))


# -- probe -------------------------------------------------------------------------------------------------------------
def _probe(command: CommandContext) -> int:
    agents = _agents(command)
    port = Path(command.arguments.port)
    agent = next((one for one in agents if one.port and os.path.realpath(one.port) == os.path.realpath(port)), None)
    if agent is not None:
        return _told_by(command, agent)
    found = _examined(command, agents, lambda examination: examination.probe())
    module = found.module
    facts = {
        "port": found.port,
        "asked": "the modem",
        "manufacturer": module.manufacturer,
        "model": module.model,
        "firmware": module.revision,
        "profile": module.profile,
        "matched": list(module.criteria),
        "evidence": module.evidence,
    }
    rows = [asdict(row) for row in _redacted_rows(found)]
    if command.json:
        command.data({"ports": [facts], "commands": rows})
        return Exit.DONE
    _show_facts(command, facts)
    for row in rows:
        command.say(command.output.row("", clean(f"{row['command']}: {row['verdict']} {row['answer']}".rstrip())))
    return Exit.DONE


def _told_by(command: CommandContext, agent: AgentUse) -> int:
    """The agent has the port, and knows who is there."""
    facts: dict[str, Any] = {
        "port": agent.port,
        "asked": f"the agent ({agent.shown})",
        "manufacturer": agent.manufacturer,
        "model": agent.model,
        "firmware": agent.firmware,
        "profile": agent.profile,
        "matched": [],
        "evidence": None,
    }
    if command.json:
        command.data({"ports": [facts], "commands": []})
    else:
        _show_facts(command, facts)
    return Exit.DONE


def _show_facts(command: CommandContext, facts: dict[str, Any]) -> None:
    name = " ".join(clean(str(facts[key])) for key in ("manufacturer", "model") if facts[key])
    command.say(command.output.note("●", name or "A modem that does not say its name", "good"))
    rows = (("Port", facts["port"]), ("Firmware", facts["firmware"]), ("Profile", facts["profile"]))
    for label, value in (*rows, ("Matched", ", ".join(facts["matched"])), ("Evidence", facts["evidence"])):
        if value:
            command.say(command.output.row(label, clean(str(value))))
    command.say(command.output.row("Asked", clean(facts["asked"])))


def _redacted_rows(found: Probe) -> Iterable[Any]:
    from ipad_agent.modem_examination.examination_report import Shortener
    from ipad_agent.records import replace

    shorten = Shortener(found.module.imei)
    return [replace(row, answer=shorten(row)) for row in found.commands]


# -- test --------------------------------------------------------------------------------------------------------------
def _test(command: CommandContext) -> int:
    wanted = command.arguments
    if wanted.switch:
        _ask_consent(command)
    found = _examined(command, _agents(command), lambda one: one.examine(switch=wanted.switch))

    # The report loads much of the agent. Who has taken a port that is no modem's does not wait for that.
    from ipad_agent.modem.module_profile_files import load, search_path
    from ipad_agent.modem.port.usb_sysfs import read_ttys
    from ipad_agent.modem_examination import examination_report
    from ipad_agent.modem_examination.port_survey import survey

    real = os.path.realpath(wanted.port)
    ttys = [tty for tty in read_ttys() if os.path.realpath(tty.path) == real]
    row = next(iter(survey(ttys, load(search_path(_config(command).modem.profiles_dir)).profiles)), None)
    port = examination_report.PortFacts.of(wanted.port, row)
    made_at = time.strftime("%Y-%m-%d", time.gmtime())
    report = examination_report.document(found, port, made_at=made_at, reveal=wanted.reveal)
    if wanted.report is not None:
        try:
            examination_report.write(wanted.report, report)
        except OSError as error:
            raise CommandError(f"{wanted.report} cannot be written: {error.strerror}.") from None
    if command.json:
        command.data(report)
    else:
        _show_summary(command, report["summary"])
        if wanted.report is not None:
            command.tell(f"The report is in {clean(str(wanted.report))}.", "Attach it to the ticket.")
    return Exit.FAILED if any(one["good"] is False for one in report["advice"]) else Exit.DONE


def _show_summary(command: CommandContext, lines: Iterable[str]) -> None:
    """The lines of the report, as wide as the terminal."""
    marks = {"+ ": ("✓", "good"), "! ": ("✗", "bad"), "- ": ("·", "label")}
    for line in lines:
        if line[:2] in marks:
            mark, colour = marks[line[:2]]
            command.say(command.output.note(mark, clean(line[2:]), colour))
        elif line:
            command.say(command.output.row(line[:10].strip(), clean(line[10:])))
        else:
            command.say([""])


def _ask_consent(command: CommandContext) -> None:
    if command.arguments.yes:
        return
    if not sys.stdin.isatty():
        raise RefusedError(f"{_CONSENT} Nobody can be asked here.", hint="With --yes it is done.")
    command.say(command.output.note("✗", _CONSENT, "warn"))
    command.out.write("Type yes to go on: ")
    command.out.flush()
    if sys.stdin.readline().strip().lower() != "yes":
        raise RefusedError("Nothing was done.")


# -- at ----------------------------------------------------------------------------------------------------------------
def _at(command: CommandContext) -> int:
    from ipad_agent.local.at_command import Risk, examine, takes_the_line

    wanted = command.arguments
    asked = examine(wanted.at)
    if asked is None:
        raise UsageError("That is no AT command of one line, of 256 characters at most.")
    if takes_the_line(wanted.at):
        raise RefusedError(f"{asked.shown} is not sent. {asked.why}", hint="A terminal program (picocom) sends it.")
    if asked.risk is not Risk.NONE and not wanted.force:
        raise RefusedError(f"{asked.shown} is not sent. {asked.why}", hint="With --force it is sent.")
    lines, final = _examined(
        command, _agents(command), lambda one: one.ask(wanted.at.strip(), deadline_s=wanted.timeout)
    )
    if command.json:
        command.data({"lines": list(lines), "final": final})
    else:
        command.say(clean(line) for line in lines)
        if final != "OK":
            command.say(command.output.note("✗", f"The modem answered: {clean(final)}.", "bad"))
    return Exit.DONE if final == "OK" else Exit.FAILED


# -- draft -------------------------------------------------------------------------------------------------------------
def _draft(command: CommandContext) -> int:
    from ipad_agent.modem_examination import examination_report, profile_draft

    text = profile_draft.draft(examination_report.read(command.arguments.file))
    if command.json:
        command.data({"text": text})
    else:
        command.out.write(text)
        command.out.flush()
    return Exit.DONE


# -- what they share ---------------------------------------------------------------------------------------------------
def _examined(
    command: CommandContext,
    agents: Iterable[AgentUse],
    do: Callable[[ModemExamination], Coroutine[Any, Any, T]],
) -> T:
    """Open the port, do it, put everything back; what ends it early is told as a command's error."""
    from ipad_agent.errors import ModemError
    from ipad_agent.modem.errors import PortMissing
    from ipad_agent.modem_examination.errors import NoModemAnswers, PortHeld
    from ipad_agent.modem_examination.port_survey import admit

    _be_quiet()
    try:
        admit(Path(command.arguments.port), agents)
        return asyncio.run(_interruptible(_work(command, do)))
    except PortHeld as error:
        raise RefusedError(error.message, hint=error.hint, name="PortHeld") from None
    except (NoModemAnswers, PortMissing) as error:
        raise NoModemError(_sentence(error.message), hint=error.hint) from None
    except ModemError as error:
        raise CommandError(_sentence(error.message), hint=error.hint) from None


async def _work(command: CommandContext, do: Callable[[ModemExamination], Coroutine[Any, Any, T]]) -> T:
    from ipad_agent.modem.module_profile_files import load, search_path
    from ipad_agent.modem.port.byte_stream import PortOpener
    from ipad_agent.modem.port.serial_port import SerialPortOpener, SerialSettings
    from ipad_agent.modem.port.tcp_port import SocketOpener, parse_url
    from ipad_agent.modem_examination.examined_port import ExaminedPort
    from ipad_agent.modem_examination.read_only_guard import ReadOnlyGuard

    config, port = _config(command), command.arguments.port
    opener: PortOpener
    if port.startswith("socket://"):
        address = parse_url(port)
        if address is None:
            raise UsageError(f"{clean(port)} has no usable port number.", hint="As in socket://host:port.")
        opener = SocketOpener(*address)
    else:
        own = config.store.runtime_dir
        settings = SerialSettings(
            path=Path(port),
            baud_rates=(command.arguments.baud or config.modem.baud,),
            rtscts=config.modem.rtscts,
            lock_folder=config.modem.lock_dir,
            own_lock_folder=own if os.access(own, os.W_OK) else None,
        )
        opener = SerialPortOpener(settings)
    examined = ExaminedPort(opener, ReadOnlyGuard())
    await examined.open()
    # The port is listened to first, and meanwhile the rest of the program can be loaded.
    from ipad_agent.modem_examination.modem_examination import ModemExamination

    profiles = load(search_path(config.modem.profiles_dir))
    async with ModemExamination(examined, profiles, say=_progress(command)) as examination:
        return await do(examination)


async def _interruptible(work: Coroutine[Any, Any, T]) -> T:
    """SIGTERM and a terminal that went away end it as Ctrl-C does: with everything put back."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _progress(command: CommandContext) -> Callable[[str], None]:
    if command.json or not sys.stderr.isatty():
        return lambda _: None
    return lambda text: print(f"{clean(text)} ...", file=sys.stderr)


def _agents(command: CommandContext) -> tuple[AgentUse, ...]:
    """Every agent that runs here and may be asked; one that does not answer shows by what it holds."""
    from ipad_agent.modem_examination.port_survey import AgentUse

    found = []
    for name, connection in running_agents(command):
        with suppress(CommandError), connection:
            status = connection.call("GetStatus").get("status")
            told = status.get("modem") if isinstance(status, dict) else None
            told = told if isinstance(told, dict) else {}
            words = {key: told.get(key) if isinstance(told.get(key), str) else None for key in _TOLD}
            found.append(AgentUse(name, **words))
    return tuple(found)


_TOLD: Final = ("port", "manufacturer", "model", "firmware", "profile", "transport")


def _config(command: CommandContext) -> Config:
    from ipad_agent.config import load_if_there

    return load_if_there(command.arguments.config, modem=command.agent)


def _be_quiet() -> None:
    """What the rooms say on the way is in the answer."""
    from ipad_agent.events import LOGGER

    LOGGER.addHandler(logging.NullHandler())
    LOGGER.propagate = False


def _plain(row: PortRow) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(row).items()}


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."
