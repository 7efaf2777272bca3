"""What is said of polls: questions for work, and what comes of the answers before anything is carried out."""

from __future__ import annotations

from ipad_agent.events import ERROR, INFO, WARNING, define


@define(
    "IPA-4010",
    INFO,
    "Asking {eim} for work.",
    "A poll begins: first everything still owed to this eIM is delivered, then packages are fetched.",
)
def POLLING(*, eim: str) -> None: ...


@define(
    "IPA-4011",
    INFO,
    "{eim} has no work for this device.",
    "The normal end of a poll.",
)
def NOTHING_TO_DO(*, eim: str) -> None: ...


@define(
    "IPA-4012",
    WARNING,
    "{eim} answered the request for work with {code} ({meaning}).",
    "eidNotFound or invalidEid: the eIM does not know this eUICC, register its EID there. The next poll is delayed.",
)
def EIM_ERROR(*, eim: str, code: int, meaning: str) -> None: ...


@define(
    "IPA-4013",
    WARNING,
    "{eim} handed out {count} packages in one poll; the rest waits for the next poll.",
    "poll.max_packages protects the link and the card from an eIM that never stops.",
)
def ROUNDS_CAPPED(*, eim: str, count: int) -> None: ...


@define(
    "IPA-4020",
    INFO,
    "{eim} orders: {what}.",
    "A package arrived and was written to the journal before the card is touched.",
)
def PACKAGE_RECEIVED(*, eim: str, what: str) -> None: ...


@define(
    "IPA-4037",
    WARNING,
    "{eim} hands out an order again whose result it has refused; it is not executed a second time.",
    "The result that is recorded is offered again instead, once in a poll. Whoever runs the eIM can see there why it "
    "refuses.",
)
def ORDER_AGAIN(*, eim: str) -> None: ...


@define(
    "IPA-4043",
    ERROR,
    "The journal is full; no new work is fetched until what is owed was delivered.",
    "Nothing that is owed is ever dropped. Check the state directory and why results are not accepted.",
)
def NO_ROOM() -> None: ...


@define(
    "IPA-4044",
    WARNING,
    "{eim} answered again with something that cannot be read; the poll ends.",
    "The eIM was told invalidPackageFormat once in this poll and still sends no message. The next poll comes "
    "after a back-off; look at the eIM's log.",
)
def NOT_UNDERSTOOD_AGAIN(*, eim: str) -> None: ...


@define(
    "IPA-4045",
    ERROR,
    "An order of {eim} could not be written down ({reason}) and was not begun.",
    "What is not in the journal is not done. The eIM keeps the order and hands it out again; check the disk.",
)
def NOT_TAKEN(*, eim: str, reason: str) -> None: ...


@define(
    "IPA-4068",
    WARNING,
    "{eim} hands out the same download order again although it was told how it ended; it is told in another way.",
    "Some eIMs want the result itself (ProvideEimPackageResult) also of downloads through them. Nothing is downloaded "
    "twice.",
)
def TRIGGER_AGAIN(*, eim: str) -> None: ...


@define(
    "IPA-4342",
    WARNING,
    "{eim} has refused {count} results; no new work is fetched from it until it takes some of them.",
    "Each is offered again by its own pauses. The limit leaves room in the journal for other eIMs.",
)
def TOO_MANY_REFUSED(*, eim: str, count: int) -> None: ...


@define(
    "IPA-4343",
    INFO,
    "{eim} has not shown that it read of the changed profile state ({cause}); it is told again.",
    "Only a package, or the answer that there is none, shows that the eIM has read the question that said so.",
)
def CHANGE_NOT_TOLD(*, eim: str, cause: str) -> None: ...


@define(
    "IPA-4344",
    INFO,
    "{eim} did not answer the request for work with anything usable: {reason}. The rest of the poll goes on.",
    "Notifications are delivered all the same; the eIM is asked again after a back-off.",
)
def FETCH_REFUSED(*, eim: str, reason: str) -> None: ...


@define(
    "IPA-4345",
    WARNING,
    "An order of {eim} was cut off in {attempts} attempts; it is answered with undefinedError.",
    "The card failed each time while the answer was collected. Other orders do not wait any longer.",
)
def QUESTION_GIVEN_UP(*, eim: str, attempts: int) -> None: ...


@define(
    "IPA-4347",
    WARNING,
    "The card answers, but not with what an order of {eim} needs ({reason}); the order goes on at the next poll.",
    "The rest of the poll is made all the same, and the card is not reset. What was ordered is in the journal.",
)
def ORDER_STUCK(*, eim: str, reason: str) -> None: ...


@define(
    "IPA-4366",
    WARNING,
    "The order of {eim} waits, because it cannot be written down how far it is: {reason}",
    "Nothing is given to the card that a power cut could make the agent forget. The order goes on at the next poll "
    "after the disk works again. Check free space, mount options and permissions.",
)
def WAITS_FOR_DISK(*, eim: str, reason: str) -> None: ...
