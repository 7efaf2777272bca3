"""The files of module profiles, one TOML file each (hw/modems/): where they are, and what may stand in them.

Every value a file sets carries its evidence in the table ``[evidence]``, by key or for a whole table; a value
without evidence, an unknown key or a wrong type is an error that names file and key.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from ipad_agent.packaged_files import packaged
from ipad_agent.records import replace

from . import profile_value_checks as checks
from .errors import ProfileError
from .module_profile import ModuleProfile, ProfileSet
from .module_settings import (
    TECHNOLOGIES,
    Deadlines,
    Events,
    Evidence,
    Grade,
    Init,
    Match,
    Port,
    Power,
    Queries,
    Refresh,
    Releases,
    Remark,
    Rung,
    Slots,
    SpeedUp,
    Uicc,
    UsbPorts,
    VendorLpa,
)
from .profile_value_checks import Check

MAX_FILE_BYTES: Final = 65536
OPERATOR_FOLDER: Final = Path("/etc/ipad-agent/modems")
"""Beside the configuration file; what lies there goes before what comes with the agent."""

_USB_ID: Final = checks.matching(r"[0-9a-f]{4}:[0-9a-f]{4}", "vendor:product in lower-case hex")
_SCHEMA: Final[Mapping[str, tuple[type, Mapping[str, Check]]]] = {
    "match": (
        Match,
        {
            "manufacturer": checks.pattern,
            "model": checks.pattern,
            "revision": checks.pattern,
            "usb": checks.list_of(_USB_ID),
        },
    ),
    "port": (
        Port,
        {
            "at_interface": checks.integer(0, 31),
            "second_at_interface": checks.integer(0, 31),
            "baud": checks.nonempty(checks.list_of(checks.integer(1200, 4_000_000))),
            "sleeps": checks.flag,
        },
    ),
    "speed_up": (
        SpeedUp,
        {
            "rates": checks.rising(checks.nonempty(checks.list_of(checks.integer(1200, 4_000_000)))),
            "writes_nvm": checks.flag,
            "restart_needed": checks.flag,
        },
    ),
    "init": (Init, {"commands": checks.list_of(checks.command)}),
    "uicc": (
        Uicc,
        {
            "order": checks.unique(checks.nonempty(checks.list_of(checks.choice("cgla", "cgla-basic", "csim")))),
            "quote_hex": checks.flag,
            "cla_on_cgla": checks.choice("zero", "session"),
            "le_on_case4": checks.flag,
            "max_data_bytes": checks.integer(60, 255),
            "small_session_ids": checks.flag,
            "lock": checks.list_of(checks.command),
            "unlock": checks.list_of(checks.command),
        },
    ),
    "deadlines": (
        Deadlines,
        {
            "line_s": checks.seconds(60),
            "open_s": checks.seconds(120),
            "close_s": checks.seconds(120),
            "apdu_s": checks.seconds(600),
            "last_block_s": checks.seconds(1200),
            "sim_ready_s": checks.seconds(600),
            "refresh_wait_s": checks.seconds(600),
            "port_return_s": checks.seconds(600),
        },
    ),
    "events": (
        Events,
        {"sim_ready": checks.nonempty(checks.list_of(checks.pattern)), "other": checks.list_of(checks.pattern)},
    ),
    "queries": (
        Queries,
        {
            "iccid": checks.list_of(checks.command),
            "registration": checks.nonempty(checks.list_of(checks.choice("CEREG", "CGREG", "CREG", "C5GREG"))),
        },
    ),
    "releases": (Releases, {name: checks.integer(1, 99) for name in TECHNOLOGIES}),
    "power": (Power, {"connection": checks.flag, "release": checks.list_of(checks.command)}),
    "refresh": (Refresh, {"modem_executes": checks.flag, "re_enumerates": checks.flag}),
    "slots": (
        Slots,
        {
            "query": checks.command,
            "select": checks.at_least(2, checks.list_of(checks.command)),
            "before": checks.list_of(checks.command),
            "after": checks.list_of(checks.command),
            "writes_nvm": checks.flag,
        },
    ),
    "vendor_lpa": (
        VendorLpa,
        {
            "query": checks.command,
            "off": checks.nonempty(checks.list_of(checks.command)),
            "reset_needed": checks.flag,
            "writes_nvm": checks.flag,
        },
    ),
}
_RUNG_KEYS: Final[Mapping[str, Check]] = {
    "rung": checks.integer(0, 5),
    "commands": checks.list_of(checks.command),
    "pause_s": checks.seconds(120),
    "restore": checks.list_of(checks.command),
    "writes_nvm": checks.flag,
    "port_may_vanish": checks.flag,
}
_USB_KEYS: Final[Mapping[str, Check]] = {
    "ids": checks.nonempty(checks.list_of(_USB_ID)),
    "at_interface": checks.integer(0, 31),
    "second_at_interface": checks.integer(0, 31),
    "probe": checks.flag,
}
_EVIDENCE_KEYS: Final[Mapping[str, Check]] = {
    "grade": checks.choice(*(grade.value for grade in Grade)),
    "source": checks.text,
}
_REMARK_KEYS: Final[Mapping[str, Check]] = {"text": checks.text, **_EVIDENCE_KEYS}
_RADIO_OFF: Final = re.compile(r"AT\+CFUN=(0|4)(,0)?", re.IGNORECASE)
_TOP_KEYS: Final = ("title", "base", "evidence", "reset", "usb", "remark", *_SCHEMA)


def parse(text: str, *, name: str, place: str) -> ModuleProfile:
    """Read one profile. ``place`` names the file in errors. Raises ``ProfileError`` and nothing else."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise ProfileError(place, f"is no TOML: {error}") from None
    return build(document, name=name, place=place)


