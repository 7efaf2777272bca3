"""The standing habits of the lab's eIM."""

from __future__ import annotations

from dataclasses import dataclass

from . import esipa_messages


@dataclass(slots=True)
class EimSettings:
    """Standing habits of the eIM; all may be changed while it runs.

    ``dialect``: ``auto`` answers in that of the request, ``1.0`` to ``1.3`` fix it (the last three write alike; over
    HTTPS an eIM of v1.3 also says so in a header, see ``FrontSettings``). ``double_tags`` writes the outer
    tag of answers twice. ``discard_answer``: what an unacceptable result gets, ``error`` (127), ``empty``
    or ``acknowledge`` (its number all the same, as SGP.32 v1.3 §5.14.6 is read by one eIM).
    ``resend``: a package asked for again is the ``same`` bytes, or ``fresh`` with the next counter.
    ``transaction_id_bytes`` 0 means no eimTransactionId at all. ``undelivered``: a notification whose receiver does not
    take it is ``kept`` here and taken from the device all the same, or ``refused`` (5.02) so that it comes again.
    ``only_v1_0``: an eIM of that release and no other, see ``v1_0``; ``dialect`` should be ``1.0`` then.
    ``acknowledgement``: a result that is taken is told by its numbers (``acknowledge``) or by an ``empty`` answer, as
    some eIMs do, after which the device has to keep it.
    """

    dialect: str = "auto"
    double_tags: bool = False
    accept_unknown_devices: bool = False
    strict_sequence: bool = True
    require_key: bool = False
    learn: bool = True
    discard_answer: str = "error"
    resend: str = "same"
    transaction_id_bytes: int = 8
    undelivered: str = "kept"
    only_v1_0: bool = False
    acknowledgement: str = "acknowledge"

    def dialect_for(self, of_request: str) -> str:
        """How an answer to a request of this dialect is written."""
        chosen = of_request if self.dialect == "auto" else self.dialect
        return esipa_messages.V1_0 if chosen == esipa_messages.V1_0 else esipa_messages.V1_2

    def spelled(self, answer: bytes) -> bytes:
        """An answer as this eIM writes it."""
        if self.double_tags and answer[:2] in (b"\xbf\x4f", b"\xbf\x50"):
            return esipa_messages.written_twice(answer)
        return answer
