"""What the whole agent shows of itself while things happen to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from ipad_agent import events
from ipad_agent.card.apdu_channel import ApduChannel
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.identifiers import Eid
from ipad_agent.eim import EimClient, FailoverCarrier, Way
from ipad_agent.errors import CardError, ModemError
from ipad_agent.lab.eim.eim_faults import Fault
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A
from ipad_agent.local.status_model import Severity, State, Status, to_plain
from ipad_agent.local.varlink.idl_types import Field, fields_of, name_of, reachable
from ipad_agent.net import Unreachable
from ipad_agent.policy.polling.hold_reason import Held
from ipad_agent.policy.polling.poll_outcome import Wake
from virtual_time import run

from . import agent_bench
from .agent_bench import CALM, AgentBench, Links, Network, SteppingCarrier

FIRST_POLL_S = 700.0
"""By then every device has polled once."""


class Watcher:
    """Looks at the board after each change."""

    def __init__(self, bench: AgentBench) -> None:
        self.agent = bench.start()
        self.seen: list[Status] = [self.agent.board.snapshot()]
        self._leave = [events.listen(self.agent.board.happened), self.agent.board.watch(self._look)]

    def _look(self) -> None:
        self.seen.append(self.agent.board.snapshot())

    @property
    def now(self) -> Status:
        return self.agent.board.snapshot()

    @property
    def states(self) -> list[State]:
        """The states in their order, each as often as it began."""
        return [state for state, _ in groupby(status.verdict.state for status in self.seen)]

    def stop(self) -> None:
        for leave in self._leave:
            leave()


def story(pki_folder: Path, tell: Callable[[AgentBench, Callable[[], Watcher]], Coroutine[Any, Any, None]]) -> None:
    """Run it in virtual time; whoever watches stops watching at the end."""

    async def whole() -> None:
        bench = AgentBench(pki_folder)
        watchers: list[Watcher] = []

        def watch() -> Watcher:
            watchers.append(Watcher(bench))
            return watchers[-1]

        try:
            await tell(bench, watch)
            await bench.stop()
        finally:
            for watcher in watchers:
                watcher.stop()

    run(whole())


def test_a_quiet_day_is_starting_then_ready_with_polls_in_between(pki_folder: Path) -> None:
    async def tell(bench: AgentBench, watch: Callable[[], Watcher]) -> None:
        watcher = watch()
        await bench.until(FIRST_POLL_S)
        assert watcher.states == [State.STARTING, State.READY, State.POLLING, State.READY]
        status = watcher.now
        assert status.card is not None
        assert status.card.eid == bench.card.eid
        (eim,) = status.eims
        assert eim.eim_id == bench.identity.eim_id
        assert eim.last_poll is not None
        assert eim.last_poll.ok
        assert eim.next_poll is not None
        assert -eim.next_poll.age_s == pytest.approx(CALM.interval_s, abs=FIRST_POLL_S)
        assert status.verdict.next_at == eim.next_poll
        assert [profile.iccid for profile in status.profiles if profile.enabled] == [BOOTSTRAP]
        assert status.owed == ()

    story(pki_folder, tell)


def test_an_ordered_switch_is_seen_from_arming_to_commitment(pki_folder: Path) -> None:
    async def tell(bench: AgentBench, watch: Callable[[], Watcher]) -> None:
        bench.order("enable", OPERATOR_A, "--rollback")
        watcher = watch()
        await bench.until(FIRST_POLL_S)
        assert State.SWITCHING in watcher.states
        armed = next(status for status in watcher.seen if status.verdict.state is State.SWITCHING)
        assert armed.switch is not None
        assert (armed.switch.previous, armed.switch.target) == (BOOTSTRAP, OPERATOR_A)
        assert armed.verdict.next_at is not None
        status = watcher.now
        assert status.verdict.state is State.READY
        assert status.switch is not None
        assert status.switch.phase == "committed"
        enabled = next(profile for profile in status.profiles if profile.enabled)
        assert (enabled.iccid, enabled.changed_by) == (OPERATOR_A, "eIM")
        last = status.eims[0].last_poll
        assert last is not None
        assert (last.packages, last.results) == (1, 1)

    story(pki_folder, tell)


def test_a_profile_without_coverage_is_seen_to_be_taken_back(pki_folder: Path) -> None:
    async def tell(bench: AgentBench, watch: Callable[[], Watcher]) -> None:
        bench.radio.dark.add(OPERATOR_A)
        bench.order("enable", OPERATOR_A, "--rollback")
        watcher = watch()
        await bench.until(FIRST_POLL_S + 1000)
        began = watcher.states.index(State.SWITCHING)
        proving = [status for status in watcher.seen if status.switch is not None and status.switch.phase == "proving"]
        assert all(status.owed for status in proving), "the eIM has not got the result of its order"
        assert watcher.states[began : began + 3] == [State.SWITCHING, State.ROLLING_BACK, State.ROLLED_BACK]
        status = watcher.now
        assert status.verdict.state is State.ROLLED_BACK
        assert "It failed at: network, " in status.verdict.sentence
        assert [profile.iccid for profile in status.profiles if profile.enabled] == [BOOTSTRAP]
        await bench.until(FIRST_POLL_S + 1000 + 2 * 86_400)
        assert watcher.now.verdict.state is State.READY

    story(pki_folder, tell)


def test_a_poll_that_ends_with_the_modem_is_not_said_to_be_the_cards_failure(pki_folder: Path) -> None:
    async def tell(bench: AgentBench, watch: Callable[[], Watcher]) -> None:
        watcher = watch()
        await bench.until(FIRST_POLL_S)

        async def gone(aid: bytes, *, last: bool = True) -> ApduChannel:
            raise CardError("/dev/ttyUSB2 is not there: the modem is unplugged")

        bench.order("list-profiles")
        setattr(bench.access, "open", gone)  # noqa: B010
        bench.agent.poke(Wake.COMMAND)
        await bench.until(FIRST_POLL_S + 5)
        (eim,) = watcher.now.eims
        assert eim.trouble == "/dev/ttyUSB2 is not there: the modem is unplugged"

    story(pki_folder, tell)


class TwoWays(Links):
    """The first way to the eIM is closed."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self._client: EimClient | None = None

    def link(self, config: EimConfigurationData, eid: Eid) -> EimClient:
        def closed() -> SteppingCarrier:
            carrier = SteppingCarrier(self._network, config.eim_id)
            setattr(carrier, "exchange", nobody)  # noqa: B010
            return carrier

        async def nobody(body: bytes, *, function: str) -> bytes:
            raise Unreachable("no answer to DTLS")

        if self._client is None:
            ways = Way("coaps", closed), Way("https", lambda: SteppingCarrier(self._network, config.eim_id))
            self._client = EimClient(FailoverCarrier(ways, eim_id=config.eim_id), eid, eim_id=config.eim_id)
        return self._client


