"""Where provisioning bundles wait: the file that the configuration names, and one of our own for what comes by the
socket."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipad_agent.clock import Clock
from ipad_agent.config import events as config_events
from ipad_agent.config.secret_file import readable_by_others
from ipad_agent.errors import CardError, IpadError, StoreError
from ipad_agent.procedures.ports import Card
from ipad_agent.procedures.records.replay_counters import Counters
from ipad_agent.procedures.startup import events
from ipad_agent.procedures.startup.device_start import CardFacts, CardKind
from ipad_agent.procedures.startup.initial_eim_provisioning import provision
from ipad_agent.records import dataclass
from ipad_agent.store import DiskError, Memory, RealFilesystem

if TYPE_CHECKING:
    from ipad_agent.emulation.emulated_euicc import EmulatedEuicc
    from ipad_agent.emulation.registration.provisioning_bundle import Bundle

RECEIVED: Final = "received.eim-ipad-provision"
"""In the state directory: what somebody gave through the socket, until it is used. The ending is no document's."""


_USED: Final = "bundles"
"""Document: the numbers of bundles of which an IoT eUICC took the eIM, the latest last. Emulated cards keep theirs."""
_MOST_USED: Final = 16
_MOST_WORDS: Final = 256
_Stamp = tuple[int, int, int]
"""Tells one file from the next under the same name."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A bundle that can be read, and the file that it is in."""

    bundle: Bundle
    path: Path


