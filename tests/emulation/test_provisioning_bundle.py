"""The bundle that gives a device its eIM and its key: read strictly, or not at all (T37)."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.emulation.associated_eims import add_initial
from ipad_agent.emulation.device_key import KeyFile, SoftwareKey, fingerprint
from ipad_agent.emulation.emulated_state import BindingState, EmulatedState
from ipad_agent.emulation.registration.bundle_provisioning import is_begun, provisioned
from ipad_agent.emulation.registration.provisioning_bundle import MOST_BYTES, UnusableBundle, read_bundle
from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim import EimIdentity
from ipad_agent.lab.pki import Pki
from written_bundles import ISSUANCE, KEY, members, pkcs8, written

NOW_S = 1_800_000_000.0
NO_COUNTER = "counter is no number from 0 on"
EID = bytes.fromhex("89049032123451234512345678901235")


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> EimIdentity:
    folder = tmp_path_factory.mktemp("pki")
    Pki.create(folder)
    return EimIdentity.from_pki(Pki.load(folder))


@pytest.fixture
def configuration(identity: EimIdentity) -> bytes:
    return identity.configuration(fqdn="eim.example", counter=0)


def refusal(data: bytes) -> str:
    with pytest.raises(UnusableBundle) as refused:
        read_bundle(data)
    return str(refused.value)


# -- what is read ------------------------------------------------------------------------------------------------------


def test_a_bundle_is_read_with_blanks_and_members_that_nobody_knows(configuration: bytes) -> None:
    text = json.dumps(members(configuration, note="from the line", batch=-7), indent=2)
    for data in (text.encode(), b" \t\r\n" + text.encode() + b"\n"):
        bundle = read_bundle(data)
        assert (bundle.issuance_id, bundle.counter, bundle.eim_id) == (ISSUANCE, 0, "eim.lab.example")
        assert bundle.key.spki == SoftwareKey(KEY).spki
        listed = tlv.parse(bundle.request).require(0xA0).children()
        assert [element.raw for element in listed] == [configuration]


def test_the_configuration_may_be_an_add_initial_eim_or_what_a_card_tells(identity: EimIdentity) -> None:
    plain = identity.configuration(fqdn="eim.example", counter=3)
    request = der.tlv(0xBF57, der.tlv(0xA0, plain))
    assert read_bundle(written(request, counter=3)).request == request
    told = identity.configuration(fqdn="eim.example", counter=None, ask_for_token=False)
    bundle = read_bundle(written(der.tlv(0xBF55, der.tlv(0xA0, told)), counter=3))
    (element,) = tlv.parse(bundle.request).require(0xA0).children()
    assert EimConfigurationData.parse(element.raw).counter == 3


def test_only_a_clock_that_was_set_can_say_that_it_expired(configuration: bytes) -> None:
    bundle = read_bundle(written(configuration, expires_at="2026-05-01T00:00:00+02:00"))
    bundle.check_still_valid(1_777_586_399.0)
    with pytest.raises(UnusableBundle, match="expired"):
        bundle.check_still_valid(1_777_586_400.0)
    old = read_bundle(written(configuration, expires_at="2020-01-01T00:00:00Z"))
    old.check_still_valid(1_704_067_199.0)  # the last second of 2023, which no device can live in that knows bundles
    with pytest.raises(UnusableBundle, match="expired"):
        old.check_still_valid(1_704_067_200.0)


# -- what is not -------------------------------------------------------------------------------------------------------


def test_t37_an_escape_is_refused(configuration: bytes) -> None:
    data = written(configuration)
    assert "without escapes" in refusal(data.replace(b"eim-ipad", b"eim\\u002dipad"))
    assert "without escapes" in refusal(data.replace(b'"format"', b'"f\\u006frmat"'))
    assert "without escapes" in refusal(written(configuration, note="a\nb"))


def test_t37_a_member_that_is_there_twice_is_refused(configuration: bytes) -> None:
    data = written(configuration)
    assert "twice" in refusal(data.replace(b'"counter": 0', b'"counter": 0, "counter": 0'))
    assert "twice" in refusal(written(configuration, note=1).replace(b'"note"', b'"issuance_id"'))


@pytest.mark.parametrize("value", [{"a": 1}, [1], True, 1.5, 1e3])
def test_t37_anything_but_texts_and_integers_is_refused(configuration: bytes, value: object) -> None:
    assert "no flat JSON object" in refusal(written(configuration, note=value))
    assert "no flat JSON object" in refusal(written(configuration).replace(b'"counter": 0', b'"counter": null'))


@pytest.mark.parametrize("behind", [b"\n", b" ", b"{}", b"\0", b"\r\n"])
def test_t37_a_byte_behind_the_end_is_refused(configuration: bytes, behind: bytes) -> None:
    data = written(configuration)
    assert data.endswith(b"}\n")
    assert "behind its end" in refusal(data + behind if behind != b"\r\n" else data[:-1] + behind)


def test_t37_a_bundle_of_more_than_16_kib_is_refused(configuration: bytes) -> None:
    room = MOST_BYTES - len(written(configuration, note=""))
    assert read_bundle(written(configuration, note="x" * room)).counter == 0
    assert "more than 16384 bytes" in refusal(written(configuration, note="x" * (room + 1)))


@pytest.mark.parametrize(
    ("counter", "words"),
    [(-1, NO_COUNTER), ("0", NO_COUNTER), (0x80000000, NO_COUNTER), (None, NO_COUNTER), (10**30, "no flat JSON")],
)
def test_t37_a_negative_counter_and_one_that_is_none_are_refused(
    configuration: bytes, counter: object, words: str
) -> None:
    assert words in refusal(written(configuration, counter=counter))


def test_t37_an_expired_bundle_is_refused_and_keeps_no_key(configuration: bytes) -> None:
    bundle = read_bundle(written(configuration, expires_at="2026-01-01T00:00:00Z"))
    fresh = EmulatedState.fresh(EID, "0" * 64, wall_s=NOW_S, token=1)
    with pytest.raises(UnusableBundle, match="expired"):
        provisioned(bundle, fresh, None, (), NOW_S)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "eim-ipad-provision/2"}, "format"),
        ({"format": None}, "format is missing"),
        ({"issuance_id": "no uuid"}, "issuance_id"),
        ({"issuance_id": ""}, "issuance_id"),
        ({"issuance_id": "a" * 37}, "issuance_id"),
        ({"expires_at": "2026-13-01T00:00:00Z"}, "RFC 3339"),
        ({"expires_at": "2026-01-01"}, "RFC 3339"),
        ({"expires_at": "2026-01-01T00:00:00"}, "RFC 3339"),
        ({"expires_at": None}, "expires_at is missing"),
        ({"eim_configuration": "***"}, "no base64"),
        ({"eim_configuration": base64.b64encode(b"\x31\x00").decode()}, "neither 30"),
        ({"eim_configuration": base64.b64encode(b"\x30\x00").decode()}, "eim_configuration"),
        ({"counter": 1}, "begins with 0"),
        ({"device_key": base64.b64encode(b"\x30\x00").decode()}, "device_key"),
    ],
)
def test_t37_what_is_missing_or_wrong_is_named(configuration: bytes, changes: dict[str, object], words: str) -> None:
    assert words in refusal(written(configuration, **changes))


def test_t37_a_key_that_is_not_of_the_form_is_refused(configuration: bytes) -> None:
    def with_key(data: bytes) -> bytes:
        return written(configuration, device_key=base64.b64encode(data).decode())

    other = ec.derive_private_key(0xC0C0, ec.SECP384R1())
    assert "P-256" in refusal(with_key(pkcs8(other)))
    encoding, plain = serialization.Encoding.DER, serialization.NoEncryption()
    sec1 = KEY.private_bytes(encoding, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    assert "PKCS#8" in refusal(with_key(sec1))
    locked = KEY.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    assert "PKCS#8" in refusal(with_key(locked))
    assert "device_key" in refusal(with_key(pkcs8() + b"\0"))
    # The public half of another key beside this private one.
    of_other = ec.derive_private_key(0xC0C0, ec.SECP256R1()).public_key()
    point = serialization.PublicFormat.UncompressedPoint
    halves = pkcs8().replace(
        KEY.public_key().public_bytes(serialization.Encoding.X962, point),
        of_other.public_bytes(serialization.Encoding.X962, point),
    )
    assert halves != pkcs8()
    assert "device_key" in refusal(with_key(halves))


def test_no_refusal_shows_anything_of_the_key(configuration: bytes) -> None:
    secret = base64.b64encode(pkcs8()).decode()
    parts = [secret[at : at + 8] for at in range(len(secret) - 8)]
    data = written(configuration)
    for at in range(0, len(data) - 2, 7):
        for damaged in (data[:at] + b"\\" + data[at:], data[:at]):
            words = refusal(damaged)
            assert [part for part in parts if part in words] == []


# -- what it makes of a state ------------------------------------------------------------------------------------------


def state_with(identity: EimIdentity, counter: int, key: SoftwareKey) -> EmulatedState:
    data = identity.configuration(fqdn="eim.example", counter=counter)
    fresh = EmulatedState.fresh(EID, fingerprint(key.spki), wall_s=NOW_S, token=5)
    return add_initial(fresh, der.tlv(0xBF57, der.tlv(0xA0, data)), ())[0]


def test_a_bundle_gives_a_card_without_eims_its_eim_and_names_its_key(configuration: bytes) -> None:
    bundle = read_bundle(written(configuration))
    state = provisioned(bundle, EmulatedState.fresh(EID, "0" * 64, wall_s=NOW_S, token=5), None, (), NOW_S)
    assert [(entry.eim_id, entry.counter, entry.token) for entry in state.eims] == [("eim.lab.example", 0, 5)]
    assert state.fingerprint == fingerprint(bundle.key.spki)
    assert state.binding is not None
    assert (state.binding.eim_id, state.binding.counter) == ("eim.lab.example", 0)
    assert state.binding.state is BindingState.PENDING
    assert is_begun(bundle, state)
    assert EmulatedState.from_document(state.to_document()) == state


def test_a_card_with_eims_takes_none_and_a_bundle_is_used_once(identity: EimIdentity, configuration: bytes) -> None:
    key = SoftwareKey(ec.derive_private_key(0xD0D0, ec.SECP256R1()))
    managed = state_with(identity, 4, key)
    bundle = read_bundle(written(configuration))
    with pytest.raises(UnusableBundle, match="eIMs already"):
        provisioned(bundle, managed, key, (), NOW_S)
    used = provisioned(bundle, EmulatedState.fresh(EID, "0" * 64, wall_s=NOW_S, token=5), None, (), NOW_S)
    without = EmulatedState(EID, "1" * 64, used.next_seq, used.next_token, bundles=used.bundles)
    assert not is_begun(bundle, without)
    with pytest.raises(UnusableBundle, match="before"):
        provisioned(bundle, without, None, (), NOW_S)


def test_a_bundle_for_a_card_whose_key_is_gone_needs_a_counter_above_the_one_reached(identity: EimIdentity) -> None:
    lost = SoftwareKey(ec.derive_private_key(0xD0D0, ec.SECP256R1()))
    managed = state_with(identity, 4, lost)
    same = read_bundle(written(identity.configuration(fqdn="eim.example", counter=4), counter=4))
    with pytest.raises(UnusableBundle, match="above 4"):
        provisioned(same, managed, None, (), NOW_S)
    above = read_bundle(written(identity.configuration(fqdn="eim.example", counter=5), counter=5))
    for in_place in (None, SoftwareKey(ec.derive_private_key(0xE0E0, ec.SECP256R1()))):
        state = provisioned(above, managed, in_place, (), NOW_S)
        assert [(entry.counter, entry.token) for entry in state.eims] == [(5, managed.next_token)]
        assert (state.next_seq, state.results) == (managed.next_seq, ())


def test_the_key_of_a_bundle_takes_its_place_and_the_old_one_stays_beside(tmp_path: Path) -> None:
    place = KeyFile(tmp_path / "state")
    place.put(SoftwareKey(KEY))
    found = place.load()
    assert found is not None
    assert found.spki == SoftwareKey(KEY).spki
    assert place.path.stat().st_mode & 0o777 == 0o600
    other = SoftwareKey(ec.derive_private_key(0xD0D0, ec.SECP256R1()))
    place.put(other)
    place.put(other)
    assert place.load() is not None
    old = KeyFile(tmp_path / "old")
    (tmp_path / "old").mkdir()
    (tmp_path / "state" / "device-key.old.pem").rename(old.path)
    kept = old.load()
    assert kept is not None
    assert kept.spki == SoftwareKey(KEY).spki
