"""The card access over AT: channels, resets, what modules call an application that is not there.

Long: one class with one scripted modem.
"""

from __future__ import annotations

import asyncio
import logging

import pytest

from ipad_agent.card.apdu_channel import (
    AidNotFound,
    ApduChannel,
    CardNotReady,
    ChannelLost,
    ChannelRefused,
    LossReason,
    PreparesCommands,
    SimBusy,
)
from ipad_agent.codec.packet_connection import PacketConnection
from ipad_agent.modem import events
from ipad_agent.modem.errors import CommandTimeout, LinkDead, PortUnavailable
from ipad_agent.modem.module_profile import Init, Match, ModuleProfile, ProfileSet, Uicc
from ipad_agent.modem.uicc.channel_record import ChannelRecord, VolatileChannelMemory, VolatilePrintingMemory
from ipad_agent.modem.uicc.logical_channel import class_on_channel
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from virtual_time import run

from .fakes import FakeModem, Later

AID = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
GET_EID = bytes.fromhex("80E2910006BF3E035C015A")
CSIM_OPEN = 'AT+CSIM=10,"0070000001"'
CSIM_SELECT = 'AT+CSIM=42,"01A4040010A0000005591010FFFFFFFF8900000100"'


def access_to(modem: FakeModem, **options: object) -> ModemCardAccess:
    return ModemCardAccess(modem, ProfileSet(()), **options)  # type: ignore[arg-type]  # options of each test


def with_cgla(modem: FakeModem, session_id: str = "1") -> None:
    modem.on("AT+CCHO", f"+CCHO: {session_id}|OK")
    modem.on("AT+CGLA", '+CGLA: 4,"9000"|OK')
    modem.on("AT+CCHC", "OK")


def with_csim(modem: FakeModem, number: int = 1) -> None:
    modem.on(CSIM_OPEN, f'+CSIM: 6,"{number:02X}9000"|OK')
    modem.on("AT+CSIM=42", '+CSIM: 4,"9000"|OK')
    modem.on('AT+CSIM=22,"8', '+CSIM: 4,"6A88"|OK')
    modem.on('AT+CSIM=8,"007080', '+CSIM: 4,"9000"|OK')


def test_the_modem_is_initialised_and_known_before_anything_else() -> None:
    async def scene() -> None:
        modem = FakeModem()
        identity = await access_to(modem).identity()
        assert (identity.manufacturer, identity.model, identity.revision) == ("ACME", "M1", "M1R01")
        assert identity.imei == "490154203237518"
        assert identity.profile == "generic-3gpp"
        assert modem.commands[-7:] == [
            "AT+CMEE=1",
            'AT+CSCS="IRA"',
            "AT+CGMI",
            "AT+CGMM",
            "AT+CGMR",
            "AT+CGSN",
            "AT+CFUN?",
        ]

    run(scene())


@pytest.mark.parametrize("session_id", ["1", "1465853795", "000000000385a7cf"])
def test_a_session_id_is_given_back_byte_for_byte_and_cla_has_no_channel(session_id: str) -> None:
    async def scene() -> None:
        modem = FakeModem()
        with_cgla(modem, session_id)
        channel = await access_to(modem).open(AID)
        assert await channel.transceive(GET_EID, deadline_s=60) == b"\x90\x00"
        await channel.close()
        assert modem.card_commands() == [
            'AT+CCHO="A0000005591010FFFFFFFF8900000100"',
            f'AT+CGLA={session_id},22,"80E2910006BF3E035C015A"',
            f"AT+CCHC={session_id}",
        ]

    run(scene())


@pytest.mark.parametrize("way", ["cgla", "csim"])
def test_a_command_that_was_made_ready_is_sent_only_for_its_own_apdu_and_once(way: str) -> None:
    async def scene() -> None:
        modem = FakeModem()
        with_cgla(modem)
        with_csim(modem)
        modem.on("AT+CSIM=22", '+CSIM: 4,"9000"|OK')
        channel = await access_to(modem, forced_way=way).open(AID)
        assert isinstance(channel, PreparesCommands)
        other = bytes.fromhex("80E2910106BF3E035C015A")
        await channel.transceive(GET_EID, deadline_s=60)
        asked = modem.commands[-1]
        channel.prepare(GET_EID)
        assert modem.commands[-1] == asked, "nothing is sent"
        await channel.transceive(GET_EID, deadline_s=60)
        assert modem.commands[-1] == asked
        channel.prepare(GET_EID)
        await channel.transceive(other, deadline_s=60)
        assert modem.commands[-1] == asked.replace("E2910006", "E2910106")
        await channel.transceive(GET_EID, deadline_s=60)
        assert modem.commands[-1] == asked

    run(scene())


