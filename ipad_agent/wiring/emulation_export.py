"""What people do with the key and the state of an emulated card, without a running agent: registration, a new key."""

from __future__ import annotations

from ipad_agent.clock import SystemClock
from ipad_agent.config import Config
from ipad_agent.emulation.device_key import KeyTrouble, fingerprint
from ipad_agent.emulation.emulated_state import EmulatedState
from ipad_agent.emulation.keys.key_place import key_place
from ipad_agent.emulation.registration import import_file
from ipad_agent.records import dataclass, replace
from ipad_agent.store import StateLock

from .emulated_card_states import NothingToExport, emulated_cards
from .ipa_configuration import capabilities, smdp_connector


@dataclass(frozen=True, slots=True)
class Exported:
    """The file, and what a person compares."""

    text: bytes
    eid: str
    eim_id: str
    counter: int
    fingerprint: str


def export(config: Config, *, eid: str | None = None, eim_id: str | None = None, imei: str | None = None) -> Exported:
    """The import file of an emulated card for one of its eIMs. Raises ``NothingToExport``, ``KeyTrouble`` or
    ``StoreError``."""
    states = [state for _, state in emulated_cards(config.store.state_dir) if eid in (None, state.eid.hex().upper())]
    if not states:
        hint = "Set card.emulate_iot and start the agent with the card; it notes the card then."
        raise NothingToExport("No emulated card is known here.", hint=hint)
    if len(states) > 1:
        known = ", ".join(state.eid.hex().upper() for state in states)
        raise NothingToExport(f"Several cards are known here: {known}.", hint="Say which with --eid.")
    (state,) = states
    key = key_place(config.store.state_dir, config.card).load()
    if key is None or fingerprint(key.spki) != state.fingerprint:
        raise KeyTrouble("the device key of this card is not here")
    able = capabilities(config, smdp_connector(config, SystemClock()))
    facts = import_file.facts_of(state, eim_id, able, imei or config.ipa.imei)
    if facts is None:
        known = ", ".join(entry.eim_id for entry in state.eims) or "none"
        hint = "Give the card its eIM first (provisioning.initial_eim)." if not state.eims else "Say which with --eim."
        raise NothingToExport(f"The card's eIMs are: {known}.", hint=hint)
    chosen = eim_id or state.eims[0].eim_id
    return Exported(import_file.written(key, facts), facts.eid, chosen, facts.counter, fingerprint(key.spki))


def device_key_fingerprint(config: Config) -> str | None:
    """Of the device key; None when there is none. Raises ``KeyTrouble``."""
    key = key_place(config.store.state_dir, config.card).load()
    return None if key is None else fingerprint(key.spki)


def new_key(config: Config) -> tuple[str, int]:
    """Make a new device key and forget the eIMs of all emulated cards, which know the old one: its fingerprint, and how
    many cards that concerned. Raises ``StateDirectoryBusyError`` while an agent runs, ``KeyTrouble`` or
    ``StoreError``."""
    directory = config.store.state_dir
    with StateLock(str(directory)):
        known = list(emulated_cards(directory))
        key = key_place(directory, config.card).replace()
        for file, state in known:
            # Numbers and tokens go on: what was signed before must fit nothing that comes.
            fresh = EmulatedState(state.eid, fingerprint(key.spki), state.next_seq, state.next_token)
            file.write(replace(fresh, fallback=state.fallback, info1=state.info1).to_document())
    return fingerprint(key.spki), len(known)
