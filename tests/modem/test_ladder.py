from __future__ import annotations

import asyncio

import pytest

from ipad_agent.card.apdu_channel import ChannelLost
from ipad_agent.errors import ModemError
from ipad_agent.modem.errors import ResetNotPossible
from ipad_agent.modem.module_profile import ModuleProfile, ProfileSet, Refresh, Rung
from ipad_agent.modem.uicc.channel_record import VolatileChannelMemory
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from virtual_time import run

from .fakes import FakeModem

AID = bytes.fromhex("A0000005591010FFFFFFFF8900000100")
ICCID = "+CCID: 89490000000000000128|OK"


def modem_with_card() -> FakeModem:
    modem = FakeModem()
    modem.on("AT+CCHO", "+CCHO: 1|OK")
    modem.on("AT+CGLA", '+CGLA: 4,"9000"|OK')
    modem.on("AT+CCHC", "OK")
    modem.on("AT+CCID", ICCID)
    modem.on("AT+CFUN=", "OK")
    return modem


def access_to(modem: FakeModem, **options: object) -> ModemCardAccess:
    return ModemCardAccess(modem, ProfileSet(()), **options)  # type: ignore[arg-type]  # options of each test


def now() -> float:
    return asyncio.get_running_loop().time()


def test_rung_0_ends_when_the_modem_says_that_the_sim_is_ready() -> None:
    async def scene() -> None:
        modem = modem_with_card()
        access = access_to(modem)
        await access.open(AID)
        asyncio.get_running_loop().call_later(3, modem.say, "+CPIN: READY")
        start = now()
        await access.reset_card(rung=0)
        assert now() - start == pytest.approx(3, abs=0.1)
        assert modem.sent("AT+CFUN=") == []

    run(scene())


def test_a_refresh_that_was_quicker_than_the_question_is_not_missed() -> None:
    async def scene() -> None:
        modem = modem_with_card()
        access = access_to(modem)
        await access.open(AID)
        modem.say("+CPIN: READY")
        start = now()
        await access.reset_card(rung=0)
        assert now() - start < 0.1

    run(scene())


def test_rung_0_ends_when_another_iccid_shows_although_the_modem_says_nothing() -> None:
    async def scene() -> None:
        modem = modem_with_card()
        access = access_to(modem)
        await access.open(AID)
        asyncio.get_running_loop().call_later(3.5, modem.on, "AT+CCID", "+CCID: 89490000000000000292|OK")
        start = now()
        await access.reset_card(rung=0)
        assert now() - start == pytest.approx(4, abs=0.2)

    run(scene())


def test_rung_0_gives_up_after_its_time_when_the_modem_does_nothing() -> None:
    async def scene() -> None:
        modem = modem_with_card()
        access = access_to(modem)
        await access.open(AID)
        start = now()
        await access.reset_card(rung=0)
        assert now() - start == pytest.approx(15, abs=1.5)

    run(scene())


@pytest.mark.parametrize(("rung", "commands"), [(2, ["AT+CFUN=4", "AT+CFUN=1"]), (3, ["AT+CFUN=0", "AT+CFUN=1"])])
def test_a_rung_switches_off_pauses_and_switches_on(rung: int, commands: list[str]) -> None:
    async def scene() -> None:
        memory = VolatileChannelMemory()
        modem = modem_with_card()
        access = access_to(modem, memory=memory)
        channel = await access.open(AID)
        start = now()
        await access.reset_card(rung=rung)
        assert modem.sent("AT+CFUN=") == commands
        assert now() - start >= 2
        assert memory.load() is None
        with pytest.raises(ChannelLost):
            await channel.transceive(b"\x80\xe2\x91\0\0", deadline_s=5)

    run(scene())


def test_the_radio_is_switched_on_again_although_the_port_vanished_in_between() -> None:
    async def scene() -> None:
        modem = modem_with_card()
        loop = asyncio.get_running_loop()

        def off(_: str) -> str:
            loop.call_later(0.1, modem.unplug)
            loop.call_later(12, setattr, modem, "present", True)
            modem.on("AT+CFUN?", "+CFUN: 0|OK")
            return "OK"

        modem.on("AT+CFUN=0", off)
        access = access_to(modem)
        await access.reset_card(rung=3)
        assert "AT+CFUN=1" in modem.commands
        assert modem.opened == 2

    run(scene())