def test_a_module_that_wants_the_channel_in_cla_gets_it() -> None:
    async def scene() -> None:
        modem = FakeModem()
        with_cgla(modem, "2")
        profile = ModuleProfile(name="m", uicc=Uicc(cla_on_cgla="session"))
        channel = await access_to(modem, forced_profile=profile).open(AID)
        await channel.transceive(GET_EID, deadline_s=60)
        assert modem.commands[-1] == 'AT+CGLA=2,22,"82E2910006BF3E035C015A"'

    run(scene())


@pytest.mark.parametrize(
    "refusal", ["ERROR", "+CME ERROR: 3", "+CME ERROR: 4", "+CME ERROR: 100", "COMMAND NOT SUPPORT", "NA"]
)
def test_without_cgla_the_card_is_reached_over_csim_on_the_channel_the_card_gave(refusal: str) -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CCHO", refusal)
        with_csim(modem, 2)
        channel = await access_to(modem).open(AID)
        assert channel.description == "CSIM"
        assert await channel.transceive(GET_EID, deadline_s=60) == b"\x6a\x88"
        await channel.close()
        assert modem.card_commands()[1:] == [
            CSIM_OPEN,
            CSIM_SELECT.replace('"01A4', '"02A4'),
            'AT+CSIM=22,"82E2910006BF3E035C015A"',
            'AT+CSIM=8,"00708002"',
        ]

    run(scene())


def test_a_channel_that_was_closed_while_the_card_wants_a_reset_is_not_closed_again() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CCHO", "ERROR")
        with_csim(modem, 2)
        modem.on('AT+CSIM=8,"00708002"', '+CSIM: 4,"910B"|OK')
        channel = await access_to(modem).open(AID)
        await channel.close()
        assert [command for command in modem.card_commands() if "7080" in command] == ['AT+CSIM=8,"00708002"']

    run(scene())


@pytest.mark.parametrize(
    ("channel", "class_00", "class_80"),
    [(0, 0x00, 0x80), (1, 0x01, 0x81), (3, 0x03, 0x83), (4, 0x40, 0xC0), (5, 0x41, 0xC1), (19, 0x4F, 0xCF)],
)
def test_the_channel_is_put_into_cla_as_the_card_expects_it(channel: int, class_00: int, class_80: int) -> None:
    assert class_on_channel(b"\x00\xc0\0\0\0", channel) == bytes([class_00]) + b"\xc0\0\0\0"
    assert class_on_channel(b"\x80\xe2\x91\0\0", channel) == bytes([class_80]) + b"\xe2\x91\0\0"


@pytest.mark.parametrize(("cla", "channel"), [(0x01, 1), (0x81, 0), (0x40, 4), (0x00, 20), (0x00, -1)])
def test_no_other_channel_or_class_is_invented(cla: int, channel: int) -> None:
    with pytest.raises(ValueError, match=r"CLA|channel"):
        class_on_channel(bytes([cla, 0xC0, 0, 0, 0]), channel)


def test_select_is_tried_with_other_parameters_and_its_answer_is_fetched() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CCHO", "ERROR")
        with_csim(modem)
        modem.on('AT+CSIM=42,"01A40400', '+CSIM: 4,"6A86"|OK')
        modem.on('AT+CSIM=42,"01A40404', '+CSIM: 4,"6106"|OK')
        modem.on('AT+CSIM=10,"01C0000006"', '+CSIM: 16,"6F04E10280009000"|OK')
        channel = await access_to(modem).open(AID)
        assert channel.select_response == bytes.fromhex("6F04E1028000")

    run(scene())


def test_an_application_that_is_not_there_is_told_apart_from_a_modem_that_refuses() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CCHO", "ERROR")
        with_csim(modem)
        modem.on("AT+CSIM=42", '+CSIM: 4,"6A82"|OK')
        with pytest.raises(AidNotFound):
            await access_to(modem).open(AID)
        assert modem.commands[-1] == 'AT+CSIM=8,"00708001"'

        modem = FakeModem()
        modem.on("AT+CCHO", "+CME ERROR: 22")
        with pytest.raises(AidNotFound):
            await access_to(modem).open(AID)

        modem = FakeModem()
        with pytest.raises(ChannelRefused):
            await access_to(modem).open(AID)

        modem = FakeModem()
        modem.on("AT+CCHO", "+CME ERROR: 10")
        with pytest.raises(CardNotReady):
            await access_to(modem).open(AID)

    run(scene())