class BundleFiles:
    """Implements ``BundlePlace`` for the emulation, and the loop's ``Bundles``. ``named`` is the file of the
    configuration; without one only what came by the socket is looked for."""

    def __init__(self, named: Path | None, state_dir: Path, memory: Memory, clock: Clock) -> None:
        self._received = state_dir / RECEIVED
        self._places = (self._received,) if named is None else (self._received, named)
        self._state_dir = state_dir
        self._counters = Counters(memory)
        self._clock = clock
        self._memory = memory
        self._said: set[tuple[Path, _Stamp | None, str]] = set()
        self._looked_at: _Stamp | None = None
        self._refused_by_card: tuple[str, _Stamp | None] | None = None
        self._emulation: EmulatedEuicc | None = None
        self.last_refusal: str | None = None

    def belongs_to(self, emulation: EmulatedEuicc) -> None:
        """Which emulation of IoT functions takes bundles from here, if any does."""
        self._emulation = emulation

    # -- for the emulation ---------------------------------------------------------------------------------------------

    def news(self) -> bool:
        """See ``BundlePlace``."""
        found = self._find()
        return found is not None and _stamp(found.path) != self._looked_at

    def waiting(self) -> Bundle | None:
        """See ``BundlePlace``."""
        found = self._find()
        self._looked_at = None if found is None else _stamp(found.path)
        return None if found is None else found.bundle

    def why_not(self, bundle: Bundle, eid: str) -> str | None:
        """See ``BundlePlace``."""
        stale = self._counters.stale(eid, bundle.request)
        if stale is not None:
            return f"it would set the counter of {stale[0]} back from {stale[2]} to {stale[1]}: old orders would count"
        return self._signs_for_others(bundle, eid)

    def used(self) -> None:
        """See ``BundlePlace``."""
        found = self._find()
        if found is None:
            return
        try:
            os.unlink(found.path)
            RealFilesystem().sync_directory(str(found.path.parent))
        except OSError as error:
            reason = error.strerror or str(error)
            if self._new_word(found.path, reason):
                events.BUNDLE_STAYS.emit(path=str(found.path), reason=reason)

    def refused(self, reason: str) -> None:
        """See ``BundlePlace``."""
        found = self._find()
        if found is None:
            return
        self._refuse(found.path, reason)
        if found.path == self._received:
            self.give_up_received()  # or it would stand before the one that the configuration names

    # -- for the loop --------------------------------------------------------------------------------------------------

    async def provision(self, card: Card, facts: CardFacts) -> bool:
        """See ``agent.dependencies.Bundles``."""
        found = self._find()
        if facts.kind is CardKind.EMULATED and self._emulation is not None:
            if found is not None and (not facts.eims or self.news()):
                await self._emulation.take_bundle()
            return self._emulation.was_provisioned()
        return found is not None and facts.manageable and await self._give(card, facts, found)

    async def _give(self, card: Card, facts: CardFacts, found: Waiting) -> bool:
        """To an IoT eUICC: its eIM alone, for it signs with a key of its own."""
        from ipad_agent.codec.ber import tlv
        from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
        from ipad_agent.emulation.registration.provisioning_bundle import UnusableBundle

        listed = tlv.parse(found.bundle.request).require(0xA0, "the list of eIMs").children()
        wanted = [EimConfigurationData.parse(element.raw) for element in listed]
        if facts.eims:
            if all(any(config.same_way_as(known) for known in facts.eims) for config in wanted):
                self.used()  # the power went before the file did
            else:
                self._refuse(found.path, "the card has eIMs already, and takes initial ones only while it has none")
            return False
        mark = (str(facts.eid), _stamp(found.path))
        if mark == self._refused_by_card:
            return False  # asked again and again it would only wear out
        try:
            if found.bundle.issuance_id in self._used_before():
                raise UnusableBundle("it was used on this device before; have the eIM issue another one")
            found.bundle.check_still_valid(self._clock.wall())
        except UnusableBundle as refusal:
            self._refuse(found.path, str(refusal))
            return False
        source, self._refused_by_card = str(found.path), mark
        try:
            taken = await provision(card, found.bundle.request, source, eid=str(facts.eid), counters=self._counters)
        except CardError as error:
            if not error.alive:
                raise
            self._refuse(found.path, error.message)
            return False
        if taken:
            # A file that cannot be removed must not come back when an eIM has itself deleted.
            with contextlib.suppress(StoreError):
                self._memory.save(_USED, {"used": [*self._used_before(), found.bundle.issuance_id][-_MOST_USED:]})
            self.used()
        else:
            self._refuse(found.path, "the card does not take its eIM")
        return taken

    def _used_before(self) -> list[str]:
        known = self._memory.load(_USED).get("used")
        return [one for one in known if isinstance(one, str)] if isinstance(known, list | tuple) else []

    # -- for the socket ------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> str | None:
        """Keep what somebody gave through the socket, as the file that it would have been: from here on a power cut
        does not lose it. Why it cannot be used, where it cannot even be read. Raises ``DiskError``."""
        from ipad_agent.emulation.registration.provisioning_bundle import UnusableBundle, read_bundle

        try:
            read_bundle(data)
        except UnusableBundle as reason:
            return str(reason)
        disk, temporary = RealFilesystem(), f"{self._received}.tmp"
        try:
            disk.make_directory(str(self._state_dir))
            disk.remove(temporary)
            file = disk.create(temporary)
            try:
                file.write(data)
                file.sync()
            finally:
                file.close()
            disk.rename(temporary, str(self._received))
            disk.sync_directory(str(self._state_dir))
        except OSError as error:
            raise DiskError(f"{self._received} could not be written", error) from error
        self.last_refusal = None
        return None

    def give_up_received(self) -> None:
        """What was refused is with whoever gave it; nothing of it is kept here."""
        try:
            os.unlink(self._received)
        except OSError:
            return

    # -- inside --------------------------------------------------------------------------------------------------------

    def _find(self) -> Waiting | None:
        for path in self._places:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._refuse(path, f"it cannot be read: {error.strerror or error}")
                continue
            # Most devices never have one: only here is cryptography loaded for it.
            from ipad_agent.emulation.registration.provisioning_bundle import MOST_BYTES, UnusableBundle, read_bundle

            try:
                with open(descriptor, "rb") as file:
                    if readable_by_others(os.fstat(descriptor).st_mode) and self._new_word(path, "others may read it"):
                        config_events.SECRET_READABLE.emit(path=str(path))
                    return Waiting(read_bundle(file.read(MOST_BYTES + 1) or b""), path)
            except UnusableBundle as reason:
                self._refuse(path, str(reason))
            except OSError as error:
                self._refuse(path, f"it cannot be read: {error.strerror or error}")
        return None

    def _refuse(self, path: Path, reason: str) -> None:
        self.last_refusal = reason
        if self._new_word(path, reason):
            events.BUNDLE_REFUSED.emit(path=str(path), reason=reason)

    def _new_word(self, path: Path, reason: str) -> bool:
        """Whether this was not said of this very file already: it is looked at again and again."""
        word = (path, _stamp(path), reason)
        if word in self._said or len(self._said) >= _MOST_WORDS:
            return False
        self._said.add(word)
        return True

    def _signs_for_others(self, bundle: Bundle, eid: str) -> str | None:
        from ipad_agent.emulation.device_key import fingerprint

        from .emulated_card_states import emulated_cards

        new = fingerprint(bundle.key.spki)
        try:
            others = [
                state
                for _, state in emulated_cards(self._state_dir)
                if state.eims and state.fingerprint != new and state.eid.hex().upper() != eid
            ]
        except IpadError as error:
            return f"what is known of other cards cannot be read: {error.message}"
        if not others:
            return None
        return (
            f"the key of this device signs for another card too (…{others[0].eid.hex().upper()[-4:]}), whose eIM would "
            "refuse every result by another one"
        )


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
