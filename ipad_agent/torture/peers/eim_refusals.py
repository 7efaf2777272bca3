"""An eIM that answers with errors at random for a while."""

from __future__ import annotations

import random
from typing import Final

from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim import Reply
from ipad_agent.lab.eim.esipa_messages import GET_EIM_PACKAGE, HANDLE_NOTIFICATION, PROVIDE_RESULT
from ipad_agent.records import dataclass

STATUS_CODES: Final = ("4.00", "4.01", "4.03", "4.04", "4.05", "4.06", "5.00", "5.01", "5.02", "5.03", "5.04")
NOT_OF_V1_0: Final = tuple(code for code in STATUS_CODES if code not in ("4.00", "5.00"))
"""An eIM of v1.0 refuses fields that it does not know, and a result that comes again, by 4.00, 5.00 or an undefined
error, and acknowledges by a success with nothing in it. One that answers so and has taken nothing would be such an eIM
to the letter, and a liar: what it says is all that anybody knows of it."""
STATUS, STATUS_AFTER, UNDEFINED_ERROR, ANY = "status", "status after", "undefined error", "any"
_FUNCTIONS: Final = {GET_EIM_PACKAGE: "get", PROVIDE_RESULT: "result", HANDLE_NOTIFICATION: "notification"}


@dataclass(frozen=True, slots=True)
class Refusals:
    """With this ``chance`` a request of function ``on`` (``get``, ``result``, ``notification``, ``any``) is refused
    until ``until_s``. ``what``: a ``status`` instead of an answer, a ``status after`` the request was carried out,
    an ``undefined error`` (127), or ``any`` of them. ``as_v1_0``: whether it may refuse like an eIM of v1.0."""

    on: str
    what: str
    chance: float
    until_s: float
    dice: random.Random
    as_v1_0: bool = True

    def draw(self, body: bytes, now_s: float) -> str | None:
        """What happens to this request; None when nothing does."""
        if now_s >= self.until_s or self.on not in ("any", _function(body)) or self.dice.random() >= self.chance:
            return None
        what = self.dice.choice((STATUS, STATUS_AFTER, UNDEFINED_ERROR)) if self.what == ANY else self.what
        return STATUS if what == UNDEFINED_ERROR and not self.as_v1_0 and _function(body) == "get" else what

    def reply(self) -> Reply:
        """An answer that is only a status."""
        code = self.dice.choice(STATUS_CODES if self.as_v1_0 else NOT_OF_V1_0)
        return Reply(code=code, max_age_s=60 if code == "5.03" else None)


def _function(body: bytes) -> str:
    try:
        return _FUNCTIONS.get(der.read_tag(body)[0], "")
    except der.DerError:
        return ""
