"""Activation codes (SGP.22 v2.5 §4.1): where the profile is and under which name. Treat them as secrets."""

from __future__ import annotations

from ipad_agent.errors import CodecError
from ipad_agent.records import dataclass, field

MAX_CHARACTERS = 255
_HINT = "The activation code that the eIM sent cannot be used; ask the operator for a new one."


@dataclass(frozen=True, slots=True)
class ActivationCode:
    """``matching_id`` may be empty, which is itself a value to send; ``smdp_oid`` is dotted decimal."""

    smdp_address: str
    matching_id: str = field(repr=False)
    smdp_oid: str | None = None
    confirmation_code_required: bool = False

    @classmethod
    def parse(cls, text: str) -> ActivationCode:
        """From ``LPA:1$address$token[$oid[$flag]]``; the prefix may be absent, fields after the fifth are ignored."""
        code = text.strip()
        if code[:4].upper() == "LPA:":
            code = code[4:]
        if len(code) > MAX_CHARACTERS:
            raise CodecError(f"an activation code of over {MAX_CHARACTERS} characters", hint=_HINT)
        parts = code.split("$")
        if len(parts) < 3:
            raise CodecError("an activation code with fewer than three fields", hint=_HINT)
        if parts[0] != "1":
            raise CodecError("an activation code of a format other than 1", hint=_HINT)
        address, matching_id = parts[1], parts[2]
        if not address or not all("!" <= character <= "~" for character in address) or set(address) & set("/?#@\\"):
            raise CodecError("an activation code without a usable SM-DP+ address", hint=_HINT)
        if not all(character == "-" or (character.isascii() and character.isalnum()) for character in matching_id):
            raise CodecError("an activation code whose token has characters other than 0-9, A-Z and -", hint=_HINT)
        oid = parts[3] if len(parts) > 3 and parts[3] else None
        if oid is not None and not all(arc.isascii() and arc.isdigit() for arc in oid.split(".")):
            raise CodecError("an activation code whose SM-DP+ OID is no OID", hint=_HINT)
        return cls(address, matching_id, oid, len(parts) > 4 and parts[4] == "1")
