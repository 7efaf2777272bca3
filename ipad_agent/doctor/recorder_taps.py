"""Where the flight recorder listens."""

from __future__ import annotations

from collections.abc import Callable

from ipad_agent.card import es10_transport
from ipad_agent.eim import esipa_client
from ipad_agent.local.flight_recorder import Recorder
from ipad_agent.modem.at import at_session


def attach(recorder: Recorder) -> Callable[[], None]:
    """Connect the recorder to card, modem and eIM; returns the way to end that."""
    ends = (es10_transport.tap(recorder.apdu), at_session.tap(recorder.at), esipa_client.tap(recorder.esipa))

    def detach() -> None:
        for end in ends:
            end()

    return detach
