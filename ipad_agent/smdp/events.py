"""What the room for SM-DP+ and SM-DS says."""

from __future__ import annotations

from ipad_agent.events import DEBUG, INFO, WARNING, define


@define(
    "IPA-3201",
    DEBUG,
    "{function} with {server}: {sent_bytes} bytes out, {received_bytes} back.",
    "One function of ES9+ or ES11 was carried out.",
)
def EXCHANGED(*, function: str, server: str, sent_bytes: int, received_bytes: int) -> None: ...


@define(
    "IPA-3202",
    WARNING,
    "The address {server} of an SM-DP+ or SM-DS is not used: {problem}.",
    "An eIM, an SM-DS or a profile names this server, and its address leads into the device's own networks: nothing "
    "was sent there. Where the server is there on purpose, set download.allow_private_servers.",
)
def ADDRESS_FORBIDDEN(*, server: str, problem: str) -> None: ...


@define(
    "IPA-9060",
    INFO,
    "Tolerated from {server} in {function}: {what} ({tolerance})",
    "The server's message bends a rule but has one meaning only, so it was read. Its maker may want to know.",
)
def MESSAGE_TOLERATED(*, server: str, function: str, what: str, tolerance: str) -> None: ...


@define(
    "IPA-9061",
    INFO,
    "Tolerated: {server} answers {function} with HTTP {code} and a status code in the body; the status code counts.",
    "HTTP 200 is due also when a function failed (SGP.22 v2.5 §6.3).",
)
def STATUS_IN_HTTP_ERROR(*, server: str, function: str, code: str) -> None: ...


@define(
    "IPA-9062",
    INFO,
    "Tolerated: {server} answers {function} with HTTP {code} and a page instead of a status code.",
    "What the function's failure was about is only in the server's log. Test servers are known for it.",
)
def ERROR_PAGE(*, server: str, function: str, code: str) -> None: ...


@define(
    "IPA-9063",
    INFO,
    "Tolerated: {server} answers {function} with content where none belongs.",
    "The HTTP status says success, and this function has no answer, so the content is not read.",
)
def CONTENT_IGNORED(*, server: str, function: str) -> None: ...


@define(
    "IPA-9064",
    INFO,
    "Tolerated: {server} answers {function} with nothing at all.",
    "A success should come with a status (SGP.22 v2.5 §6.5.2); the HTTP status says success.",
)
def EMPTY_SUCCESS(*, server: str, function: str) -> None: ...