def test_a_busy_sim_is_waited_for() -> None:
    async def scene() -> None:
        modem = FakeModem()
        with_cgla(modem)
        modem.on("AT+CCHO", ["+CME ERROR: 14", "+CME ERROR: SIM busy", "+CME ERROR: 515", "+CCHO: 1|OK"])
        await access_to(modem).open(AID)

        modem.on("AT+CCHO", "+CME ERROR: 14")
        with pytest.raises(CardNotReady):
            await access_to(modem).open(AID)

    run(scene())


def test_leaked_channels_are_swept_only_after_a_failed_open_and_only_once() -> None:
    async def scene() -> None:
        modem = FakeModem()
        with_cgla(modem)
        modem.on("AT+CCHO", ["+CME ERROR: 20", "+CCHO: 3|OK"])
        modem.on("AT+CSIM", "ERROR")
        modem.on("AT+CCHC=1", "ERROR")
        access = access_to(modem)
        channel = await access.open(AID)
        assert modem.sent("AT+CCHC") == ["AT+CCHC=1", "AT+CCHC=2", "AT+CCHC=3"]
        await channel.close()
        count = len(modem.sent("AT+CCHC"))
        modem.on("AT+CCHO", "+CME ERROR: 20")
        with pytest.raises(ChannelRefused):
            await access.open(AID)
        assert len(modem.sent("AT+CCHC")) == count

    run(scene())


def test_a_good_open_closes_nothing_of_others() -> None:
    async def scene() -> None:
        modem = FakeModem()
        with_cgla(modem)
        await access_to(modem).open(AID)
        assert modem.sent("AT+CCHC") == []
        assert modem.sent("AT+CSIM") == []

    run(scene())


def test_the_channel_of_a_killed_agent_is_closed_at_the_next_start() -> None:
    async def scene() -> None:
        memory = VolatileChannelMemory()
        modem = FakeModem()
        with_cgla(modem, "1465853795")
        await access_to(modem, memory=memory, boot_id="b1").open(AID)  # and no close: the agent is killed
        assert memory.load() == ChannelRecord("cgla", "1465853795", "490154203237518", "b1")

        with_cgla(modem, "2")
        channel = await access_to(modem, memory=memory, boot_id="b1").open(AID)
        assert modem.card_commands()[-2:] == ["AT+CCHC=1465853795", 'AT+CCHO="A0000005591010FFFFFFFF8900000100"']
        await channel.close()
        assert memory.load() is None

    run(scene())


@pytest.mark.parametrize(
    "record", [ChannelRecord("cgla", "9", "490154203237518", "b0"), ChannelRecord("cgla", "9", "1", "b1")]
)
def test_a_record_of_another_boot_or_modem_closes_nothing(record: ChannelRecord) -> None:
    async def scene() -> None:
        memory = VolatileChannelMemory()
        memory.save(record)
        modem = FakeModem()
        with_cgla(modem)
        await access_to(modem, memory=memory, boot_id="b1").open(AID)
        assert modem.sent("AT+CCHC") == []

    run(scene())


def loss(caught: pytest.ExceptionInfo[ChannelLost]) -> LossReason:
    return caught.value.reason


def test_every_failure_of_an_apdu_ends_the_channel_and_says_why() -> None:
    async def scene() -> None:
        for reply, reason in (
            ("ERROR", LossReason.REFUSED),
            ("+CME ERROR: 13", LossReason.REFUSED),
            (None, LossReason.TIMEOUT),
            ('+CGLA: 6,"9000"|OK', LossReason.DAMAGED),
            ("OK", LossReason.DAMAGED),
            ("+QGPS: 1|OK", LossReason.DAMAGED),
        ):
            modem = FakeModem()
            with_cgla(modem)
            modem.on("AT+CGLA", reply)
            channel = await access_to(modem).open(AID)
            with pytest.raises(ChannelLost) as caught:
                await channel.transceive(GET_EID, deadline_s=5)
            assert loss(caught) is reason
            assert caught.value.may_have_executed
            with pytest.raises(ChannelLost) as caught:
                await channel.transceive(GET_EID, deadline_s=5)
            assert loss(caught) is LossReason.CLOSED
            assert not caught.value.may_have_executed
            assert len(modem.sent("AT+CGLA")) == 1

    run(scene())


