"""Byte vectors of what the eIM orders. The hex was written by hand from the schema of SGP.32 v1.2."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from ipad_agent.lab.eim import DataRequest, Order, OrderError, PackageFaults, add_initial_eim, build_order
from ipad_agent.lab.eim.orders import package_bytes
from ipad_agent.lab.eim.orders.order_verbs import VERBS
from ipad_agent.lab.eim.orders.package_bytes import PackageHead, download_trigger, unsigned_package

from .world import EID, ICCID, ICCID_BYTES, POLL, identity, make_eim, t


def test_package_body_with_enable_rollback_rat_and_profile_list() -> None:
    head = PackageHead("e", bytes.fromhex(EID), 1)
    operations = [
        package_bytes.enable(ICCID, rollback=True),
        package_bytes.get_rat(),
        package_bytes.list_profile_info(),
    ]
    expected = bytes.fromhex(
        "30 2F 80 01 65 5A 10" + EID + "81 01 01 A0 15 A3 0E 5A 0A" + ICCID_BYTES + "05 00 A6 00 BF2D 00"
    )
    assert unsigned_package(head, "psmo", operations) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["enable", ICCID], "A3 0C 5A0A" + ICCID_BYTES),
        (["enable", ICCID, "--rollback"], "A3 0E 5A0A" + ICCID_BYTES + "0500"),
        (["disable", ICCID], "A4 0C 5A0A" + ICCID_BYTES),
        (["delete", ICCID], "A5 0C 5A0A" + ICCID_BYTES),
        (["list-profiles"], "BF2D 00"),
        (["list-profiles", "5A", "9F70"], "BF2D 05 5C03 5A9F70"),
        (["get-rat"], "A6 00"),
        (["immediate-enable", "on"], "A7 02 8000"),
        (["immediate-enable", "off"], "A7 00"),
        (["immediate-enable", "on", "2.999.10", "a.b"], "A7 0C 8000 8103 88370A 8203 612E62"),
        (["set-fallback", ICCID], "A8 0C 5A0A" + ICCID_BYTES),
        (["unset-fallback"], "A9 00"),
        (["set-default-dp", "a.b"], "BF65 05 8003 612E62"),
        (["set-default-dp"], "BF65 02 8000"),
        (["add-eim", "30 06 800165 830100"], "A8 06 800165 830100"),
        (["update-eim", "30 03 800165"], "AA 03 800165"),
        (["delete-eim", "e"], "A9 03 800165"),
        (["list-eim"], "AB 00"),
    ],
)
def test_every_operation_verb_gives_the_bytes_of_the_schema(words: list[str], expected: str) -> None:
    order = build_order(words)
    assert order.operations == (bytes.fromhex(expected),)
    assert order.kind == ("eco" if "eim" in words[0] else "psmo")
    assert order.label == " ".join(words)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_verb_with_words_that_do_not_fit_is_refused(verb: str) -> None:
    with pytest.raises(OrderError):
        build_order([verb, "more", "words", "than", "any", "verb", "takes"])


def test_an_unknown_verb_and_no_verb_name_those_that_there_are() -> None:
    for words in ([], ["enabel"]):
        with pytest.raises(OrderError, match="get-rat"):
            build_order(words)


def test_two_operations_of_one_kind_share_a_package_and_two_kinds_do_not() -> None:
    order = build_order(["disable", ICCID, "+", "delete", ICCID])
    assert [operation[0] for operation in order.operations] == [0xA4, 0xA5]
    with pytest.raises(OrderError):
        build_order(["disable", ICCID, "+", "list-eim"])
    with pytest.raises(OrderError):
        build_order(["disable", ICCID, "+", "trigger", "default"])


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("LPA:1$a$b", "BF54 11 A00B 8009 4C50413A3124612462 8202 0102"),
        ("default", "BF54 08 A002 8100 8202 0102"),
        ("smds", "BF54 08 A002 A200 8202 0102"),
        ("smds:a.b", "BF54 0D A007 A205 8003 612E62 8202 0102"),
        ("none", "BF54 04 8202 0102"),
    ],
)
def test_download_triggers(code: str, expected: str) -> None:
    assert download_trigger(code, b"\x01\x02") == bytes.fromhex(expected)


@pytest.mark.parametrize(
    ("request_", "dialect", "expected"),
    [
        (DataRequest((0xBF20, 0x84)), "1.2", "BF52 09 5C03BF2084 83020102"),
        (DataRequest((0xA0,), notification_seq=9), "1.2", "BF52 0C 5C01A0 A103800109 83020102"),
        (DataRequest((0xA0,), notification_events=frozenset({1})), "1.2", "BF52 0D 5C01A0 A10481020640 83020102"),
        (DataRequest((0xA2,), result_seq=7), "1.2", "BF52 0C 5C01A2 A203800107 83020102"),
        (DataRequest((0xA6,), ci_pkid=b"\xaa\xbb"), "1.2", "BF52 0B 5C01A6 0402AABB 83020102"),
        (DataRequest((0xA0, 0x81)), "1.0", "BF52 05 5C03BF2B80"),
        (DataRequest((0xA2,)), "1.0", "BF52 08 5C02BF2B A1028200"),
    ],
)
def test_data_requests_in_both_dialects(request_: DataRequest, dialect: str, expected: str) -> None:
    assert request_.encode(b"\x01\x02", dialect=dialect) == bytes.fromhex(expected)


def test_data_request_verb_knows_names_and_hex_tags() -> None:
    order = build_order(["data-request", "token,info2", "BF2B"])
    assert order.data == DataRequest((0x84, 0xBF22, 0xBF2B))
    every = build_order(["data-request", ",".join(package_bytes.DATA_TAGS)]).data
    assert every is not None
    assert every.encode(None) == bytes.fromhex("BF52 0F 5C0D A0 81 A2 BF20 BF22 83 84 A5 A6 A8 A9")


def test_an_iccid_with_letters_and_one_that_nobody_can_read_may_be_ordered() -> None:
    assert package_bytes.iccid_bytes("898600b5012345678901").hex() == "9868005b103254769810"
    assert package_bytes.iccid_bytes("898602B012345678927").hex() == "9868200b2143658729f7"
    assert package_bytes.iccid_text(bytes.fromhex("9868200b2143658729f7")) == "898602B012345678927"
    assert package_bytes.iccid_bytes("8986F0B5012345678901").hex() == "98680f5b103254769810"


@pytest.mark.parametrize("iccid", ["89494499999999900", "894944999999999003112", "8949449999999990O31", ""])
def test_an_iccid_that_is_none_is_refused(iccid: str) -> None:
    with pytest.raises(OrderError):
        build_order(["enable", iccid])


def split_package(answer: bytes) -> tuple[bytes, bytes]:
    """(30.. TLV, 64-byte signature) of BF4F { BF51 { 30, 5F37 40 } } with short lengths."""
    assert answer[:2] == b"\xbf\x4f"
    start = answer.index(b"\xbf\x51")
    at = start + (3 if answer[start + 2] < 0x80 else 4)
    assert answer[at] == 0x30
    end = at + 2 + answer[at + 1]
    assert answer[end : end + 3] == bytes.fromhex("5F3740")
    assert len(answer) == end + 3 + 64
    return answer[at:end], answer[end + 3 :]


@pytest.mark.parametrize(
    ("token", "tail"), [(None, "840100"), (3, "840103"), (127, "84017F"), (128, "84020080"), (-1, "8401FF")]
)
def test_a_package_is_signed_over_its_body_and_the_token(token: int | None, tail: str) -> None:
    eim = make_eim(token=token)
    eim.enqueue(EID, build_order(["disable", ICCID]))
    signed, signature = split_package(eim.handle(POLL))
    assert signed == t("30", "800165", t("5A", EID), "810101", "82020A0A", t("A0", t("A4", t("5A", ICCID_BYTES))))
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    key = eim.identity.signing_key.public_key()
    key.verify(der, signed + bytes.fromhex(tail), ec.ECDSA(hashes.SHA256()))  # raises when it is not right


def test_the_token_learned_before_the_package_is_asked_for_is_the_one_it_is_signed_with() -> None:
    eim = make_eim()
    eim.enqueue(EID, build_order(["get-rat"]))
    eim.device(EID).token = 9
    signed, signature = split_package(eim.handle(POLL))
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    eim.identity.signing_key.public_key().verify(der, signed + bytes.fromhex("840109"), ec.ECDSA(hashes.SHA256()))


def test_signature_as_der_wrong_key_and_corrupt_on_request() -> None:
    for form in ("der", "wrong-key", "corrupt"):
        eim = make_eim()
        order = build_order(["get-rat"])
        order.faults = PackageFaults(signature=form)
        eim.enqueue(EID, order)
        answer = eim.handle(POLL)
        start = answer.index(b"\x5f\x37") + 3
        signature = answer[start:]
        signed_start = answer.index(b"\x30")
        signed = answer[signed_start : start - 3]
        key = eim.identity.signing_key.public_key()
        if form == "der":
            key.verify(signature, signed + bytes.fromhex("840100"), ec.ECDSA(hashes.SHA256()))
            continue
        assert len(signature) == 64
        der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        with pytest.raises(InvalidSignature):
            key.verify(der, signed + bytes.fromhex("840100"), ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (PackageFaults(eid="89049032000000000000000000000014"), "800165 5A1089049032000000000000000000000014 810105"),
        (PackageFaults(counter_offset=-1), "800165 5A10" + EID + "810104"),
        (PackageFaults(counter=0x800000), "800165 5A10" + EID + "810400800000"),
        (PackageFaults(eim_id="f"), "800166 5A10" + EID + "810105"),
    ],
)
def test_packages_that_are_wrong_on_purpose(faults: PackageFaults, expected: str) -> None:
    eim = make_eim(counter=4)
    order = build_order(["get-rat"])
    order.faults = faults
    eim.enqueue(EID, order)
    signed, _ = split_package(eim.handle(POLL))
    assert signed[2:].startswith(bytes.fromhex(expected) + bytes.fromhex("82020A0A"))


def test_an_order_without_transaction_has_none_in_its_package() -> None:
    eim = make_eim()
    order = build_order(["get-rat"])
    order.faults = PackageFaults(no_transaction_id=True)
    eim.enqueue(EID, order)
    signed, _ = split_package(eim.handle(POLL))
    assert signed[2:] == bytes.fromhex("800165 5A10" + EID + "810101 A002A600")


def test_a_tampered_counter_does_not_use_up_numbers_and_a_right_one_does() -> None:
    eim = make_eim(counter=4)
    for faults in (PackageFaults(counter=100), PackageFaults(counter_offset=-1), PackageFaults()):
        order = build_order(["get-rat"])
        order.faults = faults
        eim.enqueue(EID, order)
    for _ in range(3):
        eim.handle(POLL)
        eim.device(EID).finish(eim.device(EID).queue[0], ok=True)
    assert [order.counter for order in eim.device(EID).finished] == [100, 4, 5]
    assert eim.device(EID).counter == 5


# EimConfigurationData


def test_configuration_for_an_euicc_carries_the_bare_key_and_the_pin() -> None:
    eim = identity()
    raw = eim.configuration(fqdn="eim.example:5684", counter=7, ci_pkid=b"\x01" * 20, indirect_download=True)
    assert raw[:2] in (b"\x30\x81", b"\x30\x82")
    fields = raw[3:] if raw[1] == 0x81 else raw[4:]
    assert fields.startswith(bytes.fromhex("800165 8110") + b"eim.example:5684" + bytes.fromhex("820102 830107 8401FF"))
    spki = eim.signing_spki
    assert spki[:2] == bytes.fromhex("3059")
    assert bytes.fromhex("A55B A059") + spki[2:] in fields  # the tag A0 stands where the 30 was
    assert bytes.fromhex("A65B A059") + eim.tls.spki_der[2:] in fields
    assert fields.endswith(bytes.fromhex("87020640 8814" + "01" * 20 + "8900"))


def test_configuration_with_certificates_and_with_the_sequence_left_inside() -> None:
    eim = identity()
    leaf = eim.tls.leaf_der
    assert leaf[:2] == bytes.fromhex("3082")
    with_certificate = eim.configuration(tls_pin="leaf-certificate")
    assert b"\xa1" + leaf[1:] in with_certificate
    assert leaf not in with_certificate
    assert leaf in eim.configuration(tls_pin="leaf-certificate", inner_sequence=True)
    assert b"\xa6" not in eim.configuration(tls_pin="none", signing="none", protocols=None, fqdn=None)


def test_update_configuration_says_only_what_changes() -> None:
    raw = identity().configuration(
        id_type=None, counter=None, ask_for_token=False, signing="none", tls_pin="none", protocols=None
    )
    assert raw == bytes.fromhex("3003 800165")
    assert build_order(["update-eim", raw.hex()]).operations == (bytes.fromhex("AA03 800165"),)
    assert add_initial_eim(raw) == bytes.fromhex("BF57 07 A005 3003 800165")


def test_unknown_pins_and_kinds_are_refused() -> None:
    with pytest.raises(OrderError):
        identity().configuration(tls_pin="thumbprint")
    with pytest.raises(OrderError):
        identity().configuration(signing="certificate")  # this eIM has none
    with pytest.raises(OrderError):
        Order("poem", "")
