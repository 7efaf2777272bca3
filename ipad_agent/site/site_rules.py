"""What the site has to say, in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ipad_agent.policy.polling.hold_reason import Held
from ipad_agent.records import dataclass

from .apn_table import ApnTable
from .hook_scripts import Hooks
from .site_conditions import Conditions


def unknown_network(iccid: str) -> str | None:
    """Nothing is known of any profile."""
    return None


@dataclass(frozen=True, slots=True)
class SiteRules:
    """Hooks, conditions and APNs of one site. ``network_of`` tells the network that owns a profile (5 or 6 digits),
    from what is known of the card's profiles; None when it is not known."""

    hooks: Hooks
    held: Conditions
    apns: ApnTable
    network_of: Callable[[str], str | None] = unknown_network

    async def hook(self, moment: str, facts: Mapping[str, str]) -> None:
        """Run the scripts for this moment; nothing they do changes anything."""
        await self.hooks.run(moment, facts)

    async def conditions(self) -> tuple[Held, ...]:
        """What speaks against work that can wait."""
        return await self.held.held()

    def apn(self, iccid: str) -> str | None:
        """The APN for a profile from the site's table; None when the table does not know it, empty for "none"."""
        return self.apns.find(iccid, self.network_of(iccid))
