"""What the eIM answers, by SGP.32 v1.2 §5.14 and §6.3; literal bytes are hand-written from the schema.

Long: literal messages, one function of ESipa after the other.
"""

from __future__ import annotations

import pytest

from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim import EimSettings, Order, OrderError, RequestRefusedError, VirtualEim, build_order
from ipad_agent.lab.eim.results.result_judgement import Rules, judge

from .world import (
    EID,
    ERROR_127,
    ICCID,
    NO_PACKAGE,
    NOTHING_TO_ACKNOWLEDGE,
    POLL,
    Card,
    make_eim,
    noted,
    provide,
    raw_signature,
    t,
)

OTHER_EID = "89049032000000000000000000000014"
ACKNOWLEDGE_5 = bytes.fromhex("BF50 06 BF53 03 800105")


def ordered(
    card: Card | None = None, *words: str, settings: EimSettings | None = None, token: int | None = None
) -> tuple[VirtualEim, Order]:
    """An eIM whose device has been handed one order."""
    eim = make_eim(card, settings=settings, token=token)
    order = eim.enqueue(EID, build_order(list(words) or ["enable", ICCID, "--rollback"]))
    eim.handle(POLL, peer="p")
    return eim, order


# GetEimPackage


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("BF4F 12 5A10" + EID, "BF4F03 020101"),
        ("BF4F 12 5A10" + OTHER_EID, "BF4F03 020102"),
        ("BF4F 11 5A0F" + EID[:30], "BF4F03 020103"),
        ("BF4F 13 5A11" + EID + "00", "BF4F03 020103"),
        ("BF4F 00", "BF4F03 020104"),
        ("BF4F 02 8000", "BF4F03 020104"),
    ],
)
def test_a_poll_is_answered_by_who_asks(request_: str, answer: str) -> None:
    assert make_eim().handle(bytes.fromhex(request_)) == bytes.fromhex(answer)


def test_state_change_and_network_are_written_down() -> None:
    eim = make_eim()
    assert eim.handle(bytes.fromhex("BF4F 1C 5A10" + EID + "8000 810101 820362F210")) == NO_PACKAGE
    (entry,) = noted(eim, "request")
    assert entry["stateChange"] == "fallback"
    assert entry["notifyStateChange"] is True
    assert entry["rPLMN"] == "262-01"


def test_a_package_is_handed_out_again_byte_for_byte_until_its_result_is_here() -> None:
    card = Card()
    eim, order = ordered(card)
    first = eim.handle(POLL)
    assert eim.handle(POLL) == first
    assert order.state == "handed out"
    assert eim.handle(provide(card.epr())) == ACKNOWLEDGE_5
    assert order.state == "done"
    assert eim.handle(POLL) == NO_PACKAGE


def test_a_fresh_package_with_the_next_counter_when_asked_for() -> None:
    eim = make_eim(settings=EimSettings(resend="fresh", transaction_id_bytes=0))
    eim.enqueue(EID, build_order(["get-rat"]))
    head = bytes.fromhex("800165 5A10" + EID + "8101")
    assert head + b"\x01" in eim.handle(POLL)
    assert head + b"\x02" in eim.handle(POLL)


def test_orders_wait_for_one_another() -> None:
    card = Card()
    eim, _ = ordered(card, "get-rat")
    eim.enqueue(EID, build_order(["trigger", "default"]))
    eim.handle(provide(card.epr(results="A600")))
    assert eim.handle(POLL) == bytes.fromhex("BF4F 0B BF54 08 A0028100 82020A0A")


def test_an_unknown_device_is_taken_in_when_so_set() -> None:
    eim = make_eim(settings=EimSettings(accept_unknown_devices=True))
    assert eim.handle(bytes.fromhex("BF4F 12 5A10" + OTHER_EID)) == NO_PACKAGE
    assert OTHER_EID in eim.devices


# ProvideEimPackageResult: who


@pytest.mark.parametrize(
    ("eid", "answer"), [(OTHER_EID, "BF5003 020102"), (EID[:30], "BF5003 020103"), ("", "BF5003 020104")]
)
def test_a_result_of_nobody_is_refused(eid: str, answer: str) -> None:
    assert make_eim().handle(provide(Card().epr(), eid=eid)) == bytes.fromhex(answer)


