"""Write the manual of modules, docs/modems.md, from the profiles in hw/modems/; ``--check`` only compares."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from ipad_agent.modem.module_profile import Evidence, Grade, ModuleProfile
from ipad_agent.modem.module_profile_files import load

ROOT: Final = Path(__file__).resolve().parents[1]
DOCUMENT: Final = ROOT / "docs" / "modems.md"
PROFILES: Final = ROOT / "hw" / "modems"

_HEAD: Final = """# Modules

What the agent knows about families of modems, from the files in [hw/modems](../hw/README.md). Written by
`python tools/gen_modems.py`; to change it, change the files.

Every row says how well it is known: **confirmed** is measured by this project or stated by the maker, **reported** is
somebody else's experience or program, with the link, and a **guess** is engineering judgement. What a table does not
name is as with `generic-3gpp`. A module of no family here gets `generic-3gpp` and often just works, because the agent
tries the real commands. What it then did is in the log, and the way to a profile of one's own in
[hw/README.md](../hw/README.md).

| Family | AT port | Way to the card | After a profile change | Profile |
|---|---|---|---|---|
"""

_NAMES: Final = {
    "match.manufacturer": "`AT+CGMI` answers",
    "match.model": "`AT+CGMM` answers",
    "match.revision": "`AT+CGMR` answers",
    "match.usb": "USB ids",
    "port.at_interface": "USB interface of the AT port",
    "port.second_at_interface": "USB interface of the second AT port, for the agent",
    "port.baud": "Speeds of a UART",
    "port.sleeps": "Its UART sleeps",
    "speed_up.rates": "Higher speeds that AT+IPR sets",
    "speed_up.writes_nvm": "They are kept over a restart",
    "speed_up.restart_needed": "They hold only after a restart",
    "init.commands": "Sent at each start",
    "uicc.order": "Ways to the card, in this order",
    "uicc.quote_hex": "Hex digits in quotes",
    "uicc.cla_on_cgla": "Channel in CLA over CGLA",
    "uicc.le_on_case4": "Le in STORE DATA",
    "uicc.max_data_bytes": "Most data bytes of a command",
    "uicc.small_session_ids": "Session ids are channel numbers",
    "uicc.lock": "Sent before the card is used",
    "uicc.unlock": "Sent after it",
    "events.sim_ready": "Says that the card was initialised",
    "events.other": "Also known as unsolicited",
    "queries.iccid": "Asked for the ICCID",
    "queries.registration": "Asked for the registration",
    "power.connection": "Tells when its radio is connected (+CSCON)",
    "power.release": "Sent when no more data comes",
    "refresh.modem_executes": "Executes the card's REFRESH by itself",
    "refresh.re_enumerates": "USB port vanishes at a REFRESH",
    "slots.query": "Tells the card slot",
    "slots.select": "Select a card slot",
    "slots.before": "Sent before selecting a slot",
    "slots.after": "Sent after it",
    "slots.writes_nvm": "Selecting a slot writes permanent memory",
    "vendor_lpa.query": "Tells whether the maker's LPA is on",
    "vendor_lpa.off": "Switches the maker's LPA off",
    "vendor_lpa.reset_needed": "That needs a restart of the module",
    "vendor_lpa.writes_nvm": "That writes permanent memory",
}


def document(profiles: tuple[ModuleProfile, ...]) -> str:
    """The whole page."""
    families = sorted(_families(profiles), key=lambda profile: profile.title.casefold())
    places = sorted((profile for profile in profiles if _only_ports(profile)), key=lambda profile: profile.title)
    generic = [profile for profile in profiles if profile.name == "generic-3gpp"]
    lines = [_HEAD.rstrip("\n")]
    lines += [_summary(profile) for profile in (*families, *generic)]
    for profile in (*families, *generic):
        lines += ["", f"## {profile.title}", "", *_table(profile)]
        lines += [f"- {remark.text} ({_graded(remark.evidence)})" for remark in profile.remarks]
    lines += ["", "## Further modules", "", "Only where their AT ports are is known; they are used as `generic-3gpp`."]
    for profile in places:
        lines += ["", f"### {profile.title}", "", *_table(profile)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _families(profiles: tuple[ModuleProfile, ...]) -> list[ModuleProfile]:
    return [profile for profile in profiles if profile.name != "generic-3gpp" and not _only_ports(profile)]


def _only_ports(profile: ModuleProfile) -> bool:
    return profile.name != "generic-3gpp" and not any(key.startswith("match.") for key in profile.set_keys)


def _summary(profile: ModuleProfile) -> str:
    ways = ", then ".join(way.upper() for way in profile.uicc.order)
    how = {True: "takes it up by itself", False: "has to be reset", None: "not known"}[profile.refresh.modem_executes]
    order = profile.evidence_for("uicc.order")
    refresh = profile.evidence_for("refresh.modem_executes")
    graded = f"{ways} ({order.grade.value})" if order is not None else ways
    if refresh is not None and profile.refresh.modem_executes is not None:
        how += f" ({refresh.grade.value})"
    return f"| [{profile.title}](#{_anchor(profile.title)}) | {_ports(profile)} | {graded} | {how} | `{profile.name}` |"


def _ports(profile: ModuleProfile) -> str:
    if not profile.usb_ports:
        return "UART, or to be named"
    if all(ports.probe for ports in profile.usb_ports):
        return "USB, each port is asked"
    return "USB, found by itself"


def _anchor(title: str) -> str:
    """As the forges make it of a heading."""
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")


def _table(profile: ModuleProfile) -> list[str]:
    rows = [
        (_NAMES.get(key) or _other_name(key), _shown(profile, key), profile.evidence_for(key))
        for key in _in_order(profile)
    ]
    rows += [
        ("AT port on USB " + ", ".join(f"`{usb_id}`" for usb_id in ports.ids), _interfaces(ports.interfaces), evidence)
        for ports in profile.usb
        for evidence in dict.fromkeys(profile.evidence_for(f"usb.{usb_id}") for usb_id in ports.ids)
    ]
    rows += [
        (f"Reset, rung {number}", _rung(profile, number), profile.evidence_for(f"reset.{number}"))
        for number in profile.ladder
        if f"reset.{number}" in profile.set_keys
    ]
    known = [f"| {name} | {shown} | {_graded(evidence)} |" for name, shown, evidence in rows if evidence is not None]
    return ["| What | Value | How well known |", "|---|---|---|", *known, ""]


def _in_order(profile: ModuleProfile) -> list[str]:
    keys = [key for key in profile.set_keys if not key.startswith(("usb.", "reset."))]
    order = list(_NAMES)
    return sorted(keys, key=lambda key: (order.index(key) if key in order else len(order), key))


def _other_name(key: str) -> str:
    section, _, name = key.partition(".")
    if section == "deadlines":
        return f"Deadline `{name}`"
    assert section == "releases", key
    return f"3GPP release, {name}"


def _shown(profile: ModuleProfile, key: str) -> str:
    section, _, name = key.partition(".")
    value = getattr(getattr(profile, section), name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(_code(str(entry)) for entry in value) or "none"
    return f"{value:g} s" if isinstance(value, float) else _code(str(value))


def _interfaces(interfaces: tuple[int, ...]) -> str:
    if not interfaces:
        return "not known; each is asked"
    return f"interface {interfaces[0]}" + (f", else {interfaces[1]}" if len(interfaces) > 1 else "")


def _rung(profile: ModuleProfile, number: int) -> str:
    rung = profile.ladder[number]
    if not (rung.commands or rung.restore):
        return "wait for the modem to execute the REFRESH"
    steps = [f"{_code(text)}, {rung.pause_s:g} s" for text in rung.commands] + [_code(text) for text in rung.restore]
    notes = ["the port may vanish"] * rung.port_may_vanish + ["writes permanent memory"] * rung.writes_nvm
    return ", ".join(steps) + (f" ({', '.join(notes)})" if notes else "")


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def _graded(evidence: Evidence) -> str:
    grade = f"**{evidence.grade.value}**" if evidence.grade is not Grade.GUESS else evidence.grade.value
    return f"{grade}: {evidence.source.replace('|', chr(92) + '|')}"


def main() -> int:
    found = load([PROFILES])
    if found.problems:
        print(*(problem.message for problem in found.problems), sep="\n", file=sys.stderr)
        return 1
    new = document(found.profiles)
    if "--check" in sys.argv:
        if not DOCUMENT.exists() or DOCUMENT.read_text(encoding="utf-8") != new:
            print(f"{DOCUMENT} is not up to date; run {Path(__file__).name}", file=sys.stderr)
            return 1
        return 0
    DOCUMENT.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