def test_a_port_that_vanishes_mid_apdu_loses_the_channel_and_comes_back_at_the_next_open() -> None:
    async def scene() -> None:
        memory = VolatileChannelMemory()
        modem = FakeModem()
        with_cgla(modem)
        access = access_to(modem, memory=memory)
        channel = await access.open(AID)
        modem.on("AT+CGLA", None)
        asyncio.get_running_loop().call_later(1, modem.unplug)
        with pytest.raises(ChannelLost) as caught:
            await channel.transceive(GET_EID, deadline_s=60)
        assert loss(caught) is LossReason.PORT
        await channel.close()
        with pytest.raises(PortUnavailable):
            await access.open(AID)
        modem.present = True
        modem.echo = True  # a restarted modem echoes again
        with_cgla(modem)
        again = await access.open(AID)
        assert modem.opened == 2
        # The host's port was lost, not the card's channel: it is closed before a new one is opened.
        assert modem.card_commands()[-2:] == ["AT+CCHC=1", 'AT+CCHO="A0000005591010FFFFFFFF8900000100"']
        assert await again.transceive(GET_EID, deadline_s=60) == b"\x90\x00"
        with pytest.raises(ChannelLost):
            await channel.transceive(GET_EID, deadline_s=60)

    run(scene())


def test_a_way_that_refuses_its_first_apdu_is_tried_last_from_then_on() -> None:
    async def scene() -> None:
        modem = FakeModem()
        with_cgla(modem)
        with_csim(modem)
        modem.on("AT+CGLA", "ERROR")
        access = access_to(modem)
        channel: ApduChannel = await access.open(AID)
        with pytest.raises(ChannelLost):
            await channel.transceive(GET_EID, deadline_s=5)
        await channel.close()
        channel = await access.open(AID)
        assert channel.description == "CSIM"
        channel.note_unusable("cut an answer")
        await channel.close()
        assert (await access.open(AID)).description == "CGLA"

    run(scene())


def test_a_way_that_worked_is_not_given_up_for_one_refusal() -> None:
    async def scene() -> None:
        modem = FakeModem()
        with_cgla(modem)
        with_csim(modem)
        modem.on("AT+CGLA", ['+CGLA: 4,"9000"|OK', "ERROR"])
        access = access_to(modem)
        channel = await access.open(AID)
        await channel.transceive(GET_EID, deadline_s=5)
        with pytest.raises(ChannelLost):
            await channel.transceive(GET_EID, deadline_s=5)
        await channel.close()
        assert (await access.open(AID)).description == "CGLA"

    run(scene())


def test_cards_are_locked_and_unlocked_where_the_module_wants_it() -> None:
    async def scene() -> None:
        modem = FakeModem()
        with_csim(modem)
        modem.on("AT+CSIM=1", "OK")
        modem.on("AT+CSIM=0", "OK")
        with_csim(modem)
        profile = ModuleProfile(name="m", uicc=Uicc(order=("csim",), lock=("AT+CSIM=1",), unlock=("AT+CSIM=0",)))
        channel = await access_to(modem, forced_profile=profile).open(AID)
        await channel.close()
        assert [c for c in modem.sent("AT+CSIM") if '"' not in c] == ["AT+CSIM=1", "AT+CSIM=0"]

    run(scene())


def test_terminal_capability_goes_to_the_basic_channel() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on('AT+CSIM=20,"80AA000005A903840101"', '+CSIM: 4,"910B"|OK')
        access = access_to(modem)
        assert await access.send_terminal_capability(bytes.fromhex("80AA000005A903840101")) == b"\x91\x0b"
        modem.on("AT+CSIM", "+CME ERROR: 3")
        modem.on('AT+CSIM=20,"80AA000005A903840101"', "+CME ERROR: 3")
        with pytest.raises(ChannelRefused):
            await access.send_terminal_capability(bytes.fromhex("80AA000005A903840101"))

    run(scene())


def test_the_iccid_is_read_by_the_makers_command_or_from_the_file() -> None:
    async def scene() -> None:
        modem = FakeModem()
        access = access_to(modem)
        assert await access.read_iccid() is None
        modem.on("AT+CRSM=176,12258,0,0,10", '+CRSM: 144,0,"98940000000000001082"|OK')
        assert await access.read_iccid() == "89490000000000000128"
        modem.on("AT+ICCID", "+ICCID: 8949000000000000012F|OK")
        assert await access.read_iccid() == "8949000000000000012"
        modem.commands.clear()
        assert await access.read_iccid() == "8949000000000000012"
        assert modem.commands == ["AT+ICCID"]  # what worked last is asked first

    run(scene())


EF_ICCID = "AT+CRSM=176,12258,0,0,10"


