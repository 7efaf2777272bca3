"""From a report to the draft of a module profile, as hw/modems has them: only what was measured, and every row marked
``reported``. Whoever takes it over checks it and may write ``confirmed``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ipad_agent.modem.module_profile import GENERIC_NAME, ModuleProfile
from ipad_agent.modem.module_profile_files import parse
from ipad_agent.printable import summary

from .errors import ReportUnreadable

_COMMAND: Final = re.compile(r"AT[+^%#$!][A-Z0-9]{1,16}\??")
_USB_ID: Final = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,60}")
_WAYS: Final = ("cgla", "cgla-basic", "csim")
_REGISTRATIONS: Final = ("CEREG", "CGREG", "CREG", "C5GREG")
_ICCID_ANSWER: Final = re.compile(r"CCID|SCID")


def draft(report: Mapping[str, Any]) -> str:
    """The TOML text, which the loader accepts; raises ``ReportUnreadable`` for a report that names no module."""
    module = _table(report, "module")
    manufacturer, model, revision = (_word(module.get(name)) for name in ("manufacturer", "model", "revision"))
    if not model:
        raise ReportUnreadable("The report names no module: it did not answer AT+CGMM.")
    made_at = _word(report.get("made_at")) or "an unknown day"
    source = f"ipactl modem test, {made_at}, firmware {revision or 'not told'}"
    match: dict[str, object] = {"model": re.escape(model)}
    if manufacturer:
        match = {"manufacturer": re.escape(manufacturer), **match}
    sections: dict[str, dict[str, object]] = {"match": match}
    port = _table(report, "port")
    sections["uicc"] = _uicc(report)
    sections["queries"] = _queries(report)
    sections["refresh"] = _refresh(report)
    kept = {name: values for name, values in sections.items() if values}
    lines = [f"# Draft made from a report of {made_at}: what was measured once, on one module.", "#"]
    lines += [f"# {line}" for line in (*_opinion(report), *_not_in_the_profile(report))]
    lines.append(f"title = {_toml(f'{manufacturer} {model}'.strip())}")
    base = module.get("profile")
    if isinstance(base, str) and base != GENERIC_NAME and _NAME.fullmatch(base):
        lines.append(f"base = {_toml(base)}")
    for name, values in kept.items():
        lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    usb, number = str(port.get("usb_id")), port.get("interface")
    names = [*kept]
    if port.get("profile") is None and _USB_ID.fullmatch(usb) and isinstance(number, int) and 0 <= number <= 31:
        lines += ["", "[[usb]]", f"ids = {_toml([usb])}", f"at_interface = {number}"]
        names.append("usb")
    lines += ["", "[evidence]"]
    lines += [f'"{name}" = {{ grade = "reported", source = {_toml(source)} }}' for name in names]
    text = "\n".join(lines) + "\n"
    checked(text)
    return text


def checked(text: str) -> ModuleProfile:
    """What the loader makes of it; raises ``ProfileError``."""
    return parse(text, name="draft", place="the draft")


def _uicc(report: Mapping[str, Any]) -> dict[str, object]:
    ways = [way for way in _list(report, "ways") if way.get("opens") is True and way.get("way") in _WAYS]
    whole = [way for way in ways if way.get("cut_at_bytes") is None and not way.get("failed")]
    if not whole:
        return {}
    best = str(report.get("recommended"))
    whole.sort(key=lambda way: way["way"] != best)
    found: dict[str, object] = {"order": [way["way"] for way in whole]}
    block = whole[0].get("block_bytes")
    if isinstance(block, int) and 60 <= block <= 255:
        found["max_data_bytes"] = block
    if any(way.get("le") is False for way in whole):
        found["le_on_case4"] = False
    return found


def _not_in_the_profile(report: Mapping[str, Any]) -> Iterable[str]:
    """What was measured of the ways and a profile has no words for."""
    if not _uicc(report):
        yield "No way to the card carried everything, so nothing is said of ways here: [uicc] is left out."
    for way in _list(report, "ways"):
        if way.get("opens") is not True or way.get("way") not in _WAYS:
            continue
        cut = way.get("cut_at_bytes")
        if isinstance(cut, int):
            yield f"{way['way']} is no way to name in uicc.order: it cuts answers at {cut} bytes."
        elif way.get("failed"):
            yield f"{way['way']} is no way to name in uicc.order: not every function got an answer over it."


def _queries(report: Mapping[str, Any]) -> dict[str, object]:
    works = [str(row.get("command")) for row in _list(report, "commands") if row.get("verdict") == "works"]
    iccid = [text for text in works if _COMMAND.fullmatch(text) and _ICCID_ANSWER.search(text)]
    registration = [name for name in _REGISTRATIONS if f"AT+{name}?" in works]
    found: dict[str, object] = {}
    if iccid:
        found["iccid"] = iccid
    if registration:
        found["registration"] = registration
    return found


def _refresh(report: Mapping[str, Any]) -> dict[str, object]:
    """What was measured of it; which rung of the ladder was needed, the ladder finds out by itself."""
    done = [one for one in _list(_table(report, "refresh"), "switches") if one.get("ok") is True]
    if not done or any(one.get("rung") is None for one in done):
        return {}
    executes = all(one.get("modem_executed") is True for one in done)
    vanished = any(one.get("port_vanished") is True for one in done)
    return {"modem_executes": True, "re_enumerates": vanished} if executes else {"modem_executes": False}


def _opinion(report: Mapping[str, Any]) -> Iterable[str]:
    for one in _list(report, "advice"):
        yield summary(str(one.get("sentence")), 110)


def _toml(value: object) -> str:
    """A basic string, a number, a flag or a list of strings: JSON's forms are TOML's too."""
    return json.dumps(value, ensure_ascii=False)


def _word(value: object) -> str:
    return summary(value, 80) if isinstance(value, str) else ""


def _table(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = report.get(name)
    return found if isinstance(found, Mapping) else {}


def _list(report: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = report.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
