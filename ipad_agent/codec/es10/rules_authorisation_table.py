"""Operators, profile policy rules and the table that authorises them (SGP.22 v2.5 §2.4.12, §2.9.3, §5.7.22)."""

from __future__ import annotations

from enum import IntEnum

from ipad_agent.codec.ber.tlv import Tlv, hex_tag, parse
from ipad_agent.codec.ber.tlv_fields import Fields, undouble
from ipad_agent.codec.tolerances import MISSING_OUTER_TAG, UNREADABLE_ELEMENT, Notes
from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field


class ProfilePolicyRule(IntEnum):
    """Bit numbers of PprIds."""

    UPDATE_CONTROL = 0
    DISABLING_NOT_ALLOWED = 1
    DELETION_NOT_ALLOWED = 2


@dataclass(frozen=True, slots=True)
class OperatorId:
    """Who owns a profile, or which owners a rule is for (there ``E`` digits match any digit).

    ``mcc_mnc`` is 3 bytes as in ``Plmn``; an absent GID and an empty one mean different things, so None stays None.
    """

    mcc_mnc: bytes
    gid1: bytes | None = None
    gid2: bytes | None = None

    @classmethod
    def read(cls, element: Tlv) -> OperatorId:
        """From ``{ 80, 81?, 82? }`` under any tag."""
        fields = Fields(element)
        mcc_mnc = fields.require(0x80, "mccMnc").value
        if len(mcc_mnc) != 3:
            raise CodecError(f"an mccMnc of {len(mcc_mnc)} bytes instead of 3", offset=element.start)
        return cls(mcc_mnc, fields.octets(0x81), fields.octets(0x82))

    def allows(self, owner: OperatorId) -> bool:
        """Whether this entry of a rule covers ``owner`` (§2.9.3.1).

        The network is compared digit by digit, ``E`` in the rule matching any. A GID that the rule leaves out
        matches only an owner without it, an empty one matches any, another one only its equal.
        """
        digits = zip(self.mcc_mnc.hex(), owner.mcc_mnc.hex(), strict=True)
        if not all(rule in ("e", digit) for rule, digit in digits):
            return False
        pairs = ((self.gid1, owner.gid1), (self.gid2, owner.gid2))
        return all(rule in (b"", value) for rule, value in pairs)


@dataclass(frozen=True, slots=True)
class AuthorisationRule:
    """One ProfilePolicyAuthorisationRule: which rules, for whose profiles, and whether an end user must consent."""

    ppr_ids: frozenset[int]
    operators: tuple[OperatorId, ...]
    consent_required: bool

    @classmethod
    def read(cls, element: Tlv) -> AuthorisationRule:
        """From ``30 { 80, A1 { 30 … }, 82 }``."""
        if element.tag != 0x30:
            raise CodecError(f"a policy rule cannot begin with {hex_tag(element.tag)}", offset=element.start)
        fields = Fields(element)
        return cls(
            fields.require(0x80, "pprIds").bits(),
            tuple(OperatorId.read(item) for item in fields.require(0xA1, "allowedOperators")),
            0 in fields.require(0x82, "pprFlags").bits(),
        )


@dataclass(frozen=True, slots=True)
class RulesAuthorisationTable:
    """The RAT, in its order; the first rule that fits decides.

    A rule that cannot be read authorises nothing: it is left out and ``tolerances`` says so.
    """

    raw: bytes = field(repr=False)
    rules: tuple[AuthorisationRule, ...]
    tolerances: tuple[str, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> RulesAuthorisationTable:
        """From ``BF43 { A0 { 30 … } }`` (GetRAT), and from ``A6 { 30 … }`` (result of getRAT in a package)."""
        notes = Notes()
        element = parse(raw)
        if element.tag == 0xBF43:
            element = undouble(element, notes)
            found = element.find(0xA0)
            if found is None:
                raise CodecError("the policy table has no list (A0)", offset=element.start)
            element = found
        elif element.tag == 0xA0:
            notes.take(MISSING_OUTER_TAG)
        elif element.tag != 0xA6:
            raise CodecError(f"the policy table cannot begin with {hex_tag(element.tag)}", offset=0)
        rules: list[AuthorisationRule] = []
        for item in element:
            try:
                rules.append(AuthorisationRule.read(item))
            except CodecError:
                notes.take(UNREADABLE_ELEMENT)
        return cls(raw, tuple(rules), notes.ids)
