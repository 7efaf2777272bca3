"""The one way in which a download ends early."""

from __future__ import annotations

from ipad_agent.codec.es10.es10_download import CancelSessionReason
from ipad_agent.codec.esipa.download_trigger import UNDEFINED_ERROR


class DownloadStop(Exception):
    """The download ends here, for this reason.

    ``told``: the eIM knows already, by a message of the download itself. ``retry``: it was the way to the server that
    failed and nothing has reached the card, so one more attempt is harmless. ``objection`` is what the SM-DP+ was told
    where a check of this IPA ended it. ``reason`` is the profileDownloadErrorReason, ``response`` what the SM-DP+ or
    SM-DS answered in its own words, for the eIM. ``answered``: the server is there, and only cannot at present.
    """

    def __init__(
        self,
        sentence: str,
        *,
        told: bool = False,
        retry: bool = False,
        reason: int = UNDEFINED_ERROR,
        response: bytes | None = None,
        objection: CancelSessionReason | None = None,
        answered: bool = False,
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.told = told
        self.retry = retry
        self.reason = reason
        self.response = response
        self.objection = objection
        self.answered = answered
