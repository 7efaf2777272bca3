"""The D-Bus service as the agent runs it: on the bus whenever there is one, and never in the agent's way."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ipad_agent.events import Event, trace
from ipad_agent.local.local_verbs import Service
from ipad_agent.records import dataclass

from . import events as said
from .bus_connection import Pace, Picture, Session
from .dbus_authority import LocalRule, groups_of
from .dbus_interfaces import BUS_NAME
from .dbus_library import LIBRARIES, Link, OnCall, OnSignal, load
from .dbus_messages import Answer, Failure
from .errors import BusError, BusLost, NameRefused, NameTaken, NoBusLibrary
from .status_objects import EimNumbers
from .system_bus import system_bus, usable


@dataclass(frozen=True, slots=True)
class Retry:
    """Waits between attempts double from ``first_s`` to ``longest_s``."""

    first_s: float = 1.0
    longest_s: float = 60.0

    def waits(self) -> Iterator[float]:
        wait_s = self.first_s
        while True:
            yield wait_s
            wait_s = min(wait_s * 2, self.longest_s)


DEFAULT_PACE: Final = Pace()
DEFAULT_RETRY: Final = Retry()


class Bus:
    """Shows ``service`` on the system bus.

    ``read_group``, ``examine_group``: members may look; ``control_group``: members may look, and act where there is no
    polkit; empty for none. ``addresses``: the bus as D-Bus writes
    addresses, None for the system bus. ``trusted`` may always act; None is root and this process's user. ``groups``
    gives the names of the groups of a user id. ``name`` is that of the agent, where there are several.
    """

    def __init__(
        self,
        service: Service,
        *,
        read_group: str = "ipad-view",
        control_group: str = "ipad-admin",
        examine_group: str = "",
        addresses: str | None = None,
        libraries: Iterable[str] = LIBRARIES,
        trusted: frozenset[int] | None = None,
        groups: Callable[[int], frozenset[str]] = groups_of,
        pace: Pace = DEFAULT_PACE,
        retry: Retry = DEFAULT_RETRY,
        name: str = "",
    ) -> None:
        self._bus_name = f"{BUS_NAME}.{name}" if name else BUS_NAME
        self._service = service
        self._addresses = system_bus() if addresses is None else addresses
        self._libraries = tuple(libraries)
        own = frozenset({0, os.geteuid()}) if trusted is None else trusted
        self._rule = LocalRule(control_group, own, groups, read_group, examine_group)
        # A machine whose user database hangs must not take the threads that the agent resolves names with.
        self._lookups = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bus-users")
        self._pace = pace
        self._retry = retry
        self._picture = Picture(service, EimNumbers())
        self._said: Event[...] | None = None
        self._state = "it is being looked for"
        self._shown = False
        self._verbs: set[asyncio.Task[Answer | Failure]] = set()

    @property
    def shown(self) -> tuple[bool, str]:
        """Whether the agent is on the bus now, and as what or why not."""
        return self._shown, self._state

    async def run(self) -> None:
        """Be on the bus, again and again; never returns and never raises. Ends when it is cancelled."""
        waits = self._retry.waits()
        try:
            while True:
                began_s = asyncio.get_running_loop().time()
                stay = asyncio.ensure_future(self._stay())
                try:
                    await asyncio.wait({stay})
                finally:
                    stay.cancel()
                    await asyncio.gather(stay, return_exceptions=True)
                error = None if stay.cancelled() else stay.exception()
                if isinstance(error, NoBusLibrary):
                    said.NO_LIBRARY.emit()
                    self._state = "no library for it is installed"
                    await asyncio.Event().wait()
                if asyncio.get_running_loop().time() - began_s > self._retry.longest_s:
                    waits = self._retry.waits()
                self._tell(error)
                await asyncio.sleep(next(waits))
        finally:
            self._lookups.shutdown(wait=False, cancel_futures=True)
            for verb in self._verbs:
                verb.cancel()
            await asyncio.gather(*self._verbs, return_exceptions=True)

    async def _stay(self) -> None:
        usable(self._addresses)  # where there is no bus, not even the library is loaded
        library = load(self._libraries)

        def make_link(on_call: OnCall, on_signal: OnSignal) -> Link:
            return Link(library, deadline_s=self._pace.deadline_s, on_call=on_call, on_signal=on_signal)

        session = Session(
            self._service, self._picture, self._rule, self._pace, make_link, self._lookups, self._bus_name
        )
        try:
            await session.begin(self._addresses)
            self._said = None
            self._shown, self._state = True, f"{self._bus_name} on the system bus"
            await session.stay()
        finally:
            self._shown = False
            session.close()
            for verb in session.unfinished:
                self._verbs.add(verb)
                verb.add_done_callback(self._verbs.discard)

    def _tell(self, error: BaseException | None) -> None:
        """Log why we are not on the bus: each reason once, until we were on it again."""
        if isinstance(error, BusError):
            event: Event[...] = said.NO_BUS
            if isinstance(error, NameTaken):
                event = said.NAME_TAKEN
            elif isinstance(error, NameRefused):
                event = said.NAME_REFUSED
            elif isinstance(error, BusLost):
                event = said.BUS_LOST
            if self._said is not event:
                event.emit(name=self._bus_name, reason=error.message)
            self._said, self._state = event, error.message
        elif error is not None:
            self._state = "it ended with an error nobody expected"
            said.DEFECT.emit(error=f"{type(error).__name__}.")
            trace(error)
