from __future__ import annotations

import pytest

from ipad_agent.modem.at.power_saving import PowerSaving, read_edrx, read_psm


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("+CPSMS: 0", "off"),
        ("+CPSMS: 1", "PSM"),
        ('+CPSMS: 1,,,"00100001","00000101"', "PSM (asleep after 10 s, awake every 1 h)"),
        ('+CPSMS:1,"","","10101010","00100001"', "PSM (asleep after 1 min, awake every 10 min)"),
        ('+CPSMS: 1,,,"11111111","11100000"', "PSM"),  # both timers deactivated
        ('+CPSMS: 1,,,"0010","x"', "PSM"),
        ("+CPSMS: 2", "unknown"),
        ("ERROR", "unknown"),
    ],
)
def test_psm_and_its_timers_are_read(line: str, said: str) -> None:
    assert str(read_psm([line])) == said
    assert not read_psm([line, line]).known
    assert not read_psm([]).known


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "off"),
        (['+CEDRXS: 4,"0101"'], "eDRX 81.92 s"),
        (['+CEDRXS: 4,"0101"', '+CEDRXS: 5,"1001"'], "eDRX 163.84 s"),
        (['+CEDRXS: 4,"0101","0101","0001"'], "eDRX 81.92 s"),
        (["+CEDRXS: 0"], "off"),
        (["+CEDRXS: what"], "unknown"),
    ],
)
def test_edrx_is_read(lines: list[str], said: str) -> None:
    assert str(read_edrx(lines)) == said


def test_both_are_told_together() -> None:
    both = PowerSaving(psm=True, active_s=10, edrx=True, cycle_s=20.48)
    assert str(both) == "PSM (asleep after 10 s), eDRX 20.48 s"