def tolerated(caplog: pytest.LogCaptureFixture) -> int:
    """How often it was said that this modem prints the file."""
    return sum(getattr(record, "event", None) is events.ICCID_AS_IN_FILE for record in caplog.records)


def test_a_modem_that_prints_the_file_is_known_once_and_for_this_module(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ipad_agent")

    async def scene() -> None:
        modem, memory = FakeModem(), VolatilePrintingMemory()
        access = access_to(modem, printing=memory)
        modem.on("AT+ICCID", "+ICCID: 98940000000000001082|OK")
        assert await access.read_iccid() == "89490000000000000128"
        assert await access.read_iccid() == "89490000000000000128"
        assert tolerated(caplog) == 1
        # Padding within the last byte, and a profile whose number begins with something else: known by now.
        modem.on("AT+ICCID", "+ICCID: 989400000000001032F4|OK")
        assert await access.read_iccid() == "8949000000000001234"
        modem.on("AT+ICCID", "+ICCID: 12345678901234567890|OK")
        assert await access.read_iccid() == "21436587092143658709"
        assert await access_to(modem, printing=memory).read_iccid() == "21436587092143658709"  # after a restart
        assert modem.sent(EF_ICCID) == []
        assert tolerated(caplog) == 1
        # Another command of the same module is another matter, and 89 is in order whatever was seen before.
        modem.on("AT+ICCID", "+ICCID: 89490000000000000128|OK")
        assert await access.read_iccid() == "89490000000000000128"

    run(scene())


def test_where_the_beginning_does_not_tell_the_order_the_file_on_the_card_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "ipad_agent")

    async def scene() -> None:
        modem = FakeModem()
        access = access_to(modem)
        modem.on("AT+ICCID", "+ICCID: 12345678901234567890|OK")
        assert await access.read_iccid() == "12345678901234567890"  # nothing else is to be had
        modem.on(EF_ICCID, '+CRSM: 144,0,"21436587092143658709"|OK')
        assert await access.read_iccid() == "12345678901234567890"
        modem.commands.clear()
        assert await access.read_iccid() == "12345678901234567890"
        assert modem.sent(EF_ICCID) == []  # asked once
        modem.on("AT+ICCID", "+ICCID: 21436587092143658709|OK")
        assert await access.read_iccid() == "12345678901234567890"
        assert tolerated(caplog) == 1

    run(scene())


def test_an_iccid_with_letters_and_one_that_cannot_be_read_are_told_too() -> None:
    async def scene() -> None:
        modem = FakeModem()
        access = access_to(modem)
        modem.on("AT+ICCID", "+ICCID: 898600B5012345678901|OK")
        assert await access.read_iccid() == "898600B5012345678901"
        modem.on("AT+ICCID", "+ICCID: 9868005B103254769810|OK")
        assert await access.read_iccid() == "898600B5012345678901"
        modem.on("AT+ICCID", "ERROR")
        modem.on(EF_ICCID, '+CRSM: 144,0,"9868F05B103254769810"|OK')
        assert await access.read_iccid() == "0x9868F05B103254769810"

    run(scene())


def test_registration_and_network_are_told() -> None:
    async def scene() -> None:
        modem = FakeModem()
        access = access_to(modem)
        assert await access.registration() is None
        assert await access.rplmn() is None
        modem.on("AT+CEREG?", "+CEREG: 2,2|OK")
        modem.on("AT+CREG?", "+CREG: 0,5|OK")
        modem.on("AT+COPS=3,2", "OK")
        modem.on("AT+COPS?", '+COPS: 0,2,"26201",7|OK')
        found = await access.registration()
        assert found is not None
        assert found.registered
        assert str(found) == "registered, roaming (CREG)"
        assert await access.rplmn() == "26201"
        assert await access.technology() == "LTE"
        await asyncio.sleep(60)
        modem.on("AT+COPS?", '+COPS: 0,2,"26201",8|OK')
        assert await access.technology() == "LTE-M"
        await asyncio.sleep(60)
        modem.on("AT+COPS?", '+COPS: 0,2,"26201",19|OK')
        assert await access.technology() == "access technology 19"
        await asyncio.sleep(60)
        modem.on("AT+COPS?", "+COPS: 0|OK")
        assert await access.technology() is None

    run(scene())


