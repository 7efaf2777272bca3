"""The lab's modem with the lab's card in it: what a host reads of the profile without an APDU of its own."""

from __future__ import annotations

import pytest

from ipad_agent.lab.euicc import BOOTSTRAP, default_card
from ipad_agent.lab.modem import AtEngine, Cell, Coverage, ModemOptions
from ipad_agent.lab.modem.line.memory_port import MemoryPort
from lab.euicc.euicc_bench import pki

IMSI = "26201" + BOOTSTRAP[-10:]


def port() -> MemoryPort:
    coverage = Coverage({BOOTSTRAP: Cell(plmn="20801", roaming=True)})
    return MemoryPort(AtEngine(default_card(pki()), ModemOptions(echo=False), coverage=coverage))


@pytest.mark.parametrize(
    "command", ["176,28423,0,0,9", "176,28423,0,0,0", '176,28423,0,0,9,"","3F007FFF"', '176,28423,0,0,9,,"7FFF"']
)
def test_the_subscriber_is_read_from_its_file_as_from_cimi(command: str) -> None:
    answer = port().exchange(f"AT+CRSM={command}").decode()
    digits = answer.partition('144,0,"08')[2][:16]
    assert "".join(b + a for a, b in zip(digits[::2], digits[1::2], strict=True)) == "9" + IMSI
    assert IMSI in port().exchange("AT+CIMI").decode()  # of the card, whoever serves it


def test_the_length_of_the_network_code_is_read_from_its_file() -> None:
    assert '+CRSM: 144,0,"00000002"' in port().exchange("AT+CRSM=176,28589,0,0,4").decode()
    assert "+CRSM: 106,130" in port().exchange('AT+CRSM=176,28589,0,0,4,"","3F00"').decode()
