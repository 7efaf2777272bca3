"""Carriers, trust, downloads and eIMs: sections of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ipad_agent.records import dataclass

from .secret_file import SecretFile
from .value_readers import (
    DAY_S,
    PORT_NUMBER,
    FilePath,
    Flag,
    Integer,
    ListOf,
    Number,
    Pem,
    Secret,
    Text,
    choices,
    key,
)

# A name, an IPv4 address, or an IPv6 address (two colons at least, so that "host:port" is none).
_HOST: Final = (
    r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?"
    r"|[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9_.-]+)?"
)

_ASCII: Final = r"[!-~](?:[ -~]*[!-~])?"
_ADDRESS: Final = rf"(?:\d{{1,3}}(?:\.\d{{1,3}}){{3}}|\[[0-9A-Fa-f:.]+\]):{PORT_NUMBER}"
_PLACE: Final = Text(
    "an address of this device like https://10.8.0.2:8443 or coaps://[::1]:5684", rf"(?:https|coaps)://{_ADDRESS}"
)


@dataclass(frozen=True, slots=True)
class CoapConfig:
    """CoAP and DTLS towards the eIM. The defaults depend on `poll.preset`."""

    ack_timeout_s: float = key(
        Number(0.1, 60),
        2.0,
        "CoAP ACK_TIMEOUT (RFC 7252 §4.8). Below 2 s is for test benches only; NB-IoT needs about 9 s.",
    )
    max_retransmit: int = key(
        Integer(0, 20),
        4,
        "CoAP MAX_RETRANSMIT: repetitions of an unanswered message. On a link that was measured to be faster than "
        "ACK_TIMEOUT there are more of them in the same time.",
    )
    block_size: int = key(
        Integer(16, 1024, (16, 32, 64, 128, 256, 512, 1024)),
        1024,
        "Bytes per block of a long message (RFC 7959). Halved by itself where blocks do not get through and small "
        "messages do.",
    )
    nstart: int = key(
        Integer(1, 16),
        1,
        "CoAP NSTART (RFC 7252 §4.7): how many blocks of a long answer are asked for at a time, where the server says "
        "how long it is. More than 1 is faster on links with a long delay; the eIM must be known to stand it.",
    )
    flight_timeout_s: float = key(
        Number(0.1, 60), 1.0, "First wait for an answer in the DTLS handshake; doubles (RFC 6347 §4.2.4.1)."
    )
    handshake_timeout_s: float = key(Number(1, 900), 60.0, "Deadline of the whole DTLS handshake.")
    exchange_timeout_s: float = key(
        Number(1, 3600),
        300.0,
        "How long one exchange may make no progress: until it stands, and from each block to the next. A long message "
        "over a bad link takes as long as it takes, up to half an hour.",
    )
    nat_timeout_s: float = key(
        Number(0, 30 * DAY_S),
        25.0,
        "After this long without traffic a new port and a shortened handshake are used: a NAT on the way has "
        "forgotten the old port by then.",
    )
    keep_session: bool = key(
        Flag(),
        False,
        "Whether the session stays open between polls, for as long as `nat_timeout_s`. A poll within it costs a tenth "
        "of one with a handshake. For short intervals, and for networks that are known not to translate addresses.",
    )
    close_notify: bool = key(
        Flag(),
        True,
        "Whether the eIM is told when a session ends. It costs some 70 bytes, twice where the eIM answers. A server "
        "that turns out to forget sessions that end without it is told all the same.",
    )
    lean_handshake: bool = key(
        Flag(),
        True,
        "Whether the DTLS handshake offers only what the pinned key or the pre-shared key needs. When that is refused "
        "everything is offered at once, and from then on.",
    )
    connection_id: bool = key(
        Flag(),
        True,
        "Whether the eIM is offered a Connection ID (RFC 9146), where Mbed TLS 3.6 is installed (Debian 13: "
        "libmbedtls21). With an eIM that takes it a poll needs no handshake, from whatever address and after a restart "
        "of the agent: `docs/connection-id.md`.",
    )


@dataclass(frozen=True, slots=True)
class HttpsConfig:
    """HTTPS towards eIMs, SM-DP+s and SM-DSs. The defaults depend on `poll.preset`."""

    connect_timeout_s: float = key(Number(1, 900), 30.0, "Deadline for name, TCP and TLS handshake together.")
    exchange_timeout_s: float = key(
        Number(1, 3600), 120.0, "Deadline of one exchange with everything in it; a profile is some 50 kilobytes."
    )
    user_agent: str = key(
        Text("printable ASCII", _ASCII),
        "gsma-rsp-ipad",
        "User-Agent towards eIMs. SGP.32 prescribes this value; more may follow after a semicolon.",
    )
    smdp_user_agent: str = key(
        Text("printable ASCII", _ASCII),
        "gsma-rsp-ipad",
        "User-Agent towards SM-DP+s and SM-DSs. Some know only `gsma-rsp-lpad`.",
    )
    admin_protocol: str = key(
        Text("printable ASCII", _ASCII),
        "gsma/rsp/v2.1.0",
        "X-Admin-Protocol to send. Some servers take this value only; from them any release (gsma/rsp/v...) is taken.",
    )


@dataclass(frozen=True, slots=True)
class InjectConfig:
    """Packages that an eIM pushes to this device, instead of waiting for its next poll. Off by default."""

    listen: tuple[str, ...] = key(
        ListOf(_PLACE, most=4),
        (),
        "Where this device listens for them. Each address is one of its own: loopback, or that of a tunnel (WireGuard, "
        "tun). With an address here the device also announces that packages may be pushed.",
    )
    any_interface: bool = key(
        Flag(),
        False,
        "Whether other addresses may be listened at too, among them those of the mobile network. Who may reach them "
        "should then be for a firewall to say.",
    )
    certificate: SecretFile | None = key(
        Pem(),
        None,
        "What this device shows to an eIM that pushes: its certificate, and those of its issuers behind it. Needed for "
        "HTTPS, and for CoAP with an eIM that has no pre-shared key.",
    )
    key_file: SecretFile | None = key(
        Pem(), None, "File with the private key of that certificate, without a pass phrase."
    )
    path: str = key(
        Text('a path that begins with "/"', r"/[!-~]*"),
        "/gsma/rsp2/asn1",
        "Resource path that packages are pushed to.",
    )
    per_minute: int = key(
        Integer(1, 600),
        12,
        "So many connections and requests of one address are looked at per minute, and twice as many of all together.",
    )


@dataclass(frozen=True, slots=True)
class TrustConfig:
    """Whom to believe when the eUICC does not say."""

    ca_file: Path | None = key(
        FilePath("a file"),
        None,
        "Certificates (PEM) that may vouch for an eIM the card holds no key or certificate for. Without it such an "
        "eIM is not trusted.",
    )
    allow_expired: bool = key(
        Flag(),
        False,
        "Whether expired certificates are accepted from every server. For an eIM better set it there only.",
    )
    ci_dir: Path | None = key(
        FilePath("a folder"),
        None,
        "Certificates (PEM or DER) of the CIs that may vouch for an SM-DP+ or SM-DS. Used are those whose key the card "
        "names too. Without it, and without `web_pki`, profiles are only downloaded through the eIM.",
    )
    web_pki: bool = key(
        Flag(),
        False,
        "Whether the system's store of web certificates may vouch for an SM-DP+ or SM-DS too. What is downloaded is "
        "protected by the card's own keys in any case.",
    )


@dataclass(frozen=True, slots=True)
class DownloadConfig:
    """Profile downloads."""

    way: str = key(
        choices(("auto", "direct", "indirect")),
        "auto",
        "Who talks to the SM-DP+. `auto` goes through the eIM when the card's entry says that it serves SM-DP+s, else "
        "directly where certificates are configured, else through the eIM all the same; `direct` and `indirect` know "
        "one way only, and only that one is announced.",
    )
    eim_is_consent: bool = key(
        Flag(),
        False,
        "Whether the eIM's order counts as the user's consent, where the card's rules ask for one before a profile "
        "with policy rules (cannot be disabled, cannot be deleted) is installed. Without it such a profile is refused.",
    )
    by_hand: bool = key(
        Flag(),
        False,
        "Whether a person in the acting group may have a profile downloaded with an activation code (`ipactl "
        "download`), straight from the SM-DP+. The profile is installed and not enabled, and every eIM is told.",
    )
    allow_private_servers: bool = key(
        Flag(),
        False,
        "Whether an SM-DP+ or SM-DS may have an address in the device's own networks: loopback, link-local, private "
        "and shared (100.64.0.0/10) ranges, the device's own addresses. An eIM that could name those would look into "
        "them through the device. For a private SM-DP+, and for benches.",
    )
    max_package_bytes: int = key(
        Integer(65_536, 8_388_608),
        1_048_576,
        "The largest profile package that is fetched. It is in memory while it is checked and loaded, and for a moment "
        "up to four times while it is read; what the card has room for it says itself.",
    )
    give_up_s: float = key(
        Number(0, 366 * DAY_S),
        7 * DAY_S,
        "How long a download that a bad link keeps cutting off is begun again and again, from the order on. Then the "
        "eIM hears that it failed. What the card or a server refuses ends it at once in any case.",
    )
    max_attempts: int = key(
        Integer(1, 1000),
        20,
        "How many of these attempts may reach the server. Each may cost the whole profile's bytes.",
    )
    confirmation_code_file: SecretFile | None = key(
        Secret(),
        None,
        "File with the confirmation code, for SM-DP+s that want one when the eIM gave none; never the code itself.",
    )


@dataclass(frozen=True, slots=True)
class EimConfig:
    """One eIM, by its eimId: what the card does not say, or says wrongly. The table may be repeated."""

    id: str = key(Text("an eimId: 1 to 128 characters", longest=128), "", "Which eIM this is about; must be given.")
    host: str | None = key(
        Text("a host name or address, without a port", _HOST),
        None,
        "Where to reach it, instead of the eimFqdn on the card.",
    )
    port: int | None = key(
        Integer(1, 65_535), None, "Port; without it the one in the card's eimFqdn, else 5684 (CoAPs) and 443 (HTTPS)."
    )
    https_port: int | None = key(Integer(1, 65_535), None, "TCP port, where it is another than the one for CoAPs.")
    carrier: str = key(
        choices(("auto", "coaps", "https")),
        "auto",
        "How messages travel. `auto` takes what the card's entry names, CoAPs before HTTPS, and changes to the other "
        "for the next attempt when there was no connection; `coaps` and `https` are used whatever the card says.",
    )
    binding: str = key(
        choices(("asn1", "json")),
        "asn1",
        "How messages are written. Every eIM has to know both over HTTPS; ASN.1 is shorter.",
    )
    dialect: str = key(
        choices(("auto", "1.0", "1.1", "1.2", "1.3")),
        "auto",
        "Which release of SGP.32 it speaks. `auto` goes by what it shows, and remembers that; until then results are "
        "sent as every release reads them. `1.1` and `1.2` write alike. With `1.3` X-Admin-Protocol says "
        "`gsma/rsp/v1.3.0`, unless `https.admin_protocol` is set.",
    )
    compact: str = key(
        choices(("auto", "never")),
        "auto",
        "Whether what this eIM knows is left out of messages to it, when `ipa.features` has `minimize_esipa_bytes`. "
        "One that turns out not to take that is sent everything by itself.",
    )
    admin_protocol: str | None = key(
        Text("ASCII without blanks", r"[!-~]+"),
        None,
        "X-Admin-Protocol towards this eIM, for one that insists on another than `https.admin_protocol`.",
    )
    path: str = key(
        Text('a path that begins with "/"', r"/[!-~]*"),
        "/gsma/rsp2/asn1",
        "Resource path of the ESipa interface. `{function}` stands for the function's name; with `binding` set to "
        "`json` the default is `/gsma/rsp2/esipa/{function}`.",
    )
    content_format: int | None = key(
        Integer(0, 65_535), None, "CoAP Content-Format to send; SGP.32 sends none, 42 is octet-stream."
    )
    psk_identity: str | None = key(
        Text("1 to 128 characters", longest=128), None, "Identity of a pre-shared key; with it no certificate is used."
    )
    psk_key_file: SecretFile | None = key(Secret(), None, "File with that key in hexadecimal; never the key itself.")
    client_certificate: SecretFile | None = key(
        Pem(),
        None,
        "This device's own certificate, and those of its issuers behind it, for an eIM that asks for one in the TLS or "
        "DTLS handshake.",
    )
    client_key_file: SecretFile | None = key(
        Pem(),
        None,
        "File with the private key of that certificate, without a pass phrase; a PKCS#11 URI cannot be used.",
    )
    verify_name: str = key(
        choices(("auto", "always", "never")),
        "auto",
        "Whether the certificate must show the host's name. `auto`: unless the card pins the key itself.",
    )
    allow_expired: bool = key(Flag(), False, "Whether an expired certificate is accepted from this eIM.")
    protocol_bits: str = key(
        choices(("practical", "strict", "ignored")),
        "practical",
        "How much the eimSupportedProtocol on the card decides. `practical`: an entry that names nothing is tried, one "
        "that names other protocols is not; `strict`: CoAPs or HTTPS must be named; `ignored`: both are tried in any "
        "case.",
    )
    enabled: bool = key(Flag(), True, "Whether to poll this eIM at all.")
