"""The file by which an eIM's operator registers an emulated card: ``eim-euicc-import/1``.

One JSON object on one line without blanks, its members in this order, ended by one line feed. The proof shows that
whoever wrote it has the private key; it covers format, EID, key and counter.
"""

from __future__ import annotations

import base64
import json
from typing import Final

from ipad_agent.codec.esipa.device_info import IpaCapabilities
from ipad_agent.emulation.device_key import DeviceKey
from ipad_agent.emulation.emulated_state import EmulatedState
from ipad_agent.records import dataclass

FORMAT: Final = "eim-euicc-import/1"


@dataclass(frozen=True, slots=True)
class ImportFacts:
    """What the file says besides key and proof. ``eid`` are the capital hexadecimal digits of its octets."""

    eid: str
    counter: int
    capabilities: IpaCapabilities
    association_token: int | None = None
    euicc_info1: bytes | None = None
    imei: str | None = None


def facts_of(
    state: EmulatedState, eim_id: str | None, capabilities: IpaCapabilities, imei: str | None
) -> ImportFacts | None:
    """For this eIM of the card, or its only one; None when that is not on the card, or it is not clear which."""
    entry = state.eim(eim_id) if eim_id is not None else (state.eims[0] if len(state.eims) == 1 else None)
    if entry is None:
        return None
    return ImportFacts(state.eid.hex().upper(), entry.counter, capabilities, entry.token, state.info1, imei)


def written(key: DeviceKey, facts: ImportFacts) -> bytes:
    """The file. Raises ``KeyTrouble``."""
    public = _text(key.spki)
    members: dict[str, object] = {
        "format": FORMAT,
        "eid": facts.eid,
        "emulated": True,
        "ipa_public_key": public,
        "counter": facts.counter,
    }
    if facts.association_token is not None:
        members["association_token"] = facts.association_token
    if facts.euicc_info1 is not None:
        members["euicc_info1"] = _text(facts.euicc_info1)
    members["ipa_capabilities"] = _text(facts.capabilities.encode(0x30))
    if facts.imei is not None:
        members["device"] = {"imei": facts.imei}
    members["proof"] = _text(key.sign(proven(facts.eid, public, facts.counter)))
    return json.dumps(members, separators=(",", ":")).encode("ascii") + b"\n"


def proven(eid: str, public: str, counter: int) -> bytes:
    """What the proof is over: four lines, each ended by a line feed."""
    return f"{FORMAT}\n{eid}\n{public}\n{counter}\n".encode("ascii")


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
