"""A disk that takes the journal, but not the state of an emulated card: as one that is full takes a line more, and no
new file."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ipad_agent.card.es10c_functions import ConsumerEuicc
from ipad_agent.codec.ber.tlv_fields import ResultCode
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A
from ipad_agent.store.emulated_card_file import EmulatedCardFile
from virtual_time import run

from .test_emulated_agent import EmulatedBench


def refuse_after_the_enable(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the next EnableProfile on no state of a card gets to the disk."""
    enable = ConsumerEuicc.enable_profile

    def refuse(file: EmulatedCardFile, data: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def enable_and_refuse(card: ConsumerEuicc, iccid: bytes) -> ResultCode:
        monkeypatch.setattr(EmulatedCardFile, "_replace", refuse)
        return await enable(card, iccid)

    monkeypatch.setattr(ConsumerEuicc, "enable_profile", enable_and_refuse)


def test_no_notification_leaves_the_card_while_the_disk_lacks_what_the_card_did(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        bench = EmulatedBench(pki_folder)
        bench.start()
        await bench.until(60.0)
        bench.register()
        order = bench.order("enable", OPERATOR_A, "--rollback")
        bench.refuse_results_of(order)
        with monkeypatch.context() as patch:
            refuse_after_the_enable(patch)
            await bench.poll(1000.0)
            assert bench.card.enabled_iccid == BOOTSTRAP
            assert len(bench.card.state.notifications) == 2  # A was enabled, and disabled
            await bench.kill()
        bench.take_results_again()
        bench.start()
        await bench.until(20_000.0)
        assert bench.last_result() == ("right (token)", [0, 0])
        assert order.state == "done"
        assert bench.card.state.notifications == []
        await bench.stop()

    run(story())
