"""The process: configuration in, an agent that runs until SIGTERM, everything put away within two seconds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Coroutine
from functools import partial
from typing import Final

from ipad_agent import __version__, events
from ipad_agent.agent import events as said
from ipad_agent.agent.dependencies import Dependencies
from ipad_agent.agent.main_loop import Agent
from ipad_agent.agent.radio_use import RadioUse
from ipad_agent.clock import Clock, SystemClock
from ipad_agent.config import Config
from ipad_agent.errors import CardError, ModemError
from ipad_agent.policy import Wake
from ipad_agent.policy.traffic_limits import TrafficLimits
from ipad_agent.procedures.records.held_work import Holding
from ipad_agent.status import Board
from ipad_agent.status.traffic_budget import Budget
from ipad_agent.store import EmulatedCardFiles, Journal, Memory, RealFilesystem, StateDirectory, StateLock
from ipad_agent.wiring.bind_requests import registration
from ipad_agent.wiring.configured_card import Card, open_card
from ipad_agent.wiring.device_network import device_network, show_modem, site
from ipad_agent.wiring.eim_links import EimLinks
from ipad_agent.wiring.eim_memory import Schedules
from ipad_agent.wiring.ipa_configuration import bundle_files, capabilities, download_rules, initial_eims, smdp_connector
from ipad_agent.wiring.radio_power import radio_power

from .history_file import HistoryFile
from .local_interfaces import LocalInterfaces
from .lost_port import look_after_lost_port
from .sdnotify import Notifier

CLOSE_LIMIT_S: Final = 1.5
WAKE_TURN_S: Final = 120.0
"""So long reading an SMS waits for what the agent does with the modem."""


def run_daemon(config: Config) -> int:
    """Run until SIGTERM or SIGINT; the exit status. Raises ``ConfigError`` and ``StateDirectoryBusyError`` before it
    starts; a disk that cannot be read or written is no reason not to."""
    # Until the agent listens, a call to poll must not be the end of the process.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    _configure_log(config)
    filesystem, clock = RealFilesystem(), SystemClock()
    state_dir, runtime_dir = str(config.store.state_dir), str(config.store.runtime_dir)
    lock = StateLock(state_dir, runtime_dir)
    try:
        journal = Journal(filesystem, state_dir, clock)
        memory = Memory(filesystem, state_dir=state_dir, runtime_dir=runtime_dir)
        said.STARTED.emit(version=__version__)
        emulated_cards = EmulatedCardFiles(filesystem, state_dir)
        state = StateDirectory(journal, memory, lock, emulated_cards)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_run(config, journal, memory, state, clock, emulated_cards))
        journal.detach()
        said.STOPPED.emit()
    finally:
        lock.release()
    return 0


def _configure_log(config: Config) -> None:
    style = config.log.style
    if style == "auto":
        style = "journal" if "JOURNAL_STREAM" in os.environ else "text"
    events.configure(level=logging.getLevelName(config.log.level.upper()), style=style)


async def _run(
    config: Config,
    journal: Journal,
    memory: Memory,
    state: StateDirectory,
    clock: Clock,
    emulated_cards: EmulatedCardFiles,
) -> None:
    board = Board(clock, version=__version__, budget=_budget(config))
    history = HistoryFile(board.history, memory)
    bundles = bundle_files(config, memory, clock)
    card = open_card(config, memory, clock, emulated_cards=emulated_cards, bundles=bundles)
    radio = RadioUse(clock, idle_s=config.power.radio_idle_s)
    connector = smdp_connector(config, clock, on_packet=radio.packet)
    able = capabilities(config, connector)
    notifier = Notifier()
    links = EimLinks(config, clock, memory, on_packet=radio.packet)
    power = radio_power(config, card.access.link, memory)
    agent = Agent(
        Dependencies(
            card=card.euicc,
            device=card,
            links=links,
            journal=journal,
            memory=memory,
            schedules=Schedules(memory),
            clock=clock,
            settings=config.poll.settings(),
            capabilities=able,
            connector=connector,
            download=download_rules(config),
            notifier=notifier,
            idle=journal.idle,
            take_from_ipae=config.card.take_from_ipae,
            state=state,
            initial_eims=initial_eims(config),
            initial_eims_source=str(config.provisioning.initial_eim),
            bundles=bundles,
            registration=registration(card, links, clock, able),
            switching=config.switch.settings(),
            guarding=config.guardian.settings(),
            network=device_network(config, card.access, board),
            site=site(config, card.access, clock, memory),
            board=board,
            show_modem=partial(show_modem, card.access, power=power),
            release_radio=power.release,
            limits=TrafficLimits(config.budget.day_bytes, config.budget.total_bytes, config.budget.hold_at),
            radio=radio,
            holding=Holding(config.conditions.retry_s, config.conditions.max_hold_s),
        )
    )
    if config.poll.early_share > 0:
        power.when_connected(agent.radio_connected)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, agent.poke, Wake.COMMAND)
    # A missing modem is no failed start: the agent waits for it, and systemd must not restart us meanwhile.
    notifier.ready("looking for the modem and the card")
    faces = LocalInterfaces(agent, config, clock, card, bundles)
    shown = [asyncio.create_task(face) for face in [*faces.tasks(), *_listeners(config, agent, links, card, clock)]]
    tasks = [
        asyncio.create_task(agent.run(), name="agent"),
        asyncio.create_task(stop.wait(), name="stop"),
        asyncio.create_task(_feed_watchdog(notifier, agent), name="watchdog"),
    ]
    shown.append(asyncio.create_task(history.run()))
    shown.append(asyncio.create_task(look_after_lost_port(card.access.link, agent.card_requests.ask)))
    for face in shown:
        face.add_done_callback(_face_ended)
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    notifier.stopping()
    for task in (*tasks, *shown):
        task.cancel()
    await asyncio.gather(*tasks, *shown, return_exceptions=True)
    faces.close()
    history.write()
    with contextlib.suppress(CardError, ModemError, TimeoutError):
        async with asyncio.timeout(CLOSE_LIMIT_S):
            await card.euicc.close()
    for task in done:
        if not task.cancelled() and task.exception() is not None:
            task.result()


def _listeners(
    config: Config, agent: Agent, links: EimLinks, card: Card, clock: Clock
) -> list[Coroutine[object, object, None]]:
    """Who may call this device, as far as the configuration wants it. Raises ``ConfigError``."""
    wanted: list[Coroutine[object, object, None]] = []
    if config.inject.listen:
        from ipad_agent.wiring.injection_listeners import injection_listeners

        wanted += injection_listeners(config, agent.injected_orders, links)
    if config.wake.sms or config.wake.knock:
        from ipad_agent.wiring.wake_sources import wake_sources

        wanted += wake_sources(
            config,
            clock,
            card.access.link,
            poke=agent.poke,
            turn=partial(agent.card_requests.hold, WAKE_TURN_S),
            spent_today_bytes=lambda: agent.board.snapshot().traffic.today_bytes,
        )
    return wanted


def _budget(config: Config) -> Budget:
    budget = config.budget
    return Budget(budget.day_bytes, budget.total_bytes, budget.warn, budget.hold_at)


def _face_ended(task: asyncio.Task[None]) -> None:
    """A face that ends by itself is a defect; the agent goes on without it."""
    if not task.cancelled() and (error := task.exception()) is not None:
        said.FACE_LOST.emit(reason=repr(error))
        events.trace(error)


async def _feed_watchdog(notifier: Notifier, agent: Agent) -> None:
    """Tell the service manager that we live, as long as the step in progress is within its limit."""
    interval_s = notifier.watchdog_interval_s
    while interval_s is not None:
        if not agent.overdue:
            notifier.watchdog()
        await asyncio.sleep(interval_s)
    await asyncio.Event().wait()
