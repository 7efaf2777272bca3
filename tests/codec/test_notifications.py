"""Notifications and stored results as cards hand them out, clean and odd."""

from __future__ import annotations

import pytest

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.es10.notifications import (
    ListedNotifications,
    NotificationEvent,
    NotificationMetadata,
    PendingNotification,
    RetrievedNotifications,
)
from ipad_agent.codec.identifiers import Iccid
from ipad_agent.errors import CodecError

from .vectors import (
    COMPACT_OTHER,
    COMPACT_PIR,
    ICCID_DIGITS,
    LISTED,
    NOTIFICATION_ENABLE,
    PIR_FAILED,
    PIR_OK,
    RESULT_SIGNED,
    RESULT_SIGNED_V10,
    RETRIEVED,
    RETRIEVED_BOTH_V10,
    RETRIEVED_RESULTS,
    RETRIEVED_RESULTS_V10,
    H,
)

ICCID = Iccid.parse(ICCID_DIGITS)


def metadata(event: str, *, rest: str = "0C0161") -> NotificationMetadata:
    return NotificationMetadata.parse(tlv.encode(0xBF2F, H("800105", event, rest)))


def test_a_signed_notification_is_read() -> None:
    read = PendingNotification.parse(NOTIFICATION_ENABLE)
    assert (read.raw, read.kind, read.seq_number) == (NOTIFICATION_ENABLE, "other", 5)
    assert (read.event, read.address, read.iccid) == (NotificationEvent.ENABLE, "smdp.example", ICCID)
    assert (read.installation, read.tolerances) == (None, ())


def test_an_installation_result_is_read() -> None:
    read = PendingNotification.parse(PIR_OK)
    assert (read.kind, read.seq_number, read.event) == ("installation_result", 6, NotificationEvent.INSTALL)
    assert read.installation is not None
    assert read.installation.success
    assert read.installation.transaction_id == b"\x0a\x0b"
    assert read.installation.smdp_oid == H("2B060104")
    assert read.installation.aid == H("A0000005591010FFFFFFFF8900001200")


def test_a_failed_installation_says_where_and_why() -> None:
    read = PendingNotification.parse(PIR_FAILED).installation
    assert read is not None
    assert read.bpp_command is not None
    assert read.error_reason is not None
    assert not read.success
    assert read.bpp_command.name == "loadProfileElements"
    assert read.error_reason.name == "installFailedDueToInsufficientMemoryForProfile"


def test_the_aid_under_80_is_read() -> None:
    read = PendingNotification.parse(PIR_OK.replace(b"\x4f\x10", b"\x80\x10"))
    assert read.installation is not None
    assert read.installation.aid == H("A0000005591010FFFFFFFF8900001200")
    assert read.tolerances == ("aid-80",)


def test_an_installation_result_with_unreadable_details_is_still_a_notification() -> None:
    read = PendingNotification.parse(PIR_FAILED.replace(H("A106 800105 81010A"), H("B106 800105 81010A")))
    assert (read.seq_number, read.installation, read.tolerances) == (7, None, ("unreadable-element",))


def test_the_compact_forms_are_read() -> None:
    read = PendingNotification.parse(COMPACT_PIR)
    assert (read.kind, read.seq_number, read.address) == ("compact_installation_result", 6, "")
    assert read.installation is not None
    assert read.installation.aid == b"\x12\x00"
    other = PendingNotification.parse(COMPACT_OTHER)
    assert (other.kind, other.seq_number, other.event) == ("compact_other", 5, NotificationEvent.ENABLE)


@pytest.mark.parametrize(
    ("field", "event"),
    [("81020780", 0), ("81020640", 1), ("81020520", 2), ("81020410", 3), ("81020080", 0), ("81020040", 1)],
)
def test_events_are_read_with_and_without_their_trailing_zeros(field: str, event: int) -> None:
    read = metadata(field)
    assert (read.event, read.tolerances) == (event, ())


@pytest.mark.parametrize(
    ("field", "event"),
    [("810180", 0), ("810110", 3), ("810103", None), ("81020480", 0), ("810204C0", None), ("8100", None), ("", None)],
)
def test_an_event_that_is_no_bit_string_is_guessed_only_when_it_is_one_bit(field: str, event: int | None) -> None:
    read = metadata(field)
    assert read.event == event
    assert read.seq_number == 5
    assert read.tolerances == (() if field == "81020480" else ("odd-notification-event",))