def test_the_signal_is_rsrp_where_the_modem_tells_it_and_else_rssi() -> None:
    async def scene() -> None:
        modem = FakeModem()
        access = access_to(modem)
        assert await access.signal() is None
        modem.on("AT+CSQ", "+CSQ: 23,99|OK")
        assert str(await access.signal()) == "-67 dBm (RSSI)"
        modem.on("AT+CESQ", "+CESQ: 99,99,255,255,20,51|OK")
        assert str(await access.signal()) == "-90 dBm (RSRP)"
        modem.on("AT+CESQ", "+CESQ: 40,99,255,255,255,255|OK")
        assert str(await access.signal()) == "-67 dBm (RSSI)"
        modem.on("AT+CSQ", "+CSQ: 99,99|OK")
        assert await access.signal() is None

    run(scene())


def test_a_silent_port_is_tried_another_way_the_next_time() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.table = {"AT": None, "ATE0V1": None, "ATQ0V1": None}
        with pytest.raises(LinkDead):
            await access_to(modem).identity()
        assert modem.silences == 1
        assert not modem.stream.alive

    run(scene())


def test_a_modem_left_without_radio_is_switched_on_again_unless_that_is_wanted() -> None:
    async def scene() -> None:
        for level in (0, 4):
            modem = FakeModem()
            modem.on("AT+CFUN?", f"+CFUN: {level}|OK")
            modem.on("AT+CFUN=1", "OK")
            await access_to(modem).identity()
            assert modem.commands[-1] == "AT+CFUN=1"
            modem.commands.clear()
            await access_to(modem, restore_function=False).identity()
            assert modem.sent("AT+CFUN=1") == []

    run(scene())


def test_a_slow_modem_is_waited_for_at_open() -> None:
    async def scene() -> None:
        modem = FakeModem()
        with_cgla(modem)
        modem.on("AT+CCHO", Later(25, "+CCHO: 1|OK"))
        await access_to(modem).open(AID)

    run(scene())


def test_an_apn_is_written_where_that_is_allowed_and_never_becomes_a_command() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on('AT+CGDCONT=2,"IP","iot.example"', "OK")
        await access_to(modem, consent_nvm_writes=True).define_context(2, PacketConnection("iot.example"))
        assert modem.commands[-1] == 'AT+CGDCONT=2,"IP","iot.example"'
        sent = len(modem.commands)
        await access_to(modem, consent_nvm_writes=True).define_context(2, PacketConnection('x";+CFUN=0'))
        await access_to(modem).define_context(2, PacketConnection("iot.example"))
        assert len(modem.commands) == sent

    run(scene())


def test_a_modem_that_refuses_the_apn_is_no_failure() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on('AT+CGDCONT=1,"IP",""', "ERROR")
        await access_to(modem, consent_nvm_writes=True).define_context(1, PacketConnection(""))

    run(scene())


def test_user_and_password_of_a_profile_are_written_beside_its_apn_and_never_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection = PacketConnection("iot.example", "IPV4V6", "meter 7", "s3cret!")

    async def scene() -> None:
        modem = FakeModem()
        modem.on('AT+CGDCONT=2,"IPV4V6","iot.example"', "OK")
        modem.on('AT+CGAUTH=2,2,"meter 7","s3cret!"', "OK")
        modem.on('AT+CGAUTH=2,1,"meter 7","s3cret!"', "+CME ERROR: 3")
        access = access_to(modem, consent_nvm_writes=True)
        await access.define_context(2, connection)
        await access.define_context(2, connection, "pap")
        assert modem.commands[-3:] == [
            'AT+CGAUTH=2,2,"meter 7","s3cret!"',
            'AT+CGDCONT=2,"IPV4V6","iot.example"',
            'AT+CGAUTH=2,1,"meter 7","s3cret!"',
        ]

    with caplog.at_level(logging.DEBUG):
        run(scene())
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "has the new profile's user name and password now" in said
    assert "were not written into context 2" in said
    assert "s3cret" not in said + repr(connection)


def test_a_profile_without_user_clears_what_the_former_one_left_and_a_quote_becomes_no_command() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on('AT+CGDCONT=1,"IP","iot.example"', "OK")
        modem.on("AT+CGAUTH=1,0", "ERROR")
        access = access_to(modem, consent_nvm_writes=True)
        await access.define_context(1, PacketConnection("iot.example", "IP", "", None))
        assert modem.commands[-1] == "AT+CGAUTH=1,0"
        sent = len(modem.commands)
        await access.define_context(1, PacketConnection("iot.example", "IP", 'x",""', "y"))
        assert modem.commands[sent:] == ['AT+CGDCONT=1,"IP","iot.example"']

    run(scene())


