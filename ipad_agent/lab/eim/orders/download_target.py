"""Where a download order leads: an activation code, the default SM-DP+, an SM-DS (SGP.22 §4.1, SGP.32 v1.2 §3.2.3)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """``kind`` is ``smdp``, ``default``, ``smds`` or ``none``; None is what the order does not say."""

    kind: str
    address: str | None = None
    matching_id: str | None = None
    oid: str | None = None

    @property
    def code(self) -> str:
        """As an activation code."""
        return f"LPA:1${self.address or ''}${self.matching_id or ''}" + (f"${self.oid}" if self.oid else "")


def target_of(code: str) -> Target:
    """The target of what ``trigger`` takes; a text that is no activation code leads nowhere (``none``)."""
    if code in ("default", "smds", "none"):
        return Target(code, matching_id=None if code == "none" else "")
    if code.startswith("smds:"):
        return Target("smds", code[5:], "")
    text = code[4:] if code[:4].upper() == "LPA:" else code
    fields = text.split("$")
    if len(fields) < 3 or fields[0] != "1" or not fields[1]:
        return Target("none")
    return Target("smdp", fields[1], fields[2], fields[3] if len(fields) > 3 and fields[3] else None)