def test_a_result_without_eid_belongs_to_the_connection_that_polled() -> None:
    card = Card()
    eim, order = ordered(card)
    assert eim.handle(provide(card.epr(), eid=""), peer="p") == ACKNOWLEDGE_5
    assert order.state == "done"
    assert eim.handle(provide(card.epr(), eid=""), peer="q") == bytes.fromhex("BF5003 020104")


# Signatures and numbers


@pytest.mark.parametrize(
    ("token", "tail", "form"),
    [
        (None, "840100", "token"),
        (3, "840103", "token"),
        (128, "84020080", "token"),
        (128, "840180", "token-unsigned"),
    ],
)
def test_a_result_bound_to_the_token_is_accepted(token: int | None, tail: str, form: str) -> None:
    card = Card()
    eim, _ = ordered(card, token=token)
    assert eim.handle(provide(card.epr(tail=bytes.fromhex(tail)))) == ACKNOWLEDGE_5
    assert noted(eim, "result")[0]["facts"]["signature"] == f"right ({form})"


def test_a_result_bound_to_another_token_is_discarded() -> None:
    card = Card()
    eim, order = ordered(card, token=3)
    assert eim.handle(provide(card.epr(tail=bytes.fromhex("840102")))) == ERROR_127
    assert order.state == "handed out"
    assert noted(eim, "result")[0]["discarded"] == "the signature is wrong"


@pytest.mark.parametrize("as_tlv", [True, False])
def test_a_v1_0_result_is_signed_over_the_request_signature(as_tlv: bool) -> None:
    card = Card()
    eim, order = ordered(card)
    assert order.package is not None
    signature = order.package[-67:]  # 5F37 40 and 64 bytes
    assert signature[:3] == bytes.fromhex("5F3740")
    assert eim.handle(provide(card.epr(tail=signature if as_tlv else signature[3:]))) == ACKNOWLEDGE_5


def test_another_cards_result_and_a_changed_result_are_discarded_and_nothing_is_acknowledged() -> None:
    card = Card()
    eim, order = ordered(card)
    changed = bytearray(card.epr())
    changed[changed.index(bytes.fromhex("830100")) + 2] = 1
    other = t("30", Card().epr(), t("A0", card.notification()))
    for result in (bytes(changed), Card().epr(), other):
        assert eim.handle(provide(result)) == ERROR_127
    assert order.state == "handed out"
    assert eim.device(EID).last_seq is None


def test_of_a_discarded_delivery_no_number_is_left() -> None:
    card = Card()
    result = t("30", Card().epr(), t("A0", card.notification()))
    judgement = judge(make_eim(card).device(EID), der.parse(result), Rules("e"))
    assert judgement.discarded == "the signature is wrong"
    assert judgement.acknowledge == []


def test_a_result_that_comes_after_an_error_changes_the_verdict_of_its_order() -> None:
    card = Card()
    eim, order = ordered(card)
    eim.handle(provide(card.epe("04")))
    assert order.state == "failed"
    assert eim.handle(provide(card.epr())) == ACKNOWLEDGE_5
    assert order.state == "done"
    assert eim.device(EID).finished == [order]


@pytest.mark.parametrize("counter", ["01", "7F"], ids=["of another order", "never given"])
def test_a_result_with_the_counter_of_another_package_is_discarded(counter: str) -> None:
    card = Card()
    eim, _ = ordered(card)
    assert eim.handle(provide(card.epr())) == ACKNOWLEDGE_5
    order = eim.enqueue(EID, build_order(["get-rat"]))
    eim.handle(POLL, peer="p")
    transaction = (order.transaction_id or b"").hex()
    assert eim.handle(provide(card.epr(seq="06", counter=counter, transaction=transaction))) == ERROR_127
    assert order.state == "handed out"
    assert eim.handle(provide(card.epr(seq="07", counter="02", transaction=transaction))) != ERROR_127


def test_the_result_of_an_order_that_was_handed_out_anew_counts_with_its_first_counter() -> None:
    card = Card()
    eim, order = ordered(card, settings=EimSettings(resend="fresh"))
    eim.handle(POLL, peer="p")
    assert order.counter == 2
    assert eim.handle(provide(card.epr(counter="01", transaction=(order.transaction_id or b"").hex()))) == ACKNOWLEDGE_5


