"""Profile policy rules and who may set them: the Rules Authorisation Table (SGP.22 §2.4.12, §2.9.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ipad_agent.lab.crypto import der

from .card_state import PPR1, PPR2

_KNOWN = frozenset({0, PPR1, PPR2})
_CONSENT_REQUIRED = 0
_WILDCARD = "E"


@dataclass(frozen=True, slots=True)
class Operator:
    """A profile owner, or in a rule the owners it is for: mccMnc as 3 bytes, a digit E stands for any."""

    mcc_mnc: bytes
    gid1: bytes | None = None
    gid2: bytes | None = None


@dataclass(frozen=True, slots=True)
class AuthorisationRule:
    """One ProfilePolicyAuthorisationRule."""

    ppr: tuple[int, ...]
    operators: tuple[Operator, ...]
    consent_required: bool = False


DEFAULT_RULES = (AuthorisationRule((PPR1, PPR2), (Operator(b"\xee\xee\xee"),)),)
"""Every operator without GIDs may set PPR1 and PPR2, and the end user is not asked."""


def encode_rules(rules: Iterable[AuthorisationRule]) -> bytes:
    """The rules as the elements of a RulesAuthorisationTable, in their order."""
    return b"".join(
        der.seq(
            der.bits(rule.ppr, 0x80),
            der.tlv(0xA1, *(_encode_operator(operator) for operator in rule.operators)),
            der.bits([_CONSENT_REQUIRED] if rule.consent_required else [], 0x82),
        )
        for rule in rules
    )


def policy_allowed(
    ppr: Iterable[int],
    owner: Operator | None,
    rules: Iterable[AuthorisationRule],
    *,
    forbidden: frozenset[int],
    operational_installed: bool,
) -> bool:
    """Whether a profile of ``owner`` may come with the policy bits ``ppr``."""
    wanted = set(ppr)
    if wanted - _KNOWN or wanted & forbidden or (PPR1 in wanted and operational_installed):
        return False
    return all(
        owner is not None and any(bit in rule.ppr and _owner_matches(rule, owner) for rule in rules)
        for bit in wanted & {PPR1, PPR2}
    )


def _owner_matches(rule: AuthorisationRule, owner: Operator) -> bool:
    return any(
        all(a in (_WILDCARD, b) for a, b in zip(o.mcc_mnc.hex().upper(), owner.mcc_mnc.hex().upper(), strict=True))
        and _gid_matches(o.gid1, owner.gid1)
        and _gid_matches(o.gid2, owner.gid2)
        for o in rule.operators
    )


def _gid_matches(allowed: bytes | None, present: bytes | None) -> bool:
    """Absent in the rule: only without one. Empty: any. Else this one."""
    return allowed == b"" or allowed == present


def _encode_operator(operator: Operator) -> bytes:
    gids = (der.octets(gid, tag) for tag, gid in ((0x81, operator.gid1), (0x82, operator.gid2)) if gid is not None)
    return der.seq(der.octets(operator.mcc_mnc, 0x80), *gids)
