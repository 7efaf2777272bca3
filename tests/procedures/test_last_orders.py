"""What became of the last order of an eIM: kept for people, over restarts, and never more than it is."""

from __future__ import annotations

import pytest

from ipad_agent.codec.ber.code_names import DELETE, ENABLE, PACKAGE_ERROR
from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.codec.es10 import euicc_package
from ipad_agent.errors import StoreError
from ipad_agent.procedures import order_outcomes
from ipad_agent.procedures.records.last_orders import DOCUMENT, MAX_EIMS, LastOrders, OrderOutcome

from .fakes import FakeMemory

EID = "89049032000000000000000012345644"
FAILED = OrderOutcome("eim1", "delete …0011", False, "profileNotInDisabledState", "that profile is enabled")
DONE = OrderOutcome("eim1", "enable …0027", True)
ASKED = OrderOutcome("eim1", "listProfileInfo", True, question=True)


class Clock:
    def wall(self) -> float:
        return 1.8e9

    def monotonic(self) -> float:
        return 100.0

    def boot_id(self) -> str:
        return "boot 1"


class RefusingMemory(FakeMemory):
    def save(self, name: str, document: object) -> None:
        raise StoreError("the disk is full")


def test_the_last_order_outlives_the_process() -> None:
    memory = FakeMemory()
    LastOrders(memory, Clock()).note(EID, FAILED)
    assert LastOrders(memory, Clock()).all(EID)["eim1"].outcome == FAILED


def test_another_order_takes_its_place() -> None:
    orders = LastOrders(FakeMemory(), Clock())
    orders.note(EID, FAILED)
    orders.note(EID, DONE)
    assert orders.all(EID)["eim1"].outcome == DONE


def test_a_question_does_not_hide_that_an_order_failed_but_a_question_that_failed_is_told() -> None:
    orders = LastOrders(FakeMemory(), Clock())
    assert orders.note(EID, ASKED) is not None
    orders.note(EID, FAILED)
    assert orders.note(EID, ASKED) is None
    assert orders.all(EID)["eim1"].outcome == FAILED
    failed = OrderOutcome("eim1", "a question", False, question=True)
    orders.note(EID, failed)
    assert orders.all(EID)["eim1"].outcome == failed


def test_orders_of_another_card_are_not_shown() -> None:
    orders = LastOrders(FakeMemory(), Clock())
    orders.note(EID, FAILED)
    assert orders.all("89049032000000000000000000000163") == {}


def test_an_eim_with_many_names_does_not_fill_the_disk() -> None:
    memory = FakeMemory()
    orders = LastOrders(memory, Clock())
    for number in range(3 * MAX_EIMS):
        orders.note(EID, OrderOutcome(f"eim{number}", "x" * 5000, False, "y" * 5000, "z" * 5000))
    assert len(orders.all(EID)) == MAX_EIMS
    assert len(repr(memory.documents[DOCUMENT])) < 20_000


def test_a_disk_that_refuses_keeps_nobody_from_being_told() -> None:
    assert LastOrders(RefusingMemory(), Clock()).note(EID, FAILED) is not None


@pytest.mark.parametrize("orders", [None, 7, [7], [[]], [["eim1", 3, None, None, True, False, [0, 0, ""]]], ["x"]])
def test_a_document_nobody_would_have_written_is_none(orders: object) -> None:
    memory = FakeMemory()
    memory.save(DOCUMENT, {"eid": EID, "orders": orders})
    assert LastOrders(memory, Clock()).all(EID) == {}


def test_every_word_of_the_card_has_a_meaning_in_plain_words() -> None:
    for names in (ENABLE, DELETE, PACKAGE_ERROR):
        for number, word in names.items():
            assert number == 0 or order_outcomes.meaning_of("", word) is not None, word
    assert order_outcomes.meaning_of("delete", "profileNotInDisabledState") == (
        "that profile is enabled, and only a disabled one can be deleted"
    )


def test_a_number_that_nobody_has_named_is_told_as_it_is() -> None:
    assert order_outcomes.meaning_of("enable", "42") is None


def test_an_operation_that_cannot_be_read_is_no_success() -> None:
    # BF51 { A0 { 30 { 80 eimId, 81 counter, 83 sequence number, 30 { 83 without a value } }, 5F37 } }
    raw = bytes.fromhex("BF5118 A016 3010 800465696D31 810101 830107 30028300 5F370100")
    result = euicc_package.EuiccPackageResult.parse(raw)
    assert [operation.ok for operation in result.results] == [False]
    outcome = order_outcomes.of_package("eim1", b"", result)
    assert (outcome.ok, outcome.words) == (False, "enable failed")


def test_a_result_in_a_sentence_is_its_name() -> None:
    assert f"removed ({ResultCode(0, ENABLE)})" == "removed (ok)"
    assert str(ResultCode(99)) == "99"
