"""An emulated card: by which key results are signed, and whether its eIMs take them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from ipad_agent.codec.identifiers import Eid
from ipad_agent.config import CardConfig, Config
from ipad_agent.doctor.doctor_items import Item, Layer, as_sentence
from ipad_agent.errors import IpadError
from ipad_agent.store import EmulatedCardFile, RealFilesystem

if TYPE_CHECKING:
    from ipad_agent.emulation.emulated_state import EmulatedState

_REGISTER: Final = (
    "Let the eIM's operator register the file that `ipactl emulation export` writes, and compare the fingerprint."
)

_ROOT: Final = "Look at its permissions; the agent's user has to read and remove it."
_MORE_THAN_A_BUNDLE: Final = (16 << 10) + 1


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
    if state is not None and (unbound := _unbound(state, name)) is not None:
        return [unbound]
    if state is not None and state.results:
        waiting = (
            f"{len(state.results)} result{'' if len(state.results) == 1 else 's'} signed by {name} wait to be taken"
        )
        return [Item(Layer.EUICC, None, f"{waiting}: perhaps the eIM does not know it.", _REGISTER)]
    if state is not None and any(entry.counter > 0 for entry in state.eims):
        return [Item(Layer.EUICC, True, f"Results are signed by {name}; all of them were acknowledged.")]
    return [Item(Layer.EUICC, None, f"Results will be signed by {name}; its eIM must know it.", _REGISTER)]


def _unbound(state: EmulatedState, name: str) -> Item | None:
    """Of a card that a provisioning bundle gave its eIM, as long as that does not know the key."""
    from ipad_agent.emulation.emulated_state import BindingState
    from ipad_agent.emulation.registration import self_binding

    binding = state.binding
    if binding is None or self_binding.due(state, binding.eim_id) is None:
        return None
    if binding.state is BindingState.REFUSED:
        said = f"{binding.eim_id} refused to register {name}, and is not polled."
        return Item(Layer.EUICC, False, said, "Ask the eIM's operator why, then `ipactl poll` asks once more.")
    return Item(Layer.EUICC, None, f"{binding.eim_id} is asked to register {name} before the next poll.")


def waiting_bundle(config: Config, eid: Eid | None) -> list[Item]:
    """A provisioning bundle that lies where one is looked for, and why it is not used; nothing where there is none."""
    path = config.provisioning.bundle
    try:
        data = None if path is None else _head(path)
    except OSError as error:
        return [Item(Layer.EUICC, False, f"The provisioning bundle {path} cannot be read: {error.strerror}.", _ROOT)]
    if path is None or data is None:
        return []
    from ipad_agent.clock import SystemClock
    from ipad_agent.emulation.emulated_state import EmulatedState, UnusableState
    from ipad_agent.emulation.registration.provisioning_bundle import UnusableBundle, read_bundle

    try:
        bundle = read_bundle(data)
        used: tuple[str, ...] = ()
        if eid is not None:
            document = EmulatedCardFile(RealFilesystem(), str(config.store.state_dir), str(eid)).load()
            used = () if document is None else EmulatedState.from_document(document).bundles
        if bundle.issuance_id in used:
            said = f"The provisioning bundle {path} is used up and still there; it holds this device's private key."
            return [Item(Layer.EUICC, False, said, f"Remove it: rm {path}")]
        bundle.check_still_valid(SystemClock().wall())
    except (UnusableBundle, UnusableState, IpadError) as refusal:
        said = f"The provisioning bundle {path} is not used: {refusal}."
        return [Item(Layer.EUICC, False, said, "Correct it, or have the eIM issue another one, and restart the agent.")]
    said = f"The provisioning bundle {path} waits for a card that it can give an eIM."
    if not config.provisioning.allow:
        return [Item(Layer.EUICC, False, said, "Set provisioning.allow, or remove the bundle.")]
    return [Item(Layer.EUICC, None, said, "The agent uses it when it finds such a card; `ipactl log` tells why not.")]


def _head(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_MORE_THAN_A_BUNDLE)
    except FileNotFoundError:
        return None