def test_a_discarded_result_may_be_acknowledged_all_the_same() -> None:
    eim, order = ordered(Card(), settings=EimSettings(discard_answer="acknowledge"))
    assert eim.handle(provide(Card().epr())) == ACKNOWLEDGE_5
    assert order.state == "handed out"
    assert eim.handle(provide(bytes.fromhex("BF5100"))) == NOTHING_TO_ACKNOWLEDGE


def test_a_discarded_result_may_be_answered_with_nothing() -> None:
    eim, _ = ordered(Card(), settings=EimSettings(discard_answer="empty"))
    assert eim.handle(provide(Card().epr())) == NOTHING_TO_ACKNOWLEDGE


def test_without_the_cards_key_a_result_counts_unless_the_key_is_required() -> None:
    eim, _ = ordered(None)
    assert eim.handle(provide(Card().epr())) == ACKNOWLEDGE_5
    assert str(noted(eim, "result")[0]["facts"]["signature"]).startswith("not checked")
    eim, _ = ordered(None, settings=EimSettings(require_key=True))
    assert eim.handle(provide(Card().epr())) == ERROR_127


def test_a_repeated_result_is_acknowledged_again() -> None:
    card = Card()
    eim, _ = ordered(card)
    result = t("30", card.epr(), t("A0", card.notification("06")))
    answer = bytes.fromhex("BF50 09 BF53 06 800105 800106")
    assert eim.handle(provide(result)) == answer
    assert eim.handle(provide(result)) == answer
    assert noted(eim, "result")[1]["facts"]["repeated"] is True


def test_a_sequence_number_must_be_greater_than_the_last() -> None:
    card = Card()
    eim, _ = ordered(card)
    eim.enqueue(EID, build_order(["get-rat"]))
    assert eim.handle(provide(card.epr(seq="05"))) == ACKNOWLEDGE_5
    assert eim.handle(provide(card.epr(counter="02", seq="04", results="A600"))) == ERROR_127
    assert noted(eim, "result")[1]["discarded"] == "sequence number 4 is not greater than 5"
    assert eim.handle(provide(card.epr(counter="02", seq="05", results="A600"))) == ERROR_127
    assert noted(eim, "result")[2]["discarded"] == "sequence number 5 belongs to another result"
    assert eim.handle(provide(card.epr(counter="02", seq="0080", results="A600"))) == bytes.fromhex(
        "BF50 07 BF53 04 80020080"
    )


def test_a_lower_number_passes_when_the_rule_is_off() -> None:
    card = Card()
    eim, _ = ordered(card, settings=EimSettings(strict_sequence=False))
    eim.handle(provide(card.epr(seq="05")))
    assert eim.handle(provide(card.epr(seq="04"))) == bytes.fromhex("BF50 06 BF53 03 800104")


def test_a_result_for_another_eim_is_discarded() -> None:
    card = Card()
    eim, _ = ordered(card)
    assert eim.handle(provide(Card(card.key, eim_id="66").epr())) == ERROR_127
    assert noted(eim, "result")[0]["discarded"] == "the result is for f"


def test_a_result_of_an_order_nobody_remembers_is_still_acknowledged() -> None:
    card = Card()
    eim = make_eim(card)
    assert eim.handle(provide(card.epr(counter="63"))) == ACKNOWLEDGE_5


# The other results


def test_a_signed_package_error_ends_the_order_and_has_nothing_to_acknowledge() -> None:
    card = Card()
    eim, order = ordered(card)
    assert eim.handle(provide(card.epe("04"))) == NOTHING_TO_ACKNOWLEDGE
    assert order.state == "failed"
    assert noted(eim, "result")[0]["facts"]["name"] == "replayError"
    assert eim.handle(provide(Card().epe("04"))) == ERROR_127


def test_an_unsigned_package_error_tells_the_token() -> None:
    eim, order = ordered(Card())
    assert eim.handle(provide(bytes.fromhex("BF51 08 A206 800165 840103"))) == NOTHING_TO_ACKNOWLEDGE
    assert order.state == "failed"
    assert eim.device(EID).token == 3


def test_a_failed_operation_fails_the_order_but_its_result_is_acknowledged() -> None:
    card = Card()
    eim, order = ordered(card)
    assert eim.handle(provide(card.epr(results="830102"))) == ACKNOWLEDGE_5
    assert order.state == "failed"
    operation = noted(eim, "result")[0]["facts"]["operations"][0]
    assert operation == {"operation": "enable", "code": 2, "name": "profileNotInDisabledState"}


