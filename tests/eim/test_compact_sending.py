"""What is left out towards an eIM, and when it is sent again. Message bytes are by hand from SGP.32 v1.2's ASN.1."""

from __future__ import annotations

import contextlib

import pytest

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.codec.identifiers import Eid, Plmn
from ipad_agent.eim.compact_sending import NETWORK_FOR_S, TOLD_FOR_S, CompactSending
from ipad_agent.eim.esipa_client import EimClient
from ipad_agent.errors import IpadError
from ipad_agent.net import PeerStatus, Unreachable

from .test_client import EID, EID_HEX, MINIMAL, NOTHING, UNDEFINED, Carrier

NETWORK = bytes.fromhex("bf4f17" + "5a10" + EID_HEX + "820362f210")  # with rPLMN 262/01
OTHER_NETWORK = bytes.fromhex("bf4f17" + "5a10" + EID_HEX + "820362f220")  # 262/02
EIM_ERROR = bytes.fromhex("bf4f03020102")  # eidNotFound
HOME, AWAY = Plmn.parse("26201"), Plmn.parse("26202")
ACK = bytes.fromhex("bf5002 3000")
EUICC, EUM = bytes.fromhex("300a0408" + "01" * 8), bytes.fromhex("300a0408" + "02" * 8)
# BF52 { A0 { A5 EUM, A6 eUICC, A8 { 80 ipaFeatures } } }: bits 1 and 5 are 44, so 80 02 02 44; 12 + 12 + 6 = 30 = 1E
DATA = bytes.fromhex("bf5220 a01e a50a0408" + "02" * 8 + "a60a0408" + "01" * 8 + "a804 80020244")
WITHOUT = bytes.fromhex("bf5220 a01e a50a0408" + "02" * 8 + "a60a0408" + "01" * 8 + "a804 80020640")
# BF2F { seqNumber 9, enable, "a.b", no ICCID }: 3 + 4 + 5 = 12 = 0C; 15 + 5 + 12 + 12 = 44 = 2C
METADATA = "bf2f0c 800109 81020640 0c03612e62"
NOTIFICATION = bytes.fromhex("302c" + METADATA + "5f3702aabb") + EUICC + EUM
# A1 { 5A (18), BF2F (15), 5F37 (5) } = 38 = 26
SHORT = bytes.fromhex("a126 5a10" + EID_HEX + METADATA + "5f3702aabb")


class Time:
    """A clock to be moved."""

    def __init__(self) -> None:
        self.s = 1.8e9

    def wall(self) -> float:
        return self.s

    def monotonic(self) -> float:
        return self.s

    def boot_id(self) -> str:
        return "boot"


class Kept:
    """A document."""

    def __init__(self) -> None:
        self.document: dict[str, object] = {}

    def load(self) -> dict[str, object]:
        return self.document

    def save(self, document: object) -> None:
        assert isinstance(document, dict)
        self.document = document


def told(time: Time, kept: Kept | None = None, data: bytes = DATA) -> CompactSending:
    sending = CompactSending(memory=kept, clock=time)
    sending.result_taken(data)
    return sending


def client(compact: CompactSending, *answers: bytes | Exception) -> tuple[EimClient, Carrier]:
    carrier = Carrier(*answers)
    return EimClient(carrier, EID, eim_id="eim-1", compact=compact), carrier


def bodies(carrier: Carrier) -> list[bytes]:
    return [body for _, body in carrier.asked]


async def test_an_unchanged_network_is_told_once() -> None:
    compact = told(Time())
    eim, carrier = client(compact, NOTHING, NOTHING, NOTHING)
    for _ in range(3):
        await eim.get_eim_package(rplmn=HOME)
    assert bodies(carrier) == [NETWORK, MINIMAL, MINIMAL]
    assert compact.saved_bytes == 10


async def test_another_network_is_told_at_once() -> None:
    eim, carrier = client(told(Time()), NOTHING, NOTHING, NOTHING)
    for network in (HOME, AWAY, AWAY):
        await eim.get_eim_package(rplmn=network)
    assert bodies(carrier) == [NETWORK, OTHER_NETWORK, MINIMAL]


async def test_the_network_is_told_again_after_a_day() -> None:
    time = Time()
    eim, carrier = client(told(time), NOTHING, NOTHING, NOTHING)
    await eim.get_eim_package(rplmn=HOME)
    time.s += NETWORK_FOR_S - 1
    await eim.get_eim_package(rplmn=HOME)
    time.s += 1
    await eim.get_eim_package(rplmn=HOME)
    assert bodies(carrier) == [NETWORK, MINIMAL, NETWORK]


async def test_the_network_is_told_again_after_a_restart() -> None:
    kept, time = Kept(), Time()
    for compact in (told(time, kept), CompactSending(memory=kept, clock=time)):
        assert compact.active
        eim, carrier = client(compact, NOTHING)
        await eim.get_eim_package(rplmn=HOME)
        assert bodies(carrier) == [NETWORK]


@pytest.mark.parametrize(
    "trouble",
    [EIM_ERROR, UNDEFINED, b"\x00\x00", PeerStatus("5.00"), PeerStatus("4.04"), Unreachable("nobody")],
    ids=["eidNotFound", "undefined", "no message", "5.00", "4.04", "unreachable"],
)
async def test_the_network_is_told_again_after_any_trouble(trouble: bytes | Exception) -> None:
    eim, carrier = client(told(Time()), NOTHING, trouble, NOTHING)
    await eim.get_eim_package(rplmn=HOME)
    with contextlib.suppress(IpadError):
        await eim.get_eim_package(rplmn=HOME)
    await eim.get_eim_package(rplmn=HOME)
    assert bodies(carrier) == [NETWORK, MINIMAL, NETWORK]


