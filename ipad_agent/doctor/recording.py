"""Where the flight recorder listens."""

from __future__ import annotations

from collections.abc import Callable

from ipad_agent.card import transport
from ipad_agent.eim import client
from ipad_agent.local.recorder import Recorder
from ipad_agent.modem import session


def attach(recorder: Recorder) -> Callable[[], None]:
    """Connect the recorder to card, modem and eIM; returns the way to end that."""
    ends = (transport.tap(recorder.apdu), session.tap(recorder.at), client.tap(recorder.esipa))

    def detach() -> None:
        for end in ends:
            end()

    return detach
