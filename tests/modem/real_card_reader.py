"""The PC/SC port against pcscd itself: the lab's card in the virtual reader of vsmartcard, reached through pyscard.

No part of ``make test``: it needs Debian's pcscd, vsmartcard-vpcd and python3-pyscard, and root for a /run of its own.
``make test-pcsc`` has all of that.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, VirtualEuicc, default_card
from ipad_agent.lab.pki import Pki
from ipad_agent.lab.reader.vpcd_card import VpcdCard
from ipad_agent.modem import commands
from ipad_agent.modem.at.at_session import AtSession, LinkTiming
from ipad_agent.modem.errors import CommandRefused
from ipad_agent.modem.port.pcsc_port import PcscOpener

VPCD_PORT = 35963
PYSCARD = Path("/usr/lib/python3/dist-packages/smartcard")
"""Where Debian's package puts it."""


@pytest.fixture
def card(tmp_path: Path) -> VirtualEuicc:
    return default_card(Pki.create(tmp_path / "pki"))


@pytest.fixture
def pcscd() -> Iterator[None]:
    """The daemon, which loads vpcd as the driver of a reader."""
    daemon = subprocess.Popen(["/usr/sbin/pcscd", "--foreground"], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    yield
    daemon.terminate()
    daemon.wait(10)


@pytest.fixture
async def session(
    pcscd: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, card: VirtualEuicc
) -> AsyncIterator[AtSession]:
    """AT commands to the reader that holds the lab's card."""
    (tmp_path / "smartcard").symlink_to(PYSCARD)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "smartcard"]:
        monkeypatch.delitem(sys.modules, name)
    async with VpcdCard(card, VPCD_PORT, again_s=0.1) as inserted:
        await asyncio.wait_for(inserted.connected.wait(), 20)
        found = AtSession(await PcscOpener("virtual").open(), timing=LinkTiming())
        await found.resync()
        yield found
        await found.close()


async def apdu(session: AtSession, text: str) -> str:
    answer = await session.run(commands.sim_access(bytes.fromhex(text), deadline_s=10))
    return commands.read_apdu(answer).hex().upper()


async def test_a_card_in_a_real_reader_is_found_read_and_reset(session: AtSession, card: VirtualEuicc) -> None:
    async with asyncio.timeout(20):
        while True:  # pcscd looks for cards now and then
            try:
                await session.run(commands.SIM_STATE)
                break
            except CommandRefused:
                await asyncio.sleep(0.1)
    assert await apdu(session, "0070000001") == "019000"
    assert (await apdu(session, "01A4040010A0000005591010FFFFFFFF8900000100"))[:2] == "61"
    assert await apdu(session, "81E2910006BF3E035C015A") == "6115"
    assert await apdu(session, "81C0000015") == f"BF3E125A10{card.eid}9000"
    read = await session.run(commands.query("AT+CRSM=176,12258,0,0,10", "+CRSM"))
    assert str(commands.read_ef_iccid(read)) == BOOTSTRAP
    card.isdr.state.profiles[0].enabled, card.isdr.state.profiles[1].enabled = False, True
    card.isdr.commit()
    await session.run(commands.plain("AT+CFUN=0", deadline_s=20))
    await session.run(commands.plain("AT+CFUN=1", deadline_s=20))
    read = await session.run(commands.query("AT+CRSM=176,12258,0,0,10", "+CRSM"))
    assert str(commands.read_ef_iccid(read)) == OPERATOR_A
