"""Switches for what real and other virtual cards do differently. Everything is off in the default: SGP.32 v1.2."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from ipad_agent.lab.euicc.state.policy_rules import DEFAULT_RULES, AuthorisationRule


class ResponseMode(Enum):
    """How the data of an answer to a command with data comes."""

    GET_RESPONSE = "61xx, then GET RESPONSE, as T=0 cards do"
    INLINE = "up to 256 bytes at once, 61xx for the rest"
    WHOLE = "all data at once, whatever its size, as behind a modem that collects it"


class Accept(Enum):
    """Which of two tags seen in the field a flag is read from."""

    BOTH = "both"
    SCHEMA = "the one of the ASN.1 module"
    OTHER = "the one that another virtual card expects"


@dataclass(frozen=True, slots=True)
class Quirks:
    """One card's ways. Sizes in bytes, delays in seconds; see each field."""

    # --- transport ---
    response_mode: ResponseMode = ResponseMode.GET_RESPONSE
    get_response_classes: frozenset[int] = frozenset({0x00, 0x80})
    """Class bases in which GET RESPONSE is understood; another one gets 6E00."""
    strict_le: bool = False
    """Le=00 for fewer than 256 bytes gets 6Cxx; without it only a written-out Le that is too large does."""
    reject_store_data_le: bool = False
    """STORE DATA with a trailing Le gets 6700."""
    max_channels: int = 19
    """Logical channels besides the basic one (many real cards: 3)."""
    require_terminal_capability: bool = False
    """ES10 gets 6985 until TERMINAL CAPABILITY has announced an IPAd (A9 84, bit 1) since the last reset."""
    terminal_capability_status: int = 0x9000
    """What TERMINAL CAPABILITY is answered with; 6D00 for a card that does not know it."""
    ipae: bool = False
    """The card's own IPAe is active after each reset (ipaMode 1) until something below ends it."""
    ipae_ends_after: int | None = 1
    """So many TERMINAL CAPABILITY that announce an IPAd end it, until the next reset; None: not one of them does."""
    ipae_can_be_switched_off: bool = True
    """IpaeActivation without activateIpae ends it for good; else it is not supported."""
    ipae_refuses_es10: bool = False
    """While it is active, ES10 other than GetEID and the infos gets 6985."""
    terminal_capability_on_basic: bool = True
    terminal_capability_on_others: bool = True
    """On which channels TERMINAL CAPABILITY is understood; 6E00 elsewhere."""
    refuse_until_reset: bool = False
    """After a profile change all but fetching the answer and the REFRESH gets 6985 until the card is reset."""
    toolkit_after_es10: bool = False
    """Every ES10 answer ends with 910B: a toolkit command (MORE TIME) waits for the modem, whatever was asked."""
    refresh_qualifier: int = 0x04
    """Of the REFRESH: 04 UICC reset, 09 eUICC profile state change."""
    delays_s: dict[int, float] = field(default_factory=dict)
    """ES10 tag to how long its answer takes; the card only declares it (``last_delay_s``), it never sleeps."""

    # --- limits ---
    max_counter: int = 0x7FFFFF
    """The least that SGP.32 §2.11.1.1 asks of a card."""
    max_package_bytes: int = 0xFF00
    max_result_bytes: int = 0xF000
    max_eims: int = 10

    # --- what the card is ---
    isdr_aid: bytes = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
    """The AID of the ISD-R; some removable cards have one of their maker only."""
    iot_versions: tuple[bytes, ...] = (b"\x01\x02\x00",)
    ecall_supported: bool = True
    fallback_supported: bool = True
    consumer: bool = False
    """A consumer eUICC: E0 instead of E1, no ipaMode, no iotSpecificInfo, no SGP.32 functions, but ES10c."""
    es10c: bool = False
    """Also offer Enable/Disable/DeleteProfile and SetNickname (BF31, BF32, BF33, BF29), as for an LPA."""
    isdr_present: bool = True
    """Without one, as an M2M card (SGP.02) shows itself to a device, selecting the ISD-R gets 6A82."""
    unsupported: frozenset[int] = frozenset()
    """ES10 tags that this card lacks (an older release)."""
    unknown_function_status: int = 0x6A88
    """What an ES10 command that the card does not know is answered with; 6D00 elsewhere."""
    eim_reset_supported: bool = True
    immediate_enable_reset_supported: bool = True
    notify_emergency_end: bool = False
    """DisableEmergencyProfile makes notifications (SGP.32 §5.9.23 leaves it open)."""
    refuses_sgp32_tags: bool = False
    """A tagList with fields of SGP.32 is answered with incorrectInputValues, as consumer cards do."""
    tells_sgp32_tags: frozenset[int] = frozenset()
    """Fields of SGP.32 in profile lists that a consumer card tells all the same, if they are named (9F67)."""
    tag_refusal_status: int = 0
    """With ``refuses_sgp32_tags``: this status word in the place of that answer (6A80)."""
    old_state_until_reset: bool = False
    """Profile lists show the states from before a profile change until the card is reset."""

    # --- profile download ---
    rules: tuple[AuthorisationRule, ...] = DEFAULT_RULES
    """The Rules Authorisation Table: who may set which profile policy rule."""
    forbidden_ppr: frozenset[int] = frozenset()
    """forbiddenProfilePolicyRules of EUICCInfo2."""
    profile_classes: frozenset[int] = frozenset({0, 1, 2})
    """Classes that can be installed: test, provisioning, operational."""
    reuse_one_time_keys: bool = True
    """Take the otPK.EUICC that a profile is already bound to, if its key is still here."""
    report_interruption: bool = True
    """An installation that was broken off leaves a result that says so (interruption)."""
    check_profile_elements: bool = False
    """The profile package must be TLVs from a header (A0) to an end (AA); else PE processing error."""
    authenticate_error: int | None = None
    """AuthenticateServer, once everything was in order, fails with this code."""
    download_error: int | None = None
    """PrepareDownload, once everything was in order, fails with this code."""
    install_error: tuple[int, int] | None = None
    """BppCommandId and ErrorReason: a profile installation fails there."""
    lenient_segments: bool = False
    """Segments of a profile package over 1020 bytes are taken."""
    install_status: tuple[int, int] | None = None
    """BppCommandId and status word: segments of that command get nothing but this, and the session stays open."""
    result_aid_tag: int = 0x4F
    """Of the AID in a ProfileInstallationResult; 80 elsewhere."""

    # --- dialect ---
    verify_without_token: bool = False
    """eimSignature covers the signed part alone."""
    sign_with_eim_signature: bool = False
    """euiccSignEPR and EPE cover the data and the request's eimSignature (v1.0)."""
    bare_result_answer: bool = False
    """LoadEuiccPackage answers A0/A1/A2 without the BF51 around it (v1.0)."""
    bare_result_list: bool = False
    """Stored results are listed as A0 without BF51 (v1.0)."""
    combined_list: bool = False
    """RetrieveNotificationsList without criteria answers A3 { A0 notifications, A1 results } (v1.0)."""
    eim_id_type_tag: int = 0x82
    """In listEim; 84 in v1.0."""
    eim_search_supported: bool = True
    """GetEimConfigurationData knows a criterion (after v1.0); else it gets 6A80."""
    immediate_enable_empty: bool = False
    """ImmediateEnable takes an empty body only (v1.0 EnableUsingDD); else 6A80."""
    memory_reset_tag: int = 0xBF64
    """BF34 in v1.0 and SGP.22."""
    eim_reset_bit: int = 5
    immediate_enable_reset_bit: int = 6
    """3 and 4 in v1.0."""
    rollback_flag: Accept = Accept.BOTH
    """In enable: 05 00 by the module, 81 00 elsewhere."""
    refresh_flag: Accept = Accept.BOTH
    """In BF58, BF5A to BF5E: 80 by the module, 01 elsewhere."""
    rollback_result_tag: int = 0x02
    """cmdResult in BF58; 80 elsewhere."""
    list_error_tag: int = 0x81
    """profileInfoListError in BF2D; 02 elsewhere."""

    # --- mistakes ---
    continue_after_failure: bool = False
    """A package goes on after an operation that did not succeed."""
    extra_sequence_in_profile_list: bool = False
    """BF2D { A0 { 30 { E3... } } }."""
    notification_event_as_octet: bool = False
    """NotificationEvent without its count of unused bits: 81 01 40."""
    notification_list_tag: int = 0xBF2B
    """A foreign outer tag on RetrieveNotificationsList answers."""
    empty_add_initial_eim_answer: bool = False
    """BF57 is answered with 9000 and no data."""
    token_stored_as_255: bool = False
    """An associationToken of -1 is stored as 255 instead of being generated."""
    empty_content: frozenset[int] = frozenset()
    """ES10 tags that are carried out and answered by their tag without content (BF30 00)."""
    certificates_apart: bool = False
    """GetCerts puts each certificate into a wrapper of its own: A0 { A5 }, A1 { A6 }."""
    unreadable_certificates: bool = False
    """GetCerts answers two bare certificates under its own tag, with nothing that says which is which."""
    refused_lists: bool = False
    """RetrieveNotificationsList always answers undefinedError(127)."""
    explicit_certificates: bool = False
    """GetCerts puts the whole certificate (30...) inside A5 and A6."""

    @classmethod
    def v1_0(cls, **more: Any) -> Quirks:
        """A card of SGP.32 v1.0; ``more`` overrides single fields."""
        card = cls(
            iot_versions=(b"\x01\x00\x00",),
            ecall_supported=False,
            fallback_supported=False,
            sign_with_eim_signature=True,
            bare_result_answer=True,
            bare_result_list=True,
            combined_list=True,
            eim_id_type_tag=0x84,
            eim_search_supported=False,
            immediate_enable_empty=True,
            memory_reset_tag=0xBF34,
            eim_reset_bit=3,
            immediate_enable_reset_bit=4,
            unsupported=frozenset({0xBF42, 0xBF5B, 0xBF5C, 0xBF5D, 0xBF5E, 0xBF5F, 0xBF65}),
        )
        return replace(card, **more)
