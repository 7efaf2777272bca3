"""The package that an eIM pushes (SGP.32 v1.3 §3.1.1.2): one at a time, taken on by the next poll of that eIM.

A pushed package goes the way of a fetched one. It waits here until the loop begins a poll of its eIM; that poll takes
it where it would have asked the eIM, writes it into the journal, and only then the eIM hears that it was received.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.esipa.eim_package import EimPackage
from ipad_agent.codec.identifiers import Eid
from ipad_agent.errors import IpadError
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.delivery.result_delivery import stored_results
from ipad_agent.procedures.delivery.result_removal import remove
from ipad_agent.procedures.retrieval.eim_package_retrieval import PollReport

from .card_requests import CardRequests

WAIT_S: Final = 20.0
"""So long a pushed package waits for a poll that is under way, before its eIM hears that the agent is busy."""
SWITCH_UNDER_WAY: Final = "a switch of profiles is under way"
ANOTHER: Final = "another pushed package is being taken on"


class Pushed:
    """One package on its way into the journal."""

    def __init__(self, eim_id: str, package: EimPackage) -> None:
        self.eim_id = eim_id
        self.package = package
        self.handed_over = False
        """Whether a poll has it: from then on only the poll can say what became of it."""
        self.refusal: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        """Why it was not taken on; None when it was."""


class InjectedOrders:
    """What the listener for pushed packages asks of the agent. ``switching`` tells whether the time of a switch is
    running."""

    def __init__(self, wake: Callable[[], None], card_requests: CardRequests, switching: Callable[[], bool]) -> None:
        self._wake = wake
        self._card_requests = card_requests
        self._switching = switching
        self._pushed: Pushed | None = None
        self._eims: tuple[EimConfigurationData, ...] = ()
        self._eid: Eid | None = None
        self._not_serving = "the agent has not found the card yet"

    # -- what the listener asks ----------------------------------------------------------------------------------------

    @property
    def eims(self) -> tuple[EimConfigurationData, ...]:
        """The eIMs on the card; none while no card is served."""
        return self._eims

    @property
    def eid(self) -> Eid | None:
        """The card's EID; None while no card is served."""
        return self._eid

    async def take(self, eim_id: str, package: EimPackage) -> str | None:
        """Have a package taken on. None when it is in the journal, to be carried out now; else why it was not taken,
        and then nothing of it is left here. Somebody who goes away before it was handed to a poll takes it along."""
        why = self._why_not(eim_id)
        if why is not None:
            return why
        if self._pushed is not None:
            return ANOTHER
        pushed = self._pushed = Pushed(eim_id, package)
        self._wake()
        try:
            await asyncio.wait({pushed.refusal}, timeout=WAIT_S)
            if pushed.handed_over or pushed.refusal.done():
                return await pushed.refusal
            return "the agent is busy with something else"
        finally:
            if self._pushed is pushed and not pushed.handed_over:
                self._pushed = None

    async def acknowledged(self, eim_id: str, numbers: tuple[int, ...]) -> str | None:
        """The eIM says that it has results of its own with these numbers (EimAcknowledgements): they may leave the
        card, those of others may not. Why that was not done, or None."""
        why = self._why_not(eim_id)
        if why is not None:
            return why

        async def job(context: Context, _eims: tuple[str, ...]) -> None:
            own = {result.seq_number for result in await stored_results(context.card, eim_id)}
            await remove(context, [number for number in numbers if number in own])

        try:
            async with asyncio.timeout(WAIT_S):
                await self._card_requests.ask(job)
        except TimeoutError:
            return "the agent is busy with something else"
        except IpadError as error:
            return error.message
        return None

    def _why_not(self, eim_id: str) -> str | None:
        if self._eid is None:
            return self._not_serving
        if eim_id not in {eim.eim_id for eim in self._eims}:
            return "the card does not know this eIM"
        return SWITCH_UNDER_WAY if self._switching() else None

    # -- what the loop says --------------------------------------------------------------------------------------------

    def serve(self, eid: Eid, eims: tuple[EimConfigurationData, ...]) -> None:
        """This card is served, and these eIMs manage it."""
        self._eid, self._eims = eid, eims

    def refuse(self, why: str) -> None:
        """No card is served now."""
        self._eid, self._eims, self._not_serving = None, (), why
        self.over(why)

    @property
    def waiting(self) -> Pushed | None:
        """The package that waits for a poll of its eIM."""
        return None if self._pushed is None or self._pushed.handed_over else self._pushed

    def hand_over(self, eim_id: str) -> EimPackage | None:
        """The package that this eIM pushed, for its poll; None when there is none (any more)."""
        pushed = self._pushed
        if pushed is None or pushed.eim_id != eim_id or pushed.handed_over:
            return None
        pushed.handed_over = True
        return pushed.package

    def written_down(self, order: bytes) -> None:
        """This order is in the journal. One that its eIM handed to a poll while it pushed it is one order, not two."""
        pushed = self._pushed
        if pushed is not None and (pushed.handed_over or getattr(pushed.package, "raw", None) == order):
            self._end(None)

    def over(self, why: str) -> None:
        """The poll ended, or cannot begin: what waits and was not taken on by now never will be."""
        if self._pushed is not None:
            self._end(why)

    def _end(self, why: str | None) -> None:
        pushed, self._pushed = self._pushed, None
        if pushed is not None and not pushed.refusal.done():
            pushed.refusal.set_result(why)


def why_not_taken(report: PollReport | None) -> str:
    """Why a poll left a pushed package alone."""
    if report is None:
        return "what is owed to this eIM could not be delivered first"
    return report.end.value