def test_a_poll_that_fails_is_told_of_the_carrier_over_which_it_failed(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_bench, "Links", TwoWays)

    async def tell(bench: AgentBench, watch: Callable[[], Watcher]) -> None:
        watcher = watch()
        await bench.until(FIRST_POLL_S)
        polls = [status.eims[0] for status in watcher.seen if status.eims and status.eims[0].last_poll is not None]
        failed = next(eim for eim in polls if eim.trouble == "no answer to DTLS")
        assert failed.carrier == "coaps"
        assert watcher.now.eims[0].carrier == "coaps"
        await bench.until(FIRST_POLL_S + 7200)
        assert (watcher.now.eims[0].trouble, watcher.now.eims[0].carrier) == (None, "https")

    story(pki_folder, tell)


def test_a_silent_eim_and_its_return_are_told(pki_folder: Path) -> None:
    async def tell(bench: AgentBench, watch: Callable[[], Watcher]) -> None:
        bench.network.down = {bench.identity.eim_id}
        watcher = watch()
        await bench.until(FIRST_POLL_S)
        verdict = watcher.now.verdict
        assert (verdict.state, verdict.next_at is not None) == (State.EIM_UNREACHABLE, True)
        assert "nobody answers" in verdict.sentence
        await bench.until(86_400)
        assert watcher.now.verdict.severity is Severity.BAD
        bench.network.down = set()
        await bench.until(3 * 86_400)
        assert watcher.now.verdict.state is State.READY

    story(pki_folder, tell)