def build(document: Mapping[str, Any], *, name: str, place: str) -> ModuleProfile:
    """From the tables of a file; raises ``ProfileError`` and nothing else."""
    _refuse_unknown(document, _TOP_KEYS, place, "")
    sections: dict[str, Any] = {}
    set_keys: list[str] = []
    for section, (kind, keys) in _SCHEMA.items():
        if section in document:
            values = _read_table(document[section], keys, place, section)
            set_keys += [f"{section}.{key}" for key in values]
            sections[section] = kind(**values)
    if "reset" in document:
        sections["ladder"] = _read_ladder(document["reset"], place)
        set_keys += [f"reset.{rung}" for rung in sections["ladder"]]
    if "usb" in document:
        sections["usb"] = _read_usb(document["usb"], place)
        set_keys += [f"usb.{usb_id}" for ports in sections["usb"] for usb_id in ports.ids]
    if "remark" in document:
        sections["remarks"] = _read_remarks(document["remark"], place)
    title = _checked(checks.text, document["title"], place, "title") if "title" in document else name
    evidence = _read_evidence(document.get("evidence", {}), set_keys, place)
    base = _checked(checks.text, document["base"], place, "base") if "base" in document else None
    profile = ModuleProfile(
        name=name, title=title, evidence=evidence, set_keys=frozenset(set_keys), base=base, **sections
    )
    if base is None:
        _refuse_contradictions(profile, place)
    return profile


