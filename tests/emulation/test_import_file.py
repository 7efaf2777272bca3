"""The file by which an emulated card is registered, against a literal vector and the lab's reader, which is another."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from ipad_agent.codec.esipa.device_info import IpaCapabilities, IpaFeature, IpaProtocol
from ipad_agent.emulation.device_key import fingerprint, verify
from ipad_agent.emulation.registration.import_file import ImportFacts, proven, written
from ipad_agent.lab.eim.device_import import read_import
from ipad_agent.lab.eim.errors import OrderError

from .deterministic_ecdsa import DeterministicKey

# The key and the signature scheme are those of RFC 6979 A.2.5; the file was put together from the format's description
# and is nobody's real device.
SCALAR = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
VECTOR = (
    '{"format":"eim-euicc-import/1","eid":"89049032123451234512345678901235","emulated":true,"ipa_public_key":"MFkwEwYH'
    "KoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYi"
    'mQ==","counter":7,"association_token":1,"ipa_capabilities":"MAiAAgXggQIHgA==","device":{"imei":"353290611234568"},'
    '"proof":"yEValjLfDxM44abVccAun1wFD9OjO1t7NEL4O0dCt1Xzr8GHX0gGOybmej9rliNYGQt9Id4yFguEmSq/7WPg8Q=="}\n'
)
FINGERPRINT = "5A7A78CCA4A0F420D9BC62BB669C3C2759E39F723D3AE10DCBE0F0815A07ECD4"
FACTS = ImportFacts(
    "89049032123451234512345678901235",
    7,
    IpaCapabilities(
        frozenset(
            {
                IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION,
                IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION,
                IpaFeature.EIM_DOWNLOAD_DATA_HANDLING,
            }
        ),
        frozenset({IpaProtocol.RETRIEVE_HTTPS}),
    ),
    association_token=1,
    imei="353290611234568",
)


def test_t36_the_import_file_of_a_fixed_key_equals_the_vector_byte_for_byte() -> None:
    assert written(DeterministicKey(SCALAR), FACTS) == VECTOR.encode()


def test_t36_the_fingerprint_is_the_one_of_the_vector() -> None:
    assert fingerprint(DeterministicKey(SCALAR).spki) == FINGERPRINT
    document = json.loads(VECTOR)
    signed = proven(document["eid"], document["ipa_public_key"], document["counter"])
    assert hashlib.sha256(signed).hexdigest() == "85dd56fe598863d70793c0fbe205512b02b09a6cb77094c3467949b1b5252f01"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("89049032123451234512345678901235", "89049032123451234512345678901225"),
        ('"counter":7', '"counter":8'),
        ("yEValjLf", "yEValjLg"),
    ],
)
def test_t36_one_character_changed_in_what_is_proven_is_refused(before: str, after: str) -> None:
    with pytest.raises(OrderError):
        read_import(VECTOR.replace(before, after).encode())


def test_t36_a_changed_key_has_no_proof() -> None:
    document = json.loads(VECTOR)
    proof = base64.b64decode(document["proof"])
    other = DeterministicKey(SCALAR + 1).spki
    text = base64.b64encode(other).decode()
    assert not verify(other, proof, proven(document["eid"], text, 7))


def test_the_labs_reader_takes_the_file() -> None:
    found = read_import(written(DeterministicKey(SCALAR), FACTS))
    assert (found.eid, found.counter, found.token, found.imei) == (FACTS.eid, 7, 1, FACTS.imei)
    assert found.fingerprint == FINGERPRINT


def test_what_is_not_known_is_left_out() -> None:
    facts = ImportFacts(FACTS.eid, 0, FACTS.capabilities)
    assert list(json.loads(written(DeterministicKey(SCALAR), facts))) == [
        "format",
        "eid",
        "emulated",
        "ipa_public_key",
        "counter",
        "ipa_capabilities",
        "proof",
    ]
