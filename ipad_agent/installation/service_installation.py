"""Puts the service around this program, and takes it away again.

Nothing is asked, everything is said, and doing it twice changes nothing. What somebody else put in a place is not
touched, a configuration that is there least of all.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from ipad_agent.records import dataclass, field

from .errors import InstallationError
from .file_receipt import RECEIPT, Receipt, digest, read_receipt, receipt_bytes
from .program_place import check_place, own_interpreter, own_program
from .reload_steps import AFTER_INSTALLING, AFTER_REMOVING, Runner, Step, restart, run_command, stop, take
from .service_files import CONFIG, PACKAGED_UNITS, ServiceFile, service_files, systemd_release, units_among

SYSTEM = Path("/")


@dataclass(frozen=True, slots=True)
class Installation:
    """Where and how. ``root`` is where the system lies (an image that is being built, or ``/``); ``program`` is the
    path that the unit names, None for the one that is running; ``configuration`` is for a device that has none, and
    ``completions`` are those of ``ipactl`` by shell."""

    version: str
    configuration: bytes = b""
    root: Path = SYSTEM
    program: Path | None = None
    completions: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False
    say: Callable[[str], None] = print
    run: Runner = run_command

    def install(self) -> bool:
        """Write what is missing and tell the system; whether all of it went well. Raises ``InstallationError`` before
        anything is written."""
        self._want_rights()
        program = own_program() if self.program is None else self.program
        check_place(program, self.root, own_interpreter() if self.program is None else None)
        release = systemd_release(self.root)
        if release is None:
            raise InstallationError(
                f"there is no systemd in {self.root}",
                hint="Another init can start the agent as packaging/README.md tells: ipad-agent run --config FILE.",
            )
        files = service_files(str(program), release, self.completions)
        receipt = read_receipt(self.root)
        self._refuse_to_take(files, receipt)
        with self._refusals():
            changed = self._write_all(files, receipt)
            kept = {file.target for file in files}
            self._write_configuration()
        steps: tuple[Step, ...] = AFTER_INSTALLING
        if units_among(changed) or receipt.version not in ("", self.version):
            steps = (*steps, restart([unit for unit in units_among(kept) if unit.endswith(".service")]))
        return self._tell_system(steps, "systemd-sysusers and systemd-tmpfiles do their part when it starts.")

    def remove(self) -> bool:
        """Take away what ``install`` wrote; configuration, state and user stay. Whether all of it went well. Raises
        ``InstallationError`` before anything is removed."""
        self._want_rights()
        receipt = read_receipt(self.root)
        if not receipt.files:
            self.say("Nothing was installed here by install-service.")
            return True
        units = units_among(receipt.files)
        well = not units or self._tell_system(stop(units), "")
        with self._refusals():
            for target in receipt.files:
                self._remove(target, receipt)
            self._delete(RECEIPT)
        well = self._tell_system(AFTER_REMOVING, "") and well
        self.say("")
        self.say(
            "Left as they are: /etc/ipad-agent (configuration and keys), /var/lib/ipad-agent (what the device owes"
        )
        self.say("its eIM) and the user ipad. Whoever gives the device away removes them by hand.")
        return well

    # -- the files -----------------------------------------------------------------------------------------------------

    def _write_all(self, files: Sequence[ServiceFile], receipt: Receipt) -> set[str]:
        """The targets that were written. The receipt is written first: whatever ends this half-way, it knows."""
        missing = [file for file in files if self._content(file.target) != file.content]
        ours = {file.target for file in missing} | set(receipt.files)
        kept = {file.target: digest(file.content) for file in files if file.target in ours}
        obsolete = [target for target in receipt.files if target not in kept]
        new = Receipt(self.version, kept)
        if new != receipt:
            self._replace(ServiceFile(RECEIPT, receipt_bytes(new)))
        for file in files:
            if file not in missing:
                self.say(f"unchanged  {file.target}")
                continue
            before = self._content(file.target)
            if before is not None and digest(before) != receipt.files.get(file.target):
                self._replace(ServiceFile(f"{file.target}.old", before))
                self.say(f"{self._word('kept')} {file.target}.old (it was changed by hand)")
            self._replace(file)
            self.say(f"{self._word('wrote')} {file.target}")
        for target in obsolete:
            self._remove(target, receipt)
        return {file.target for file in missing}

    def _write_configuration(self) -> None:
        file = ServiceFile(CONFIG, self.configuration)
        if os.path.lexists(self._inside(file.target)):
            self.say(f"left alone {file.target} (it is yours)")
            return
        self._replace(file)
        self.say(f"{self._word('wrote')} {file.target}")

    def _refuse_to_take(self, files: Sequence[ServiceFile], receipt: Receipt) -> None:
        packages = [unit for unit in PACKAGED_UNITS if self._inside(unit).exists()]
        taken = packages[:1] or [
            file.target
            for file in files
            if file.target not in receipt.files and self._content(file.target) not in (None, file.content)
        ]
        if taken:
            raise InstallationError(
                f"{', '.join(taken)}: there already, and not from this command",
                hint="If a package of the distribution brought it, the service is there already; else move it away.",
            )

    def _remove(self, target: str, receipt: Receipt) -> None:
        found = self._content(target)
        if found is None:
            return
        if digest(found) != receipt.files[target]:
            self.say(f"left alone {target} (it was changed by hand)")
            return
        self._delete(target)
        self.say(f"{self._word('removed')} {target}")

    def _delete(self, target: str) -> None:
        if self.dry_run:
            return
        self._inside(target).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else is in it
            for folder in PurePosixPath(target).parents:
                if not any(part.startswith("ipad-agent") for part in folder.parts):
                    break
                self._inside(str(folder)).rmdir()

    def _content(self, target: str) -> bytes | None:
        try:
            return self._inside(target).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InstallationError(f"{self._inside(target)} cannot be read: {error.strerror}") from None

    def _replace(self, file: ServiceFile) -> None:
        if self.dry_run:
            return
        path = self._inside(file.target)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            beside.write_bytes(file.content)
            beside.chmod(0o644)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def _inside(self, target: str) -> Path:
        return self.root / target.lstrip("/")

    # -- the system ----------------------------------------------------------------------------------------------------

    def _tell_system(self, steps: Sequence[Step], elsewhere: str) -> bool:
        if self.root != SYSTEM:
            if elsewhere:
                self.say(f"{self.root} is not the running system, so nothing was reloaded: {elsewhere}")
            return True
        return take(steps, self.run, self.say, dry_run=self.dry_run)

    def _want_rights(self) -> None:
        if self.root == SYSTEM and not self.dry_run and os.geteuid() != 0:
            raise InstallationError("only root can do this", hint="Run it with sudo, or look first with --dry-run.")
        if not self.root.is_dir():
            raise InstallationError(f"there is no folder {self.root}")

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InstallationError(
                f"{error.filename} could not be written: {error.strerror}",
                hint="What was written so far stays; doing it again goes on from there.",
            ) from None

    def _word(self, done: str) -> str:
        words = {"wrote": "would write", "kept": "would keep", "removed": "would remove"}
        return words[done] if self.dry_run else f"{done:10}"
