"""The whole agent on a consumer card: from its first eIM to keys, states and cards that are gone."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from ipad_agent.agent.dependencies import ManagedCard
from ipad_agent.card.es10c_functions import ConsumerEuicc
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.codec.esipa.device_info import IpaCapabilities, IpaFeature, IpaProtocol
from ipad_agent.emulation.device_key import SoftwareKey
from ipad_agent.emulation.emulated_cards import EmulatedCards, EmulateIot
from ipad_agent.emulation.emulated_euicc import EmulatedEuicc
from ipad_agent.emulation.emulated_state import EmulatedState
from ipad_agent.emulation.registration import import_file
from ipad_agent.lab.eim.errors import OrderError
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, Quirks
from ipad_agent.policy.polling.poll_outcome import Wake
from ipad_agent.procedures.startup.initial_eim_provisioning import read_initial_eims
from ipad_agent.store import EmulatedCardFiles
from virtual_time import run

from .agent_bench import AgentBench
from .emulated import DEVICE_KEY, KeyInHand

OTHER_EID = "89049032000000000000000000000260"
CAPABILITIES = IpaCapabilities(
    frozenset({IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION}), frozenset({IpaProtocol.RETRIEVE_HTTPS})
)


class EmulatedBench(AgentBench):
    """A gateway with ``card.emulate_iot = "when-needed"`` and a file with its first eIM."""

    def __init__(self, folder: Path, *, counter: int = 0, eid: str | None = None) -> None:
        super().__init__(folder, quirks=Quirks(consumer=True), associated=False, eid=eid)
        self.keys = KeyInHand()
        self.numbers = itertools.count(7)
        self.give_file(counter)
        self.eim.devices.clear()

    def give_file(self, counter: int = 0) -> None:
        """What provisioning.initial_eim names."""
        data = self.identity.configuration(fqdn=self.identity.eim_id, counter=counter)
        self.initial_eims = read_initial_eims(data, "a test")

    def card_of_agent(self) -> ManagedCard:
        self.emulated_cards = EmulatedCardFiles(self.disk, "/state")
        self.emulated = EmulatedEuicc(
            EmulatedCards(
                ConsumerEuicc(IsdrSession(self.access)),
                self.emulated_cards,
                self.keys,
                self.clock,
                mode=EmulateIot.WHEN_NEEDED,
                random_bits=lambda bits: 1000 * next(self.numbers),
            )
        )
        return self.emulated

    @property
    def state(self) -> EmulatedState:
        document = EmulatedCardFiles(self.disk, "/state").file(self.card.eid).load()
        assert document is not None
        return EmulatedState.from_document(document)

    def register(self, *, replace_key: bool = False) -> None:
        """What ``ipactl emulation export`` and the eIM's operator do."""
        assert self.keys.key is not None
        facts = import_file.facts_of(self.state, None, CAPABILITIES, None)
        assert facts is not None
        self.eim.import_device(import_file.written(self.keys.key, facts), replace_key=replace_key)

    async def poll(self, at_s: float) -> None:
        self.agent.poke(Wake.COMMAND)
        await self.until(at_s)

    def last_result(self) -> tuple[str, list[int]]:
        """Signature and codes of what the eIM got last."""
        facts = self.results[-1]["facts"]
        assert isinstance(facts, dict)
        return facts["signature"], [one["code"] for one in facts["operations"]]


def test_a_consumer_card_gets_its_eim_is_registered_and_managed(pki_folder: Path) -> None:
    async def story() -> None:
        bench = EmulatedBench(pki_folder)
        bench.start()
        await bench.until(60.0)
        bench.register()
        order = bench.order("enable", OPERATOR_A, "--rollback")
        await bench.poll(400.0)
        assert order.state == "done"
        assert bench.last_result() == ("right (token)", [0])
        assert bench.card.enabled_iccid == OPERATOR_A
        assert bench.state.results == ()
        await bench.stop()

    run(story())


def test_the_eim_refuses_a_second_import_and_a_wrong_key(pki_folder: Path) -> None:
    async def story() -> None:
        bench = EmulatedBench(pki_folder)
        bench.start()
        await bench.until(60.0)
        bench.register()
        with pytest.raises(OrderError):
            bench.register()
        bench.eim.device(bench.card.eid).euicc_spki = bench.identity.signing_spki
        order = bench.order("enable", OPERATOR_A)
        await bench.poll(400.0)
        assert order.state != "done"
        assert bench.results == []
        assert len(bench.state.results) == 1
        await bench.stop()

    run(story())


