"""The report: what was found as data and as lines for a person, in one JSON file that goes to a ticket.

Without identifiers unless they are asked for: EID, ICCID, IMEI and IMSI are shortened, with a hash whose salt is made
for this report and not kept.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from ipad_agent import __version__
from ipad_agent.doctor.bundle.identifier_forms import Known, swapped
from ipad_agent.doctor.bundle.redaction import Redactor
from ipad_agent.printable import printable
from ipad_agent.records import dataclass

from .command_survey import CommandRow
from .errors import ReportUnreadable
from .integrator_advice import Advice, advise
from .modem_examination import Examination, recommended
from .port_survey import PortRow
from .way_examination import WayFacts

FORMAT: Final = "ipad-agent modem report"
VERSION: Final = 1
MAX_FILE_BYTES: Final = 1 << 20
_COLUMN: Final = {"cgla-basic": "CGLA 0"}
_OWN_LINES: Final = ("Module    ", "Profile   ")
_OWN_WORDS: Final = frozenset({"AT+CGMI", "AT+CGMM", "AT+CGMR"})


@dataclass(frozen=True, slots=True)
class PortFacts:
    """Where the module hangs; None for what is no USB port. ``profile`` is the one that knows this USB id already."""

    name: str
    usb_id: str | None = None
    interface: int | None = None
    profile: str | None = None

    @classmethod
    def of(cls, name: str, row: PortRow | None) -> PortFacts:
        """With what the kernel tells of it."""
        return cls(name) if row is None else cls(name, row.usb, row.interface, row.profile)


def document(found: Examination, port: PortFacts, *, made_at: str, reveal: bool = False) -> dict[str, Any]:
    """The report as data. ``made_at`` is the date, for whoever reads it later."""
    advice = advise(found)
    plain = {
        "format": FORMAT,
        "version": VERSION,
        "made_at": made_at,
        "agent": __version__,
        "port": asdict(port),
        "line": asdict(found.probe.line),
        "module": asdict(found.probe.module),
        "commands": [asdict(row) for row in found.probe.commands],
        "at_p50_ms": found.at_p50_ms,
        "at_p95_ms": found.at_p95_ms,
        "ways": [asdict(way) for way in found.ways],
        "recommended": recommended(list(found.ways), found.module_profile),
        "card": asdict(found.card),
        "network": asdict(found.network),
        "refresh": None if found.refresh is None else asdict(found.refresh),
        "advice": [asdict(one) for one in advice],
        "summary": list(lines(found, port, advice)),
    }
    known: Any = json.loads(json.dumps(plain))
    return known if reveal else _redacted(known, found)


def _redacted(plain: dict[str, Any], found: Examination) -> dict[str, Any]:
    """The module's own words stay: they are how it is recognised, and a version may look like a number of a person."""
    identifiers = {*found.card.iccids, *(text for text in (found.card.eid, found.probe.module.imei) if text)}
    turned = {_in_file(iccid) for iccid in found.card.iccids}
    redactor = Redactor(Known(frozenset(identifiers | turned)).usable, salt=secrets.token_bytes(16))
    shown = redactor.plain(plain)
    assert isinstance(shown, dict)
    for name in ("manufacturer", "model", "revision", "title", "evidence", "criteria"):
        shown["module"][name] = plain["module"][name]
    for number, row in enumerate(plain["commands"]):
        if row["command"] in _OWN_WORDS:
            shown["commands"][number] = row
    for number, line in enumerate(plain["summary"]):
        if line.startswith(_OWN_LINES):
            shown["summary"][number] = line
    return shown


class Shortener:
    """The answers of commands without identifiers, for a screen. The module's own words stay."""

    def __init__(self, imei: str | None) -> None:
        known = Known(frozenset(filter(None, (imei,)))).usable
        self._redactor = Redactor(known, salt=secrets.token_bytes(16))

    def __call__(self, row: CommandRow) -> str:
        return row.answer if row.command in _OWN_WORDS else self._redactor.text(row.answer)


def _in_file(iccid: str) -> str:
    """As AT+CRSM shows it."""
    digits = iccid.ljust(20, "F")
    try:
        return swapped(bytes.fromhex(digits))
    except ValueError:
        return iccid


