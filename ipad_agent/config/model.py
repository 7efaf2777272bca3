"""The configuration: every key with its type, its default, what is allowed and why it is there.

This is the one place a key is described; the reader, the manual (``docs/configuration.md``) and the tests follow it.
"""

# ruff: noqa: RUF009  # key() is dataclasses.field()

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final, TypeVar

from ipad_agent.policy import NORMAL, PRESETS, ScheduleSettings

from .readers import Aid, FilePath, Flag, Integer, ListOf, Number, Reader, Secret, Text, choices
from .secret import SecretFile

T = TypeVar("T")

DEFAULT_PATH: Final = Path("/etc/ipad-agent/config.toml")

_DAY_S: Final = 86_400.0
# A name, an IPv4 address, or an IPv6 address (two colons at least, so that "host:port" is none).
_HOST: Final = (
    r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?"
    r"|[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9_.-]+)?"
)

_NUMBER: Final = r"(?:6553[0-5]|655[0-2]\d|65[0-4]\d\d|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})"
_PORT: Final = rf"auto|/[^\x00-\x1f\x7f]+|socket://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):{_NUMBER}"

_ASCII: Final = r"[!-~](?:[ -~]*[!-~])?"

IPA_FEATURES: Final = (
    "eim_download_data_handling",
    "eim_ctx_params1_generation",
    "eim_profile_metadata_verification",
    "minimize_esipa_bytes",
)


def key(reader: Reader[T], default: T | None, why: str) -> T:
    """Describe one key; ``default`` None with a reader that never gives None means: not set."""
    return field(default=default, metadata={"reader": reader, "why": why})  # type: ignore[return-value]  # as dataclasses


@dataclass(frozen=True, slots=True)
class ModemConfig:
    """The modem and the serial port to it."""

    port: str = key(
        Text('"auto", a device such as "/dev/ttyUSB2", or "socket://host:port"', _PORT),
        "auto",
        "Where AT commands go. `auto` takes the AT port of the one known modem on the USB (see hw/README.md), or "
        "`/dev/ipad-agent-modem` when udev made that link. `socket://` is a serial port behind a TCP server, for "
        "benches: whoever reaches that server owns the modem.",
    )
    baud: int = key(
        Integer(1200, 4_000_000), 115_200, "Speed of a real UART; USB ports ignore it, ports of most modules follow it."
    )
    profile: str = key(
        Text('"auto" or the name of a module profile', r"[A-Za-z0-9][A-Za-z0-9_.+-]*"),
        "auto",
        "Which module profile to use; `auto` asks the module who it is.",
    )
    profiles_dir: Path | None = key(
        FilePath("a folder"), None, "More module profiles (`*.toml`), looked at before those that come with the agent."
    )
    transport: str = key(
        choices(("auto", "cgla", "csim")),
        "auto",
        "How APDUs travel: AT+CGLA, AT+CSIM, or whichever the profile and the module offer.",
    )
    lock_dir: Path = key(
        FilePath("a folder"), Path("/run/lock"), "Where port locks are kept that other programs respect."
    )
    restore_function: bool = key(
        Flag(),
        True,
        "Whether a modem found with its radio switched off (AT+CFUN=0 or 4) is switched on; usually a card reset was "
        "interrupted half-way.",
    )
    allow_nvm_writes: bool = key(
        Flag(),
        False,
        "Whether commands may be sent that write the module's flash (slot selection, settings). They wear it out and "
        "outlive the agent.",
    )


@dataclass(frozen=True, slots=True)
class CardConfig:
    """The eUICC."""

    isdr_aids: tuple[bytes, ...] = key(
        ListOf(Aid(), least=1),
        (bytes.fromhex("A0000005591010FFFFFFFF8900000100"),),
        "Applications tried as ISD-R, in this order. The default is the one of GSMA; some removable cards have others.",
    )
    terminal_capability: str = key(
        choices(("auto", "always", "never")),
        "auto",
        "Whether to send TERMINAL CAPABILITY. Most modems do it themselves; `auto` does when the ISD-R is refused.",
    )
    apdu_timeout_s: float = key(Number(1, 600), 60.0, "How long one APDU may take; the card may be working.")
    last_block_timeout_s: float = key(
        Number(1, 1800), 240.0, "The same for the last block of a chain, where the card does the work of all of it."
    )
    recover_timeout_s: float = key(
        Number(5, 1800),
        300.0,
        "How long to try to get the card back after a reset before giving up this attempt.",
    )


@dataclass(frozen=True, slots=True)
class ProvisioningConfig:
    """The first eIM of a card that has none."""

    initial_eim: Path | None = key(
        FilePath("a file"),
        None,
        "An AddInitialEim request, or the EimConfigurationData for one (DER), given to a card without any eIM.",
    )
    allow: bool = key(Flag(), True, "Whether the agent may give the card its first eIM at all.")


