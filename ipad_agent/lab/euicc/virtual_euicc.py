"""A whole card: what its contacts do, and what a test or a bench does to it from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc.apdu.smart_card import SmartCard
from ipad_agent.lab.euicc.es10 import eim_entries
from ipad_agent.lab.euicc.state.eim_entry_making import eim_configuration
from ipad_agent.lab.euicc.state.euicc_identity import EuiccIdentity
from ipad_agent.lab.euicc.state.isdr_state import Installed
from ipad_agent.lab.euicc.state.profile_list import bulk_profiles, default_profiles, free_aid, tbcd

from .errors import CardError

if TYPE_CHECKING:
    from pathlib import Path

    from ipad_agent.lab.euicc.state.card_state import CardState, Profile
    from ipad_agent.lab.pki import Pki

    from .quirks import Quirks


class VirtualEuicc(SmartCard):
    """An SGP.32 eUICC: ``transmit`` APDUs, ``reset``, cut its power, look at it and prepare it.

    What is changed here from Python is committed at once, like what a factory writes. ``reset`` reads the committed
    state again: ask ``state`` anew after it instead of keeping a ``Profile`` in hand.
    """

    @property
    def state(self) -> CardState:
        """The card's memory; look, and change it through the methods."""
        return self.isdr.state

    @property
    def eid(self) -> str:
        """32 digits."""
        return self.identity.eid

    @property
    def enabled_iccid(self) -> str | None:
        """The profile that the ISD-R has enabled (the UICC shows it after the next reset)."""
        enabled = self.state.enabled
        return enabled.iccid if enabled is not None else None

    def profile_states(self) -> dict[str, bool]:
        """ICCID to enabled."""
        return {p.iccid: p.enabled for p in self.state.profiles}

    def add_profile(self, profile: Profile) -> Profile:
        """Put a profile on the card; ``CardError`` if its ICCID is there already or a second one would be enabled."""
        tbcd(profile.iccid)
        if self.state.profile(profile.iccid) is not None:
            raise CardError(f"profile {profile.iccid} is on the card already")
        if profile.enabled and self.state.enabled is not None:
            raise CardError("another profile is enabled")
        self.state.profiles.append(profile)
        self.isdr.commit()
        return profile

    def next_aid(self) -> bytes:
        """An ISD-P AID that is free; ``CardError`` when there is none."""
        aid = free_aid(self.state.profiles)
        if aid is None:
            raise CardError("the card has no room for another profile")
        return aid

    def update_profile(self, iccid: str, **fields: Any) -> Profile:
        """Set fields of a profile (``ppr=[PPR1]``, ``ecall=True`` ...); ``CardError`` if it is not there."""
        profile = self.state.profile(iccid)
        if profile is None:
            raise CardError(f"no profile {iccid} on the card")
        for name, value in fields.items():
            setattr(profile, name, value)
        self.isdr.commit()
        return profile

    def associate_eim(self, eim_id: str, key: bytes, **fields: Any) -> int | None:
        """Associate an eIM as AddInitialEim would, but at any time; the token, if ``token=-1`` asked for one.

        ``key`` and the other fields as in ``eim_entry_making.eim_configuration``. ``EimConfigError`` when refused.
        """
        entry = eim_entries.add(self.isdr, der.parse(eim_configuration(eim_id, key, **fields)))
        self.isdr.commit()
        return entry.token

    def associate(self, configuration: bytes) -> int | None:
        """Associate an eIM by its EimConfigurationData (30...), as a factory does; the token, if it asked for one.

        ``CardError`` when it is none or the card refuses it.
        """
        try:
            entry = eim_entries.add(self.isdr, der.parse(configuration, ber=True))
        except (der.DerError, eim_entries.EimConfigError) as error:
            self.isdr.roll_back()
            raise CardError(f"the card does not take this eIM configuration: {error}") from error
        self.isdr.commit()
        return entry.token

    def mark_just_installed(self, iccid: str, smdp_oid: str = "2.999.10", smdp_address: str = "") -> None:
        """What the end of a profile download leaves behind: ImmediateEnable may follow until the next reset."""
        self.isdr.installed = Installed(iccid, smdp_oid, smdp_address)


def default_card(
    pki: Pki,
    state_path: Path | None = None,
    quirks: Quirks | None = None,
    *,
    associated: bool = True,
    bulky: bool = False,
    token: bool = False,
) -> VirtualEuicc:
    """A card with a bootstrap profile (enabled, fallback) and two operator profiles.

    ``associated``: the eIM of ``pki`` is there (its signing certificate, its self-signed TLS certificate, CoAP
    retrieval), with an association token if ``token``. ``bulky``: its profile list is about 20 kB.
    """
    profiles = default_profiles() + (bulk_profiles() if bulky else [])
    card = VirtualEuicc(EuiccIdentity.from_pki(pki), state_path, quirks, profiles=profiles)
    if associated and not card.state.eims:
        card.associate_eim(
            pki.eim_id,
            pki["eim-sign"].cert_der,
            token=-1 if token else None,
            fqdn=pki.eim_id,
            tls=pki["eim-tls-self"].cert_der,
        )
    return card
