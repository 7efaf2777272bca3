"""What the network room says."""

from __future__ import annotations

from pathlib import Path

from ipad_agent.events import DEBUG, INFO, WARNING, define


@define(
    "IPA-3001",
    INFO,
    "Connected to {host}:{port} ({cipher}, {kind} handshake; {trusted}).",
    "A DTLS session stands and the server's identity was checked. An abbreviated handshake costs about half the bytes; "
    "none is needed where the server knows the session by its Connection ID (RFC 9146).",
)
def CONNECTED(*, host: str, port: int, cipher: str, kind: str, trusted: str) -> None: ...


@define(
    "IPA-3002",
    WARNING,
    "{host}:{port} is not trusted: {problem}. Nothing was sent to it.",
    "The server's key or certificate is not the one the eUICC or the configuration names. If the eIM changed its "
    "key, trustedPublicKeyDataTls must be updated (updateEim) or the trust configured by hand. The agent tries "
    "again by its schedule.",
)
def REFUSED(*, host: str, port: int, problem: Exception) -> None: ...


@define(
    "IPA-3003",
    INFO,
    "{host}:{port} no longer answers on the old session ({problem}); making a new one.",
    "The server restarted or a NAT on the way forgot the connection. One new session is tried at once.",
)
def RECONNECTING(*, host: str, port: int, problem: Exception) -> None: ...


@define(
    "IPA-3004",
    DEBUG,
    "Ignored a message from {host}:{port}: {problem}.",
    "A datagram that is no valid CoAP message or answers nothing that was asked. Harmless when rare.",
)
def NOISE(*, host: str, port: int, problem: str) -> None: ...


@define(
    "IPA-3005",
    INFO,
    "{host} at {address}: {problem}",
    "One of the addresses of the server's name did not work; the next one is tried.",
)
def ADDRESS_FAILED(*, host: str, address: object, problem: object) -> None: ...


@define(
    "IPA-3007",
    WARNING,
    "The clock of this device is not set, so the certificate dates of {host} were not checked.",
    "Everything else about the server's certificate was checked. Set the clock (NTP, modem time).",
)
def DATES_NOT_JUDGED(*, host: str) -> None: ...


@define(
    "IPA-3008",
    INFO,
    "This build of the TLS library offers its own choice of curves; brainpoolP256r1 is not among them.",
    "eIMs with a P-256 key are not affected. For brainpool install cryptography 47 or later, or the package of the "
    "Linux distribution.",
)
def NO_BRAINPOOL() -> None: ...


@define(
    "IPA-3009",
    INFO,
    "Connected to {host}:{port} ({cipher}; {trusted}).",
    "A TLS session stands and the server's identity was checked; nothing was sent before that.",
)
def HTTPS_CONNECTED(*, host: str, port: int, cipher: str, trusted: str) -> None: ...


@define(
    "IPA-3010",
    INFO,
    "The connection to {host}:{port} ended between two requests ({problem}); making a new one.",
    "Servers close connections that are idle for long. A request that may not be repeated is only sent again when the "
    "end was noticed before it was sent.",
)
def HTTPS_RECONNECTING(*, host: str, port: int, problem: str) -> None: ...


@define(
    "IPA-3012",
    WARNING,
    "{path} holds no certificate that can be used: {problem}.",
    "A file in a folder of trusted certificates was left out; the others are used. PEM and DER are read.",
)
def ANCHOR_UNREADABLE(*, path: Path, problem: Exception) -> None: ...


@define(
    "IPA-3013",
    WARNING,
    "The installed h11 {version} does not check the end of chunks (CVE-2025-43859).",
    "Answers in chunks that are delimited wrongly pass for right ones. No request of this agent shares a connection "
    "with those of others, so nothing can be smuggled. Install h11 0.16, or the repaired 0.14 of a distribution.",
)
def OLD_PARSER(*, version: object) -> None: ...


@define(
    "IPA-3014",
    INFO,
    "A transfer with {host} goes on over a new session after {size_bytes} bytes: {problem}",
    "The link fell silent in the middle of a long message. What has come is kept; the server is asked for the rest, as "
    "long as it remembers the message.",
)
def TRANSFER_MOVES(*, host: str, problem: Exception, size_bytes: int) -> None: ...


@define(
    "IPA-3015",
    INFO,
    "Blocks of {size_bytes} bytes are asked of {host} from now on: larger ones do not seem to get through.",
    "Messages of the larger size were repeated to the end twice in a row and not answered. The smaller size is kept "
    "until the agent starts again.",
)
def BLOCKS_GOT_SMALLER(*, host: str, size_bytes: int) -> None: ...


@define(
    "IPA-3016",
    INFO,
    "{host} refused what was offered first ({problem}); something else is offered instead.",
    "The first handshake offers only what a server with the pinned key needs, which is shorter, and a Connection ID "
    "where Mbed TLS is there. This server wants something else: from now on it is offered everything, or OpenSSL does "
    "the handshake.",
)
def LEAN_OFFER_REFUSED(*, host: str, problem: Exception) -> None: ...


