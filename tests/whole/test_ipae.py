"""A card whose own IPAe is active: told of the IPAd, looked at again, left alone unless the owner insists."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipad_agent.agent.card_startup import INSIST_GAP_S
from ipad_agent.agent.main_loop import LOOK_AGAIN_S
from ipad_agent.card.apdu_channel import RecoveryPlan
from ipad_agent.lab.euicc import OPERATOR_A, Quirks
from virtual_time import run

from .agent_bench import AgentBench
from .test_agent import said


def heard(bench: AgentBench) -> list[str]:
    """What the card is told from now on, in words."""
    words: list[str] = []
    transmit, reset = bench.access.transmit, bench.access.reset
    names = {0xAA: "TERMINAL CAPABILITY", 0x70: "MANAGE CHANNEL", 0xA4: "SELECT"}

    def listen(apdu: bytes) -> bytes:
        if apdu[1] == 0xE2:
            words.append(apdu[5:7].hex().upper())
        elif apdu[1] in names and not (apdu[1] == 0x70 and apdu[2]):
            words.append(names[apdu[1]])
        return transmit(apdu)

    def note() -> None:
        words.append("reset")
        reset()

    bench.access.transmit, bench.access.reset = listen, note  # type: ignore[method-assign]  # on this object
    return words


def test_an_ipad_is_declared_before_the_first_channel_so_that_the_ipae_gives_way(
    pki_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, quirks=Quirks(ipae=True))
        words = heard(bench)
        bench.order("enable", OPERATOR_A)
        bench.start()
        await bench.until(7200)
        assert words[:4] == ["TERMINAL CAPABILITY", "MANAGE CHANNEL", "SELECT", "BF3E"]
        assert bench.card.enabled_iccid == OPERATOR_A
        await bench.stop()

    run(story())
    assert not {"IPA-4002", "IPA-4360"} & set(said(caplog))


def test_a_card_found_in_ipae_mode_is_told_once_more_and_looked_at_again(
    pki_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, quirks=Quirks(ipae=True, ipae_ends_after=2, ipae_refuses_es10=True))
        words = heard(bench)
        bench.order("enable", OPERATOR_A)
        bench.start()
        await bench.until(7200)
        assert words[:7] == [
            "TERMINAL CAPABILITY",
            "MANAGE CHANNEL",
            "SELECT",
            "BF3E",
            "BF22",
            "TERMINAL CAPABILITY",
            "MANAGE CHANNEL",
        ]
        assert bench.card.enabled_iccid == OPERATOR_A
        await bench.stop()

    with caplog.at_level("INFO"):
        run(story())
    assert "IPA-4360" in said(caplog)
    assert "IPA-4002" not in said(caplog)


@pytest.mark.parametrize("refuses", [True, False])
def test_a_card_that_stays_in_ipae_mode_is_left_alone_and_never_reset(
    pki_folder: Path, caplog: pytest.LogCaptureFixture, refuses: bool
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, quirks=Quirks(ipae=True, ipae_ends_after=None, ipae_refuses_es10=refuses))
        words = heard(bench)
        bench.start()
        await bench.until(LOOK_AGAIN_S * 2.5)
        assert bench.network.requests == []
        assert "reset" not in words
        assert "BF42" not in words
        assert "BF2D" not in words
        assert words.count("TERMINAL CAPABILITY") == 4  # after power on, and once at each of three looks
        await bench.stop()

    run(story())
    assert said(caplog).count("IPA-4002") == 3


@pytest.mark.parametrize(
    ("quirks", "insisting", "last"),
    [
        # It has to be switched off.
        (Quirks(ipae=True, ipae_ends_after=None, ipae_refuses_es10=True), ["reset", "BF42", "reset"], "IPA-4360"),
        # It says IPAe whatever is done, and lets itself be managed.
        (
            Quirks(ipae=True, ipae_ends_after=None, ipae_can_be_switched_off=False),
            ["reset", "BF42"],
            "IPA-4363",
        ),
    ],
)
def test_an_owner_may_insist_on_a_card_in_ipae_mode(
    pki_folder: Path, caplog: pytest.LogCaptureFixture, quirks: Quirks, insisting: list[str], last: str
) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder, quirks=quirks, take_from_ipae=True)
        bench.access.recovery_plan = lambda: RecoveryPlan(wait_s=1.0, rungs=(0, 2))  # type: ignore[method-assign]
        words = heard(bench)
        bench.order("list-profiles")
        bench.start()
        await bench.until(LOOK_AGAIN_S)
        assert [word for word in words if word in ("reset", "BF42")] == insisting
        await bench.until(7200)
        bench.order("enable", OPERATOR_A)
        await bench.until(2 * 86_400)
        assert bench.card.enabled_iccid == OPERATOR_A
        assert len(bench.results) == 2
        await bench.stop()

    with caplog.at_level("INFO"):
        run(story())
    assert last in said(caplog)
    assert "IPA-4002" not in said(caplog)


def test_a_card_that_its_ipae_keeps_is_left_alone_and_tried_once_an_hour(
    pki_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        quirks = Quirks(ipae=True, ipae_ends_after=None, ipae_can_be_switched_off=False, ipae_refuses_es10=True)
        bench = AgentBench(pki_folder, quirks=quirks, take_from_ipae=True)
        bench.access.recovery_plan = lambda: RecoveryPlan(wait_s=1.0, rungs=(0, 2))  # type: ignore[method-assign]
        words = heard(bench)
        bench.start()
        await bench.until(INSIST_GAP_S * 2.5)
        assert words.count("reset") == 3
        assert bench.network.requests == []
        await bench.stop()

    run(story())
    assert said(caplog).count("IPA-4364") == 3
    assert "IPA-4002" in said(caplog)
