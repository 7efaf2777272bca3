"""Import files of emulated cards: read to the byte, registered once, and their key is the one that results need."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.eim import Order, OrderError, VirtualEim, build_order, results_json, results_text
from ipad_agent.lab.eim.device_import import read_import

from .import_files import INFO1, spki_text, written
from .world import EID, POLL, Card, identity, make_eim, new_key, noted, provide, t

# The file of a known writer's format, with the public example key of RFC 6979 A.2.5; made apart from this code.
VECTOR = (
    b'{"format":"eim-euicc-import/1","eid":"89049032123451234512345678901235","emulated":true,"ipa_public_key":"MFkwEwYHK'
    b"oZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ=="
    b'","counter":7,"association_token":1,"ipa_capabilities":"MAiAAgXggQIHgA==","device":{"imei":"353290611234568"},"proof'
    b'":"yEValjLfDxM44abVccAun1wFD9OjO1t7NEL4O0dCt1Xzr8GHX0gGOybmej9rliNYGQt9Id4yFguEmSq/7WPg8Q=="}\n'
)
FINGERPRINT = "5A7A78CCA4A0F420D9BC62BB669C3C2759E39F723D3AE10DCBE0F0815A07ECD4"


def empty_eim(path: Path | None = None) -> VirtualEim:
    return VirtualEim(identity(), state_path=path, random_bytes=lambda size: b"\x0a" * size)


def ordered(eim: VirtualEim) -> Order:
    order = eim.enqueue(EID, build_order(["list-eim"]))
    assert eim.handle(POLL).startswith(bytes.fromhex("BF4F"))
    return order


def result(card: Card, order: Order, **fields: Any) -> bytes:
    assert order.transaction_id is not None
    counter = f"{order.counter:02X}"
    return card.epr(counter=counter, transaction=order.transaction_id.hex(), tail=bytes.fromhex("840101"), **fields)


def test_the_vector_of_the_format_is_read() -> None:
    file = read_import(VECTOR)
    assert (file.eid, file.counter, file.token, file.imei) == (EID, 7, 1, "353290611234568")
    assert file.fingerprint == FINGERPRINT
    assert (file.euicc_info1, file.features) == (None, (0, 1, 2))


def test_an_import_registers_key_counter_and_token() -> None:
    eim = empty_eim()
    device = eim.import_device(written(new_key(), 41))
    assert (device.counter, device.token, device.emulated, device.imei) == (41, 1, True, "353290611234568")
    assert device.euicc_info1 == base64.b64decode(INFO1)
    assert noted(eim, "imported")[0]["counter"] == 41
    assert ordered(eim).counter == 42


def test_results_signed_by_the_key_of_the_file_are_taken_and_others_are_not() -> None:
    eim, card = empty_eim(), Card()
    eim.import_device(written(card.key))
    order = ordered(eim)
    assert eim.handle(provide(result(Card(), order, seq="40000000"))) == bytes.fromhex("BF500302017F")
    assert noted(eim, "result")[-1]["discarded"] == "the signature is wrong"
    assert eim.handle(provide(result(card, order, seq="40000000"))) == bytes.fromhex("BF5009 BF5306 800440000000")
    assert order.state == "done"


def test_a_certificate_that_comes_along_does_not_replace_the_key_of_the_file() -> None:
    eim, card, consumer = empty_eim(), Card(), Card()
    device = eim.import_device(written(card.key))
    eim.enqueue(EID, build_order(["data-request", "A6"]))
    eim.handle(POLL)
    certificate = consumer.certificate
    inner = certificate[4:]  # the tag stands for the 30
    eim.handle(provide(t("BF52", t("A0", t("A6", inner)))))
    assert device.euicc_certificate == certificate
    assert device.euicc_spki == read_import(written(card.key)).spki
    order = ordered(eim)
    assert order.state == "handed out"
    eim.handle(provide(result(card, order)))
    assert order.state == "done"


def test_notifications_are_the_cards_own_and_checked_by_its_certificate() -> None:
    eim, device_key, consumer = empty_eim(), new_key(), Card()
    device = eim.import_device(written(device_key))
    device.euicc_certificate = consumer.certificate
    eim.handle(t("BF3D", consumer.notification()))
    eim.handle(t("BF3D", Card().notification()))
    signatures = [entry["facts"]["signature"] for entry in noted(eim, "notification")]
    assert signatures == ["right", "wrong"]


def test_a_second_import_is_refused() -> None:
    eim = empty_eim()
    eim.import_device(written(new_key()))
    with pytest.raises(OrderError, match="--replace-key"):
        eim.import_device(written(new_key(), 5))


def test_an_iot_euicc_is_not_replaced_by_an_import() -> None:
    with pytest.raises(OrderError, match="signs for itself"):
        make_eim(Card()).import_device(written(new_key(), 5), replace_key=True)


def test_a_key_is_replaced_by_another_one_with_a_higher_counter_only() -> None:
    eim, old, new = empty_eim(), Card(), Card()
    eim.import_device(written(old.key, 3))
    order = ordered(eim)
    eim.handle(provide(result(old, order, seq="50000000")))
    waiting = eim.enqueue(EID, build_order(["list-eim"]))
    with pytest.raises(OrderError, match="registered already"):
        eim.import_device(written(old.key, 9), replace_key=True)
    with pytest.raises(OrderError, match="above 4"):
        eim.import_device(written(new.key, 4), replace_key=True)
    eim.import_device(written(new.key, 5), replace_key=True)
    eim.handle(POLL)
    assert waiting.counter == 6
    eim.handle(provide(result(old, waiting, seq="50000001")))
    assert waiting.state == "handed out"
    eim.handle(provide(result(new, waiting, seq="40000000")))
    assert waiting.state == "done"


def other_curve() -> str:
    return spki_text(ec.generate_private_key(ec.SECP384R1()))


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"format": "eim-euicc-import/2"}, "format"),
    ({"eid": EID[:-1] + "6"}, "check digits"),
    ({"eid": EID[:-1]}, "check digits"),
    ({"emulated": False}, "emulated"),
    ({"emulated": 1}, "emulated"),
    ({"counter": True}, "counter"),
    ({"counter": -1}, "counter"),
    ({"counter": 1}, "proof"),
    ({"association_token": "1"}, "association_token"),
    ({"ipa_public_key": "AAAA"}, "no key"),
    ({"ipa_public_key": other_curve()}, "P-256"),
    ({"proof": "AAAA"}, "proof"),
    ({"proof": "%"}, "base64"),
    ({"proof": None}, "lacks proof"),
    ({"ipa_capabilities": "BQA="}, "ipa_capabilities"),
    ({"euicc_info1": "MAA="}, "euicc_info1"),
    ({"device": {}}, "IMEI"),
    ({"device": {"imei": "x"}}, "IMEI"),
    ({"more": 1}, "more"),
]


@pytest.mark.parametrize(("changes", "why"), WRONG)
def test_a_wrong_file_is_refused_with_what_is_wrong(changes: dict[str, Any], why: str) -> None:
    eim = empty_eim()
    with pytest.raises(OrderError, match=why):
        eim.import_device(written(new_key(), **changes))
    assert eim.devices == {}


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda raw: raw[:-1],
        lambda raw: raw + b"\n",
        lambda raw: raw.replace(b'":', b'": ', 1),
        lambda raw: b'{"counter":0,' + raw[1:].replace(b'"counter":0,', b""),
        lambda raw: raw.replace(b'"counter":0', b'"counter":0,"counter":0'),
        lambda raw: b"\xff" + raw,
        lambda raw: b"[]\n",
        lambda raw: b"[" * 100_000,
    ],
)
def test_a_file_that_is_not_written_to_the_byte_is_refused(spoilt: Any) -> None:
    with pytest.raises(OrderError, match="import file"):
        read_import(spoilt(written(new_key())))


def test_an_emulated_card_is_called_so_and_stays_so_over_a_restart(tmp_path: Path) -> None:
    empty_eim(tmp_path / "eim.json").import_device(written(new_key(), 3))
    eim = empty_eim(tmp_path / "eim.json")
    assert eim.devices[EID].emulated
    assert "emulated" in results_text(eim)
    assert json.loads(results_json(eim))["devices"][0]["emulated"] is True
    with pytest.raises(OrderError, match="--replace-key"):
        eim.import_device(written(new_key(), 5))