def test_the_radio_is_switched_on_again_although_the_modem_refuses_for_a_while() -> None:
    async def scene() -> None:
        modem = modem_with_card()
        modem.on("AT+CFUN=1", ["+CME ERROR: 14", "ERROR", None, "OK"])
        await access_to(modem).reset_card(rung=2)
        assert len(modem.sent("AT+CFUN=1")) == 4

    run(scene())


def test_the_radio_is_switched_on_again_when_the_agent_is_stopped_half_way() -> None:
    async def scene() -> None:
        modem = modem_with_card()
        task = asyncio.ensure_future(access_to(modem).reset_card(rung=2))

        def stop_soon(_: str) -> str:
            asyncio.get_running_loop().call_later(1, task.cancel)
            return "OK"

        modem.on("AT+CFUN=4", stop_soon)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert modem.sent("AT+CFUN=") == ["AT+CFUN=4", "AT+CFUN=1"]

    run(scene())


def test_a_restarted_modem_is_waited_for_and_initialised_again() -> None:
    async def scene() -> None:
        modem = modem_with_card()
        loop = asyncio.get_running_loop()

        def restart(_: str) -> None:
            loop.call_later(1, modem.unplug)
            loop.call_later(30, setattr, modem, "present", True)

        modem.on("AT+CFUN=1,1", restart)
        access = access_to(modem)
        start = now()
        await access.reset_card(rung=5)
        assert modem.opened == 2
        assert 29 < now() - start < 40
        assert modem.commands[-1] == "AT+CCID"

    run(scene())


def test_a_modem_that_never_comes_back_is_an_error_after_the_profiles_time() -> None:
    async def scene() -> None:
        modem = modem_with_card()
        modem.on("AT+CFUN=1,1", lambda _: modem.unplug())
        access = access_to(modem)
        start = now()
        with pytest.raises(ModemError):
            await access.reset_card(rung=5)
        assert 60 <= now() - start < 80

    run(scene())


def test_a_card_without_profile_does_not_hold_up_the_reset_for_ever() -> None:
    async def scene() -> None:
        modem = modem_with_card()
        modem.on("AT+CCID", "+CME ERROR: 10")
        access = access_to(modem)
        start = now()
        await access.reset_card(rung=2)
        assert now() - start < 40

    run(scene())


def test_permanent_memory_is_written_only_with_consent() -> None:
    async def scene() -> None:
        slot = Rung(rung=4, commands=("AT+QUIMSLOT=2",), restore=("AT+QUIMSLOT=1",), writes_nvm=True)
        profile = ModuleProfile(name="m", ladder={0: Rung(rung=0), 4: slot})
        modem = modem_with_card()
        modem.on("AT+QUIMSLOT=", "OK")
        access = access_to(modem, forced_profile=profile)
        with pytest.raises(ResetNotPossible):
            await access.reset_card(rung=4)
        assert modem.sent("AT+QUIMSLOT") == []
        assert access.recovery_plan().rungs == (0,)

        consenting = access_to(modem, forced_profile=profile, consent_nvm_writes=True)
        await consenting.reset_card(rung=4)
        assert modem.sent("AT+QUIMSLOT") == ["AT+QUIMSLOT=2", "AT+QUIMSLOT=1"]
        assert consenting.recovery_plan().rungs == (0, 4)

    run(scene())


def test_a_rung_that_does_not_exist_is_refused_without_a_word_to_the_modem() -> None:
    async def scene() -> None:
        modem = modem_with_card()
        access = access_to(modem)
        await access.identity()
        count = len(modem.commands)
        with pytest.raises(ResetNotPossible):
            await access.reset_card(rung=1)
        assert len(modem.commands) == count

    run(scene())


def test_waiting_for_a_refresh_is_left_out_where_the_modem_does_not_execute_it() -> None:
    profile = ModuleProfile(name="m", refresh=Refresh(modem_executes=False))
    plan = access_to(FakeModem(), forced_profile=profile).recovery_plan()
    assert plan.rungs == (2, 3, 5)
    assert plan.modem_refreshes is False