def test_an_iccid_that_cannot_be_read_is_its_octets() -> None:
    read = metadata("81020640", rest="0C0161 5A0AAAAAAAAAAAAAAAAAFAAA")
    assert (str(read.iccid), read.tolerances) == ("0xAAAAAAAAAAAAAAAAFAAA", ("unreadable-identifier",))


@pytest.mark.parametrize("data", ["BF2F 00", "30 00", "30 03 BF2F00", "BF37 00", "5A00", "A000"])
def test_what_is_no_notification_is_refused(data: str) -> None:
    with pytest.raises(CodecError):
        PendingNotification.parse(H(data))


def test_a_list_of_notifications_is_read() -> None:
    read = RetrievedNotifications.parse(RETRIEVED)
    assert [item.raw for item in read.notifications] == [NOTIFICATION_ENABLE, PIR_OK]
    assert (read.package_results, read.error, read.unreadable, read.tolerances) == ((), None, (), ())


@pytest.mark.parametrize(
    ("raw", "inside", "tolerances"),
    [
        (RETRIEVED_RESULTS, RESULT_SIGNED, ()),
        (RETRIEVED_RESULTS_V10, RESULT_SIGNED_V10, ("bare-package-result",)),
    ],
)
def test_a_list_of_results_is_read_in_both_dialects(raw: bytes, inside: bytes, tolerances: tuple[str, ...]) -> None:
    read = RetrievedNotifications.parse(raw)
    assert [item.raw for item in read.package_results] == [inside]
    assert [item.relay_raw for item in read.package_results] == [RESULT_SIGNED]
    assert read.tolerances == tolerances


def test_the_combined_list_of_v1_0_is_read() -> None:
    read = RetrievedNotifications.parse(RETRIEVED_BOTH_V10)
    assert [item.seq_number for item in read.notifications] == [5]
    assert [item.seq_number for item in read.package_results] == [42]
    assert "combined-notification-list" in read.tolerances


@pytest.mark.parametrize(
    ("data", "error", "tolerances"),
    [
        ("BF2B 03 81017F", 127, ()),
        ("BF2B 03 02017F", 127, ("universal-integer",)),
        ("81017F", 127, ("missing-outer-tag",)),
        ("BF2B 02 A000", None, ()),
        ("BF2B 00", None, ("empty-answer",)),
        ("A000", None, ("missing-outer-tag",)),
        ("BF2B 05 BF2B 02 A000", None, ("doubled-tag",)),
    ],
)
def test_errors_and_empty_lists_are_read(data: str, error: int | None, tolerances: tuple[str, ...]) -> None:
    read = RetrievedNotifications.parse(H(data))
    assert (read.notifications, read.package_results, read.error) == ((), (), error)
    assert read.tolerances == tolerances


def test_a_list_under_a_foreign_tag_is_read_when_it_can_be_nothing_else() -> None:
    read = RetrievedNotifications.parse(b"\xbf\x2c" + RETRIEVED[2:])
    assert [item.seq_number for item in read.notifications] == [5, 6]
    assert read.tolerances == ("foreign-outer-tag",)


@pytest.mark.parametrize("data", [LISTED, H("BF28 02 A000"), H("BF55 05 A003 800165"), H("BF30 03 800100"), H("9000")])
def test_another_functions_answer_is_not_taken_for_a_notification_list(data: bytes) -> None:
    with pytest.raises(CodecError):
        RetrievedNotifications.parse(data)


def test_one_broken_notification_does_not_hide_the_others() -> None:
    broken = H("30 03 020100")
    read = RetrievedNotifications.parse(tlv.encode(0xBF2B, tlv.encode(0xA0, broken, NOTIFICATION_ENABLE)))
    assert [item.seq_number for item in read.notifications] == [5]
    assert [item.raw for item in read.unreadable] == [broken]
    assert read.tolerances == ("unreadable-element",)


def test_listed_notifications_are_read() -> None:
    read = ListedNotifications.parse(LISTED)
    assert [(item.seq_number, item.event, item.address) for item in read.notifications] == [(5, 1, "smdp.example")]
    assert ListedNotifications.parse(H("BF28 03 81017F")).error == 127
    assert ListedNotifications.parse(H("BF28 00")).tolerances == ("empty-answer",)
    mixed = ListedNotifications.parse(H("BF28 04 A002 3000"))
    assert len(mixed.unreadable) == 1
