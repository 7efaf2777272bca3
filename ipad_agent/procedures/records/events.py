"""What is said when the site holds work back."""

from __future__ import annotations

from ipad_agent.events import INFO, WARNING, define


@define(
    "IPA-4230",
    INFO,
    "Work that can wait is not fetched now: {sentences}. Looking again in {wait_s:.0f} s.",
    "A condition of this site ([conditions] in the configuration, or one of its scripts) is not met. What is "
    "owed to an eIM is delivered all the same, and a command to poll overrides it.",
)
def HELD(*, sentences: str, wait_s: float) -> None: ...


@define(
    "IPA-4231",
    WARNING,
    "Work was held back for {held}; it is fetched now although: {sentence}.",
    "conditions.max_hold_s is over. Check whether the condition can be met at all.",
)
def HELD_TOO_LONG(*, held: str, sentence: str) -> None: ...
