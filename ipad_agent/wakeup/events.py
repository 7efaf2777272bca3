"""What is said about calls that bring polls forward."""

from __future__ import annotations

from ipad_agent.events import DEBUG, INFO, WARNING, define


@define(
    "IPA-1065",
    INFO,
    "The next poll is brought forward by {how} of {who}.",
    "A call without content, authenticated as [wake] in the configuration says. The poll is as any other: an eIM that "
    "asked for patience, back-offs and the site's conditions hold it up all the same.",
)
def WOKEN_BY(*, how: str, who: str) -> None: ...


@define(
    "IPA-1066",
    WARNING,
    "{how} of {who} is not followed: {reason}.",
    "wake.per_hour limits how often calls are followed, for the sake of battery and traffic. Said once until one is "
    "followed again.",
)
def NOT_FOLLOWED(*, how: str, who: str, reason: str) -> None: ...


@define(
    "IPA-1067",
    DEBUG,
    "{how} of {who} is ignored: {reason}.",
    "It is not from where, or not what, [wake] in the configuration asks for. Nobody is answered.",
)
def IGNORED(*, how: str, who: str, reason: str) -> None: ...


@define(
    "IPA-1068",
    INFO,
    "Knocks are heard at {where}.",
    "wake.knock in the configuration asks for it. Nothing that comes there is ever answered.",
)
def LISTENING(*, where: str) -> None: ...


@define(
    "IPA-1069",
    WARNING,
    "No knocks can be heard at {where}: {reason}. Tried again in {wait_s:.0f} s.",
    "The address is not there (yet), is in use, or leads into a network that wake.any_interface does not open. Polls "
    "are not touched.",
)
def NOT_LISTENING(*, where: str, reason: str, wait_s: float) -> None: ...


@define(
    "IPA-1070",
    WARNING,
    "A new SMS cannot be read: {reason}.",
    "The modem refused or was lost. The message stays where it is; the next poll comes in its time.",
)
def SMS_UNREADABLE(*, reason: str) -> None: ...
