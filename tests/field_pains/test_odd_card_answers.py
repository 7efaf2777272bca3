"""Cards with one field that nobody can read, or without one that others have: they are served all the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

import device_in_memory
from device_in_memory import DOWNLOAD, HOUR_S, Device
from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A
from strange_modules import Prepare, es10_answers


def _with_field(element: Tlv, tag: int, field: str) -> bytes:
    """The element with another field in the place of that with this tag, or behind all others where there is none."""
    parts = [bytes.fromhex(field) if child.tag == tag else child.raw for child in element.children()]
    if element.find(tag) is None:
        parts.append(bytes.fromhex(field))
    return tlv.encode(element.tag, *parts)


def _in(function: int, tag: int, field: str) -> Prepare:
    return es10_answers(function, lambda raw: _with_field(tlv.parse(raw), tag, field))


def _in_list(function: int, change: Callable[[Tlv], bytes]) -> Prepare:
    """Change every entry of the list (A0) that this function answers."""

    def changed(raw: bytes) -> bytes:
        listed = tlv.parse(raw).find(0xA0)
        if listed is None:
            return raw
        return tlv.encode(function, tlv.encode(0xA0, *(change(entry) for entry in listed.children())))

    return es10_answers(function, changed)


def _in_entries(function: int, tag: int, field: str) -> Prepare:
    return _in_list(function, lambda entry: _with_field(entry, tag, field))


def _of_enabled(field: str) -> Prepare:
    """Another state of the enabled profile."""

    def change(entry: Tlv) -> bytes:
        state = entry.find(0x9F70)
        return _with_field(entry, 0x9F70, field) if state is not None and state.value == b"\1" else entry.raw

    return _in_list(0xBF2D, change)


def _carries_out_orders(prepare: Prepare) -> list[tuple[str, Mapping[str, object]]]:
    async def story(device: Device) -> list[tuple[str, Mapping[str, object]]]:
        order = await device.carried_out(f"enable {OPERATOR_A}", within_s=HOUR_S)
        assert order.state == "done"
        assert device.world.card.enabled_iccid == device.world.seen == OPERATOR_A
        order = await device.carried_out(DOWNLOAD, within_s=HOUR_S)
        assert order.state == "done"
        assert device.installed
        return list(device.said)

    return device_in_memory.live(story, prepare=prepare)


@pytest.mark.parametrize(
    "prepare",
    [
        _in(0xBF22, 0x90, "9000"),
        _in(0xBF22, 0x8B, "8B00"),
        _in(0xBF22, 0xA9, "A90101"),
        _in(0xBF22, 0xB4, "B40101"),
        _in_entries(0xBF55, 0x82, "8200"),
        _in_entries(0xBF55, 0x83, "8300"),
        _in_entries(0xBF55, 0x84, "8414" + "01" * 20),
        _in_entries(0xBF2D, 0x95, "9500"),
        _in_entries(0xBF2D, 0x9F26, "9F2600"),
    ],
    ids=[
        *("ipaMode", "euiccCategory", "key identifiers", "iotSpecificInfo"),
        *("eimIdType", "counterValue", "associationToken", "profileClass", "fallbackAttribute"),
    ],
)
def test_a_number_that_is_none_hides_nothing_else(prepare: Prepare) -> None:
    said = _carries_out_orders(prepare)
    assert any(id_ == "IPA-9010" for id_, _ in said), "what was tolerated is said"


def test_the_list_of_eims_is_wrapped_twice() -> None:
    def wrapped(raw: bytes) -> bytes:
        listed = tlv.parse(raw).require(0xA0)
        return tlv.encode(0xBF55, tlv.encode(0xA0, tlv.encode(0x30, listed.value)))

    _carries_out_orders(es10_answers(0xBF55, wrapped))


def test_an_iot_card_without_the_mark_of_one_is_managed() -> None:
    def unmarked(raw: bytes) -> bytes:
        return tlv.encode(0xBF22, *(field.raw for field in tlv.parse(raw).children() if field.tag != 0xB4))

    said = _carries_out_orders(es10_answers(0xBF22, unmarked))
    assert "IPA-9070" in [id_ for id_, _ in said]


@pytest.mark.parametrize("field", ["9F7000", "9F7001FF", "9F700102", ""])
def test_what_is_enabled_is_known_from_the_modem_where_the_card_tells_no_state(field: str) -> None:
    said = _carries_out_orders(_of_enabled(field))
    assert "IPA-9069" in [id_ for id_, _ in said]
    [armed] = [facts for id_, facts in said if id_ == "IPA-4201"]
    assert str(armed["previous"]).endswith(BOOTSTRAP[-4:]), "the way back is known"


def test_no_profile_is_never_claimed_while_the_only_enabled_one_cannot_be_read() -> None:
    """The modem sees no profile either, so that nobody knows: no eIM hears of a change."""

    async def story(device: Device) -> None:
        order = device.order(f"enable {OPERATOR_A}")
        await device.until(lambda: order.state in ("done", "failed"))
        assert order.state == "failed", "the order would have had no way back"
        assert device.told("IPA-4346"), "it is said why"
        assert not device.told("IPA-4006"), "no change is claimed"
        assert device.world.card.enabled_iccid == BOOTSTRAP

    def unreadable(entry: Tlv) -> bytes:
        return _with_field(tlv.parse(_with_field(entry, 0x5A, "5A0102")), 0x9F70, "9F7000")

    device_in_memory.live(story, prepare=_in_list(0xBF2D, unreadable))
