"""Where the flight recorder listens."""

from __future__ import annotations

from collections.abc import Callable

from ipad_agent.card import es10_transport
from ipad_agent.local.flight_recorder import Recorder
from ipad_agent.modem.at import at_session
from ipad_agent.net import message_tap
from ipad_agent.net.message_tap import CarriedMessage
from ipad_agent.recording.recording_format import ES9, ESIPA
from ipad_agent.smdp.connector import ES9_PATH


def attach(recorder: Recorder) -> Callable[[], None]:
    """Connect the recorder to card, modem and servers; returns the way to end that."""

    def carried(message: CarriedMessage) -> None:
        facts = {
            "function": message.function,
            "scheme": message.scheme,
            "address": message.address,
            "path": message.path,
            "status": message.status,
            "problem": message.problem,
        }
        recorder.message(kind_of(message.path), message.way, message.body, facts)

    ends = (es10_transport.tap(recorder.apdu), at_session.tap(recorder.at), message_tap.tap(carried))

    def detach() -> None:
        for end in ends:
            end()

    return detach


def kind_of(path: str) -> str:
    """ES9+ and ES11 have the one path of SGP.22 §6.5; whatever else is asked is an eIM."""
    return ES9 if path.startswith(ES9_PATH.partition("{")[0]) else ESIPA