@dataclass(frozen=True, slots=True)
class IpaConfig:
    """What this IPA tells about itself."""

    features: tuple[str, ...] = key(
        ListOf(choices(IPA_FEATURES)),
        (),
        "What an eIM may take over from this IPA (bits of ipaFeatures): it acts on them. Whether profiles can be "
        "downloaded directly and through the eIM is announced as it is.",
    )
    imei: str | None = key(
        Text("14 to 16 digits", r"[0-9]{14,16}"), None, "The IMEI to tell; normally the module is asked for it."
    )


@dataclass(frozen=True, slots=True)
class PollConfig:
    """When to ask the eIM for work. The defaults depend on the preset."""

    preset: str = key(
        choices(tuple(PRESETS)),
        "normal",
        "A set of defaults for this section, `[coap]` and `[https]`: `nbiot` is for NB-IoT.",
    )
    interval_s: float = key(Number(1, 31 * _DAY_S), NORMAL.interval_s, "Between two polls when nothing is going on.")
    first_s: float = key(
        Number(0, _DAY_S), NORMAL.first_s, "From a boot to the first poll, at least; modem and network need that long."
    )
    phase_window_s: float = key(
        Number(0, _DAY_S),
        NORMAL.phase_window_s,
        "The first polls of a fleet spread over this much more, so that a power cut in a city is no flood at the eIM. "
        "Each device has its fixed place, from the SHA-256 of its EID.",
    )
    jitter: float = key(
        Number(0, 0.5, ""), NORMAL.jitter, "Share of every interval by which it is shortened or lengthened at random."
    )
    fast_phase_s: float = key(
        Number(0, _DAY_S),
        NORMAL.fast_phase_s,
        "For this long after a boot or a provisioning polls are more frequent; 0 turns it off.",
    )
    fast_interval_s: float = key(Number(1, _DAY_S), NORMAL.fast_interval_s, "Between two polls in that phase.")
    backoff_first_s: float = key(
        Number(0.1, _DAY_S),
        NORMAL.backoff_first_s,
        "The first back-off after a failure (a random part of it); it doubles up to the interval.",
    )
    backoff_unknown_s: float = key(
        Number(0.1, 7 * _DAY_S),
        NORMAL.backoff_unknown_s,
        "The same when the eIM does not know this EID: only a person can change that.",
    )
    backoff_trust_s: float = key(
        Number(0.1, 7 * _DAY_S),
        NORMAL.backoff_trust_s,
        "The same when the eIM's certificate or key was refused: every attempt costs a handshake.",
    )
    backoff_local_s: float = key(
        Number(0.1, 3600),
        NORMAL.backoff_local_s,
        "The same when modem or card failed; it doubles up to one hour only, because it costs no traffic.",
    )
    busy_cap_s: float = key(
        Number(1, 7 * _DAY_S),
        NORMAL.busy_cap_s,
        "The longest a busy eIM may send the device away.",
    )
    max_packages: int = key(
        Integer(1, 1000), NORMAL.max_packages, "Packages in one run; a guard against an eIM that never stops."
    )
    pause_s: float = key(
        Number(0.1, _DAY_S),
        NORMAL.pause_s,
        "Pause after a run that reached that number; it doubles with every such run in a row.",
    )
    attach_gap_s: float = key(
        Number(0, 7 * _DAY_S),
        NORMAL.attach_gap_s,
        "A network attach causes a poll unless the last one was less than this long ago.",
    )

    def settings(self) -> ScheduleSettings:
        """The same numbers for the schedule."""
        return ScheduleSettings(**{item.name: getattr(self, item.name) for item in fields(ScheduleSettings)})