def test_a_port_that_vanishes_and_comes_back_is_told(pki_folder: Path) -> None:
    async def tell(bench: AgentBench, watch: Callable[[], Watcher]) -> None:
        bench.access.trouble = ModemError("the port is gone", hint="Plug it in.")
        watcher = watch()
        await bench.until(60)
        verdict = watcher.now.verdict
        assert (verdict.state, verdict.advice) == (State.NO_MODEM, "Plug it in.")
        assert watcher.now.trouble is not None
        assert watcher.now.trouble.since is not None
        assert watcher.now.trouble.since.age_s == pytest.approx(60.0, abs=1)
        bench.access.trouble = None
        await bench.until(FIRST_POLL_S + 60)
        assert watcher.now.verdict.state is State.READY

    story(pki_folder, tell)


def test_work_that_the_site_holds_back_is_told_with_the_reason(pki_folder: Path) -> None:
    async def tell(bench: AgentBench, watch: Callable[[], Watcher]) -> None:
        bench.site.held = (Held("external-power", "there is no external power"),)
        watcher = watch()
        await bench.until(FIRST_POLL_S)
        verdict = watcher.now.verdict
        assert verdict.state is State.HELD
        assert "there is no external power" in verdict.sentence
        bench.site.held = ()
        await bench.until(FIRST_POLL_S + 2 * 86_400)
        assert watcher.now.verdict.state is State.READY

    story(pki_folder, tell)


def test_every_picture_on_the_way_has_the_form_of_the_interface(pki_folder: Path) -> None:
    async def tell(bench: AgentBench, watch: Callable[[], Watcher]) -> None:
        bench.order("enable", OPERATOR_A, "--rollback")
        watcher = watch()
        await bench.until(FIRST_POLL_S)
        bench.access.trouble = ModemError("gone")
        bench.network.down = {bench.identity.eim_id}
        await bench.until(2 * 86_400)
        assert len(watcher.seen) > 10
        for status in watcher.seen:
            plain = json.loads(json.dumps(to_plain(status), allow_nan=False))
            assert _misfits(plain, "Status") == []

    story(pki_folder, tell)


_SIMPLE: dict[str, type | tuple[type, ...]] = {"bool": bool, "int": int, "float": (int, float), "string": str}


def _records(record: type) -> dict[str, list[Field]]:
    return {name_of(item): fields_of(item) for item in reachable(record)}


RECORDS = _records(Status)


def _misfits(value: object, wanted: str, place: str = "") -> list[str]:
    """Where a JSON value is not of this Varlink type."""
    if wanted.startswith("?"):
        return [] if value is None else _misfits(value, wanted[1:], place)
    if wanted.startswith("[]"):
        items = value if isinstance(value, list) else [None]
        return [bad for number, item in enumerate(items) for bad in _misfits(item, wanted[2:], f"{place}[{number}]")]
    if wanted in _SIMPLE:
        fits = isinstance(value, _SIMPLE[wanted]) and (wanted == "bool" or not isinstance(value, bool))
        return [] if fits else [f"{place}: {value!r} is no {wanted}"]
    if not isinstance(value, dict) or set(value) != {field.name for field in RECORDS[wanted]}:
        return [f"{place}: no {wanted}"]
    return [
        bad for field in RECORDS[wanted] for bad in _misfits(value[field.name], field.type, f"{place}.{field.name}")
    ]


# -- an eIM that answers is not out of reach --------------------------------------------------------------------------


