"""The one place where profiles change state, and the notifications that this makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der

from .card_state import DELETE, DISABLE, ENABLE, Notification, Profile
from .profile_list import tbcd

if TYPE_CHECKING:
    from .isdr_state import Isdr


def switch(isdr: Isdr, target: Profile | None, *, refresh: bool, notify: bool = True) -> None:
    """Make ``target`` the enabled profile (None: no profile); nothing is committed here."""
    former = isdr.state.enabled
    if former is target:
        return
    if isdr.states_before_change is None:
        isdr.states_before_change = {p.iccid: p.enabled for p in isdr.state.profiles}
    if former is not None:
        former.enabled = False
        if notify:
            add_notifications(isdr, former, DISABLE)
    if target is not None:
        target.enabled = True
        if notify:
            add_notifications(isdr, target, ENABLE)
    isdr.installed = None
    isdr.profile_changed(refresh=refresh)


def remove(isdr: Isdr, profile: Profile) -> None:
    """Delete a profile; the caller has switched away from it if it was enabled."""
    isdr.state.profiles.remove(profile)
    add_notifications(isdr, profile, DELETE)


def add_notifications(isdr: Isdr, profile: Profile, event: int) -> None:
    """One signed notification for each address that the profile's metadata name for ``event``."""
    for target in profile.notify:
        if target.event == event:
            isdr.state.notifications.append(_signed(isdr, profile, event, target.address))


def notification_metadata(isdr: Isdr, seq: int, event: int, address: str, iccid: str | None) -> bytes:
    """BF2F."""
    if isdr.quirks.notification_event_as_octet:
        event_tlv = der.octets(bytes([0x80 >> event]), 0x81)
    else:
        event_tlv = der.bits([event], 0x81)
    iccid_tlv = der.octets(tbcd(iccid), 0x5A) if iccid is not None else b""
    return der.tlv(0xBF2F, der.integer(seq, 0x80), event_tlv, der.utf8(address), iccid_tlv)


def _signed(isdr: Isdr, profile: Profile, event: int, address: str) -> Notification:
    seq = isdr.state.take_seq()
    metadata = notification_metadata(isdr, seq, event, address, profile.iccid)
    ci = isdr.identity.ci(profile.ci_pkid) or isdr.identity.cis[0]
    raw = der.seq(metadata, der.octets(ci.sign(metadata), 0x5F37), ci.euicc_cert, ci.eum_cert)
    return Notification(seq, event, address, profile.iccid, raw, metadata)