def test_an_iccid_command_that_hangs_is_asked_once_while_the_file_tells_the_same() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CCID", None)
        modem.on("AT+CRSM=176,12258,0,0,10", '+CRSM: 144,0,"98940000000000001082"|OK')
        access = access_to(modem)
        for _ in range(3):
            assert await access.read_iccid() == "89490000000000000128"
        assert modem.sent("AT+CCID") == ["AT+CCID"]
        modem.on("AT+CRSM=176,12258,0,0,10", "+CME ERROR: 14")
        start = asyncio.get_running_loop().time()
        assert await access.read_iccid() is None  # the card starts; the command that hangs would not tell it either
        assert asyncio.get_running_loop().time() - start < 1
        assert modem.sent("AT+CCID") == ["AT+CCID"]

    run(scene())


def test_iccid_commands_that_hang_are_all_asked_again_when_no_other_one_answers() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CCID", [None, "+CCID: 89490000000000000128|OK"])
        access = access_to(modem)
        assert await access.read_iccid() is None
        assert await access.read_iccid() == "89490000000000000128"

    run(scene())


def test_a_registration_command_that_hangs_does_not_hide_the_one_that_answers() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CEREG?", None)
        modem.on("AT+CREG?", "+CREG: 0,1|OK")
        access = access_to(modem)
        for _ in range(3):
            assert str(await access.registration()) == "registered at home (CREG)"
        assert modem.sent("AT+CEREG?") == ["AT+CEREG?"]

    run(scene())


def test_a_modem_whose_only_registration_command_hangs_is_in_trouble_not_unregistered() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+CEREG?", None)
        with pytest.raises(CommandTimeout):
            await access_to(modem).registration()

    run(scene())


def test_what_a_busy_sim_refused_at_the_start_is_sent_again_when_the_card_is_there() -> None:
    """+CME ERROR: 14 on the identity and on the module's settings is "later", not "never"."""

    async def scene() -> None:
        modem = FakeModem()
        with_cgla(modem)
        busy = "+CME ERROR: 14"
        for command, answer in (
            ("AT+CGMI", "ACME|OK"),
            ("AT+CGMM", "M1|OK"),
            ("AT+CGMR", "M1R01|OK"),
            ("AT+CGSN", "490154203237518|OK"),
            ("AT+CFUN?", "+CFUN: 4|OK"),
        ):
            modem.on(command, [busy, busy, answer])
        modem.on("AT+CMEE=1", [busy, "OK"])
        modem.on("AT+CFUN=1", "OK")
        modem.on("AT+XSET=1", [busy, "OK"])
        profile = ModuleProfile(
            name="m", match=Match(manufacturer="ACME", model="M1"), init=Init(commands=("AT+XSET=1",))
        )
        access = ModemCardAccess(modem, ProfileSet((profile,)))
        identity = await access.identity()
        assert (identity.manufacturer, identity.imei, identity.profile) == ("", None, "generic-3gpp")
        await access.open(AID)
        identity = await access.identity()
        assert (identity.manufacturer, identity.imei, identity.profile) == ("ACME", "490154203237518", "m")
        assert modem.sent("AT+CMEE=1") == ["AT+CMEE=1"] * 2
        assert modem.sent("AT+CFUN=1") == ["AT+CFUN=1"]
        before = len(modem.commands)
        await access.open(AID)
        assert [c for c in modem.commands[before:] if "CCH" not in c and "CRSM" not in c and "CCID" not in c] == [
            "AT+XSET=1"
        ]  # refused when the profile was chosen
        before = len(modem.commands)
        await access.open(AID)
        assert not [c for c in modem.commands[before:] if "CCH" not in c]

    run(scene())


def test_a_module_that_hides_its_imei_is_not_asked_for_ever() -> None:
    async def scene() -> None:
        modem = FakeModem()
        with_cgla(modem)
        modem.on("AT+CGSN", "+CME ERROR: 3")
        access = access_to(modem)
        for _ in range(8):
            channel = await access.open(AID)
            await channel.close()
        assert len(modem.sent("AT+CGSN")) == 4  # once at the start, three times more

    run(scene())


def test_a_port_that_comes_back_while_the_sim_is_busy_keeps_its_module() -> None:
    async def scene() -> None:
        modem = FakeModem()
        with_cgla(modem)
        access = access_to(modem)
        await access.identity()
        for command in ("AT+CGMI", "AT+CGMM", "AT+CGMR"):
            modem.on(command, "+CME ERROR: 14")
        modem.unplug()
        modem.present = True
        identity = await access.identity()
        assert (identity.manufacturer, identity.model, identity.revision) == ("ACME", "M1", "M1R01")

    run(scene())