def test_emulated_key_lost_nothing_is_signed_until_a_new_one_is_registered(pki_folder: Path) -> None:
    async def story() -> None:
        bench = EmulatedBench(pki_folder)
        bench.start()
        await bench.until(60.0)
        bench.register()
        bench.order("enable", OPERATOR_A)
        await bench.poll(400.0)
        await bench.stop()
        bench.keys.key = None
        bench.order("enable", BOOTSTRAP)
        bench.start()
        await bench.poll(800.0)
        assert bench.card.enabled_iccid == OPERATOR_A
        assert bench.keys.key is None
        await bench.stop()
        # As `ipactl emulation new-key` does it: another key, the eIMs forgotten, numbers and tokens go on.
        state, known = bench.state, bench.eim.device(bench.card.eid).counter
        bench.keys.key = SoftwareKey(DEVICE_KEY)
        fresh = EmulatedState(state.eid, state.fingerprint, state.next_seq, state.next_token, info1=state.info1)
        EmulatedCardFiles(bench.disk, "/state").file(bench.card.eid).write(fresh.to_document())
        bench.give_file(known + 1)
        bench.start()
        await bench.until(1200.0)
        assert [entry.counter for entry in bench.state.eims] == [known + 1]
        await bench.stop()

    run(story())


def test_emulated_state_lost_old_orders_are_not_carried_out_again(pki_folder: Path) -> None:
    async def story() -> None:
        bench = EmulatedBench(pki_folder)
        bench.start()
        await bench.until(60.0)
        bench.register()
        order = bench.order("enable", OPERATOR_A)
        await bench.poll(400.0)
        assert order.package is not None
        await bench.stop()
        bench.disk.remove(f"/state/emulated-{bench.card.eid}.json")
        bench.start()
        await bench.until(900.0)
        # The file gives the card its eIM anew, with its old counter; but no old order carries the new token.
        assert [entry.counter for entry in bench.state.eims] == [0]
        answer = await bench.emulated.load_euicc_package(order.package)
        assert answer.variant == "error_unsigned"
        assert bench.state.next_seq > 0x40000000
        await bench.stop()

    run(story())


def test_emulated_card_swapped_each_card_keeps_its_own(pki_folder: Path) -> None:
    async def story() -> None:
        bench = EmulatedBench(pki_folder)
        bench.start()
        await bench.until(60.0)
        bench.register()
        bench.order("enable", OPERATOR_A)
        await bench.poll(400.0)
        await bench.stop()
        first, counters = bench.access.card, bench.state.eims[0].counter
        other = EmulatedBench(pki_folder, eid=OTHER_EID)
        bench.access.card = other.card
        bench.access.reset()
        bench.start()
        await bench.until(800.0)
        kept = EmulatedCardFiles(bench.disk, "/state").file(OTHER_EID).load()
        assert kept is not None
        assert EmulatedState.from_document(kept).eims[0].counter == 0
        await bench.stop()
        bench.access.card = first
        bench.access.reset()
        bench.start()
        await bench.until(1200.0)
        order = bench.order("enable", BOOTSTRAP)
        await bench.poll(1600.0)
        assert order.state == "done"
        assert bench.state.eims[0].counter == counters + 1
        await bench.stop()

    run(story())


def test_json_of_the_import_has_the_cards_own_info1(pki_folder: Path) -> None:
    async def story() -> None:
        bench = EmulatedBench(pki_folder)
        bench.start()
        await bench.until(60.0)
        assert bench.keys.key is not None
        facts = import_file.facts_of(bench.state, None, CAPABILITIES, "353290611234568")
        assert facts is not None
        document = json.loads(import_file.written(bench.keys.key, facts))
        assert document["euicc_info1"]
        await bench.stop()

    run(story())


def test_a_card_that_is_changed_while_the_agent_runs_is_served_under_its_own_name(pki_folder: Path) -> None:
    async def story() -> None:
        bench = EmulatedBench(pki_folder)
        bench.start()
        await bench.until(60.0)
        bench.register()
        bench.order("list-profiles")
        await bench.poll(400.0)
        first, other = bench.access.card, EmulatedBench(pki_folder, eid=OTHER_EID).card
        waiting = bench.order("enable", OPERATOR_A)
        bench.access.card = bench.card = other
        bench.access.reset()
        await bench.poll(800.0)
        assert [config.eim_id for config in bench.state.eims] == [bench.identity.eim_id]  # although within the hour
        assert waiting.state == "queued"
        asked = [body.hex().upper() for _, _, function, body in bench.network.requests if function == "GetEimPackage"]
        assert OTHER_EID in asked[-1]
        assert first.eid not in asked[-1]
        bench.access.card = bench.card = first
        bench.access.reset()
        await bench.poll(1200.0)
        assert waiting.state == "done"
        assert other.enabled_iccid == BOOTSTRAP
        await bench.stop()

    run(story())
