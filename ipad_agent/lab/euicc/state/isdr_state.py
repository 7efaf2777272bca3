"""The ISD-R as its functions see it: memory, identity, and what lives only until the next reset."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ipad_agent.lab.crypto import der

if TYPE_CHECKING:
    from ipad_agent.lab.euicc.quirks import Quirks

    from .card_state import CardState, StateStore
    from .euicc_identity import EuiccIdentity


@dataclass(frozen=True, slots=True)
class Installed:
    """The profile that the RSP session just installed: ImmediateEnable may follow."""

    iccid: str
    smdp_oid: str
    smdp_address: str


class Isdr:
    """Shared by all ES10 functions. A function changes ``state`` and commits; if it raises, the change is undone."""

    def __init__(self, identity: EuiccIdentity, store: StateStore, quirks: Quirks) -> None:
        self.identity = identity
        self.quirks = quirks
        self._store = store
        self.ipae_switched_off = False
        self.steps: Callable[[str], None] = lambda name: None
        self.random: Callable[[int], bytes] = os.urandom
        """Where challenges and one-time keys come from."""
        self.forget_volatile()

    def forget_volatile(self) -> None:
        """What a reset does to the ISD-R."""
        self.refresh_wanted = False
        self.changed_since_reset = False
        self.proactive_session_open = False
        self.installed: Installed | None = None
        self.states_before_change: dict[str, bool] | None = None
        self.rsp_session: object | None = None
        """A download's session, which ``card_rsp_session.session_of`` reads; here it only has to be forgotten."""
        self.ipad_announced_times = 0

    @property
    def ipae_active(self) -> bool:
        """Whether the card's own IPAe works (ipaMode 1)."""
        ends_after = self.quirks.ipae_ends_after
        told = ends_after is not None and self.ipad_announced_times >= ends_after
        return self.quirks.ipae and not self.ipae_switched_off and not told

    @property
    def state(self) -> CardState:
        """The non-volatile memory, with changes that are not yet committed."""
        return self._store.state

    def commit(self) -> None:
        """Make changes last."""
        self._store.commit()

    def roll_back(self) -> None:
        """Undo changes since the last commit."""
        self._store.roll_back()

    def step(self, name: str) -> None:
        """A named point at which a test may cut the power."""
        self.steps(name)

    @property
    def cat_busy(self) -> bool:
        """A proactive session is open: no profile change now."""
        return self.proactive_session_open

    def profile_changed(self, *, refresh: bool) -> None:
        """The enabled profile is another one now; the UICC shows it after its next reset."""
        self.changed_since_reset = True
        self.refresh_wanted = self.refresh_wanted or refresh


def parse(raw: bytes) -> der.Node:
    """One command as it came; longer length forms are accepted, as cards do."""
    return der.parse(raw, ber=True)


def code(outer: int, value: int, tag: int = 0x80) -> bytes:
    """The commonest answer: ``outer { tag INTEGER }``."""
    return der.tlv(outer, der.integer(value, tag))
