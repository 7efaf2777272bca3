"""The eUICC: whether it is reached, what it is, and who may manage it."""

from __future__ import annotations

from typing import Final

from ipad_agent.codec.es10.euicc_info import EuiccInfo2
from ipad_agent.doctor.doctor_items import Item, Layer, as_sentence
from ipad_agent.doctor.examination_facts import Blocked, Seen, Target
from ipad_agent.doctor.examined_rooms import DoctorParts
from ipad_agent.errors import CardError, IpadError, ModemError
from ipad_agent.net import HttpsEndpoint, TrustUnusable
from ipad_agent.net.trust import trust_anchors
from ipad_agent.printable import size_text
from ipad_agent.procedures.startup.device_start import MANAGED, CardKind, kind_by_functions

from .emulation_checks import device_key, waiting_bundle

_KIND_FIX: Final = {
    CardKind.CONSUMER: "Insert an IoT eUICC (SGP.32); this card is managed by an LPA on the device, not by an eIM.",
    CardKind.IPAE: "Nothing: the card's own IPAe manages it. Set card.take_from_ipae if this agent is to have it.",
}


async def isdr(parts: DoctorParts, seen: Seen) -> list[Item]:
    """Whether the application is there that everything else is said to."""
    if seen.no_card:
        raise Blocked(Layer.SIM)
    try:
        seen.eid = await parts.card.get_eid()
    except (CardError, ModemError) as error:
        return [Item(Layer.ISDR, False, as_sentence(error.message), error.hint or "Switch the modem off and on.")]
    return [Item(Layer.ISDR, True, f"The ISD-R opens; EID {seen.eid.short}.")]


async def euicc(parts: DoctorParts, seen: Seen) -> list[Item]:
    """Whether it is a card for an IPAd."""
    try:
        seen.info2 = await parts.card.get_euicc_info2()
        kind = await kind_by_functions(parts.card, seen.info2)
        taken = kind is CardKind.IPAE and parts.config.card.take_from_ipae
        profiles = await parts.card.get_profiles() if kind in MANAGED or taken else ()
    except (CardError, ModemError) as error:
        return [Item(Layer.EUICC, False, as_sentence(error.message), error.hint or "Try another card.")]
    if kind is CardKind.CONSUMER and parts.config.card.emulate_iot != "never":
        what = "The card is a consumer eUICC (SGP.22); the agent emulates its IoT functions (card.emulate_iot)."
        return [Item(Layer.EUICC, None, what), *waiting_bundle(parts.config, seen.eid)]
    if kind not in MANAGED and not taken:
        fix = _KIND_FIX[kind]
        if kind is CardKind.CONSUMER and parts.config.provisioning.bundle is not None:
            fix = 'Set card.emulate_iot = "when-needed", and the provisioning bundle is used for this card.'
        return [Item(Layer.EUICC, False, f"The card is {kind.value}.", fix)]
    enabled = [profile for profile in profiles if profile.state == 1]
    told = [
        as_sentence(kind.value).removesuffix("."),
        *_versions(seen.info2),
        f"{len(profiles)} profile{'' if len(profiles) == 1 else 's'}, {'one is' if enabled else 'none'} enabled",
    ]
    found = [Item(Layer.EUICC, True, "; ".join(told) + ".")]
    if kind is CardKind.EMULATED:
        found += device_key(parts.config.store.state_dir, seen.eid, parts.config.card)
    found += waiting_bundle(parts.config, seen.eid)
    if taken:
        risk = "Its own IPAe may manage it too: card.take_from_ipae has it managed all the same."
        found.append(Item(Layer.EUICC, None, risk))
    if seen.eid is not None and not seen.eid.check_digits_ok:
        odd = "The check digits of the EID are wrong, as on test cards; an eIM may refuse it."
        found.append(Item(Layer.EUICC, None, odd))
    return found


def _versions(info2: EuiccInfo2) -> list[str]:
    told = []
    if info2.iot is not None and info2.iot.versions:
        told.append("release v" + ", v".join(str(version) for version in info2.iot.versions))
    if info2.firmware_version is not None:
        told.append(f"firmware {info2.firmware_version}")
    free = info2.ext_card_resource.free_non_volatile_bytes
    if free is not None:
        told.append(f"{size_text(free)} free")
    return told


async def ci(parts: DoctorParts, seen: Seen) -> list[Item]:
    """Whether somebody can vouch for SM-DP+s to this card (SGP.22 v2.5 §2.6.6)."""
    trust = parts.config.trust
    if trust.ci_dir is None and not trust.web_pki:
        return [Item(Layer.CI, None, "Profiles are only downloaded through the eIM: trust.ci_dir is not set.")]
    found: tuple[trust_anchors.Anchor, ...] = ()
    if trust.ci_dir is not None:
        try:
            found = trust_anchors.read_folder(trust.ci_dir)
        except TrustUnusable as error:
            fix = "Correct trust.ci_dir, or the permissions of that folder."
            return [Item(Layer.CI, False, f"The folder of CI certificates cannot be read: {error.message}.", fix)]
    if trust.web_pki:
        try:
            trust_anchors.web_pki()
        except TrustUnusable as error:
            return [Item(Layer.CI, False, as_sentence(error.message), error.hint)]
        return [Item(Layer.CI, True, f"{len(found)} CI certificates, and the system's store of web certificates.")]
    if seen.info2 is None:
        return [Item(Layer.CI, None, f"{len(found)} CI certificates; the card was not asked which it knows.")]
    known = seen.info2.ci_pkids_for_verification
    matching = trust_anchors.matching(found, known)
    if matching:
        return [Item(Layer.CI, True, f"{len(matching)} of {len(found)} CI certificates are of CIs the card knows.")]
    wanted = ", ".join(identifier.hex().upper() for identifier in known) or "none"
    fix = f"Put a certificate there whose subject key identifier is one of these: {wanted}."
    return [Item(Layer.CI, False, f"None of the {len(found)} CI certificates is of a CI the card knows.", fix)]


async def association(parts: DoctorParts, seen: Seen) -> list[Item]:
    """Which eIMs manage the card, and whether the agent knows the way to them."""
    try:
        entries = await parts.card.get_eim_configuration()
    except (CardError, ModemError) as error:
        return [Item(Layer.ASSOCIATION, False, as_sentence(error.message), error.hint)]
    if not entries:
        fix = "Set provisioning.initial_eim to the file that the eIM's operator gave, and restart the agent."
        return [Item(Layer.ASSOCIATION, False, "No eIM manages this card.", fix)]
    found = []
    for entry in entries:
        try:
            endpoints = parts.endpoints(entry)
        except IpadError as error:
            chosen = parts.config.eim_named(entry.eim_id)
            wanted = chosen is None or chosen.enabled
            found.append(
                Item(
                    Layer.ASSOCIATION,
                    False if wanted else None,
                    f"{entry.eim_id}: {error.message}.",
                    (error.hint or "See [[eim]] in the configuration.") if wanted else None,
                )
            )
            continue
        targets = [Target(entry.eim_id, endpoint) for endpoint in endpoints]
        seen.targets += targets
        ways = ", then ".join(f"{_word(target)} to {target.place}" for target in targets)
        found.append(Item(Layer.ASSOCIATION, True, f"{entry.eim_id} manages this card; {ways}."))
    return found


def _word(target: Target) -> str:
    return "https" if isinstance(target.endpoint, HttpsEndpoint) else "coaps"
