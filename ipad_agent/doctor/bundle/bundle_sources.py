"""Where the parts of a support bundle come from. Everything is only read, also while the agent runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from ipad_agent.clock import Clock
from ipad_agent.config import Config
from ipad_agent.doctor.doctor_items import Item
from ipad_agent.local.status_model import Happening, HistoryEntry, Status
from ipad_agent.modem.module_profile import ModuleProfile
from ipad_agent.net import clock_is_plausible
from ipad_agent.store import Memory, RealFilesystem
from ipad_agent.store.journal_format import Entry, read_journal
from ipad_agent.store.state_documents import VOLATILE

from .support_bundle import Owing, Sources, known_in_journal, size_of, system, versions

MAX_JOURNAL_BYTES: Final = 8 << 20


def collect(
    config: Config,
    *,
    clock: Clock,
    doctor: Sequence[Item] = (),
    status: Status | None = None,
    events: Sequence[Happening] = (),
    modem_profile: ModuleProfile | None = None,
    history: Sequence[HistoryEntry] = (),
) -> Sources:
    """What a bundle is made of. Without a running agent there is no ``status`` and there are no ``events``."""
    entries = journal(config.store.state_dir)
    return Sources(
        now_s=clock.wall(),
        status=status,
        doctor=doctor,
        events=events,
        history=history,
        config=config,
        modem_profile={} if modem_profile is None else asdict(modem_profile),
        documents=documents(config.store.state_dir, config.store.runtime_dir, but=config.provisioning.bundle),
        journal=[Owing(entry.kind, _age_s(entry, clock), size_of(entry.facts)) for entry in entries],
        versions=versions(),
        system=system(),
        known=known_in_journal(entry.facts for entry in entries),
        records_folder=config.store.state_dir / "records",
    )


def documents(state_dir: Path, runtime_dir: Path, *, but: Path | None = None) -> dict[str, Mapping[str, object]]:
    """All documents of the store by name, as far as they can be read; ``but`` is somebody else's file, which is not
    even opened: a provisioning bundle holds a private key."""
    try:
        names = {path.stem for path in state_dir.glob("*.json") if but is None or path.name != but.name} | VOLATILE
    except OSError:
        names = set(VOLATILE)
    memory = Memory(RealFilesystem(), state_dir=str(state_dir), runtime_dir=str(runtime_dir))
    return {name: memory.load(name) for name in sorted(names) if name.replace("-", "").isalnum() and name.islower()}


def journal(state_dir: Path) -> list[Entry]:
    """The open entries. Read from the file and not from the agent's own journal: looking must not disturb it."""
    try:
        with (state_dir / "journal").open("rb") as file:
            content = file.read(MAX_JOURNAL_BYTES)
    except OSError:
        return []
    return list(read_journal(content).entries.values())


def _age_s(entry: Entry, clock: Clock) -> float | None:
    if entry.opened.boot_id == clock.boot_id():
        return max(0.0, clock.monotonic() - entry.opened.monotonic_s)
    now_s = clock.wall()
    both = clock_is_plausible(now_s) and clock_is_plausible(entry.opened.wall_s)
    return max(0.0, now_s - entry.opened.wall_s) if both else None
