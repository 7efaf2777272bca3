"""A change to the fallback profile that no disk took, and that is not what the journal knows last."""

from __future__ import annotations

import errno
from functools import partial
from pathlib import Path

import pytest

from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A
from ipad_agent.policy.guardian.fallback_cause import FallbackCause
from ipad_agent.policy.polling.poll_outcome import Wake
from ipad_agent.policy.switching.switch_settings import SwitchSettings
from ipad_agent.procedures.switching.local_switch import End
from virtual_time import run

from .agent_bench import CALM, AgentBench
from .test_agent import state_change
from .test_disk import refuse_from
from .test_switch import clean, said

HOUR_S = 3600.0


@pytest.mark.parametrize("way_back", [["--rollback"], []])
def test_a_fallback_by_a_person_is_not_taken_for_the_rollback_of_the_switch_before_it(
    pki_folder: Path, way_back: list[str]
) -> None:
    """Torture seeds 501860 and 503225: the eIM was told undefinedError for its order, then that it was done, and
    nothing more; or only that it was done."""

    async def story() -> None:
        bench = AgentBench(pki_folder, switching=SwitchSettings(success="application-probe"))
        bench.network.reachable = lambda: bench.radio.used != OPERATOR_A
        bench.radio.works = True
        refuse_from(bench, "post-switch", errno.EIO)
        bench.order("enable", OPERATOR_A, *way_back)
        bench.start()
        await bench.until(CALM.first_s + bench.phase_s + 60)
        assert bench.agent.switches.open() is None, "committed, and no disk knows it"
        by_person = partial(bench.agent.guardian_actions.fall_back, by=FallbackCause.PERSON)
        assert (await bench.agent.card_requests.ask(by_person)).end is End.DONE
        assert bench.card.enabled_iccid == BOOTSTRAP
        await bench.kill()
        bench.disk.refuses = None
        bench.start()
        bench.agent.poke(Wake.COMMAND)
        await bench.until(3 * HOUR_S)
        assert said(bench) == [["enable ok"]]
        told = [state_change(body) for _, _, function, body in bench.network.requests if function == "GetEimPackage"]
        assert any(told), "the eIM believes the order's result, and has to hear that the state is another one"
        assert clean(bench)
        await bench.stop()

    run(story())