def test_the_ipa_cannot_process_the_package() -> None:
    eim, order = ordered(Card(), "trigger", "nonsense")
    assert eim.handle(bytes.fromhex("BF50 1B 5A10" + EID + "A007 80020A0A 020101")) == NOTHING_TO_ACKNOWLEDGE
    assert order.state == "failed"
    assert noted(eim, "result")[0]["facts"]["name"] == "invalidPackageFormat"


def test_data_of_device_and_euicc_is_learned_and_its_numbers_acknowledged() -> None:
    card = Card()
    eim = make_eim()
    order = eim.enqueue(EID, build_order(["data-request", "notifications,results,token,euicc"]))
    assert eim.handle(POLL) == bytes.fromhex("BF4F 0D BF52 0A 5C04A0A284A6 83020A0A")
    data = t(
        "BF52",
        t(
            "A0",
            t("A0", card.notification("06"), card.installation("07")),
            t("A2", card.epr(tail=bytes.fromhex("840109"))),
            t("84", "09"),
            b"\xa6" + card.certificate[1:],
            t("87", "0A0A"),
        ),
    )
    assert eim.handle(provide(data)) == bytes.fromhex("BF50 0C BF53 09 800106 800107 800105")
    assert order.state == "done"
    assert eim.device(EID).token == 9
    key = eim.device(EID).euicc_key
    assert key is not None
    assert key.public_numbers() == card.key.public_key().public_numbers()


def test_stored_results_are_judged_with_the_token_and_key_of_the_same_answer() -> None:
    card = Card()
    eim = make_eim()
    data = t(
        "BF52", t("A0", t("A2", card.epr(tail=bytes.fromhex("840109"))), t("84", "09"), b"\xa6" + card.certificate[1:])
    )
    eim.handle(provide(data))
    facts = noted(eim, "result")[0]["facts"]
    assert facts["packageResults"][0]["signature"] == "right (token)"


def test_a_known_key_is_not_replaced_by_another_cards() -> None:
    card = Card()
    eim = make_eim(card)
    before = eim.device(EID).euicc_spki
    eim.handle(provide(t("BF52", t("A0", b"\xa6" + Card().certificate[1:]))))
    assert eim.device(EID).euicc_spki == before
    assert "not the key" in noted(eim, "result")[0]["facts"]["euiccCertificateError"]


def test_a_certificate_with_its_sequence_left_inside_is_learned_too() -> None:
    card = Card()
    eim, _ = ordered(None, "data-request", "euicc")
    eim.handle(provide(t("BF52", t("A0", t("A6", card.certificate)))))
    assert eim.device(EID).euicc_key is not None
    eim, _ = ordered(None, "data-request", "euicc")
    eim.handle(provide(t("BF52", t("A0", t("A6", "3000")))))
    assert eim.device(EID).euicc_key is None


def test_a_refused_data_request_fails_in_both_dialects() -> None:
    for body in ("A107 80020A0A 020101", "810101"):
        eim, order = ordered(None, "data-request", "5A")
        eim.handle(provide(t("BF52", body)))
        assert order.state == "failed"
        assert noted(eim, "result")[0]["facts"]["name"] == "incorrectTagList"


def test_a_download_result_is_acknowledged_by_its_notification_number() -> None:
    card = Card()
    eim, order = ordered(card, "trigger", "LPA:1$a$b")
    assert eim.handle(provide(t("BF54", "82020A0A", card.installation("07")))) == bytes.fromhex(
        "BF50 06 BF53 03 800107"
    )
    assert order.state == "done"
    facts = noted(eim, "result")[0]["facts"]
    assert facts["signature"] == "right"
    assert facts["aid"] == "A0000005591010FFFFFFFF8900001000"


@pytest.mark.parametrize("body", ["82020A0A 3003 80017F", "82020A0A 3004 8002AABB", "3007 80017F 0402AABB"])
def test_a_failed_download_ends_its_order(body: str) -> None:
    eim, order = ordered(Card(), "trigger", "default")
    assert eim.handle(provide(t("BF54", body))) == NOTHING_TO_ACKNOWLEDGE
    assert order.state == "failed"


def test_a_result_of_another_transaction_leaves_the_order_waiting() -> None:
    eim, order = ordered(Card(), "trigger", "default")
    eim.handle(provide(bytes.fromhex("BF54 08 820177 3003 80017F")))
    assert order.state == "handed out"


