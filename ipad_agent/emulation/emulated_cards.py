"""Which cards are emulated, and what is kept for each: its state on the disk, the key, a bundle that waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from ipad_agent.clock import Clock
from ipad_agent.codec.identifiers import Eid
from ipad_agent.errors import CardError, StoreError
from ipad_agent.records import replace

from . import events
from .card_memory import CardMemory
from .consumer_card import ConsumerCard, KeyPlace, StateFile, StateFiles
from .device_key import DeviceKey, KeyTrouble, fingerprint
from .emulated_state import EmulatedState, UnusableState
from .registration.bundle_provisioning import BundlePlace, is_begun, provisioned
from .registration.provisioning_bundle import UnusableBundle

_TAKES_NO_OTHER_KEY: Final = (
    "it brings a key, and card.emulation_key_module has the device's own in a token, which takes none from outside; "
    "register that one by ipactl emulation export"
)
_TOKEN_BITS: Final = 30


class EmulateIot(StrEnum):
    """When the IoT functions are emulated: ``WHEN_NEEDED`` for a card that has none."""

    NEVER = "never"
    WHEN_NEEDED = "when-needed"
    ALWAYS = "always"


class EmulatedCards:
    """Whichever is in ``card``. ``random_bits(n)`` gives an unpredictable number of so many bits."""

    def __init__(
        self,
        card: ConsumerCard,
        files: StateFiles,
        keys: KeyPlace,
        clock: Clock,
        *,
        mode: EmulateIot,
        random_bits: Callable[[int], int],
        bundles: BundlePlace | None = None,
    ) -> None:
        self.card: Final = card
        self._files = files
        self._keys = keys
        self._clock = clock
        self._mode = mode
        self._random_bits = random_bits
        self._bundles = bundles
        self._taken_from_bundle = False
        self._deciding = asyncio.Lock()
        self._memories: dict[bytes, CardMemory | None] = {}
        self._troubles: dict[bytes, str] = {}
        """Why cards are not emulated that should be."""
        self._announced: dict[bytes, str] = {}
        self._without_key: set[bytes] = set()
        """Cards that are left alone because their key is not to be had: a bundle may bring another."""

    def seen(self, eid: Eid) -> CardMemory | None:
        """Without asking the card; None for one that is not emulated or was not seen yet."""
        return self._memories.get(eid.bytes)

    async def decide_anew(self) -> None:
        """About every card: a bundle may wait for one that is served already."""
        async with self._deciding:
            self._memories.clear()

    def look_for_keys(self) -> None:
        """Decide anew about the cards that lack theirs: it may be there again."""
        for eid in self._troubles:
            self._memories.pop(eid, None)

    def was_provisioned(self) -> bool:
        """Whether a bundle gave a card its eIMs since this was asked last."""
        taken, self._taken_from_bundle = self._taken_from_bundle, False
        return taken

    async def memory(self) -> CardMemory | None:
        """Of the card that is there; None for one that is not emulated. Raises ``StoreError`` when what was kept for it
        cannot be read."""
        if self._mode is EmulateIot.NEVER:
            return None
        eid = self.card.seen_eid or await self.card.get_eid()
        async with self._deciding:  # two memories of one card would contradict each other
            if eid.bytes in self._without_key and self._bundles is not None and self._bundles.news():
                self._memories.pop(eid.bytes, None)
            if eid.bytes not in self._memories:
                self._memories[eid.bytes] = await self._decide(eid)
            return self._memories[eid.bytes]

    async def _decide(self, eid: Eid) -> CardMemory | None:
        """Whether this card is emulated, and what was kept for it. Raises ``StoreError`` when that cannot be read."""
        if self._mode is EmulateIot.WHEN_NEEDED and await self._is_iot_card(eid):
            return None
        file = self._files.file(str(eid))
        document = file.load()
        try:
            state = None if document is None else EmulatedState.from_document(document)
            if state is not None and state.eid != eid.bytes:
                raise UnusableState("it is of another card")
            state = await self._from_bundle(eid, file, state)
            key = self._key(state)
        except (UnusableState, KeyTrouble) as trouble:
            self._say_once(eid, trouble)
            self._announced.pop(eid.bytes, None)
            if isinstance(trouble, KeyTrouble):
                self._without_key.add(eid.bytes)
            return None
        self._troubles.pop(eid.bytes, None)
        self._without_key.discard(eid.bytes)
        info1 = await self._info1()
        state = self._fresh(eid, key) if state is None else state.after_start(self._clock.wall())
        memory = CardMemory(file, state, key)
        if document is None or state.info1 != info1:
            memory.write(replace(state, info1=info1))
        if self._announced.get(eid.bytes) != state.fingerprint:
            self._announced[eid.bytes] = state.fingerprint
            events.EMULATING.emit(eid=eid.short, fingerprint=state.fingerprint[:16])
        return memory

    async def _is_iot_card(self, eid: Eid) -> bool:
        if (await self.card.get_euicc_info2()).iot is not None:
            return True
        try:
            await self.card.get_eim_configuration()
        except CardError as error:
            if not error.alive:
                raise
            return False
        events.HAS_IOT_FUNCTIONS.emit(eid=eid.short)
        return True

    async def _from_bundle(self, eid: Eid, file: StateFile, state: EmulatedState | None) -> EmulatedState | None:
        """The state after the provisioning bundle that waits, if there is one: see ``bundle_provisioning`` for the
        order of the steps. Raises ``StoreError`` where the disk does not take one; the next look goes on with it."""
        bundle = None if self._bundles is None else self._bundles.waiting()
        if self._bundles is None or bundle is None:
            return state
        key, wanted = self._key_in_place(), bundle.key.spki
        begun = is_begun(bundle, state)
        if not begun:
            try:
                if not self._keys.takes_keys:
                    raise UnusableBundle(_TAKES_NO_OTHER_KEY)
                if (reason := self._bundles.why_not(bundle, str(eid))) is not None:
                    raise UnusableBundle(reason)
                before = self._fresh(eid, bundle.key) if state is None else state
                state = provisioned(bundle, before, key, await ci_pkids(self.card), self._clock.wall())
            except UnusableBundle as refusal:
                self._bundles.refused(str(refusal))
                return state
            file.write(state.to_document())
            self._taken_from_bundle = True
        if not begun or key is None or key.spki != wanted:
            try:
                self._keys.put(bundle.key)
            except KeyTrouble as trouble:  # of the disk: tried again soon, and not taken for a key that is lost
                raise StoreError(trouble.message) from trouble
            events.BUNDLE_TAKEN.emit(eid=eid.short, eim=bundle.eim_id, fingerprint=fingerprint(wanted)[:16])
        self._bundles.used()
        return state

    def _key(self, state: EmulatedState | None) -> DeviceKey:
        """Raises ``KeyTrouble`` when it is not the one that this card's eIMs know."""
        key = self._keys.load()
        if key is None and state is None:
            key = self._keys.create()
            events.KEY_MADE.emit(fingerprint=fingerprint(key.spki))
        if key is None:
            raise KeyTrouble("the file is gone")
        if state is not None and state.fingerprint != fingerprint(key.spki):
            raise KeyTrouble(f"it is {fingerprint(key.spki)[:16]}, and the eIM knows {state.fingerprint[:16]}")
        return key

    def _key_in_place(self) -> DeviceKey | None:
        try:
            return self._keys.load()
        except KeyTrouble:
            return None

    def _fresh(self, eid: Eid, key: DeviceKey) -> EmulatedState:
        token = 1 + self._random_bits(_TOKEN_BITS)
        return EmulatedState.fresh(eid.bytes, fingerprint(key.spki), wall_s=self._clock.wall(), token=token)

    async def _info1(self) -> bytes | None:
        try:
            return (await self.card.get_euicc_info1()).raw
        except CardError as error:
            if not error.alive:
                raise
            return None

    def _say_once(self, eid: Eid, trouble: UnusableState | KeyTrouble) -> None:
        if self._troubles.get(eid.bytes) == str(trouble):
            return
        self._troubles[eid.bytes] = str(trouble)
        if isinstance(trouble, KeyTrouble):
            events.KEY_LOST.emit(reason=trouble.message)
        else:
            events.STATE_UNUSABLE.emit(eid=eid.short, reason=str(trouble))


async def ci_pkids(card: ConsumerCard) -> frozenset[bytes]:
    """The CIs that the card knows, for signing or for verification."""
    info1 = await card.get_euicc_info1()
    return frozenset((*info1.ci_pkids_for_signing, *info1.ci_pkids_for_verification))