async def test_a_network_that_was_lost_is_told_again() -> None:
    eim, carrier = client(told(Time()), NOTHING, NOTHING, NOTHING)
    for network in (HOME, None, HOME):
        await eim.get_eim_package(rplmn=network)
    assert bodies(carrier) == [NETWORK, MINIMAL, NETWORK]


async def test_a_state_change_is_never_left_out() -> None:
    eim, carrier = client(told(Time()), NOTHING, NOTHING)
    for _ in range(2):
        await eim.get_eim_package(state_change=StateChangeCause.FALLBACK, rplmn=HOME)
    assert bodies(carrier) == [bytes.fromhex("bf4f1c5a10" + EID_HEX + "8000" + "810101" + "820362f210")] * 2


@pytest.mark.parametrize("data", [WITHOUT, None], ids=["announced without it", "never asked"])
async def test_an_eim_that_was_not_told_of_compact_forms_hears_everything(data: bytes | None) -> None:
    compact = CompactSending(clock=Time()) if data is None else told(Time(), data=data)
    eim, carrier = client(compact, NOTHING, NOTHING, b"")
    for _ in range(2):
        await eim.get_eim_package(rplmn=HOME)
    await eim.handle_notification(NOTIFICATION)
    assert bodies(carrier)[:2] == [NETWORK, NETWORK]
    assert NOTIFICATION in bodies(carrier)[2]


async def test_a_notification_goes_without_the_certificates_that_the_eim_has() -> None:
    eim, carrier = client(told(Time()), b"")
    await eim.handle_notification(NOTIFICATION)
    # BF3D { A0 { A1 (40) } }
    assert bodies(carrier) == [bytes.fromhex("bf3d2a a028") + SHORT]


async def test_a_notification_that_is_refused_without_certificates_goes_with_them_and_so_does_the_next() -> None:
    eim, carrier = client(told(Time()), PeerStatus("5.02"), b"", b"")
    for _ in range(2):
        await eim.handle_notification(NOTIFICATION)
    # BF3D { A0 { 30 (46) } }
    full = bytes.fromhex("bf3d30 a02e") + NOTIFICATION
    assert bodies(carrier) == [bytes.fromhex("bf3d2a a028") + SHORT, full, full]


async def test_certificates_of_another_card_are_not_left_out() -> None:
    other = tlv.encode(0x30, bytes.fromhex(METADATA + "5f3702aabb"), EUM, EUICC)
    eim, carrier = client(told(Time()), b"")
    await eim.handle_notification(other)
    assert other in bodies(carrier)[0]


async def test_release_1_0_has_no_room_for_the_card_in_a_compact_notification() -> None:
    carrier = Carrier(b"")
    eim = EimClient(carrier, EID, eim_id="eim-1", dialect="1.0", compact=told(Time()))
    await eim.handle_notification(NOTIFICATION)
    assert NOTIFICATION in bodies(carrier)[0]


async def test_certificates_are_told_again_after_a_month_without_a_sign_that_they_are_known() -> None:
    time = Time()
    compact = told(time)
    time.s += TOLD_FOR_S - 1
    assert compact.notification(NOTIFICATION, EID, with_eid=True) == SHORT
    compact.certificates_shown()
    time.s += TOLD_FOR_S - 1
    assert compact.notification(NOTIFICATION, EID, with_eid=True) == SHORT
    time.s += 1
    assert compact.notification(NOTIFICATION, EID, with_eid=True) is None


async def test_a_clock_that_was_set_back_leaves_nothing_out() -> None:
    time = Time()
    compact = told(time)
    time.s -= 10
    assert compact.notification(NOTIFICATION, EID, with_eid=True) is None


async def test_a_damaged_memory_is_an_empty_one() -> None:
    kept = Kept()
    kept.document = {"announced": 5, "certificates": ["x"], "euiccInfo2": None}
    assert not CompactSending(memory=kept, clock=Time()).active


def test_a_result_travels_with_notifications_without_certificates() -> None:
    result = bytes.fromhex("bf5108a206800165840103")  # an unsigned package error stands for a result
    whole = tlv.encode(0x30, result, tlv.encode(0xA0, NOTIFICATION))
    compact = told(Time()).result(whole, Eid.parse(EID_HEX))
    assert compact is not None
    # 30 { BF51 (11), A0 { A1 (40) } (42) } = 53 = 35
    assert compact.body == bytes.fromhex("3035") + result + bytes.fromhex("a028") + SHORT
    assert compact.shortened == {9}


@pytest.mark.parametrize("status", ["4.00", "4.06", "4.15", "5.00", "5.02", "406"])
async def test_a_result_that_is_refused_in_compact_form_goes_in_full_at_once_whatever_the_status(status: str) -> None:
    result = tlv.encode(0x30, bytes.fromhex("bf5108a206800165840103"), tlv.encode(0xA0, NOTIFICATION))
    compact = told(Time())
    eim, carrier = client(compact, PeerStatus(status), ACK)
    assert (await eim.provide_eim_package_result(result)).error is None
    assert SHORT in bodies(carrier)[0]
    assert NOTIFICATION in bodies(carrier)[1]
    assert not compact.active


async def test_an_eim_that_is_in_trouble_anyway_is_not_taken_for_one_without_compact_forms() -> None:
    result = tlv.encode(0x30, bytes.fromhex("bf5108a206800165840103"), tlv.encode(0xA0, NOTIFICATION))
    compact = told(Time())
    eim, _ = client(compact, *[PeerStatus("4.04")] * 2)
    with pytest.raises(PeerStatus):
        await eim.provide_eim_package_result(result)
    assert compact.active
