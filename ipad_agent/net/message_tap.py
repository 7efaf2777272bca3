"""Where somebody may listen to what is said to servers, as it is on the carrier: sent and received, well or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ipad_agent.records import dataclass


@dataclass(frozen=True, slots=True)
class CarriedMessage:
    """One body. ``way`` is ``sent`` or ``received``; ``status`` is the answer's (``2.04`` on CoAP, ``200`` on HTTP);
    ``problem`` says why no answer came, the body being empty then."""

    way: str
    scheme: str
    address: str
    path: str
    function: str
    body: bytes
    status: str = ""
    problem: str = ""


MessageTap = Callable[[CarriedMessage], None]
TAPS: Final[list[MessageTap]] = []
"""Empty unless somebody listens: carriers ask this before they make a message."""


def tap(listener: MessageTap) -> Callable[[], None]:
    """Call ``listener`` for every message to and from any server; it must be quick and must not raise. Returns the way
    to end that."""
    TAPS.append(listener)
    return lambda: TAPS.remove(listener)


def tell(message: CarriedMessage) -> None:
    """Tell everybody who listens."""
    for listener in tuple(TAPS):
        listener(message)
