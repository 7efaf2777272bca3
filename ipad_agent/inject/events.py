"""What is said about packages that an eIM pushes."""

from __future__ import annotations

from ipad_agent.events import DEBUG, INFO, WARNING, define


@define(
    "IPA-4081",
    INFO,
    "Packages that an eIM pushes are taken at {where}.",
    "inject.listen in the configuration asks for it. Only eIMs on the card are heard, by their key on the card, their "
    "certificate or their pre-shared key.",
)
def LISTENING(*, where: str) -> None: ...


@define(
    "IPA-4082",
    WARNING,
    "No packages can be pushed at {where}: {reason}. Tried again in {wait_s:.0f} s.",
    "The address is not there (yet), is in use, or leads into a network that inject.any_interface does not open. Polls "
    "are not touched.",
)
def NOT_LISTENING(*, where: str, reason: str, wait_s: float) -> None: ...


@define(
    "IPA-4083",
    INFO,
    "{eim} pushed a package over {carrier}.",
    "TransferEimPackage. It is carried out as if it had been fetched; its result goes to the eIM as any other.",
)
def PUSHED(*, eim: str, carrier: str) -> None: ...


@define(
    "IPA-4084",
    WARNING,
    "A package that {eim} pushed was refused: {reason}.",
    "The eIM heard so, and nothing of the package is left here. It may push it again, or wait for the next poll.",
)
def REFUSED(*, eim: str, reason: str) -> None: ...


@define(
    "IPA-4085",
    WARNING,
    "Somebody at {address} wanted to push a package and is no eIM of this card: {reason}.",
    "Nothing was read of it. If it is the eIM, compare its key or certificate with its entry on the card; else see who "
    "may reach that address at all. Said once an hour at most.",
)
def STRANGER(*, address: str, reason: str) -> None: ...


@define(
    "IPA-4086",
    DEBUG,
    "A connection of {address} for pushed packages ended: {reason}.",
    "A broken handshake, a limit of size, time or number, or a request that is none.",
)
def CONNECTION_ENDED(*, address: str, reason: str) -> None: ...


@define(
    "IPA-4087",
    INFO,
    "{eim} pushed acknowledgements of {count} results.",
    "EimAcknowledgements of its own results leave the card; others stay.",
)
def ACKNOWLEDGED(*, eim: str, count: int) -> None: ...
