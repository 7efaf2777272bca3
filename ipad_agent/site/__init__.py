"""The site's say and the machine's network: hooks, conditions, APNs, and whether packets find a way out.

``site_rules.SiteRules`` runs the site's scripts and knows its APNs; ``network_checks.NetworkChecks`` looks at address,
name and application. The room knows no card, no modem and no procedure; what it needs of them is handed in.
"""

from .apn_table import ApnTable
from .hook_scripts import Hooks
from .network_checks import NetworkChecks
from .site_conditions import Conditions
from .site_rules import SiteRules

__all__ = ["ApnTable", "Conditions", "Hooks", "NetworkChecks", "SiteRules"]
