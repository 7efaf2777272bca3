"""What is said while an order is carried out on the card, and a data request answered."""

from __future__ import annotations

from ipad_agent.events import DEBUG, ERROR, INFO, WARNING, define


@define(
    "IPA-4021",
    INFO,
    "The card executed the package: {what}.",
    "The signed result is in the journal now and stays on the card until the eIM acknowledges it.",
)
def PACKAGE_LOADED(*, what: str) -> None: ...


@define(
    "IPA-4022",
    WARNING,
    "The card refused the package: {what}.",
    "The eUICC checks the eIM's signature, the EID and the counter itself. The eIM is told with the card's own words.",
)
def PACKAGE_REFUSED(*, what: str) -> None: ...


@define(
    "IPA-4023",
    ERROR,
    "The card could not take the package: {reason}. The eIM is told undefinedError.",
    "The card answered with an error status instead of a result, so nothing was executed.",
)
def CARD_COULD_NOT(*, reason: str) -> None: ...


@define(
    "IPA-4024",
    INFO,
    "The enabled profile changes; waiting for the card to come back.",
    "After a switch the card is reset by the modem (REFRESH) or by the agent; all channels are opened anew.",
)
def SWITCHING() -> None: ...


@define(
    "IPA-4025",
    INFO,
    "The card is back; enabled profile: {iccid}.",
    "The ISD-R answers again after the switch.",
)
def CARD_BACK(*, iccid: str) -> None: ...


@define(
    "IPA-4026",
    WARNING,
    "The answer to the package was lost ({reason}); reading the card to learn what happened.",
    "The card keeps its signed result; if there is none, the package is loaded once more: its counter prevents "
    "a second execution.",
)
def OUTCOME_UNKNOWN(*, reason: str) -> None: ...


@define(
    "IPA-4028",
    WARNING,
    "The card's answer to the package cannot be read ({reason}); the eIM gets it as it is.",
    "The card did execute the package. Its answer is signed, so the eIM may make more of it than this agent can.",
)
def ANSWER_UNREADABLE(*, reason: str) -> None: ...


@define(
    "IPA-4041",
    INFO,
    "{eim} asks for data: {what}.",
    "IpaEuiccDataRequest (SGP.32 §2.11.1.2): answered from the card and from this device.",
)
def DATA_REQUEST(*, eim: str, what: str) -> None: ...


@define(
    "IPA-4070",
    WARNING,
    "Part of the order of {eim} failed: {what}: {words} ({reason}).",
    "The card executes the operations of an order one after the other and stops at the first that fails. The eIM gets "
    "the card's signed word; `ipactl eims` shows it until an order goes well.",
)
def OPERATION_FAILED(*, eim: str, what: str, words: str, reason: str) -> None: ...


@define(
    "IPA-4080",
    DEBUG,
    "The order of {eim} was carried out; {failed} of {operations} operations failed: {what}.",
    "How the order ended, for the history of this device (`ipactl history`). The eIM gets the card's own words.",
)
def ORDER_CARRIED_OUT(*, eim: str, what: str, operations: int, failed: int) -> None: ...


@define(
    "IPA-4352",
    WARNING,
    "{eim} gets no answer about {item}: {reason}.",
    "The card does not tell it, or in a form that cannot be read. What is left out is not known; the rest of the data "
    "request is answered.",
)
def ITEM_LEFT_OUT(*, eim: str, item: str, reason: str) -> None: ...


@define(
    "IPA-4353",
    INFO,
    "Tolerated from the card in {function}: {what} ({tolerance})",
    "The card's answer bends a rule but has one meaning only, so it was read. Its maker may want to know.",
)
def CARD_TOLERATED(*, function: str, what: str, tolerance: str) -> None: ...