@dataclass(frozen=True, slots=True)
class CoapConfig:
    """CoAP and DTLS towards the eIM. The defaults depend on `poll.preset`."""

    ack_timeout_s: float = key(
        Number(0.1, 60),
        2.0,
        "CoAP ACK_TIMEOUT (RFC 7252 §4.8). Below 2 s is for test benches only; NB-IoT needs about 9 s.",
    )
    max_retransmit: int = key(Integer(0, 20), 4, "CoAP MAX_RETRANSMIT: repetitions of an unanswered message.")
    block_size: int = key(
        Integer(16, 1024, (16, 32, 64, 128, 256, 512, 1024)),
        512,
        "Bytes per block of a long message (RFC 7959). Smaller is safer on bad links, 1024 is faster on good ones.",
    )
    flight_timeout_s: float = key(
        Number(0.1, 60), 1.0, "First wait for an answer in the DTLS handshake; doubles (RFC 6347 §4.2.4.1)."
    )
    handshake_timeout_s: float = key(Number(1, 900), 60.0, "Deadline of the whole DTLS handshake.")
    exchange_timeout_s: float = key(
        Number(1, 3600),
        300.0,
        "Deadline of one exchange with everything in it: name, handshake, every block, every repetition.",
    )
    nat_timeout_s: float = key(
        Number(0, 3600),
        25.0,
        "After this long without traffic a new port and a shortened handshake are used: a NAT on the way has "
        "forgotten the old port by then.",
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
        "X-Admin-Protocol to send. Some servers take this value only; any gsma/rsp/v2 is accepted from them.",
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
    """Profile downloads that an eIM orders."""

    eim_is_consent: bool = key(
        Flag(),
        False,
        "Whether the eIM's order counts as the user's consent, where the card's rules ask for one before a profile "
        "with policy rules (cannot be disabled, cannot be deleted) is installed. Without it such a profile is refused.",
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


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """Where the agent keeps what it must not forget."""

    state_dir: Path = key(
        FilePath("a folder"),
        Path("/var/lib/ipad-agent"),
        "Journal and last known state. Must survive reboots and updates; a few kilobytes, few writes.",
    )
    runtime_dir: Path = key(
        FilePath("a folder"), Path("/run/ipad-agent"), "What may be forgotten at a reboot; should be in memory."
    )


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What is said, and in which form."""

    level: str = key(choices(("debug", "info", "warning", "error")), "info", "The least important messages to show.")
    style: str = key(
        choices(("auto", "text", "journal", "json")),
        "auto",
        "`journal` has syslog priorities, `json` one object per line; `auto` is `journal` under systemd, else `text`.",
    )


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. ``origins`` tells for every place whether its value is a default (``default``,
    ``preset nbiot``) or from the ``file``; ``path`` is that file, None for the defaults alone."""

    modem: ModemConfig = field(default_factory=ModemConfig)
    card: CardConfig = field(default_factory=CardConfig)
    provisioning: ProvisioningConfig = field(default_factory=ProvisioningConfig)
    ipa: IpaConfig = field(default_factory=IpaConfig)
    poll: PollConfig = field(default_factory=PollConfig)
    coap: CoapConfig = field(default_factory=CoapConfig)
    https: HttpsConfig = field(default_factory=HttpsConfig)
    trust: TrustConfig = field(default_factory=TrustConfig)
    download: DownloadConfig = field(default_factory=DownloadConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    log: LogConfig = field(default_factory=LogConfig)
    eim: tuple[EimConfig, ...] = ()
    path: Path | None = None
    origins: Mapping[str, str] = field(default_factory=dict)

    def eim_named(self, eim_id: str) -> EimConfig | None:
        """What the file says about this eIM, if anything."""
        return next((eim for eim in self.eim if eim.id == eim_id), None)

    def places(self) -> Iterator[tuple[str, object, str]]:
        """Every key as (place, value, origin), for ``config show --origin``. No value is a secret."""
        for section in SECTIONS:
            for name, value in _values(getattr(self, section)):
                yield f"{section}.{name}", value, self.origins.get(f"{section}.{name}", "default")
        for number, eim in enumerate(self.eim):
            for name, value in _values(eim):
                place = f"eim[{number}].{name}"
                yield place, value, self.origins.get(place, "default")


SECTIONS: Final[Mapping[str, type]] = {
    "modem": ModemConfig,
    "card": CardConfig,
    "provisioning": ProvisioningConfig,
    "ipa": IpaConfig,
    "poll": PollConfig,
    "coap": CoapConfig,
    "https": HttpsConfig,
    "trust": TrustConfig,
    "download": DownloadConfig,
    "store": StoreConfig,
    "log": LogConfig,
}

# On a network whose round trips take seconds. Flights of 9 s doubling four times need 135 s.
_NBIOT_COAP: Final[Mapping[str, object]] = {
    "ack_timeout_s": 9.0,
    "block_size": 256,
    "flight_timeout_s": 9.0,
    "handshake_timeout_s": 150.0,
    "exchange_timeout_s": 900.0,
}
_NBIOT_HTTPS: Final[Mapping[str, object]] = {"connect_timeout_s": 120.0, "exchange_timeout_s": 900.0}


def preset_defaults(preset: str) -> dict[str, dict[str, object]]:
    """Defaults of a preset that differ from those of the model, by section and key."""
    chosen = PRESETS[preset]
    poll = {
        item.name: getattr(chosen, item.name)
        for item in fields(ScheduleSettings)
        if getattr(chosen, item.name) != getattr(NORMAL, item.name)
    }
    slow = preset == "nbiot"
    return {"poll": poll, "coap": dict(_NBIOT_COAP) if slow else {}, "https": dict(_NBIOT_HTTPS) if slow else {}}


def _values(section: object) -> Iterator[tuple[str, object]]:
    for item in fields(section):  # type: ignore[arg-type]  # always one of the dataclasses above
        yield item.name, getattr(section, item.name)