# HandleNotification


def test_notifications_get_an_empty_answer_in_every_form() -> None:
    card = Card()
    eim = make_eim(card)
    forms = [
        t("BF3D", t("A0", card.installation())),
        t("BF3D", t("A0", card.notification())),
        t("BF3D", card.installation()),
        t("BF3D", card.notification()),
    ]
    eim.handle(POLL, peer="p")
    for form in forms:
        assert eim.handle(form, peer="p") == b""
    entries = noted(eim, "notification")
    assert [entry["facts"]["seqNumber"] for entry in entries] == [7, 6, 7, 6]
    assert {entry["facts"]["signature"] for entry in entries} == {"right"}
    assert entries[1]["eid"] == EID  # from the certificate inside


def test_a_notification_signed_by_another_card_is_told() -> None:
    eim = make_eim(Card())
    eim.handle(t("BF3D", t("A0", Card().notification())))
    assert noted(eim, "notification")[0]["facts"]["signature"] == "wrong"


def test_compact_notifications_are_read() -> None:
    eim = make_eim(Card())
    compact = t("A0", t("A0", "80010A", "020109", t("A2", t("A0", "4F021000"))), t("5F37", b"\x01" * 64))
    eim.handle(t("BF3D", t("A0", compact)))
    other = t("A1", t("5A", EID), t("BF2F", "80010B 81020640 0C0161"), t("5F37", b"\x01" * 64))
    eim.handle(t("BF3D", t("A0", other)))
    assert [entry["facts"]["seqNumber"] for entry in noted(eim, "notification")] == [9, 11]


def test_a_result_by_notification_counts_but_is_not_acknowledged() -> None:
    for wrap in ("v1.2", "v1.0"):
        card = Card()
        eim, order = ordered(card)
        result = provide(card.epr())
        message = t("BF3D", result) if wrap == "v1.2" else t("BF3D", t("A1", card.epr()))
        assert eim.handle(message, peer="p") == b""
        assert order.state == "done"
        assert noted(eim, "result by notification")
        assert not noted(eim, "acknowledged")


def test_an_installation_result_ends_the_trigger_of_the_indirect_flow() -> None:
    card = Card()
    eim, order = ordered(card, "trigger", "none")
    eim.handle(t("BF3D", t("A0", card.installation())), peer="p")
    assert order.state == "done"


# Dialect 1.0


def test_v1_0_poll_has_the_network_under_81_and_knows_only_two_errors() -> None:
    eim = make_eim()
    assert eim.handle(bytes.fromhex("BF4F 17 5A10" + EID + "810362F210")) == NO_PACKAGE
    assert noted(eim, "request")[0]["rPLMN"] == "262-01"
    assert eim.handle(bytes.fromhex("BF4F 17 5A10" + OTHER_EID + "810362F210")) == bytes.fromhex("BF4F03 02017F")


def test_v1_0_device_gets_v1_0_requests_and_answers() -> None:
    card = Card()
    eim = make_eim(card)
    order = eim.enqueue(EID, build_order(["data-request", "notifications,smdp"]))
    poll = bytes.fromhex("BF4F 17 5A10" + EID + "810362F210")
    assert eim.handle(poll, peer="p") == bytes.fromhex("BF4F 08 BF52 05 5C03BF2B80")
    data = t("BF52", t("A0", t("80", b"smdp.example"), t("BF2B", t("A0", card.notification("06")))))
    assert eim.handle(t("BF50", data), peer="p") == bytes.fromhex("BF50 06 BF53 03 800106")
    assert order.state == "done"
    eim.enqueue(EID, build_order(["data-request", "smdp"]))
    eim.handle(poll, peer="p")
    assert eim.handle(t("BF50", t("BF52", t("A0", t("80", b"s")))), peer="p") == bytes.fromhex("BF50 00")


def test_v1_0_results_and_notifications_travel_in_bf2b() -> None:
    card = Card()
    eim, order = ordered(card)
    result = t("30", card.epr(), t("BF2B", t("A0", card.notification("06"))))
    assert eim.handle(t("BF50", result), peer="p") == bytes.fromhex("BF50 09 BF53 06 800105 800106")
    assert order.state == "done"


