"""What the eIM room says."""

from __future__ import annotations

from ipad_agent.events import DEBUG, INFO, WARNING, define


@define(
    "IPA-3101",
    DEBUG,
    "{function} with {eim}: {sent_bytes} bytes out, {received_bytes} back.",
    "One ESipa function was carried out.",
)
def EXCHANGED(*, function: str, eim: str, sent_bytes: int, received_bytes: int) -> None: ...


@define(
    "IPA-3102",
    INFO,
    "{eim} is recognised by the configured trust; trustedPublicKeyDataTls of the eUICC is not used.",
    "The configuration names trust or a pre-shared key for this eIM, and what the device's owner configures goes "
    "before what the eUICC holds. Remove it to follow updates the eIM makes in the eUICC.",
)
def TRUST_OVERRIDDEN(*, eim: str) -> None: ...


@define(
    "IPA-3103",
    DEBUG,
    "{eim} refuses {function}: {status}.",
    "The status of a JSON answer in the server's words. The agent acts on the error number that stands for it.",
)
def STATUS(*, eim: str, function: str, status: str) -> None: ...


@define(
    "IPA-3104",
    INFO,
    "{eim}: the next attempt goes by {carrier} ({problem}).",
    "This eIM can be reached in two ways. The other one is tried after one had no connection; the preferred one is "
    "tried again later. A server that is not trusted is no reason to change.",
)
def CARRIER_CHANGED(*, eim: str, carrier: str, problem: str) -> None: ...


@define(
    "IPA-3105",
    INFO,
    "{eim} speaks the dialect of SGP.32 v{release}: {why}.",
    "Releases write some messages differently; v1.2 stands for v1.1 too. What an eIM showed is remembered; `dialect` "
    "in its [[eim]] table overrules it.",
)
def DIALECT_LEARNED(*, eim: str, release: str, why: str) -> None: ...


@define(
    "IPA-3106",
    DEBUG,
    "{eim} has result {seq}: an empty success acknowledges it in SGP.32 v1.0.",
    "That release acknowledges no numbers. The result is removed from the card and not sent again.",
)
def TAKEN_SILENTLY(*, eim: str, seq: int) -> None: ...


@define(
    "IPA-3107",
    WARNING,
    "{eim} refused a result {count} times and answers everything else: it has no order for it any more, and the result "
    "({what}) is not sent again.",
    "An eIM of SGP.32 v1.0 closes an order when the connection is lost, and has no way to say so. The result was "
    "offered in the form that this eIM reads, over days. Ask it for the state of the card with a new order.",
)
def RESULT_CLOSED(*, eim: str, count: int, what: str) -> None: ...


@define(
    "IPA-3108",
    INFO,
    "{eim} refuses CancelSession with the card's answer as X.680 wants it ({problem}) and takes it with its own tag.",
    "Some ASN.1 compilers keep the tag BF41 of the card's answer inside the field (X.680 §31.2.7 replaces it). The "
    "form that this eIM took is used from now on.",
)
def CANCEL_NESTED(*, eim: str, problem: object) -> None: ...


@define(
    "IPA-9050",
    INFO,
    "Tolerated from {eim} in {function}: {what} ({tolerance})",
    "The eIM's message bends a rule but has one meaning only, so it was read. Its maker may want to know.",
)
def MESSAGE_TOLERATED(*, eim: str, function: str, what: str, tolerance: str) -> None: ...


@define(
    "IPA-3178",
    DEBUG,
    "Compact forms saved {size_bytes} bytes towards {eim} on this link.",
    "Parts of ESipa messages that this eIM knows already were left out (minimizeEsipaBytes).",
)
def COMPACT_SAVED(*, size_bytes: int, eim: str) -> None: ...


@define(
    "IPA-3175",
    INFO,
    "Tolerated: {eim} answers {function} with status {code} and an error of ESipa in the body; the error counts.",
    "An error of ESipa belongs into a success of HTTP or CoAP (SGP.32 v1.2 §6.1, §6.2). Both say no, and the one in "
    "the body says why: there is no package, or this EID is not known. Its maker may want to know.",
)
def ERROR_IN_STATUS(*, eim: str, function: str, code: str) -> None: ...


@define(
    "IPA-9051",
    INFO,
    "Tolerated: {eim} refuses {function} with optional fields ({problem}) and takes it without.",
    "The eIM speaks an older release of SGP.32. The plain form is used from now on.",
)
def PLAIN_REQUEST(*, eim: str, function: str, problem: object) -> None: ...


@define(
    "IPA-9052",
    INFO,
    "Tolerated: the address of {eim} in the eUICC is written as {text}; {host} is used.",
    "eimFqdn should be a host name, with or without a port.",
)
def ADDRESS_AS_URL(*, eim: str, text: str, host: str) -> None: ...


@define(
    "IPA-9053",
    INFO,
    "Tolerated: the eUICC does not say that {eim} speaks {carrier}; trying it.",
    "eimSupportedProtocol is absent (which means a proprietary protocol) or names others, and the configuration "
    "asks for it.",
)
def PROTOCOL_NOT_NAMED(*, eim: str, carrier: str) -> None: ...


@define(
    "IPA-9078",
    INFO,
    "Tolerated: {eim} refuses {function} in its compact form ({problem}); it is sent in full.",
    "What was left out, because this eIM had been told before, may be gone from its memory, or it does not know "
    "compact forms. Everything is sent in full until it has asked for the data of this device again.",
)
def COMPACT_REFUSED(*, eim: str, function: str, problem: object) -> None: ...
