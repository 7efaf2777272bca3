"""What a provisioning bundle does to an emulated card, in an order that any power cut leaves one way on.

1. One replacement of the card's state: the eIMs of the bundle (AddInitialEim), the fingerprint of its key, and what has
   to be bound. A bundle that is refused ends here, and nothing of it was kept.
2. The key is put in its place.
3. The bundle is removed.

After a cut between 1 and 2 the state names a key that is not there, and after one between 2 and 3 the bundle is there
still: the next start finds its number in the state and goes on with what is left. So the state knows of every bundle
that was used here, and none is used twice.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Protocol

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.es10 import es10_requests
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.emulation import associated_eims
from ipad_agent.emulation.device_key import DeviceKey, fingerprint
from ipad_agent.emulation.emulated_state import MAX_BUNDLES, Binding, EmulatedState
from ipad_agent.records import replace

from .provisioning_bundle import Bundle, UnusableBundle

_ADDED: Final = 0xA0


class BundlePlace(Protocol):
    """Where a provisioning bundle waits, if there is one, and what is known beside this card."""

    def news(self) -> bool:
        """Whether a bundle waits that nobody has looked at with ``waiting``."""

    def waiting(self) -> Bundle | None:
        """The bundle, or None when there is none, or none that can be read: then its reader has said why."""

    def why_not(self, bundle: Bundle, eid: str) -> str | None:
        """What besides the card's own state speaks against it: another card that the key in place signs for, or a
        counter that this device has seen further."""

    def used(self) -> None:
        """It is used up: it goes. Never raises; whoever cannot remove it says so."""

    def refused(self, reason: str) -> None:
        """It is left where it is."""


def is_begun(bundle: Bundle, state: EmulatedState | None) -> bool:
    """Whether this state came from the bundle, so that only key and removal may be missing."""
    return (
        state is not None and bundle.issuance_id in state.bundles and state.fingerprint == fingerprint(bundle.key.spki)
    )


def provisioned(
    bundle: Bundle, before: EmulatedState, key: DeviceKey | None, ci_pkids: Collection[bytes], wall_s: float
) -> EmulatedState:
    """The state that the bundle makes of ``before``; ``key`` is the one in place, if it can be used. Raises
    ``UnusableBundle``.

    A card that has eIMs takes none from a bundle, unless the key that they know is gone: then nobody can manage it any
    more, and the bundle is its new registration. Its counter must be above the one that was reached: an eIM takes
    another key in no other way.
    """
    bundle.check_still_valid(wall_s)
    if bundle.issuance_id in before.bundles:
        raise UnusableBundle("it was used on this card before; have the eIM issue another one")
    base = before
    if before.eims:
        if key is not None and fingerprint(key.spki) == before.fingerprint:
            known = ", ".join(entry.eim_id for entry in before.eims)
            raise UnusableBundle(f"the card has eIMs already ({known}), and takes initial ones only while it has none")
        _check_counters(bundle, before)
        base = EmulatedState(before.eid, before.fingerprint, before.next_seq, before.next_token, info1=before.info1)
        base = replace(base, fallback=before.fallback, bundles=before.bundles)
    added, answer = associated_eims.add_initial(base, bundle.request, ci_pkids)
    refusal = es10_requests.parse_add_initial_eim(answer).error
    if refusal is not None:
        raise UnusableBundle(f"the emulated card refuses its eIM: {refusal.name} ({int(refusal)})")
    return replace(
        added,
        fingerprint=fingerprint(bundle.key.spki),
        binding=Binding(bundle.issuance_id, bundle.eim_id, bundle.counter),
        bundles=(*before.bundles, bundle.issuance_id)[-MAX_BUNDLES:],
    )


def _check_counters(bundle: Bundle, before: EmulatedState) -> None:
    for element in tlv.parse(bundle.request).require(_ADDED, "the list of eIMs").children():
        config = EimConfigurationData.parse(element.raw)
        known = before.eim(config.eim_id)
        if known is not None and (config.counter or 0) <= known.counter:
            raise UnusableBundle(
                f"the counter for {config.eim_id} is {config.counter}; with another key it must be above "
                f"{known.counter}, which was reached"
            )
