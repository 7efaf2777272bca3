"""Times, sizes and identifiers as people say them."""

from __future__ import annotations

import time
from typing import Final

from ipad_agent.local.status_model import Profile, Time
from ipad_agent.local.status_verdict import UNKNOWN
from ipad_agent.printable import size_text

from .terminal_output import GLUE, clean

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400

CHANGED_BY: Final = {
    "eIM": "by its manager (eIM)",
    "eim": "by its manager (eIM)",
    "rollback": "by going back after a change that did not work",
    "fallback": "by the fallback",
    "card": "by the card itself",
    "download": "by a profile download",
    "guardian": "by this device, which had lost its connectivity",
    "local": "by somebody on this device",
    "unknown": "by somebody unknown",
}
_FOR: Final = {
    "eIM": "by order of {eim}",
    "download": "by a download that {eim} ordered",
    "rollback": "by going back after a change that {eim} ordered and that did not work",
}
CARRIERS: Final = {"coaps": "CoAP/DTLS", "https": "HTTPS"}


def span(seconds: float) -> str:
    """``41 s``, ``4 min 12 s``, ``25 min``, ``3 h 4 min``, ``9 d``: two units where both matter."""
    whole = max(int(seconds), 0)
    if whole < _MINUTE:
        return f"{whole}{GLUE}s"
    if whole < 10 * _MINUTE:
        return _two(whole, _MINUTE, "min", 1, "s")
    if whole < _HOUR:
        return f"{whole // _MINUTE}{GLUE}min"
    if whole < 2 * _DAY:
        return _two(whole, _HOUR, "h", _MINUTE, "min")
    if whole < 10 * _DAY:
        return _two(whole, _DAY, "d", _HOUR, "h")
    return f"{whole // _DAY}{GLUE}d"


def _two(whole: int, unit: int, name: str, below: int, below_name: str) -> str:
    rest = whole % unit // below
    return f"{whole // unit}{GLUE}{name}" + (f"{GLUE}{rest}{GLUE}{below_name}" if rest else "")


def when(time: Time, later_s: float = 0.0) -> str:
    """``3 h 4 min ago``, ``in 5 h 12 min``, ``now``; ``later_s``: how long ago the status was taken."""
    age_s = time.age_s + later_s
    if -1 < age_s < 1:
        return "now"
    return f"{span(age_s)} ago" if age_s > 0 else f"in {span(-age_s)}"


def until(time: Time, later_s: float = 0.0) -> str:
    """When something planned happens; what is overdue happens now."""
    age_s = time.age_s + later_s
    return "now" if age_s > -1 else f"in {span(-age_s)}"


def clock(at_s: int, pattern: str = "%H:%M:%S") -> str:
    """A moment by the clock on the wall; one that no calendar has is shown as a number."""
    try:
        return time.strftime(pattern, time.localtime(at_s))
    except (OverflowError, OSError, ValueError):
        return str(at_s)


def size(count_bytes: int) -> str:
    """``912 B``, ``6.1 kB``, ``412 kB``, ``2.0 MB``; number and unit stay on one line."""
    return size_text(count_bytes).replace(" ", GLUE)


def tick(ok: bool) -> str:
    """Whether check digits fit."""
    return "✓" if ok else "✗"


def mark(ok: bool | None) -> str:
    """The outcome of one check; a dot where there is none."""
    return "·" if ok is None else tick(ok)


def tail(iccid: str) -> str:
    """Enough of an ICCID to tell one from the others."""
    return f"…{clean(iccid)[-4:]}"


def check(number: str, ok: bool) -> str:
    """Whether the check digits of a card or profile fit; blank where there are none, because it is no number."""
    return tick(ok) if number.isdecimal() else ""


def grouped(digits: str) -> str:
    """Digits in groups of four."""
    digits = clean(digits)
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def title(profile: Profile) -> str:
    """A profile's name as a person would say it, in quotation marks; blank when it has none."""
    name = clean(profile.nickname or profile.name or profile.provider or "").strip()
    return f"“{name}”" if name else ""


def called(profile: Profile) -> str:
    """Name, end of the ICCID, and whether its check digit fits."""
    parts = (title(profile), tail(profile.iccid), check(profile.iccid, profile.iccid_check_digit_ok))
    return " ".join(part for part in parts if part)


def named(iccid: str | None, profiles: tuple[Profile, ...]) -> str:
    """The same for an ICCID of which only the list may know more."""
    if iccid is None:
        return "none"
    if iccid == UNKNOWN:
        return "one that only the card knows"
    profile = next((profile for profile in profiles if profile.iccid == iccid), None)
    if profile is None:
        return tail(iccid)
    return f"{title(profile)} {tail(iccid)}".strip()


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 package``, ``2 packages``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def changed(profile: Profile, later_s: float) -> str:
    """``enabled 3 d ago by its manager (eIM)``, as far as it is known."""
    parts = ["enabled" if profile.enabled else "disabled"]
    if profile.changed_at is not None:
        parts.append(when(profile.changed_at, later_s))
    if profile.changed_for is not None and profile.changed_by in _FOR:
        parts.append(_FOR[profile.changed_by].format(eim=clean(profile.changed_for)))
    elif profile.changed_by is not None:
        parts.append(CHANGED_BY.get(profile.changed_by, f"by {clean(profile.changed_by)}"))
    return " ".join(parts)


def sentence(text: str) -> str:
    """With a stop at its end."""
    text = clean(text).strip()
    return text if not text or text[-1] in ".!?" else f"{text}."


def uncapital(text: str) -> str:
    """To go on after a colon, unless it begins with an abbreviation."""
    return text if len(text) > 1 and text[1].isupper() else text[:1].lower() + text[1:]
