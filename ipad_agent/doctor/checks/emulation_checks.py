"""An emulated card: by which key results are signed, and whether its eIMs take them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ipad_agent.codec.identifiers import Eid
from ipad_agent.config import CardConfig
from ipad_agent.doctor.doctor_items import Item, Layer, as_sentence
from ipad_agent.errors import IpadError
from ipad_agent.store import EmulatedCardFile, RealFilesystem

_REGISTER: Final = (
    "Let the eIM's operator register the file that `ipactl emulation export` writes, and compare the fingerprint."
)


def device_key(state_dir: Path, eid: Eid | None, settings: CardConfig | None = None) -> list[Item]:
    """What this device knows of it, where ``settings`` say that it is kept. Nobody but the eIM knows for certain
    whether it is registered there; only an acknowledged result shows that the eIM could do something with it."""
    # Only for an emulated card: it loads cryptography.
    from ipad_agent.emulation.device_key import fingerprint
    from ipad_agent.emulation.emulated_state import EmulatedState, UnusableState
    from ipad_agent.emulation.keys.key_place import key_place

    try:
        key = key_place(state_dir, settings or CardConfig()).load()
        document = None
        if eid is not None:
            document = EmulatedCardFile(RealFilesystem(), str(state_dir), str(eid)).load()
        state = None if document is None else EmulatedState.from_document(document)
    except (IpadError, UnusableState) as error:
        return [Item(Layer.EUICC, False, as_sentence(str(error)), "See docs/emulation.md.")]
    if key is None:
        return [Item(Layer.EUICC, False, "The device key is gone.", "See docs/emulation.md, a lost key.")]
    name = f"the device key {fingerprint(key.spki)[:16]}…"
    if state is not None and state.results:
        waiting = (
            f"{len(state.results)} result{'' if len(state.results) == 1 else 's'} signed by {name} wait to be taken"
        )
        return [Item(Layer.EUICC, None, f"{waiting}: perhaps the eIM does not know it.", _REGISTER)]
    if state is not None and any(entry.counter > 0 for entry in state.eims):
        return [Item(Layer.EUICC, True, f"Results are signed by {name}; all of them were acknowledged.")]
    return [Item(Layer.EUICC, None, f"Results will be signed by {name}; its eIM must know it.", _REGISTER)]