@define(
    "IPA-9030",
    INFO,
    "Tolerated: {host} shows another certificate than the pinned one, with the same key.",
    "The eIM renewed its certificate and kept the key. The key is what proves the identity, so the session goes on.",
)
def SAME_KEY(*, host: str) -> None: ...


@define(
    "IPA-9031",
    WARNING,
    "Tolerated: the certificate of {host} is out of date; allow_expired is set for it.",
    "The configuration says so. Renew the certificate and remove the setting.",
)
def EXPIRED_ACCEPTED(*, host: str) -> None: ...


@define(
    "IPA-9032",
    INFO,
    "Tolerated: the certificate of {host} becomes valid within the next day.",
    "The clock of this device runs behind, or the certificate was issued minutes ago in another time zone.",
)
def SKEW_ACCEPTED(*, host: str) -> None: ...


@define(
    "IPA-9033",
    INFO,
    "Tolerated: {host} does not take requests in blocks ({problem}); sending {size_bytes} bytes in one datagram.",
    "RFC 7959 Block1 is missing in the server. Large datagrams may be lost on the way; ask the eIM's maker for Block1.",
)
def NO_BLOCK1(*, host: str, problem: str, size_bytes: int) -> None: ...


@define(
    "IPA-9034",
    INFO,
    "Tolerated: {host} broke off the abbreviated handshake ({problem}); making a full one.",
    "A server that lost the session should fall back by itself; this one sent an alert.",
)
def SESSION_REFUSED(*, host: str, problem: Exception) -> None: ...


@define(
    "IPA-9035",
    INFO,
    "Tolerated: {host} acknowledged a block with {code} instead of 2.31.",
    "Older servers do so. The transfer goes on.",
)
def CONTINUE_WITHOUT_231(*, host: str, code: str) -> None: ...


@define(
    "IPA-9036",
    INFO,
    "Tolerated: {host} finds the request too large; trying blocks of {size_bytes} bytes.",
    "The server answered 4.13 (RFC 7959 §2.9.3). The smaller size is kept for this server.",
)
def SMALLER_BLOCKS(*, host: str, size_bytes: int) -> None: ...


@define(
    "IPA-9037",
    INFO,
    "Tolerated: {host} lost track of the block-wise transfer ({problem}); starting it again.",
    "The server answered 4.08 or its answer changed while it was fetched (RFC 7959 §2.9.2).",
)
def TRANSFER_RESTARTED(*, host: str, problem: str) -> None: ...


@define(
    "IPA-9038",
    INFO,
    "Tolerated: {host} puts an ETag on some blocks of its answer only; it differs from {place} on.",
    "An ETag belongs on every block (RFC 7959 §2.4). Those that are there are compared, the others say nothing.",
)
def SOME_ETAGS(*, host: str, place: str) -> None: ...


@define(
    "IPA-9040",
    INFO,
    "Tolerated: {host} calls its answer {value}.",
    "The Content-Type should be that of the request (SGP.32 v1.2 §6.1). The content is read all the same.",
)
def ODD_CONTENT_TYPE(*, host: str, value: str) -> None: ...


@define(
    "IPA-9041",
    INFO,
    "Tolerated: {host} answers with X-Admin-Protocol {value}.",
    "It should be gsma/rsp/v and a release (SGP.32 v1.2 §6.1.1), and any release is one. The content is read all the "
    "same.",
)
def ODD_ADMIN_PROTOCOL(*, host: str, value: str) -> None: ...


@define(
    "IPA-9042",
    INFO,
    "Tolerated: {host} answers with HTTP status {status} instead of 200 or 204.",
    "The status says success, so the answer is read.",
)
def ODD_STATUS(*, host: str, status: str) -> None: ...


@define(
    "IPA-9075",
    INFO,
    "Tolerated: {host} encodes its answer as {value}, which it was not asked for.",
    "A request without Accept-Encoding does not forbid it (RFC 9110 §12.5.3), so the answer is unpacked and read. It "
    "saves nothing with messages of this size: switch compression off for this path in the server or its proxy.",
)
def UNASKED_CODING(*, host: str, value: str) -> None: ...


@define(
    "IPA-3075",
    INFO,
    "Tolerated: {host} ends an answer without a length ({size_bytes} bytes) by cutting the connection off.",
    "Such an answer ends with the connection, and only a close_notify tells its end from a cut (RFC 9112 §9.8). The "
    "message itself shows that it is whole, so it is read. Let the server send Content-Length.",
)
def NO_CLOSE_NOTIFY(*, host: str, size_bytes: str) -> None: ...


@define(
    "IPA-3077",
    INFO,
    "No handshake with {host} by Mbed TLS ({problem}); OpenSSL is used for the next {wait_s:.0f} s.",
    "Connection IDs (RFC 9146) need Mbed TLS. This server and that library do not come together, so OpenSSL speaks to "
    "it, without a Connection ID; polls cost more bytes. Mbed TLS is tried again later.",
)
def OPENSSL_INSTEAD(*, host: str, problem: str, wait_s: float) -> None: ...