def test_v1_0_stored_results_are_read_from_bf2b() -> None:
    card = Card()
    eim, _ = ordered(card, "data-request", "results")
    bare = card.epr()[3:] if card.epr()[2] < 0x80 else card.epr()[4:]
    eim.handle(t("BF50", t("BF52", t("A0", t("BF2B", t("A2", bare))))), peer="p")
    assert noted(eim, "acknowledged")[0]["numbers"] == [5]


@pytest.mark.parametrize("body", ["020101", "8005 3003 020101"])
def test_old_and_odd_forms_of_cannot_process_are_understood(body: str) -> None:
    eim, order = ordered(Card(), "trigger", "default")
    eim.handle(t("BF50", t("5A", EID), body))
    assert order.state == "failed"


def test_a_fixed_dialect_overrides_the_requests() -> None:
    eim = make_eim(settings=EimSettings(dialect="1.0"))
    assert eim.handle(bytes.fromhex("BF4F 12 5A10" + OTHER_EID)) == bytes.fromhex("BF4F03 02017F")


def test_tags_written_twice_are_read_and_on_request_written() -> None:
    card = Card()
    eim, order = ordered(card)
    assert eim.handle(t("BF50", provide(t("BF51", card.epr())))) == ACKNOWLEDGE_5
    assert order.state == "done"
    eim.settings.double_tags = True
    assert eim.handle(t("BF4F", POLL)) == bytes.fromhex("BF4F06 BF4F03 020101")
    assert eim.handle(provide(card.epr())) == bytes.fromhex("BF5009 BF5006 BF5303 800105")


# What is not served


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("BF39 12 8110" + "00" * 16, "BF3903 81017F"),
        ("BF3B 03 800101", "BF3B03 82017F"),
        ("BF3A 03 800101", "BF3A03 81017F"),
        ("BF41 03 800101", "BF4103 81017F"),
    ],
)
def test_relay_functions_get_undefined_error_until_somebody_serves_them(request_: str, answer: str) -> None:
    eim = make_eim()
    assert eim.handle(bytes.fromhex(request_)) == bytes.fromhex(answer)
    eim.esipa.functions[0xBF39] = lambda node: node.raw
    if request_.startswith("BF39"):
        assert eim.handle(bytes.fromhex(request_)) == bytes.fromhex(request_)


@pytest.mark.parametrize("body", ["", "00", "BF4F", "BF4F 12 5A10", "30 00", "BF4E 02 0500", "BF77 00", "FF" * 8])
def test_what_is_no_request_is_refused_and_written_down(body: str) -> None:
    eim = make_eim()
    with pytest.raises(RequestRefusedError):
        eim.handle(bytes.fromhex(body))
    assert eim.history


def test_what_is_no_euicc_certificate_is_refused() -> None:
    eim = make_eim()
    with pytest.raises(OrderError, match="no certificate"):
        eim.add_device(OTHER_EID, certificate_der=b"0\x00")


def test_raw_bytes_are_handed_out_as_package_and_as_whole_answer() -> None:
    eim = make_eim()
    package = eim.enqueue(EID, build_order(["raw", "BF5503 800101"]))
    whole = eim.enqueue(EID, build_order(["raw", "DEADBEEF", "--body"]))
    assert eim.handle(POLL) == bytes.fromhex("BF4F 06 BF5503 800101")
    eim.handle(bytes.fromhex("BF50 17 5A10" + EID + "A003 020102"))
    assert package.state == "failed"
    assert eim.handle(POLL) == bytes.fromhex("DEADBEEF")
    assert whole.state == "done"
    assert eim.handle(POLL) == NO_PACKAGE


def test_a_broken_package_made_by_hand_is_ended_by_the_cards_error() -> None:
    card = Card()
    eim = make_eim(card)
    order = eim.enqueue(EID, build_order(["raw", "BF5103 3005"]))
    eim.handle(POLL)
    assert eim.handle(provide(card.epe("7F"))) == NOTHING_TO_ACKNOWLEDGE
    assert order.state == "failed"


def test_a_hand_made_package_is_ended_by_whatever_result_it_gets() -> None:
    card = Card()
    eim = make_eim(card)
    order = eim.enqueue(EID, build_order(["raw", "BF5100"]))
    eim.handle(POLL)
    signed = t("30", "800165", "810109", "830105", t("30", "830100"))
    result = t("BF51", t("A0", signed, t("5F37", raw_signature(card.key, signed + bytes.fromhex("840100")))))
    eim.handle(provide(result))
    assert order.state == "done"