def test_terminal_capability_waits_for_a_busy_sim_and_tells_no_card_from_no_way() -> None:
    async def scene() -> None:
        modem = FakeModem()
        ready = '+CSIM: 4,"9000"|OK'
        modem.on("AT+CSIM", ["+CME ERROR: 14", "+CME ERROR: SIM busy", ready])
        access = access_to(modem)
        assert await access.send_terminal_capability(bytes.fromhex("80AA000005A903840101")) == b"\x90\x00"
        for refusal, kind in (("+CME ERROR: 10", CardNotReady), ("+CME ERROR: 14", SimBusy), ("ERROR", ChannelRefused)):
            modem.on("AT+CSIM", refusal)
            with pytest.raises(kind):
                await access.send_terminal_capability(bytes.fromhex("80AA000005A903840101"))

    run(scene())


def test_channels_of_others_are_not_swept_for_an_application_that_is_not_the_last_of_the_list() -> None:
    async def scene() -> None:
        modem = FakeModem()
        access = access_to(modem)
        with pytest.raises(ChannelRefused):
            await access.open(AID, last=False)
        assert not modem.sent("AT+CCHC")
        with pytest.raises(ChannelRefused):
            await access.open(AID)
        assert modem.sent("AT+CCHC")

    run(scene())


def test_a_sim_that_was_initialised_and_a_new_port_begin_another_epoch() -> None:
    async def scene() -> None:
        modem = FakeModem()
        with_cgla(modem)
        access = access_to(modem)
        await access.open(AID)
        epoch = access.epoch
        await access.read_iccid()
        assert access.epoch == epoch
        modem.say("+CPIN: READY")
        assert access.epoch == epoch + 1
        modem.unplug()
        modem.present = True
        await access.open(AID)
        assert access.epoch == epoch + 2

    run(scene())


def test_the_network_is_asked_for_once_in_a_poll_and_its_format_is_set_once() -> None:
    async def scene() -> None:
        modem = FakeModem()
        numeric = '+COPS: 0,2,"26201",7|OK'
        modem.on("AT+COPS=3,2", "OK")
        modem.on("AT+COPS?", ['+COPS: 0,0,"Some Network",7|OK', numeric])
        access = access_to(modem)
        for _ in range(3):
            assert await access.rplmn() == "26201"
            assert await access.technology() == "LTE"
        assert modem.sent("AT+COPS") == ["AT+COPS?", "AT+COPS=3,2", "AT+COPS?"]
        modem.commands.clear()
        await asyncio.sleep(60)  # the next poll
        assert await access.technology() == "LTE"
        assert await access.rplmn() == "26201"
        assert modem.sent("AT+COPS") == ["AT+COPS?"]

    run(scene())


def test_the_network_is_asked_for_again_when_the_registration_changes_or_names_none() -> None:
    async def scene() -> None:
        modem = FakeModem()
        modem.on("AT+COPS?", ['+COPS: 0,2,"26201",7|OK', "+COPS: 0|OK", '+COPS: 0,2,"26202",9|OK'])
        access = access_to(modem)
        assert await access.rplmn() == "26201"
        modem.say('+CEREG: 5,"00C3","0127A28B",7')
        assert await access.rplmn() is None
        assert await access.rplmn() == "26202"
        assert await access.technology() == "NB-IoT"
        modem.on("AT+COPS?", '+COPS: 0,2,"26203",7|OK')
        modem.unplug()
        modem.present = True
        assert await access.rplmn() == "26203"

    run(scene())


def test_a_module_that_never_answers_csim_costs_its_deadline_once() -> None:
    async def scene() -> None:
        modem = FakeModem()
        with_cgla(modem)
        modem.on("AT+CSIM", None)
        access = access_to(modem)
        for _ in range(3):
            with pytest.raises(ChannelRefused):
                await access.send_terminal_capability(bytes.fromhex("80AA000005A903840101"))
        assert len(modem.sent("AT+CSIM")) == 1
        await access.open(AID)

    run(scene())


def test_a_module_whose_card_is_reached_over_csim_is_told_again_after_one_answer_was_lost() -> None:
    async def scene() -> None:
        modem = FakeModem()
        with_csim(modem)
        declaration = bytes.fromhex("80AA000005A903840101")
        modem.on('AT+CSIM=20,"80AA000005A903840101"', [None, '+CSIM: 4,"9000"|OK'])
        access = access_to(modem, forced_way="csim")
        with pytest.raises(ChannelRefused):
            await access.send_terminal_capability(declaration)
        await access.open(AID)
        assert await access.send_terminal_capability(declaration) == b"\x90\x00"

    run(scene())
