"""The self-binding of a provisioning bundle: the import file, posted to the eIM before the first order is fetched.

``POST https://<host of the eIM>/ipad/v1/bind`` over the same TLS trust as ESipa. The file is signed with the key of the
bundle, by which the eIM knows that it comes from the device that it issued the bundle for.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar, Final

from ipad_agent.emulation.emulated_state import Binding, BindingState, EmulatedState
from ipad_agent.errors import EimError, Remedy

PATH: Final = "/ipad/v1/bind"
CONTENT_TYPE: Final = "application/json"
FUNCTION: Final = "bind"
LONGEST_WAIT_S: Final = 86_400.0
"""An eIM may not send a device away for longer."""


class Answer(Enum):
    """What an answer means, and what the device does then."""

    BOUND = "the eIM knows the key: polling goes on"
    REFUSED = "the eIM does not want it: nothing more until a person acts"
    LATER = "the eIM cannot do it now: asked again, as late as it says"
    UNUSABLE = "nothing that the way provides for: asked again by the back-off"


def meaning_of(status: int) -> Answer:
    """Of an HTTP status. 409: it is registered already, so an earlier answer was lost."""
    if status in (204, 409):
        return Answer.BOUND
    if status == 403:
        return Answer.REFUSED
    return Answer.LATER if status == 429 or 500 <= status < 600 else Answer.UNUSABLE


def wait_of(retry_after_s: float | None) -> float | None:
    """How long to stay away, where the eIM said so: at most a day."""
    return None if retry_after_s is None else min(max(0.0, retry_after_s), LONGEST_WAIT_S)


def due(state: EmulatedState | None, eim_id: str) -> Binding | None:
    """The binding that is to be made with this eIM before it is polled, if there is one. Not where its counter has
    moved on: it signed an order for this card, so it needs nothing more to know it."""
    binding = None if state is None else state.binding
    if state is None or binding is None or binding.eim_id != eim_id or binding.state is BindingState.BOUND:
        return None
    entry = state.eim(eim_id)
    return binding if entry is not None and entry.counter == binding.counter else None


class BindingRefused(EimError):
    """The eIM does not take this device's key, and its operator has to say why."""

    remedy: ClassVar[Remedy] = Remedy.ASK_PERSON
    default_hint = "Ask the eIM's operator; then `ipactl poll`, or another provisioning bundle."


class BindingDelayed(EimError):
    """The eIM did not say yes or no yet."""

    default_hint = "Nothing is lost; it is asked again before the next poll."


class BindingUnanswered(EimError):
    """What came is no answer to a self-binding: this eIM may not know it."""

    default_hint = (
        "Look whether this eIM registers devices by itself (POST /ipad/v1/bind). Else register the file that `ipactl "
        "emulation export` writes, and then poll by `ipactl poll`."
    )
