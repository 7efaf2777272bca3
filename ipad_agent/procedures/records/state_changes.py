"""Which eIM still has to be told that the profiles changed, and why (stateChangeCause, SGP.32 v1.2 §5.14.5).

An eIM is told about changes it did not order itself. The pending cause is kept per eIM until that eIM has answered
the question that carried it with a package, or with "no package available".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from ipad_agent.codec.es10.profile_info import ProfileInfo
from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.procedures.ports import Memory

DOCUMENT = "profiles"


def snapshot(profiles: Iterable[ProfileInfo]) -> dict[str, str]:
    """ICCID -> state of all profiles: what two looks at a card are compared by."""
    return {
        str(profile.iccid): "enabled" if profile.enabled else "disabled"
        for profile in profiles
        if profile.iccid is not None
    }


class StateChanges:
    """The last known profiles and the causes still to be reported; on disk after every call that changes them."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def pending(self, eim_id: str) -> StateChangeCause | None:
        """The cause this eIM has to be told, if any."""
        value = self._pending().get(eim_id)
        return None if value is None else StateChangeCause(value)

    def note(self, eim_ids: Iterable[str], cause: StateChangeCause) -> None:
        """Remember that these eIMs have to be told; a later cause replaces an earlier one."""
        self._store(pending=self._pending() | dict.fromkeys(eim_ids, cause.value))

    def told(self, eim_id: str) -> None:
        """This eIM took the question that carried the cause: it knows."""
        pending = self._pending()
        if pending.pop(eim_id, None) is not None:
            self._store(pending=pending)

    def known_profiles(self) -> Mapping[str, str] | None:
        """The profiles as last seen; None on a card never seen before."""
        document = self._memory.load(DOCUMENT)
        return cast("Mapping[str, str] | None", document.get("profiles"))

    def learn(
        self,
        eid: str,
        profiles: Mapping[str, str],
        *,
        tell: Iterable[str] = (),
        cause: StateChangeCause = StateChangeCause.UNDEFINED,
    ) -> bool:
        """Remember the profiles as they are now; True when they differ from what was known of this very card.

        These eIMs then have to be told; that is remembered in the same moment, so that no power cut loses the news.
        Raises ``StoreError``: nothing was learned.
        """
        document = self._memory.load(DOCUMENT)
        same_card = document.get("eid") == eid
        known = document.get("profiles") if same_card else None
        changed = known is not None and known != dict(profiles)
        if known != dict(profiles):
            pending = self._pending() if document.get("eid") in (None, eid) else {}
            if changed:
                pending |= dict.fromkeys(tell, cause.value)
            self._memory.save(DOCUMENT, {"eid": eid, "profiles": dict(profiles), "pending": pending})
        return changed

    def _pending(self) -> dict[str, int]:
        return dict(cast("Mapping[str, int]", self._memory.load(DOCUMENT).get("pending", {})))

    def _store(self, *, pending: dict[str, int]) -> None:
        self._memory.save(DOCUMENT, {**self._memory.load(DOCUMENT), "pending": pending})
