"""Modules and cards that write their answers in ways that the lab does not know: orders are carried out anyway."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

import device_in_memory
import strange_modules
from device_in_memory import DOWNLOAD, HOUR_S, Device
from ipad_agent.lab.euicc import OPERATOR_A, Quirks
from strange_modules import AnsweredAs, SaidAs, answers, every, refuses, says

_ANSWER = re.compile(r'(\+(?:CGLA|CSIM): )(\d+),"([0-9A-F]*)"')
_DONE = re.compile(r'(\+(?:CGLA|CSIM): \d+,"[0-9A-F]*)9000"')


def _carries_out_orders(modem: str, prepare: strange_modules.Prepare) -> list[tuple[str, object]]:
    """An enable and a download; what the agent said."""

    async def story(device: Device) -> list[tuple[str, object]]:
        order = await device.carried_out(f"enable {OPERATOR_A}", within_s=HOUR_S)
        assert order.state == "done"
        assert device.world.card.enabled_iccid == device.world.seen == OPERATOR_A
        order = await device.carried_out(DOWNLOAD, within_s=HOUR_S)
        assert order.state == "done"
        assert device.installed
        return list(device.said)

    return device_in_memory.live(story, modem=modem, prepare=prepare)


def _apart(match: re.Match[str]) -> str:
    name, data, status = match[1], match[3][:-4], match[3][-4:]
    return f'{name}{len(data)},"{data}"\r\n{name}4,"{status}"' if data else match[0]


WAYS_TO_WRITE: dict[str, SaidAs] = {
    "the length in octets": lambda _, text: _ANSWER.sub(lambda m: f'{m[1]}{len(m[3]) // 2},"{m[3]}"', text),
    "the same line twice": lambda _, text: _ANSWER.sub(lambda m: f"{m[0]}\r\n\r\n{m[0]}", text),
    "the status word in a line of its own": lambda _, text: _ANSWER.sub(_apart, text),
}


@pytest.mark.parametrize("name", ["generic-3gpp", "simcom-sim7600"])
@pytest.mark.parametrize("what", sorted(WAYS_TO_WRITE))
def test_answers_to_apdus_are_written_in_another_way(what: str, name: str) -> None:
    said = _carries_out_orders(name, says(WAYS_TO_WRITE[what]))
    assert [facts for id_, facts in said if id_ == "IPA-9067"] == [{"what": what}]


@pytest.mark.parametrize(
    "behind", ['{0},"6F10A0000005591010FFFFFFFF89000001009000"', "{0},0", '"{0}", 1'], ids=["FCI", "two", "quoted"]
)
def test_more_than_the_session_id_behind_ccho(behind: str) -> None:
    """On a module that has no other way to the card."""

    def change(_: str, text: str) -> str:
        return re.sub(r"(?<=\+CCHO: )[^\r,]+", lambda match: behind.format(match[0]), text)

    async def story(device: Device) -> None:
        await device.carried_out(f"enable {OPERATOR_A}", within_s=HOUR_S)
        assert not device.sent_to("AT+CSIM=22")

    device_in_memory.live(story, changes={"transports": "cgla"}, prepare=says(change))


@pytest.mark.parametrize("behind", ["\r\nOK\r\n", "> "], ids=["twice", "prompt"])
def test_the_result_is_said_twice_or_followed_by_a_prompt(behind: str) -> None:
    _carries_out_orders("generic-3gpp", says(lambda _, text: text.replace("\r\nOK\r\n", f"\r\nOK\r\n{behind}")))


def _cut(match: re.Match[str]) -> str:
    half = len(match[3]) // 2
    return f'{match[1]}{match[2]},"{match[3][:half]}\r\n+CEREG: 1\r\n{match[3][half:]}"'


@pytest.mark.parametrize("name", ["generic-3gpp", "simcom-sim7600"])
@pytest.mark.parametrize(
    "change",
    [lambda match: f"+CEREG: 1{match[0]}", lambda match: f"{match[0]}+CEREG: 1", _cut],
    ids=["before", "behind", "inside"],
)
def test_an_unsolicited_result_sticks_to_answers(change: Callable[[re.Match[str]], str], name: str) -> None:
    """In a download no answer can be asked for a second time."""
    _carries_out_orders(name, says(lambda _, text: _ANSWER.sub(change, text)))


@pytest.mark.parametrize("name", ["generic-3gpp", "simcom-sim7600"])
@pytest.mark.parametrize("status", ["9112", "9203", "6200", "63C0"])
def test_every_command_ends_with_a_remark(status: str, name: str) -> None:
    """A toolkit command that always waits, memory written after retries, warnings: the card did what it was told."""
    _carries_out_orders(name, says(lambda _, text: _DONE.sub(rf'\g<1>{status}"', text)))


def _announced_by(status: str) -> AnsweredAs:
    def change(apdu: bytes, answer: bytes) -> bytes:
        es10 = apdu[0] & 0x80 and apdu[1] == 0xE2
        return answer[:-2] + bytes.fromhex(status) if es10 and answer[-2] == 0x61 else answer

    return change


@pytest.mark.parametrize("name", ["generic-3gpp", "simcom-sim7600"])
@pytest.mark.parametrize("status", ["6200", "62F3", "63F1", "9112", "9203"])
def test_data_are_fetched_though_a_remark_took_the_place_of_61xx(status: str, name: str) -> None:
    said = _carries_out_orders(name, answers(_announced_by(status)))
    assert "IPA-9068" in [id_ for id_, _ in said]


def test_data_are_announced_as_on_old_sims() -> None:
    def change(apdu: bytes, answer: bytes) -> bytes:
        announces = answer[-2] == 0x61 and (apdu[0] & 0x80 or apdu[1] in (0xA4, 0xC0))
        return answer[:-2] + bytes([0x9F, answer[-1]]) if announces else answer

    _carries_out_orders("simcom-sim7600", answers(change))


@pytest.mark.parametrize("filling", ["00", "FFFFFF"])
def test_answers_are_filled_up(filling: str) -> None:
    tags = (0xBF20, 0xBF22, 0xBF2B, 0xBF2D, 0xBF30, 0xBF3E, 0xBF51, 0xBF55)
    vices = (strange_modules.es10_answers(tag, lambda raw: raw + bytes.fromhex(filling)) for tag in tags)
    said = _carries_out_orders("generic-3gpp", strange_modules.together(*vices))
    assert "IPA-9099" in [id_ for id_, _ in said]


@pytest.mark.parametrize("name", ["generic-3gpp", "simcom-sim7600"])
@pytest.mark.parametrize("status", ["6F00", "6400", "6985", "6A88", "6D00", "6999", "6881"])
def test_the_first_command_behind_each_select_is_refused(status: str, name: str) -> None:
    selected = False

    def change(apdu: bytes, answer: bytes) -> bytes:
        nonlocal selected
        refused = selected and bool(apdu[0] & 0x80) and apdu[1] == 0xE2
        selected = (selected or (apdu[1] == 0xA4 and apdu[2] == 0x04)) and not refused
        return bytes.fromhex(status) if refused else answer

    said = _carries_out_orders(name, answers(change))
    assert [id_ for id_, _ in said].count("IPA-9084") == 1


@pytest.mark.parametrize("name", ["generic-3gpp", "simcom-sim7600"])
@pytest.mark.parametrize("most", [120, 60])
def test_the_card_takes_shorter_blocks_only(most: int, name: str) -> None:
    """A package of one block is refused for its length: it was not executed, and goes again in shorter ones."""

    def decide(apdu: bytes) -> str | None:
        return "6700" if apdu[0] & 0x80 and apdu[1] == 0xE2 and apdu[4] > most else None

    _carries_out_orders(name, refuses(decide))


@pytest.mark.parametrize("name", ["generic-3gpp", "simcom-sim7600"])
@pytest.mark.parametrize("instruction", [0xC0, 0xE2], ids=["GET RESPONSE", "STORE DATA"])
def test_the_toolkit_of_the_card_is_busy_now_and_then(instruction: int, name: str) -> None:
    _carries_out_orders(name, refuses(every(5, instruction, "9300")))


@pytest.mark.parametrize("status", ["6F00", "6400", "6581"])
def test_each_kind_of_question_is_refused_once(status: str) -> None:
    """One 6F00 to GetEUICCChallenge is no reason to tell the eIM that its download failed."""
    asked: set[bytes] = set()
    questions = {bytes.fromhex(tag) for tag in ("BF20", "BF22", "BF2B", "BF2D", "BF2E", "BF55", "BF56")}

    def decide(apdu: bytes) -> str | None:
        tag = apdu[5:7]
        if not (apdu[0] & 0x80 and apdu[1] == 0xE2 and apdu[3] == 0) or tag in asked or tag not in questions:
            return None
        asked.add(tag)
        return status

    said = _carries_out_orders("generic-3gpp", refuses(decide))
    assert "IPA-2110" in [id_ for id_, _ in said]


@pytest.mark.parametrize("consumer", [False, True])
def test_the_list_of_notifications_is_answered_with_nothing_for_a_while(consumer: bool) -> None:
    """9000 without data is taken for an empty list, and not for the last word: what is on the card is found later."""

    async def story(device: Device) -> None:
        order = await device.carried_out(f"enable {OPERATOR_A}", within_s=HOUR_S)
        assert order.state == "done"
        assert "IPA-9026" in [id_ for id_, _ in device.said]

    nothing = iter(range(4))
    prepare = strange_modules.es10_answers(0xBF2B, lambda raw: raw if next(nothing, None) is None else b"")
    device_in_memory.live(story, quirks=Quirks(consumer=consumer), prepare=prepare)
