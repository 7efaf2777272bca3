"""The card slot: read first, written only where it differs, where it is allowed, and once."""

from __future__ import annotations

import logging

import pytest

from ipad_agent.modem.module_profile import Match, ModuleProfile, ProfileSet
from ipad_agent.modem.module_settings import Slots
from ipad_agent.modem.uicc.modem_card_access import ModemCardAccess
from virtual_time import run

from .fakes import FakeModem

QUECTEL = Slots(query="AT+QUIMSLOT?", select=("AT+QUIMSLOT=1", "AT+QUIMSLOT=2"))
CINTERION = Slots(
    query='AT^SCFG="SIM/CS"',
    select=('AT^SCFG="SIM/CS","0"', 'AT^SCFG="SIM/CS","1"'),
    before=("AT+CFUN=4",),
    after=("AT+CFUN=1",),
)


def _access(modem: FakeModem, slots: Slots, *, slot: int | None, allowed: bool) -> ModemCardAccess:
    profile = ModuleProfile(name="acme", match=Match(model="M1"), slots=slots)
    return ModemCardAccess(modem, ProfileSet((profile,)), slot=slot, consent_nvm_writes=allowed)


def _asked(
    answer: str | None, slots: Slots = QUECTEL, *, slot: int | None = 2, allowed: bool = True, times: int = 1
) -> list[str]:
    """What was sent about the slot, the port being opened so many times."""
    modem = FakeModem()
    modem.on(slots.query or "AT+NONE", answer)
    for text in (*slots.select, *slots.before, *slots.after):
        modem.on(text, "OK")

    async def scene() -> None:
        access = _access(modem, slots, slot=slot, allowed=allowed)
        for _ in range(times):
            await access.identity()
            await access.close()

    run(scene())
    known = {slots.query, *slots.select, *slots.before, *slots.after}
    return [text for text in modem.commands if text in known]


def test_a_slot_that_is_right_is_not_written() -> None:
    assert _asked("+QUIMSLOT: 2|OK") == ["AT+QUIMSLOT?"]


def test_another_slot_is_written_once_whatever_the_module_makes_of_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        asked = _asked("+QUIMSLOT: 1|OK", times=3)
    assert asked == ["AT+QUIMSLOT?", "AT+QUIMSLOT=2", "AT+QUIMSLOT?", "AT+QUIMSLOT?"]
    assert "switched from card slot 1 to slot 2" in caplog.text
    assert caplog.text.count("not written twice") == 1


def test_without_consent_it_is_said_and_not_written(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert _asked("+QUIMSLOT: 1|OK", allowed=False) == ["AT+QUIMSLOT?"]
    assert "modem.allow_nvm_writes is not set" in caplog.text


@pytest.mark.parametrize("answer", ["ERROR", "OK", "+QUIMSLOT: 7|OK", "+QUIMSLOT: 1|+QUIMSLOT: 2|OK", None])
def test_what_cannot_be_read_is_never_written(answer: str | None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert "AT+QUIMSLOT=2" not in _asked(answer)
    assert "did not tell which one it uses" in caplog.text


def test_a_module_that_cannot_be_asked_is_not_written() -> None:
    assert _asked("OK", Slots(select=QUECTEL.select)) == []
    assert _asked("+QUIMSLOT: 1|OK", slot=3) == []


def test_without_a_wish_nothing_is_asked() -> None:
    assert _asked("+QUIMSLOT: 1|OK", slot=None) == []


def test_the_commands_around_it_are_sent_and_the_last_ones_in_any_case() -> None:
    told = '^SCFG: "SIM/CS","0"|OK'
    assert _asked(told, CINTERION) == ['AT^SCFG="SIM/CS"', "AT+CFUN=4", 'AT^SCFG="SIM/CS","1"', "AT+CFUN=1"]
    modem = FakeModem()
    modem.on('AT^SCFG="SIM/CS"', told)
    modem.on('AT^SCFG="SIM/CS","1"', "ERROR")
    modem.on("AT+CFUN=4", "OK")
    modem.on("AT+CFUN=1", "OK")
    run(_access(modem, CINTERION, slot=2, allowed=True).identity())
    assert modem.commands[modem.commands.index('AT^SCFG="SIM/CS","1"') + 1] == "AT+CFUN=1"
