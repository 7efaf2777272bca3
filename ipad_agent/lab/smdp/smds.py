"""The SM-DS: ES11 over a list of event records (SGP.22 §3.6, §5.8)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from . import es9_json, status_words
from .errors import RefusalError, SmdpError
from .rsp_server import Authenticated, RspServer, ServerSettings
from .smdp_faults import Faults
from .smdp_identity import ServerIdentity
from .smdp_session import Session, Step
from .status_words import Status, of_smds


@dataclass(frozen=True, slots=True)
class Event:
    """Something waits for ``eid`` at ``address``, an SM-DP+ or another SM-DS, under ``event_id``.

    ``forwarded_id`` is the EventID under which another SM-DS sends cards here for it.
    """

    event_id: str
    eid: str
    address: str
    forwarded_id: str | None = None


@dataclass(frozen=True, slots=True)
class SmdsSettings(ServerSettings):
    """``empty_list``: a card without events gets an empty list instead of 8.9.5/3.9."""

    empty_list: bool = False


class VirtualSmds(RspServer):
    """``add_event`` and ``remove_event`` are what an SM-DP+ does over ES12; ``events`` shows what is there."""

    def __init__(self, identity: ServerIdentity, settings: SmdsSettings | None = None, **more: Any) -> None:
        self.settings = settings or SmdsSettings()
        super().__init__(identity, self.settings, **more)
        self._events: dict[str, Event] = {}

    @property
    def events(self) -> tuple[Event, ...]:
        """All of them, oldest first."""
        return tuple(self._events.values())

    def add_event(self, eid: str, event_id: str, address: str) -> Event:
        """RegisterEvent. ``SmdpError`` when the EventID is empty or taken."""
        if not event_id or event_id in self._events:
            raise SmdpError(f"the EventID {event_id!r} is empty or taken")
        self._events[event_id] = Event(event_id, eid, address)
        return self._events[event_id]

    def forward_event(self, event_id: str, to: VirtualSmds, forwarded_id: str) -> Event:
        """Cascade (SGP.22 §3.6.1): ``to`` gets an event with an ID of its own that leads here.

        ``SmdpError`` when there is no such event, or when the new ID is taken.
        """
        event = self._events.get(event_id)
        if event is None:
            raise SmdpError(f"there is no event {event_id!r}")
        made = to.add_event(event.eid, forwarded_id, self.addresses[0])
        self._events[event_id] = replace(event, forwarded_id=forwarded_id)
        return made

    def remove_event(self, event_id: str) -> None:
        """DeleteEvent. ``SmdpError`` when there is none."""
        if self._events.pop(event_id, None) is None:
            raise SmdpError(f"there is no event {event_id!r}")

    def _own(self, row: Status) -> Status:
        return of_smds(row)

    def _authenticated(self, session: Session, card: Authenticated, faults: Faults) -> es9_json.Json:
        wanted = card.matching_id
        mine = [event for event in self._events.values() if event.eid == card.euicc.eid]
        found = [event for event in mine if wanted in ("", event.event_id, event.forwarded_id)]
        if not found and (wanted or not self.settings.empty_list):
            raise RefusalError(status_words.EVENT_UNKNOWN)
        # An SM-DS has nothing more to say to this card; only the same question may be asked again.
        session.step = Step.AUTHENTICATED
        return es9_json.answer(
            {
                "transactionId": self._other(session.transaction_id, faults, "wrong-transaction").hex().upper(),
                "eventEntries": [{"eventId": e.event_id, "rspServerAddress": e.address} for e in found],
            }
        )
