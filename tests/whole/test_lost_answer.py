"""The answer to a package was lost, and the list of results too: what the card did must not be lost with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipad_agent.card.errors import ChannelLost, LossReason
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A
from ipad_agent.policy.polling.poll_outcome import Wake
from virtual_time import run

from .agent_bench import AgentBench
from .test_emulated_agent import EmulatedBench
from .test_switch import said

HOUR_S = 3600.0


def lost() -> ChannelLost:
    return ChannelLost("the channel is lost: no answer", reason=LossReason.TIMEOUT)


def lose_answer_and_list(bench: AgentBench, lists: int = 1) -> None:
    """The card executes the next package; its answer, and the next lists of results, do not get through."""
    card = bench.card_of_agent()
    load, list_results = card.load_euicc_package, card.retrieve_notifications
    left = {"load": 1, "list": lists}

    async def loading(*values: object) -> object:
        answer = await load(*values)  # type: ignore[arg-type]
        if left["load"]:
            left["load"] -= 1
            raise lost()
        return answer

    async def listing(*values: object) -> object:
        if not left["load"] and left["list"]:
            left["list"] -= 1
            raise lost()
        return await list_results(*values)  # type: ignore[arg-type]

    card.load_euicc_package = loading  # type: ignore[method-assign, assignment]
    card.retrieve_notifications = listing  # type: ignore[method-assign, assignment]
    bench.card_of_agent = lambda: card  # type: ignore[method-assign]


@pytest.mark.parametrize("kind", [AgentBench, EmulatedBench])
def test_a_switch_of_which_nothing_was_heard_is_proved_and_taken_back_all_the_same(
    pki_folder: Path, kind: type[AgentBench]
) -> None:
    """Torture seed 309937: the card was loaded again, said replayError, and the switch counted as never made."""

    async def story() -> None:
        bench = kind(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        lose_answer_and_list(bench)
        bench.start()
        await bench.until(60.0)
        if isinstance(bench, EmulatedBench):
            bench.register()
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.agent.poke(Wake.COMMAND)
        await bench.until(3 * HOUR_S)
        assert bench.card.enabled_iccid == BOOTSTRAP
        assert said(bench) == [["enable ok", "rollback ok"]]
        assert bench.agent.switches.open() is None
        await bench.stop()

    run(story())


def test_a_switch_that_the_card_never_tells_of_is_found_by_the_profile_that_is_enabled(pki_folder: Path) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.radio.dark.add(OPERATOR_A)
        lose_answer_and_list(bench, lists=1_000_000)
        bench.order("enable", OPERATOR_A, "--rollback")
        bench.start()
        await bench.until(3 * HOUR_S)
        assert bench.card.enabled_iccid == BOOTSTRAP
        assert ["enable ok", "rollback ok"] in said(bench)
        assert bench.agent.switches.open() is None
        await bench.stop()

    run(story())