def lines(found: Examination, port: PortFacts, advice: Iterable[Advice]) -> Iterable[str]:
    """What a person reads first."""
    module, line = found.probe.module, found.probe.line
    yield f"Port      {port.name}" + (f" (USB {port.usb_id}, interface {port.interface})" if port.usb_id else "")
    yield f"Module    {module.manufacturer} {module.model}, firmware {module.revision or 'not told'}"
    yield f"Profile   {module.profile} ({', '.join(module.criteria) or 'nothing more particular fits'})"
    times = f"AT within {_ms(found.at_p50_ms)}, 95 of 100 within {_ms(found.at_p95_ms)}"
    yield f"Line      {times}; echo was {_on(line.echo)}"
    works = [row.command for row in found.probe.commands if row.works]
    not_now = [row.command for row in found.probe.commands if row.verdict == "refused now"]
    others = [f"{row.command} ({row.verdict})" for row in found.probe.commands if row.command not in (*works, *not_now)]
    yield f"Answers   {', '.join(works)}"
    if not_now:
        yield f"Not now   {', '.join(not_now)}"
    if others:
        yield f"No use    {', '.join(others)}"
    for way in found.ways:
        yield f"{_COLUMN.get(way.way, way.way.upper()):10}{_way(way)}"
    yield f"Card      {_card(found)}"
    network = found.network
    yield f"Network   {network.registration or 'not told'}" + (f", {network.signal}" if network.signal else "")
    if found.refresh is not None:
        for one in found.refresh.switches:
            yield f"Switch    {one.order}: " + (
                _switched(one.rung, one.seconds, one.port_vanished) if one.ok else one.why
            )
    yield ""
    for one_advice in advice:
        mark = {True: "+", False: "!", None: "-"}[one_advice.good]
        yield f"{mark} {one_advice.sentence}" + (f"  {one_advice.setting}" if one_advice.setting else "")


def _ms(value: float | None) -> str:
    return "an unknown time" if value is None else f"{value:.1f} ms"


def _on(flag: bool) -> str:
    return "on" if flag else "off"


def _way(way: WayFacts) -> str:
    if not way.opens:
        return f"does not work: {way.why}"
    told = [
        f"blocks of {way.block_bytes} bytes" if way.block_bytes else "block size not measured",
        f"answers of {way.longest_answer_bytes} bytes",
        "whole" if way.cut_at_bytes is None else f"CUT at {way.cut_at_bytes} bytes",
    ]
    if way.failed:
        told.append(f"NO ANSWER to {', '.join(way.failed)}")
    if way.host_fetches is not None:
        told.append("61xx comes to the host" if way.host_fetches else "the modem fetches by itself")
    if way.le is not None:
        told.append("Le is taken" if way.le else "Le is refused")
    told.append(f"EID read within {_ms(way.p50_ms)}, 95 of 100 within {_ms(way.p95_ms)}")
    return "works: " + ", ".join(told)


def _card(found: Examination) -> str:
    card = found.card
    told = [f"{card.standard.value}: {card.evidence}"]
    told += [f"EID {card.eid}"] if card.eid else []
    told += [f"v{', v'.join(card.versions)}"] if card.versions else []
    told += [f"firmware {card.firmware}"] if card.firmware else []
    told += [f"profiles: {card.profiles}, enabled: {card.enabled}"] if card.profiles is not None else []
    told += [f"fallback profile: {card.fallback}"] if card.fallback is not None else []
    told += [f"eIMs: {card.eims}"] if card.eims is not None else []
    return ", ".join(told)


def _switched(rung: int | None, seconds: float | None, vanished: bool) -> str:
    if rung is None:
        return "nothing made the modem take the profile"
    how = "by itself" if rung == 0 else f"by rung {rung} of the reset ladder"
    return f"taken {how}, after {seconds} s" + ("; the port vanished meanwhile" if vanished else "")


def write(path: Path, report: Mapping[str, Any]) -> None:
    """Write the file; raises ``OSError``."""
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """A report of any version that this program can read; raises ``ReportUnreadable``."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        found = json.loads(data.decode("utf-8")) if len(data) <= MAX_FILE_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "it is no JSON"
        raise ReportUnreadable(f"{printable(str(path))} cannot be read: {reason}.") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ReportUnreadable(
            f"{printable(str(path))} is no report of a modem.",
            hint="`ipactl modem test PORT --report FILE` writes one.",
        )
    if found.get("version") != VERSION:
        raise ReportUnreadable(f"{printable(str(path))} is a report of another version of this program.")
    return found
