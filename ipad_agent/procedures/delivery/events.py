"""What is said of results and notifications on their way to those who wait for them."""

from __future__ import annotations

from ipad_agent.events import DEBUG, ERROR, INFO, WARNING, define


@define(
    "IPA-4027",
    INFO,
    "Result {seq} for {eim} was still on the card; it is delivered now.",
    "An earlier run ended between the card and the eIM. Nothing was lost.",
)
def RECOVERED_RESULT(*, seq: int | None, eim: str) -> None: ...


@define(
    "IPA-4029",
    INFO,
    "The card has result {seq} for an order of {eim} whose result {former} is not on it any more; {seq} is told.",
    "A rollback replaces a result, and an emulated card whose state was not on the disk makes one anew. The eIM hears "
    "of the order once, as the card knows it last.",
)
def RESULT_MADE_ANEW(*, eim: str, seq: int | None, former: int) -> None: ...


@define(
    "IPA-4030",
    INFO,
    "Result delivered to {eim} ({size_bytes} bytes); acknowledged: {acknowledged}.",
    "The eIM has the signed result; acknowledged numbers are removed from the card.",
)
def RESULT_SENT(*, eim: str, size_bytes: int, acknowledged: str) -> None: ...


@define(
    "IPA-4031",
    WARNING,
    "{eim} took result {seq} but did not acknowledge it; it stays on the card and is sent again at the next poll.",
    "The eIM discards results whose signature or number it does not accept. Look at the eIM's log.",
)
def RESULT_NOT_ACKNOWLEDGED(*, eim: str, seq: int) -> None: ...


@define(
    "IPA-4032",
    WARNING,
    "{eim} refused a result with {code} ({meaning}); it stays owed.",
    "The eIM does not accept this result at the moment; IPA-4340 says when it is offered again. Whoever runs the eIM "
    "can see there why it refuses.",
)
def RESULT_REFUSED(*, eim: str, code: int, meaning: str) -> None: ...


@define(
    "IPA-4033",
    DEBUG,
    "Number {seq} removed from the card ({status}).",
    "RemoveNotificationFromList after the acknowledgement; nothingToDelete is no error.",
)
def REMOVED(*, seq: int, status: int) -> None: ...


@define(
    "IPA-4034",
    INFO,
    "Notification {seq} for {address} handed to {eim}.",
    "The eIM forwards it to the SM-DP+; it was removed from the card.",
)
def NOTIFICATION_SENT(*, seq: int, address: str, eim: str) -> None: ...


@define(
    "IPA-4035",
    WARNING,
    "{eim} did not take notification {seq}: {reason}. It stays on the card.",
    "It is offered again at the next poll.",
)
def NOTIFICATION_KEPT(*, eim: str, seq: int, reason: str) -> None: ...


@define(
    "IPA-4036",
    ERROR,
    "The card answers, but its list of results or notifications cannot be read: {reason}. Going on without it.",
    "What is in the list stays on the card and is tried again at the next poll. A modem that cuts long answers is the "
    "usual cause: prefer AT+CGLA in the module's profile.",
)
def LIST_UNREADABLE(*, reason: str) -> None: ...


@define(
    "IPA-4066",
    INFO,
    "Notification {seq} delivered to {address}.",
    "The SM-DP+ took it; it was removed from the card.",
)
def NOTIFICATION_DELIVERED(*, seq: int, address: str) -> None: ...


@define(
    "IPA-4067",
    WARNING,
    "{address} does not take notifications ({reason}); {count} stay on the card, next attempt in {pause_s:.0f} s.",
    "Nothing is lost and other receivers are not held up. Newer notifications are tried at once.",
)
def RECEIVER_PAUSED(*, address: str, reason: str, count: int, pause_s: float) -> None: ...


@define(
    "IPA-4340",
    WARNING,
    "{eim} has not taken a result: {reason} ({attempts} so far). All else goes on; the next try is in {wait}.",
    "The result stays owed and is offered again after an hour, two, four, and at last once a day, until the eIM takes "
    "it. Other results, notifications and new orders do not wait for it. `ipactl owed` shows it; whoever runs the eIM "
    "can see there why it refuses.",
)
def RESULT_WAITS(*, eim: str, reason: str, attempts: str, wait: str) -> None: ...


@define(
    "IPA-4341",
    INFO,
    "The card's answer to the removal of number {seq} cannot be used ({reason}); it was delivered, so it is settled.",
    "RemoveNotificationFromList was answered, only not as specified. If the number is still on the card it is offered "
    "again at the next poll, and an eIM that has it acknowledges it again.",
)
def REMOVAL_UNREADABLE(*, seq: int, reason: str) -> None: ...


@define(
    "IPA-4365",
    WARNING,
    "{numbers} stay on the card although they were taken: the disk does not have the result yet.",
    "While the disk refuses to write, the card is the only memory that survives a power cut. What was taken is not "
    "delivered again; it is removed as soon as the disk works.",
)
def KEPT_ON_CARD(*, numbers: str) -> None: ...


@define(
    "IPA-4075",
    INFO,
    "{eim} acknowledged number {seq}, which is a result for {other}; it stays on the card until that eIM has it.",
    "An eIM may name numbers that it learned elsewhere, from a list of the card's results for example. What is owed to "
    "another eIM is only removed by that one's own word.",
)
def ANOTHER_EIMS_RESULT(*, eim: str, seq: int, other: str) -> None: ...


@define(
    "IPA-4398",
    INFO,
    "The card keeps result {seq} for {eim}, which it does not know any more; it is delivered by its former entry.",
    "The eIM left the card before it acknowledged this result. It is asked to take it, and to say so, once more; then "
    "the card can forget it.",
)
def RESULT_OF_GONE_EIM(*, eim: str, seq: int) -> None: ...
