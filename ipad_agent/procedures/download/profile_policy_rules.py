"""Profile policy rules against the card's Rules Authorisation Table (SGP.22 v2.5 §2.9.2, §2.9.3)."""

from __future__ import annotations

from collections.abc import Set

from ipad_agent.codec.es10.rules_authorisation_table import OperatorId, ProfilePolicyRule, RulesAuthorisationTable
from ipad_agent.records import dataclass

_KNOWN = frozenset(int(rule) for rule in ProfilePolicyRule)
_NAMES = {ProfilePolicyRule.DISABLING_NOT_ALLOWED: "PPR1", ProfilePolicyRule.DELETION_NOT_ALLOWED: "PPR2"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not, and whether a person could have said yes: then it is the end user who did not, not the rules."""

    sentence: str
    consent_missing: bool = False


def refusal(
    rules: Set[int] | None,
    owner: OperatorId | None,
    *,
    table: RulesAuthorisationTable | None,
    forbidden: Set[int],
    operational_installed: bool,
    consent_given: bool,
) -> Refusal | None:
    """Why a profile of ``owner`` may not come with these rules; None when it may.

    ``rules`` None are rules that could not be read. The first entry of the table that covers rule and owner decides
    for each; one that asks for the end user's consent refuses unless ``consent_given``, since nobody is there to ask.
    pprUpdateControl only says how the rules may change later and needs no authorisation.
    """
    if rules is None:
        return Refusal("its policy rules cannot be read")
    if rules - _KNOWN:
        return Refusal("it has policy rules that nobody here knows")
    for rule in sorted(rules - {ProfilePolicyRule.UPDATE_CONTROL}):
        name = _NAMES[ProfilePolicyRule(rule)]
        if rule == ProfilePolicyRule.DISABLING_NOT_ALLOWED and operational_installed:
            return Refusal(f"{name} (disabling not allowed) is only for the first operational profile")
        if rule in forbidden:
            return Refusal(f"the eUICC forbids {name}")
        if owner is None:
            return Refusal(f"it has {name} but no owner")
        found = next(
            (
                entry
                for entry in (table.rules if table is not None else ())
                if rule in entry.ppr_ids and any(operator.allows(owner) for operator in entry.operators)
            ),
            None,
        )
        if found is None:
            return Refusal(f"the eUICC authorises nobody like its owner to set {name}")
        if found.consent_required and not consent_given:
            return Refusal(f"{name} needs the end user's consent, which nobody here can give", consent_missing=True)
    return None