def test_a_result_that_is_never_taken_is_shown_with_its_reason_and_count_and_nothing_is_called_unreachable(
    pki_folder: Path,
) -> None:
    async def tell(bench: AgentBench, watch: Callable[[], Watcher]) -> None:
        refused = bench.order("list-profiles")
        bench.refuse_results_of(refused)
        bench.eim.settings.strict_sequence = False  # its number is below those that the eIM takes meanwhile
        watcher = watch()
        await bench.until(FIRST_POLL_S)
        polls = len(bench.network.polls())
        (owed,) = watcher.now.owed
        assert (owed.attempts, owed.reason) == (1, "undefinedError (127)")
        assert owed.next_attempt is not None
        others = [bench.order("list-profiles") for _ in range(3)]
        await bench.until(FIRST_POLL_S + 4 * 3600)
        assert [order.state for order in others] == ["done"] * 3
        status = watcher.now
        (eim,) = status.eims
        (owed,) = status.owed
        assert (owed.attempts, owed.reason, owed.receiver) == (3, "undefinedError (127)", bench.identity.eim_id)
        assert eim.trouble is not None
        assert eim.trouble.startswith("refused our result: undefinedError (127), 3 times; next try in ")
        assert (eim.failures, eim.answered) == (0, True)
        assert eim.next_reason == "the eIM refused our result: undefinedError (127), 3 times"
        assert status.verdict.state is State.EIM_REFUSES
        assert eim.trouble in status.verdict.sentence
        assert State.EIM_UNREACHABLE not in watcher.states
        assert "IPA-1005" not in [event.id for event in watcher.agent.board.recent(200)]
        assert len(bench.network.polls()) > polls
        bench.take_results_again()
        await bench.until(FIRST_POLL_S + 86_400)
        assert watcher.now.owed == ()
        assert refused.state == "done"
        assert watcher.now.verdict.state is State.READY

    story(pki_folder, tell)


def test_what_the_last_eim_got_after_it_deleted_itself_is_not_owed_any_more(pki_folder: Path) -> None:
    async def tell(bench: AgentBench, watch: Callable[[], Watcher]) -> None:
        bench.order("delete-eim", bench.identity.eim_id)
        cut = [True]

        def lose(moment: str, function: str) -> bool:
            return (moment, function) == ("before", "ProvideEimPackageResult") and cut != [] and cut.pop()

        bench.network.cut = lose
        watcher = watch()
        await bench.until(FIRST_POLL_S + 86_400)
        assert bench.results
        assert bench.journal.entries() == ()
        assert any(status.owed for status in watcher.seen)
        assert watcher.now.owed == ()

    story(pki_folder, tell)


def test_a_refused_result_keeps_its_count_and_its_pause_over_a_restart(pki_folder: Path) -> None:
    async def tell(bench: AgentBench, watch: Callable[[], Watcher]) -> None:
        bench.refuse_results_of(bench.order("list-profiles"))
        watch()
        await bench.until(FIRST_POLL_S)
        await bench.stop()
        results = sum(function == "ProvideEimPackageResult" for _, _, function, _ in bench.network.requests)
        watcher = watch()
        await bench.until(FIRST_POLL_S + 1800)
        (owed,) = watcher.now.owed
        assert (owed.attempts, owed.reason) == (1, "undefinedError (127)")
        assert sum(function == "ProvideEimPackageResult" for _, _, function, _ in bench.network.requests) == results

    story(pki_folder, tell)


def test_an_eim_that_answers_with_errors_only_is_told_as_one_that_answers(pki_folder: Path) -> None:
    async def tell(bench: AgentBench, watch: Callable[[], Watcher]) -> None:
        bench.eim.faults.arm(Fault("get", "status", "5.00", times=-1))
        watcher = watch()
        await bench.until(3 * 86_400)
        verdict = watcher.now.verdict
        (eim,) = watcher.now.eims
        assert (verdict.state, verdict.severity) == (State.EIM_REFUSES, Severity.BAD)
        assert "answers, but gives no work" in verdict.sentence
        assert eim.answered is True
        assert State.EIM_UNREACHABLE not in watcher.states

    story(pki_folder, tell)


def test_an_eim_to_which_no_way_is_configured_is_not_said_to_have_failed_to_prove_who_it_is(pki_folder: Path) -> None:
    async def tell(bench: AgentBench, watch: Callable[[], Watcher]) -> None:
        del bench.network.eims[bench.identity.eim_id]
        watcher = watch()
        await bench.until(FIRST_POLL_S)
        (eim,) = watcher.now.eims
        assert eim.last_poll is not None
        assert eim.last_poll.outcome == "card and configuration lead to no way to the eIM"
        assert "prove" not in str(eim.next_reason)
        assert eim.answered is False

    story(pki_folder, tell)
