"""What the IPA checks before it troubles the card (SGP.22 v2.5 §3.0.1, §3.1.3; SGP.32 v1.2 §3.2.3).

The eUICC verifies signatures and chains. It has no clock, does not know which server was meant and does not show the
profile to anybody: that is the IPA's part. Each check gives a sentence when something is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ipad_agent.codec.es10.es10_download import CancelSessionReason
from ipad_agent.codec.es10.euicc_info import EuiccInfo2, RspCapability
from ipad_agent.codec.es10.profile_info import ProfileClass, ProfileInfo, ProfileMetadata
from ipad_agent.codec.es10.rules_authorisation_table import RulesAuthorisationTable
from ipad_agent.codec.esipa.esipa_download import AuthenticateClientOk, InitiateAuthenticationOk
from ipad_agent.codec.rsp.bpp_contents import BoundPackageContents
from ipad_agent.codec.rsp.certificate import Certificate
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass

from . import profile_policy_rules

EARLIEST_PLAUSIBLE_S: Final = 1_735_689_600
"""2025-01-01: this program did not exist before. A clock that shows less was never set."""
LATEST_PLAUSIBLE_S: Final = 4_102_444_800
NOT_BEFORE_SKEW_S: Final = 86_400
SMALLEST_PROFILE_BYTES: Final = 1024
SHRINKING: Final = 2
"""A profile may take less room than its protected package; one that is over twice the free room does not fit."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why the profile is not wanted, and the reason that the SM-DP+ is given."""

    sentence: str
    reason: CancelSessionReason


@dataclass(frozen=True, slots=True)
class CardView:
    """What a profile is compared with. ``table`` is None on a card that has no such table."""

    profiles: tuple[ProfileInfo, ...]
    info2: EuiccInfo2
    table: RulesAuthorisationTable | None
    consent_given: bool


def plausible(now_s: float) -> bool:
    """Whether this can be today's time at all; a device without it does not judge dates."""
    return EARLIEST_PLAUSIBLE_S <= now_s < LATEST_PLAUSIBLE_S


# -- the server --------------------------------------------------------------------------------------------------------


def of_opening(
    ok: InitiateAuthenticationOk, *, challenge: bytes, address: str | None, oid: str | None, now_s: float | None
) -> str | None:
    """The server's opening against what was asked. ``now_s`` None: dates are not judged."""
    signed = ok.server_signed1
    if signed.euicc_challenge != challenge:
        return "the server signed another challenge than this card's"
    if ok.transaction_id != signed.transaction_id:
        return "the server signed another transaction than it names"
    if address is not None and _host(signed.server_address) != _host(address):
        return f"the server says that it is {signed.server_address!r}, asked was {address!r}"
    try:
        certificate = Certificate.parse(ok.server_certificate)
    except CodecError as error:
        return f"the server's certificate cannot be read: {error.message}"
    if oid is not None and oid not in certificate.registered_ids:
        return f"the server's OID is {_ids(certificate)}, the activation code demands {oid}"
    return of_dates(certificate, now_s)


def of_binding_certificate(
    ok: AuthenticateClientOk, opening: InitiateAuthenticationOk, *, now_s: float | None
) -> str | None:
    """The SM-DP+'s second certificate: in date, and of the same server as the first."""
    signed = ok.smdp_signed2
    if ok.transaction_id != opening.transaction_id or signed.transaction_id != opening.transaction_id:
        return "the SM-DP+ signed another transaction than this one"
    try:
        first = Certificate.parse(opening.server_certificate)
        second = Certificate.parse(ok.smdp_certificate)
    except CodecError as error:
        return f"the SM-DP+'s certificate cannot be read: {error.message}"
    if first.registered_ids != second.registered_ids:
        return f"the SM-DP+ showed certificates of two servers, {_ids(first)} and {_ids(second)}"
    return of_dates(second, now_s)


def of_dates(certificate: Certificate, now_s: float | None) -> str | None:
    """Whether a certificate is in date; a day's grace before its begin, for clocks that are behind."""
    if now_s is None:
        return None
    if now_s > certificate.not_after_s:
        days = int(now_s - certificate.not_after_s) // 86_400
        return f"the server's certificate expired {days} days ago"
    if now_s < certificate.not_before_s - NOT_BEFORE_SKEW_S:
        return "the server's certificate is not valid yet"
    return None


