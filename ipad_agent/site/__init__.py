"""The site's say and the machine's network: hooks, conditions, APNs, and whether packets find a way out.

``site.SiteSay`` runs the site's scripts and knows its APNs; ``checks.NetworkChecks`` looks at address, name and
application. The room knows no card, no modem and no procedure; what it needs of them is handed in.
"""

from .apn import ApnTable
from .checks import NetworkChecks
from .conditions import Conditions
from .hooks import Hooks
from .site import SiteSay

__all__ = ["ApnTable", "Conditions", "Hooks", "NetworkChecks", "SiteSay"]
