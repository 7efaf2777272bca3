"""The eIM of v1.0 only: what its decoder stumbles over, and what becomes of the order on that connection.

Bytes by hand from the tables of the v1.0 module.
"""

from __future__ import annotations

import pytest

from ipad_agent.lab.eim import EimSettings, VirtualEim, build_order
from ipad_agent.lab.eim.esipa_v1_0 import unreadable

from .world import EID, NO_PACKAGE, POLL, make_eim, noted, t

ERROR = bytes.fromhex("A006 800101 020102")
UNSIGNED = bytes.fromhex("BF51 05 A203 800165")
DATA = bytes.fromhex("BF52 02 A000")


def eim_of_v1_0() -> VirtualEim:
    return make_eim(settings=EimSettings(dialect="1.0", only_v1_0=True, transaction_id_bytes=2))


def signed_result(transaction: str = "0A0A") -> bytes:
    """A result without a key to check it by: eimId e, counter 1, the transaction, number 5, enable ok."""
    data = t("30", "800165 810101", t("82", transaction), "830105", "3003830100")
    return t("BF51", t("A0", data, t("5F37", "00" * 64)))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (POLL, None),
        (bytes.fromhex("BF4F 14 5A10" + EID + "8000"), None),
        (bytes.fromhex("BF4F 17 5A10" + EID + "810362F210"), None),
        (bytes.fromhex("BF4F 17 5A10" + EID + "820362F210"), "unexpected 82"),
        (bytes.fromhex("BF4F 15 5A10" + EID + "810101"), "rPLMN (81) of another length"),
        (t("BF50", UNSIGNED), None),
        (t("BF50", "020102"), None),
        (t("BF50", t("5A", EID), UNSIGNED), "unexpected 5A"),
        (t("BF50", ERROR), "unexpected A0"),
        (t("BF50", t("30", UNSIGNED, "BF2B02A000")), None),
        (t("BF50", t("30", UNSIGNED, "A000")), "unexpected A0"),
        (t("BF50", "BF52 06 A004 8802 0000"), None),
        (t("BF50", "BF52 05 A103 020101"), "unexpected A1"),
        (t("BF50", "BF52 05 A003 810161"), "unexpected 81"),
        (t("BF50", "BF54 08 3006 80017F 040142"), "unexpected 4"),
        (t("BF39", t("81", "00" * 16), "830161"), None),
        (t("BF39", t("81", "00" * 16), "820101"), "unexpected 82"),
        (t("BF41", "80010A", t("A1", "BF4103810105")), None),
        (t("BF41", "80010A", t("A1", "810105")), "unexpected 81"),
        (t("BF3D", t("A0", "3000")), None),
        (t("BF3D", t("BF50", UNSIGNED)), "unexpected BF50"),
    ],
)
def test_what_its_decoder_stumbles_over(body: bytes, why: str | None) -> None:
    assert unreadable(body) == why


def test_a_result_with_the_eid_costs_it_the_order() -> None:
    eim = eim_of_v1_0()
    order = eim.enqueue(EID, build_order(["data-request", "info1"]))
    eim.exchange(POLL, peer="one")
    assert eim.exchange(t("BF50", t("5A", EID), DATA), peer="one").code == "5.00"
    assert order.state == "failed"
    assert eim.exchange(t("BF50", DATA), peer="one").code == "5.00"  # the order is gone
    assert [entry.get("aborted") for entry in noted(eim, "crash")] == [order.label, None]


def test_a_result_is_taken_once_with_an_empty_success() -> None:
    eim = eim_of_v1_0()
    order = eim.enqueue(EID, build_order(["data-request", "info1"]))
    eim.exchange(POLL, peer="one")
    assert eim.exchange(t("BF50", DATA), peer="one").body == bytes.fromhex("BF5000")
    assert order.state == "done"
    assert eim.exchange(t("BF50", DATA), peer="one").code == "5.00"


def test_a_result_on_another_connection_needs_the_transaction_of_its_order() -> None:
    for transaction, code in (("0A0A", None), ("0B0B", "5.00")):
        eim = eim_of_v1_0()
        order = eim.enqueue(EID, build_order(["list-profiles"]))
        eim.exchange(POLL, peer="one")
        assert eim.exchange(t("BF50", signed_result(transaction)), peer="two").code == code
        assert order.state == ("handed out" if code else "done")


def test_an_order_is_handed_out_once_and_aborted_by_the_next_question_on_its_connection() -> None:
    eim = eim_of_v1_0()
    first = eim.enqueue(EID, build_order(["list-profiles"]))
    assert eim.handle(POLL, peer="one") != NO_PACKAGE
    assert eim.handle(POLL, peer="two") == NO_PACKAGE
    assert first.state == "handed out"
    assert eim.handle(POLL, peer="one") == NO_PACKAGE
    assert first.state == "failed"


def test_its_triggers_and_data_requests_have_no_transaction() -> None:
    eim = eim_of_v1_0()
    eim.enqueue(EID, build_order(["trigger", "1$a.b$C"]))
    assert eim.handle(POLL, peer="one") == t("BF4F", t("BF54", t("A0", t("80", b"1$a.b$C"))))