def _host(address: str) -> str:
    """The name alone: servers sign it without the port they are reached by."""
    name = address.strip().casefold()
    host, colon, port = name.rpartition(":")
    return (host if colon and port.isdigit() else name).rstrip(".")


def _ids(certificate: Certificate) -> str:
    return ", ".join(certificate.registered_ids) or "missing"


# -- the profile -------------------------------------------------------------------------------------------------------


def of_profile(metadata: ProfileMetadata, card: CardView, *, element_bytes: int | None = None) -> Objection | None:
    """Whether this profile may come onto this card; ``element_bytes`` once the package is here."""
    if any(profile.iccid_raw == metadata.iccid_raw for profile in card.profiles):
        return Objection("the profile is on the card already", CancelSessionReason.UNDEFINED_REASON)
    for sentence in (_of_class(metadata, card.info2), _of_room(card.info2, element_bytes)):
        if sentence is not None:
            return Objection(sentence, CancelSessionReason.UNDEFINED_REASON)
    refusal = profile_policy_rules.refusal(
        metadata.policy_rules,
        metadata.owner,
        table=card.table,
        forbidden=card.info2.forbidden_policy_rules,
        operational_installed=_operational(card.profiles),
        consent_given=card.consent_given,
    )
    if refusal is None:
        return None
    reason = CancelSessionReason.END_USER_REJECTION if refusal.consent_missing else CancelSessionReason.PPR_NOT_ALLOWED
    return Objection(refusal.sentence, reason)


def of_package(shown: ProfileMetadata | None, contents: BoundPackageContents, card: CardView) -> Objection | None:
    """The package against what was shown before it; if nothing was shown, its own metadata are judged."""
    if shown is None:
        return of_profile(contents.metadata, card, element_bytes=contents.element_bytes)
    differing = _differing(shown, contents.metadata)
    if differing:
        return Objection(
            f"the package holds another profile than was shown ({', '.join(differing)} differ)",
            CancelSessionReason.METADATA_MISMATCH,
        )
    sentence = _of_room(card.info2, contents.element_bytes)
    return None if sentence is None else Objection(sentence, CancelSessionReason.UNDEFINED_REASON)


def _differing(shown: ProfileMetadata, bound: ProfileMetadata) -> list[str]:
    """Fields that make it another profile; icons and what nobody here knows are left to the card."""
    pairs: Iterable[tuple[str, object, object]] = (
        ("ICCID", shown.iccid_raw, bound.iccid_raw),
        ("service provider", shown.service_provider_name, bound.service_provider_name),
        ("name", shown.profile_name, bound.profile_name),
        ("class", shown.profile_class, bound.profile_class),
        ("owner", shown.owner, bound.owner),
        ("policy rules", shown.policy_rules, bound.policy_rules),
        ("notification receivers", shown.notification_receivers, bound.notification_receivers),
    )
    return [name for name, one, other in pairs if one != other]


def _of_class(metadata: ProfileMetadata, info2: EuiccInfo2) -> str | None:
    if metadata.profile_class not in {int(known) for known in ProfileClass}:
        return f"the profile is of the unknown class {metadata.profile_class}"
    capabilities = info2.rsp_capability
    test_profiles = capabilities is None or RspCapability.TEST_PROFILE_SUPPORT in capabilities
    if metadata.profile_class == ProfileClass.TEST and not test_profiles:
        return "the card takes no test profiles"
    return None


def _of_room(info2: EuiccInfo2, element_bytes: int | None) -> str | None:
    free = info2.ext_card_resource.free_non_volatile_bytes
    needed = SMALLEST_PROFILE_BYTES if element_bytes is None else element_bytes // SHRINKING
    if free is None or free >= needed:
        return None
    return f"the card has only {free} bytes free" + (f" for {element_bytes}" if element_bytes is not None else "")


def _operational(profiles: tuple[ProfileInfo, ...]) -> bool:
    # A profile whose class the card does not tell counts as operational: the refusal is the safe side.
    return any(profile.profile_class in (None, ProfileClass.OPERATIONAL) for profile in profiles)
