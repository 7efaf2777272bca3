from __future__ import annotations

from ipad_agent.modem.port.port_owners import OWNERS, advice, known_owners


def test_every_name_is_one_that_the_kernel_can_tell() -> None:
    assert all(0 < len(name.encode()) <= 15 for name in OWNERS)


def test_the_advice_for_each_known_owner_is_given_once() -> None:
    assert advice(["pppd", "chat", "pppd"]) == OWNERS["pppd"].advice
    both = advice(["ModemManager", "gsmd"])
    assert OWNERS["ModemManager"].advice in both
    assert OWNERS["gsmd"].advice in both


def test_an_unknown_program_is_to_be_stopped() -> None:
    assert advice(["foo"]) == "Stop that program, or let it use another port."
    assert known_owners(["foo"]) == ()


def test_the_advice_for_modem_manager_names_what_is_there() -> None:
    assert "hw/99-ipad-agent.rules" in advice(["ModemManager"])
    assert "modem.inhibit_modem_manager" in advice(["ModemManager"])