def _read_table(table: object, keys: Mapping[str, Check], place: str, section: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise ProfileError(f"{place}: {section}", "needs a table")
    _refuse_unknown(table, keys, place, section + ".")
    return {key: _checked(keys[key], value, place, f"{section}.{key}") for key, value in table.items()}


def _read_ladder(entries: object, place: str) -> dict[int, Rung]:
    if not isinstance(entries, list):
        raise ProfileError(f"{place}: reset", "needs [[reset]] tables")
    ladder: dict[int, Rung] = {}
    for number, entry in enumerate(entries, start=1):
        values = _read_table(entry, _RUNG_KEYS, place, f"reset[{number}]")
        if "rung" not in values or values["rung"] in ladder:
            raise ProfileError(f"{place}: reset[{number}].rung", "is missing or used twice")
        rung = Rung(**values)
        if rung.rung and not (rung.commands or rung.restore):
            raise ProfileError(f"{place}: reset[{number}].commands", "is missing; only rung 0 does nothing but wait")
        if any(_RADIO_OFF.fullmatch(command) for command in rung.commands) and not rung.restore:
            raise ProfileError(f"{place}: reset[{number}].restore", "is missing; what switches the radio off must end")
        ladder[rung.rung] = rung
    return dict(sorted(ladder.items()))


def _read_usb(entries: object, place: str) -> tuple[UsbPorts, ...]:
    if not isinstance(entries, list):
        raise ProfileError(f"{place}: usb", "needs [[usb]] tables")
    found: list[UsbPorts] = []
    known: set[str] = set()
    for number, entry in enumerate(entries, start=1):
        values = _read_table(entry, _USB_KEYS, place, f"usb[{number}]")
        if "ids" not in values:
            raise ProfileError(f"{place}: usb[{number}].ids", "is missing")
        ports = UsbPorts(**values)
        if ports.probe and ports.interfaces:
            raise ProfileError(f"{place}: usb[{number}].probe", "is for modules whose AT interfaces are not known")
        if not ports.probe and ports.at_interface is None:
            raise ProfileError(f"{place}: usb[{number}].at_interface", "is missing; probe = true where nobody knows it")
        if ports.second_at_interface is not None and ports.second_at_interface == ports.at_interface:
            raise ProfileError(f"{place}: usb[{number}].second_at_interface", "is the first one again")
        if len(set(ports.ids)) < len(ports.ids) or known & set(ports.ids):
            raise ProfileError(f"{place}: usb[{number}].ids", "names a module twice")
        known |= set(ports.ids)
        found.append(ports)
    return tuple(found)


def _read_remarks(entries: object, place: str) -> tuple[Remark, ...]:
    if not isinstance(entries, list):
        raise ProfileError(f"{place}: remark", "needs [[remark]] tables")
    found: list[Remark] = []
    for number, entry in enumerate(entries, start=1):
        values = _read_table(entry, _REMARK_KEYS, place, f"remark[{number}]")
        for key in _REMARK_KEYS:
            if key not in values:
                raise ProfileError(f"{place}: remark[{number}].{key}", "is missing")
        found.append(Remark(values["text"], Evidence(Grade(values["grade"]), values["source"])))
    return tuple(found)


def _refuse_contradictions(profile: ModuleProfile, place: str) -> None:
    """What no value is wrong in, and all of it cannot be meant."""
    port, uicc, slots, speed_up = profile.port, profile.uicc, profile.slots, profile.speed_up
    if speed_up.rates and speed_up.rates[0] <= min(port.baud):
        raise ProfileError(f"{place}: speed_up.rates", f"has {speed_up.rates[0]}, which is no more than port.baud")
    if any(key.startswith("speed_up.") for key in profile.set_keys) and not speed_up.rates:
        raise ProfileError(f"{place}: speed_up.rates", "is missing; without it the other keys say nothing")
    if speed_up.restart_needed and not speed_up.writes_nvm:
        raise ProfileError(f"{place}: speed_up.writes_nvm", "is false, but what only holds after a restart is kept")
    if port.second_at_interface is not None and port.second_at_interface == port.at_interface:
        raise ProfileError(f"{place}: port.second_at_interface", "is the first one again")
    if port.second_at_interface is not None and port.at_interface is None:
        raise ProfileError(f"{place}: port.at_interface", "is missing; the second one alone says too little")
    if uicc.lock and not uicc.unlock:
        raise ProfileError(f"{place}: uicc.unlock", "is missing; what locks the card must end")
    if uicc.cla_on_cgla == "session" and not uicc.small_session_ids:
        raise ProfileError(f"{place}: uicc.cla_on_cgla", "needs session ids that are channel numbers")
    if (slots.before or slots.after) and not slots.select:
        raise ProfileError(f"{place}: slots.select", "is missing; there is nothing that the other commands go around")


def _read_evidence(table: object, set_keys: Iterable[str], place: str) -> dict[str, Evidence]:
    if not isinstance(table, dict):
        raise ProfileError(f"{place}: evidence", "needs a table")
    evidence: dict[str, Evidence] = {}
    for key, entry in table.items():
        values = _read_table(entry, _EVIDENCE_KEYS, place, f"evidence.{key}")
        if set(values) != {"grade", "source"}:
            raise ProfileError(f"{place}: evidence.{key}", "needs grade and source")
        evidence[key] = Evidence(Grade(values["grade"]), values["source"])
    keys = tuple(set_keys)
    for key in keys:
        if key not in evidence and key.split(".")[0] not in evidence:
            raise ProfileError(f"{place}: {key}", "has no evidence; add it to [evidence] by this key or by its table")
    for key in evidence:
        if not any(key in (known, known.split(".")[0]) for known in keys):
            raise ProfileError(f"{place}: evidence.{key}", "is evidence for a value that the file does not set")
    return evidence


def _refuse_unknown(table: Mapping[str, object], known: Iterable[str], place: str, prefix: str) -> None:
    allowed = tuple(known)
    for key in table:
        if key not in allowed:
            raise ProfileError(f"{place}: {prefix}{key}", "is an unknown key", allowed=", ".join(allowed))


def _checked(check: Check, value: object, place: str, key: str) -> Any:
    try:
        return check(value)
    except ValueError as error:
        raise ProfileError(f"{place}: {key}", str(error)) from None


def search_path(configured: Path | None = None) -> tuple[Path, ...]:
    """The folders that may hold profiles, the more particular first: the ``configured`` one, or ``OPERATOR_FOLDER``.

    Those that came with this very program stand before those of a distribution's package, which may be older.
    """
    folders = [
        packaged("hw/modems"),
        # `make install PREFIX=...`: the package is in PREFIX/lib/ipad-agent/ipad_agent.
        *(prefix / "share" / "ipad-agent" / "modems" for prefix in Path(__file__).resolve().parents[4:5]),
        Path(sys.prefix) / "share" / "ipad-agent" / "modems",
        Path("/usr/share/ipad-agent/modems"),
    ]
    return (OPERATOR_FOLDER if configured is None else configured, *folders)


def load(folders: Iterable[Path]) -> ProfileSet:
    """Read all profiles. A file in an earlier folder hides one of the same name in a later folder, or changes only
    some values of it where it names it as its ``base``.

    A broken file is left out and reported: one bad file must not take the device's modem away.
    """
    paths: dict[str, list[Path]] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.toml")):
            paths.setdefault(path.stem, []).append(path)
    found: list[ModuleProfile] = []
    problems: list[ProfileError] = []
    for candidates in paths.values():
        for path in candidates:
            try:
                found.append(_with_base(path, paths, (path,)))
                break
            except ProfileError as error:
                problems.append(error)
    return ProfileSet(tuple(found), tuple(problems))


def _with_base(path: Path, paths: Mapping[str, list[Path]], chain: tuple[Path, ...]) -> ModuleProfile:
    """The profile of this file over that of the file it names as its base; ``chain`` are the files on the way here."""
    own = load_file(path)
    if own.base is None:
        return own
    below = next((candidate for candidate in paths.get(own.base, ()) if candidate not in chain), None)
    if below is None:
        raise ProfileError(f"{path}: base", f"names no other profile: {own.base}")
    profile = override(_with_base(below, paths, (*chain, below)), own)
    _refuse_contradictions(profile, str(path))
    return profile


def override(base: ModuleProfile, own: ModuleProfile) -> ModuleProfile:
    """``base`` with everything that ``own`` sets; the ladder and the table of USB ports are replaced as a whole."""
    changes: dict[str, Any] = {"name": own.name, "base": own.base, "set_keys": base.set_keys | own.set_keys}
    if own.title != own.name:
        changes["title"] = own.title
    for section in _SCHEMA:
        keys = [key.partition(".")[2] for key in own.set_keys if key.partition(".")[0] == section]
        if keys:
            values = {key: getattr(getattr(own, section), key) for key in keys}
            changes[section] = replace(getattr(base, section), **values)
    if any(key.startswith("reset.") for key in own.set_keys):
        changes["ladder"] = own.ladder
    if own.usb:
        changes["usb"] = own.usb
    evidence = {key: base.evidence_for(key) for key in base.set_keys} | {
        key: own.evidence_for(key) for key in own.set_keys
    }
    changes["evidence"] = {key: known for key, known in evidence.items() if known is not None}
    changes["remarks"] = (*own.remarks, *base.remarks)
    return replace(base, **changes)


def load_file(path: Path) -> ModuleProfile:
    """Read one file; raises ``ProfileError``."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise ProfileError(str(path), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ProfileError(str(path), "is no UTF-8") from None
    if len(data) > MAX_FILE_BYTES:
        raise ProfileError(str(path), f"is larger than {MAX_FILE_BYTES} bytes")
    return parse(text, name=path.stem, place=str(path))
