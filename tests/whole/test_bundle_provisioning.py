"""A provisioning bundle on the whole agent: used once, lost by no kill, bound by the table of answers (T37, T38).

Long: one bench for the whole way from the bundle to the first verified result.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent import events
from ipad_agent.agent.dependencies import ManagedCard
from ipad_agent.agent.main_loop import Agent
from ipad_agent.card.es10c_functions import ConsumerEuicc
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.cli.ipactl.output.terminal_output import TerminalOutput
from ipad_agent.cli.ipactl.screens.status_screen import status_lines
from ipad_agent.clock import Clock
from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.esipa.device_info import IpaCapabilities, IpaFeature, IpaProtocol
from ipad_agent.config import Config
from ipad_agent.daemon.maker_functions import MakerFunctions
from ipad_agent.emulation.associated_eims import add_initial
from ipad_agent.emulation.device_key import KeyFile, SoftwareKey
from ipad_agent.emulation.emulated_cards import EmulatedCards, EmulateIot
from ipad_agent.emulation.emulated_euicc import EmulatedEuicc
from ipad_agent.emulation.emulated_state import BindingState, EmulatedState
from ipad_agent.errors import NetworkError
from ipad_agent.lab.crypto import der
from ipad_agent.lab.euicc import OPERATOR_A, Quirks
from ipad_agent.local.local_verbs import Refused
from ipad_agent.net import HttpsEndpoint, Trust
from ipad_agent.net.https.https_carrier import Answer
from ipad_agent.policy.polling.poll_outcome import Wake
from ipad_agent.procedures.context import Context
from ipad_agent.store import EmulatedCardFile, EmulatedCardFiles, Memory, RealFilesystem
from ipad_agent.wiring.bind_requests import SelfBinding
from ipad_agent.wiring.bundle_files import RECEIVED, BundleFiles
from virtual_time import run
from written_bundles import KEY, written

from .agent_bench import AgentBench, now_s
from .memory import StillClock, World

SPKI = SoftwareKey(KEY).spki
TAKEN, UNUSED, STAYS, BOUND, BIND_REFUSED = "IPA-1273", "IPA-4273", "IPA-4274", "IPA-4373", "IPA-4374"
CAPABILITIES = IpaCapabilities(
    frozenset({IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION}), frozenset({IpaProtocol.RETRIEVE_HTTPS})
)


@contextmanager
def heard() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What is said meanwhile."""
    said: list[tuple[str, dict[str, Any]]] = []
    unlisten = events.listen(lambda event, facts: said.append((event.id, dict(facts))))
    try:
        yield said
    finally:
        unlisten()


class BindCarrier:
    """HTTPS to the eIM, without the network: ``script`` first (a status, with Retry-After, or nothing), then the lab's
    eIM itself."""

    def __init__(self, bench: BundleBench, endpoint: HttpsEndpoint) -> None:
        self._bench = bench
        self._endpoint = endpoint
        self.ip_bytes = 0

    async def ask(self, body: bytes, *, function: str) -> Answer:
        self._bench.first_bind.set()
        self._bench.binds.append((now_s(), self._endpoint.path, self._endpoint.content_type, body))
        self.ip_bytes += 2000
        if self._bench.script:
            scripted = self._bench.script.pop(0)
            if scripted is None:
                raise NetworkError("bind took over 120 s")
            return Answer(*scripted, "")
        status, retry_s = self._bench.eim.bindings.bind(body, now_s=now_s())
        return Answer(status, retry_s, "")

    async def close(self) -> None:
        return None


class BundleBench(AgentBench):
    """A gateway with a consumer card, ``card.emulate_iot`` and a folder for bundle and key on this machine's disk."""

    def __init__(self, folder: Path, place: Path, *, eid: str | None = None) -> None:
        super().__init__(folder, quirks=Quirks(consumer=True), associated=False, eid=eid)
        self.place = place
        self.keys = KeyFile(place)
        self.path = place / "bundle.eim"
        self.script: list[tuple[int, float | None] | None] = []
        self.binds: list[tuple[float, str, str, bytes]] = []
        self.eim.devices.clear()
        self.tokens = iter(range(7, 1000))
        self.first_bind = asyncio.Event()

    def issue(self, counter: int = 0) -> None:
        configuration = self.identity.configuration(fqdn=self.identity.eim_id, counter=counter)
        self.path.touch(mode=0o600)
        self.path.write_bytes(self.eim.bindings.issue(configuration, counter=counter, now_s=self.clock.wall()))

    def card_of_agent(self) -> ManagedCard:
        self.emulated_cards = EmulatedCardFiles(self.disk, "/state")
        memory = Memory(self.disk, state_dir="/state", runtime_dir="/run")
        self.bundles = self.files = files = BundleFiles(self.path, self.place, memory, self.clock)
        self.emulated = EmulatedEuicc(
            EmulatedCards(
                ConsumerEuicc(IsdrSession(self.access)),
                self.emulated_cards,
                self.keys,
                self.clock,
                mode=EmulateIot.WHEN_NEEDED,
                random_bits=lambda bits: next(self.tokens),
                bundles=files,
            )
        )
        files.belongs_to(self.emulated)
        self.registration = SelfBinding(self.emulated, self._endpoint, self.clock, CAPABILITIES, _imei, self._carrier)
        return self.emulated

    def _endpoint(self, eim: EimConfigurationData) -> HttpsEndpoint:
        return HttpsEndpoint(host=eim.fqdn or eim.eim_id, trust=Trust.spki(SPKI))

    def _carrier(self, endpoint: HttpsEndpoint, clock: Clock) -> BindCarrier:
        return BindCarrier(self, endpoint)

    def start(self) -> Agent:
        agent = super().start()
        self.unlisten = events.listen(agent.board.happened)
        return agent

    async def stop(self) -> None:
        self.unlisten()
        await super().stop()

    @property
    def state(self) -> EmulatedState:
        document = EmulatedCardFiles(self.disk, "/state").file(self.card.eid).load()
        assert document is not None
        return EmulatedState.from_document(document)

    def bound(self) -> BindingState:
        assert self.state.binding is not None
        return self.state.binding.state

    @property
    def polled(self) -> int:
        """How often the eIM was asked for work."""
        return sum(function == "GetEimPackage" for _, _, function, _ in self.network.requests)

    async def asked_once(self) -> None:
        """Until the first self-binding."""
        await self.first_bind.wait()

    async def give(self, data: bytes) -> int:
        """``ipactl provision FILE``."""
        memory = Memory(self.disk, state_dir="/state", runtime_dir="/run")
        maker = MakerFunctions(self.emulated, Config(), memory, self.files)

        async def job(context: Context, eims: tuple[str, ...]) -> int | Refused:
            try:
                return await maker.provision(context, data)
            except Refused as refused:
                return refused

        given = await self.agent.card_requests.ask(job)
        if isinstance(given, Refused):
            raise given
        return given

    async def command(self, for_s: float = 300.0) -> None:
        self.agent.poke(Wake.COMMAND)
        await asyncio.sleep(for_s)


async def _imei() -> str | None:
    return "353290611234568"


def told(pki_folder: Path, place: Path, story: Callable[[BundleBench], Any]) -> list[tuple[str, dict[str, Any]]]:
    """Tell a story; what was said in it."""

    async def whole() -> None:
        bench = BundleBench(pki_folder, place)
        await story(bench)
        await bench.stop()

    with heard() as said:
        run(whole())
    return said


def of(said: list[tuple[str, dict[str, Any]]], event_id: str) -> list[dict[str, Any]]:
    return [facts for id_, facts in said if id_ == event_id]


# -- from bundle to result ---------------------------------------------------------------------------------------------


def test_a_bundle_makes_a_consumer_card_manageable_and_its_results_verifiable(pki_folder: Path, tmp_path: Path) -> None:
    async def story(bench: BundleBench) -> None:
        bench.issue()
        bench.start()
        await bench.until(600.0)
        assert not bench.path.exists()
        assert bench.bound() is BindingState.BOUND
        ((_, path, content_type, body),) = bench.binds
        assert (path, content_type) == ("/ipad/v1/bind", "application/json")
        assert body.startswith(b'{"format":"eim-euicc-import/1","eid":"')
        assert b'"imei":"353290611234568"' in body
        order = bench.order("enable", OPERATOR_A, "--rollback")
        await bench.command()
        assert order.state == "done"
        facts = bench.results[-1]["facts"]
        assert isinstance(facts, dict)
        assert facts["signature"] == "right (token)"
        assert len(bench.binds) == 1
        assert bench.agent.board.snapshot().traffic.today_bytes == 2000

    said = told(pki_folder, tmp_path, story)
    assert len(of(said, TAKEN)) == len(of(said, BOUND)) == 1
    assert of(said, UNUSED) == []


def test_a_device_that_registered_itself_is_not_said_to_be_unknown_to_its_eim_before_its_first_order(
    pki_folder: Path, tmp_path: Path
) -> None:
    doubt = "has to know this device's key"

    def screen(bench: BundleBench) -> str:
        return " ".join(status_lines(bench.agent.board.snapshot(), TerminalOutput(200)))

    async def story(bench: BundleBench) -> None:
        bench.issue()
        bench.script.append((503, 300.0))
        bench.start()
        await bench.asked_once()
        assert doubt in screen(bench)
        await bench.until(1500.0)
        assert bench.bound() is BindingState.BOUND
        assert doubt not in screen(bench)
        await bench.stop()
        bench.start()
        await bench.until(1600.0)
        (eim,) = bench.agent.board.snapshot().eims
        assert eim.last_order is None
        assert eim.key_known
        assert doubt not in screen(bench)

    told(pki_folder, tmp_path, story)


def test_a_bundle_that_comes_later_is_taken_where_no_eim_manages_the_card(pki_folder: Path, tmp_path: Path) -> None:
    async def story(bench: BundleBench) -> None:
        bench.start()
        await bench.until(100.0)
        before = bench.keys.load()
        assert before is not None  # made by the agent, and known to nobody
        bench.issue()
        await bench.until(1000.0)
        assert bench.bound() is BindingState.BOUND
        after = bench.keys.load()
        assert after is not None
        assert after.spki != before.spki

    told(pki_folder, tmp_path, story)


def test_a_lost_key_is_replaced_by_a_bundle_alone(pki_folder: Path, tmp_path: Path) -> None:
    async def story(bench: BundleBench) -> None:
        bench.issue()
        bench.start()
        await bench.until(600.0)
        bench.order("enable", OPERATOR_A)
        await bench.command()
        await bench.stop()
        bench.keys.path.unlink()
        bench.start()
        await bench.until(1500.0)
        assert bench.keys.load() is None
        bench.issue(counter=bench.eim.device(bench.card.eid).counter + 1)
        await bench.until(2500.0)
        assert bench.bound() is BindingState.BOUND
        order = bench.order("list-profiles")
        await bench.command()
        assert order.state == "done"

    said = told(pki_folder, tmp_path, story)
    assert len(of(said, TAKEN)) == 2


def test_a_disk_that_does_not_take_the_key_is_waited_for(
    pki_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = True

    async def story(bench: BundleBench) -> None:
        nonlocal full
        bench.issue()
        bench.start()
        await bench.until(200.0)
        assert bench.path.exists()
        assert not bench.keys.path.exists()
        full = False
        await bench.until(900.0)
        assert bench.bound() is BindingState.BOUND
        assert not bench.path.exists()

    real = KeyFile._write

    def write(place: KeyFile, key: ec.EllipticCurvePrivateKey) -> None:
        if full:
            raise OSError(28, "No space left on device")
        real(place, key)

    monkeypatch.setattr(KeyFile, "_write", write)
    said = told(pki_folder, tmp_path, story)
    assert len(of(said, TAKEN)) == 1
    assert of(said, "IPA-1233") == []  # no key was lost


def test_a_refused_bundle_of_the_socket_does_not_stand_before_another_one(pki_folder: Path, tmp_path: Path) -> None:
    async def story(bench: BundleBench) -> None:
        expired = bench.identity.configuration(fqdn=bench.identity.eim_id, counter=0)
        (tmp_path / RECEIVED).write_bytes(written(expired, expires_at="2025-01-01T00:00:00Z"))
        bench.issue()
        bench.start()
        await bench.until(900.0)
        assert bench.bound() is BindingState.BOUND

    said = told(pki_folder, tmp_path, story)
    assert [facts["path"] for facts in of(said, UNUSED)] == [str(tmp_path / RECEIVED)]
    assert not (tmp_path / RECEIVED).exists()


# -- refused: the file stays, and why is said --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        lambda text: text.replace(b"eim-ipad", b"eim\\u002dipad"),
        lambda text: text.replace(b'"counter": 0', b'"counter": 0, "counter": 0'),
        lambda text: text.replace(b'"counter": 0', b'"counter": 0, "more": {}'),
        lambda text: text + b"x",
        lambda text: text[:-2] + b', "more": "' + b"x" * (16385 - len(text) - 12) + b'"}\n',
        lambda text: text.replace(b'"counter": 0', b'"counter": -1'),
        lambda text: text.replace(b"2099", b"2025"),
    ],
    ids=["escape", "duplicate member", "nested object", "trailing byte", "16 KiB + 1", "negative counter", "expired"],
)
def test_t37_a_refused_bundle_is_left_where_it_is_and_says_why(
    pki_folder: Path, tmp_path: Path, changes: Callable[[bytes], bytes]
) -> None:
    async def story(bench: BundleBench) -> None:
        configuration = bench.identity.configuration(fqdn=bench.identity.eim_id, counter=0)
        data = changes(written(configuration))
        bench.path.write_bytes(data)
        bench.start()
        await bench.until(1500.0)
        assert bench.path.read_bytes() == data
        assert bench.state.eims == ()
        assert bench.state.binding is None
        key = bench.keys.load()
        assert key is None or key.spki != SPKI
        assert any(one.id == UNUSED for one in bench.agent.board.snapshot().warnings)

    said = told(pki_folder, tmp_path, story)
    (facts,) = of(said, UNUSED)  # once, however often it is looked at
    assert facts["reason"]
    assert facts["path"] == str(tmp_path / "bundle.eim")


def test_a_bundle_is_refused_where_the_key_is_in_a_token(
    pki_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KeyFile, "takes_keys", False)

    async def story(bench: BundleBench) -> None:
        bench.issue()
        bench.start()
        await bench.until(600.0)
        assert bench.path.exists()
        key = bench.keys.load()
        assert key is None or key.spki != SPKI
        assert bench.state.eims == ()

    (facts,) = of(told(pki_folder, tmp_path, story), UNUSED)
    assert "in a token" in facts["reason"]


def test_a_bundle_for_a_card_that_has_eims_is_refused_and_changes_no_key(pki_folder: Path, tmp_path: Path) -> None:
    async def story(bench: BundleBench) -> None:
        bench.issue()
        bench.start()
        await bench.until(600.0)
        await bench.stop()
        key = bench.keys.path.read_bytes()
        bench.issue(counter=9)
        bench.start()
        await bench.until(1200.0)
        assert bench.path.exists()
        assert bench.keys.path.read_bytes() == key
        assert bench.state.eims[0].counter == 0

    said = told(pki_folder, tmp_path, story)
    (facts,) = of(said, UNUSED)
    assert "eIMs already" in facts["reason"]


def test_a_bundle_does_not_take_the_key_from_another_card(pki_folder: Path, tmp_path: Path) -> None:
    async def story(bench: BundleBench) -> None:
        other = EmulatedState.fresh(bytes(16), "0" * 64, wall_s=now_s(), token=1)
        known = bench.identity.configuration(fqdn="eim.example", counter=0)
        managed = add_initial(other, der.tlv(0xBF57, der.tlv(0xA0, known)), ())[0]
        EmulatedCardFile(RealFilesystem(), str(tmp_path), bytes(16).hex()).write(managed.to_document())
        bench.issue()
        bench.start()
        await bench.until(600.0)
        assert bench.path.exists()
        assert bench.state.eims == ()

    said = told(pki_folder, tmp_path, story)
    (facts,) = of(said, UNUSED)
    assert "another card" in facts["reason"]


def test_a_bundle_that_cannot_be_removed_is_used_once_and_told_of(
    pki_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.unlink

    def read_only(path: Any, **more: Any) -> None:
        if Path(path).name == "bundle.eim":
            raise OSError(30, "Read-only file system")
        real(path, **more)

    async def story(bench: BundleBench) -> None:
        bench.issue()
        monkeypatch.setattr(os, "unlink", read_only)
        bench.start()
        await bench.until(600.0)
        await bench.stop()
        bench.start()
        await bench.until(1200.0)
        assert bench.path.exists()
        assert bench.bound() is BindingState.BOUND
        assert [entry.counter for entry in bench.state.eims] == [0]

    said = told(pki_folder, tmp_path, story)
    assert len(of(said, TAKEN)) == 1
    assert [facts["reason"] for facts in of(said, STAYS)] == ["Read-only file system"] * 2  # once in each process
    assert of(said, UNUSED) == []


# -- by the socket -----------------------------------------------------------------------------------------------------


def test_a_bundle_that_a_person_gives_is_taken_and_no_copy_is_left(pki_folder: Path, tmp_path: Path) -> None:
    async def story(bench: BundleBench) -> None:
        bench.start()
        await bench.until(100.0)
        configuration = bench.identity.configuration(fqdn=bench.identity.eim_id, counter=0)
        data = bench.eim.bindings.issue(configuration, counter=0, now_s=bench.clock.wall())
        with pytest.raises(Refused, match="behind its end"):
            await bench.give(data + b"x")
        assert await bench.give(data) == 1
        with pytest.raises(Refused, match="used on this card before"):
            await bench.give(data)
        with pytest.raises(Refused, match="eIMs already"):
            await bench.give(bench.eim.bindings.issue(configuration, counter=0, now_s=bench.clock.wall()))
        await bench.command()
        assert bench.bound() is BindingState.BOUND

    told(pki_folder, tmp_path, story)
    assert [path.name for path in tmp_path.iterdir() if "provision" in path.name] == []


async def test_a_bundle_given_by_a_person_outlives_a_power_cut_before_it_is_used(
    pki_folder: Path, tmp_path: Path
) -> None:
    world = _Rebooted(pki_folder, tmp_path, "")
    data = world.path.read_bytes()
    world.path.unlink()
    files = world.files()
    assert files.receive(data) is None  # and the power goes
    assert (tmp_path / RECEIVED).stat().st_mode & 0o777 == 0o600
    await world.boot()
    assert world.end()[1] == SPKI
    assert not (tmp_path / RECEIVED).exists()


# -- a kill between any two steps --------------------------------------------------------------------------------------


class Killed(BaseException):
    """SIGKILL: no error handling of the code under test runs."""


STEPS = ("open", "rename", "unlink", "fsync", "fdatasync")


@contextmanager
def killed_before(step: int) -> Iterator[list[str]]:
    """Every change of the disk is a step; the process ends before this one."""
    done: list[str] = []
    real = {name: getattr(os, name) for name in STEPS}

    def counted(name: str) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            if name == "open" and not args[1] & (os.O_WRONLY | os.O_RDWR):
                return real[name](*args, **more)
            if len(done) == step:
                raise Killed
            done.append(name)
            return real[name](*args, **more)

        return call

    for name in STEPS:
        setattr(os, name, counted(name))
    try:
        yield done
    finally:
        for name, function in real.items():
            setattr(os, name, function)


async def test_a_kill_between_any_two_steps_ends_in_the_same_state(pki_folder: Path, tmp_path: Path) -> None:
    card = World.make(pki_folder).card
    step, ends = 0, []
    while True:
        place = tmp_path / str(step)
        place.mkdir()
        world = _Rebooted(pki_folder, place, card.eid)
        with killed_before(step) as done:
            try:
                await world.boot()
                whole = True
            except Killed:
                whole = False
        if not whole:
            await world.boot()
        ends.append(world.end())
        if whole:
            break
        assert len(done) == step
        step += 1
    assert step >= 12, "the steps were not counted"
    assert set(ends) == {ends[0]}
    eims, spki, binding, left = ends[0]
    assert eims == (("eim.lab.example", 0),)
    assert spki == SPKI
    assert binding is BindingState.PENDING
    assert left == ()


class _Rebooted:
    """One device whose process ends and starts again, on this machine's disk."""

    def __init__(self, folder: Path, place: Path, eid: str) -> None:
        from .emulated import EmulatedWorld

        self._world = EmulatedWorld.consumer(folder)
        self._place = place
        self.path = place / "bundle.eim"
        identity = self._world.eim.identity
        self.path.write_bytes(written(identity.configuration(fqdn=identity.eim_id, counter=0)))
        # The installation had a key before, which no eIM knows.
        KeyFile(place).put(SoftwareKey(ec.derive_private_key(0xD0D0, ec.SECP256R1())))

    def files(self) -> BundleFiles:
        memory = Memory(RealFilesystem(), state_dir=str(self._place), runtime_dir=str(self._place))
        return BundleFiles(self.path, self._place, memory, StillClock())

    async def boot(self) -> None:
        disk = RealFilesystem()
        files = self.files()
        self._world.restart()
        euicc = EmulatedEuicc(
            EmulatedCards(
                self._world.consumer_card(),
                EmulatedCardFiles(disk, str(self._place)),
                KeyFile(self._place),
                StillClock(),
                mode=EmulateIot.WHEN_NEEDED,
                random_bits=lambda bits: 41,
                bundles=files,
            )
        )
        self._eims = await euicc.get_eim_configuration()

    def end(self) -> tuple[object, ...]:
        document = EmulatedCardFiles(RealFilesystem(), str(self._place)).file(self._world.card.eid).load()
        assert document is not None
        state = EmulatedState.from_document(document)
        key = KeyFile(self._place).load()
        assert key is not None
        assert state.binding is not None
        assert [config.eim_id for config in self._eims] == [entry.eim_id for entry in state.eims]
        left = tuple(path.name for path in self._place.iterdir() if "bundle" in path.name)
        return tuple((entry.eim_id, entry.counter) for entry in state.eims), key.spki, state.binding.state, left


# -- an IoT eUICC ------------------------------------------------------------------------------------------------------


class IotBench(BundleBench):
    def __init__(self, folder: Path, place: Path) -> None:
        AgentBench.__init__(self, folder, associated=False)
        self.place, self.keys, self.path = place, KeyFile(place), place / "bundle.eim"
        self.script, self.binds, self.tokens = [], [], iter(range(7, 1000))


def test_an_iot_card_takes_the_eim_alone_and_nothing_is_bound(pki_folder: Path, tmp_path: Path) -> None:
    async def story(bench: BundleBench) -> None:
        bench.issue()
        bench.start()
        await bench.until(600.0)
        assert [entry.eim_id for entry in bench.card.state.eims] == [bench.identity.eim_id]
        assert not bench.path.exists()
        assert not bench.keys.path.exists()
        assert bench.binds == []

    async def whole() -> None:
        bench = IotBench(pki_folder, tmp_path)
        await story(bench)
        await bench.stop()
        # The power went between the card's answer and the removal of the file.
        bench.issue()
        bench.start()
        await bench.until(1200.0)
        assert not bench.path.exists()
        await bench.stop()

    with heard() as said:
        run(whole())
    assert of(said, UNUSED) == of(said, TAKEN) == []


def test_an_iot_card_gets_the_eim_of_a_bundle_once_and_a_refused_one_is_not_given_again(
    pki_folder: Path, tmp_path: Path
) -> None:
    async def whole() -> None:
        bench = IotBench(pki_folder, tmp_path)
        bench.issue()
        data = bench.path.read_bytes()
        bench.start()
        await bench.until(600.0)
        await bench.stop()
        bench.card.state.eims.clear()  # the eIM had itself deleted
        bench.path.write_bytes(data)
        bench.start()
        await bench.until(2000.0)
        assert bench.card.state.eims == []
        assert bench.path.read_bytes() == data
        await bench.stop()

    with heard() as said:
        run(whole())
    (facts,) = of(said, UNUSED)
    assert "before" in facts["reason"]
    assert len(of(said, "IPA-4004")) == 1


def test_a_bundle_that_others_may_read_is_told_of(pki_folder: Path, tmp_path: Path) -> None:
    async def story(bench: BundleBench) -> None:
        bench.issue()
        bench.path.chmod(0o644)
        bench.start()
        await bench.until(600.0)
        assert bench.bound() is BindingState.BOUND

    assert len(of(told(pki_folder, tmp_path, story), "IPA-1103")) == 1


def test_what_is_no_file_keeps_nobody_waiting(pki_folder: Path, tmp_path: Path) -> None:
    async def story(bench: BundleBench) -> None:
        os.mkfifo(bench.path)
        bench.start()
        await bench.until(600.0)
        assert bench.state.eims == ()

    (facts,) = of(told(pki_folder, tmp_path, story), UNUSED)
    assert "no flat JSON object" in facts["reason"]


# -- the answers to the self-binding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [204, 409])
def test_t38_204_and_409_bind_and_the_poll_goes_on(pki_folder: Path, tmp_path: Path, status: int) -> None:
    async def story(bench: BundleBench) -> None:
        bench.issue()
        bench.script = [(status, None)]
        bench.start()
        await bench.until(600.0)
        assert len(bench.binds) == 1
        assert bench.bound() is BindingState.BOUND
        assert bench.polled >= 1
        await bench.command()
        assert len(bench.binds) == 1

    assert len(of(told(pki_folder, tmp_path, story), BOUND)) == 1


def test_t38_403_ends_polling_until_a_person_acts(pki_folder: Path, tmp_path: Path) -> None:
    async def story(bench: BundleBench) -> None:
        bench.issue()
        bench.script = [(403, None), (403, None)]
        bench.start()
        await bench.until(5 * 86400.0)
        assert len(bench.binds) == 1
        assert bench.polled == 0
        assert bench.bound() is BindingState.REFUSED
        status = bench.agent.board.snapshot()
        assert any(one.id == BIND_REFUSED for one in status.warnings)
        assert "refuses to register" in (status.eims[0].trouble or "")
        await bench.stop()
        bench.start()  # a restart is nobody's act
        await bench.until(6 * 86400.0)
        assert (len(bench.binds), bench.polled) == (1, 0)
        await bench.command()
        assert (len(bench.binds), bench.polled) == (2, 0)
        await bench.command()  # and now the eIM's operator has done his part
        assert len(bench.binds) == 3
        assert bench.bound() is BindingState.BOUND
        assert bench.polled >= 1
        assert not any(one.id == BIND_REFUSED for one in bench.agent.board.snapshot().warnings)

    told(pki_folder, tmp_path, story)


@pytest.mark.parametrize(("asked_s", "earliest_s"), [(1800.0, 1800.0), (40 * 86400.0, 86400.0)])
def test_t38_429_waits_as_long_as_it_says_and_at_most_a_day(
    pki_folder: Path, tmp_path: Path, asked_s: float, earliest_s: float
) -> None:
    async def story(bench: BundleBench) -> None:
        bench.issue()
        bench.script = [(429, asked_s)]
        bench.start()
        await bench.until(600.0)
        assert (len(bench.binds), bench.polled) == (1, 0)
        assert bench.bound() is BindingState.PENDING
        assert "later" in (bench.agent.board.snapshot().eims[0].trouble or "")
        bench.agent.poke(Wake.STATE_CHANGE)  # brings nothing forward that the eIM put off
        await bench.until(900.0)
        await bench.stop()
        bench.start()
        await bench.until(3 * 86400.0)
        assert bench.bound() is BindingState.BOUND
        first, second = bench.binds[0][0], bench.binds[1][0]
        assert earliest_s <= second - first <= earliest_s * 1.5

    told(pki_folder, tmp_path, story)


@pytest.mark.parametrize("answer", [(500, None), (503, None), (404, None), (200, None), None], ids=str)
def test_t38_500_404_and_silence_stay_pending_and_are_tried_again_by_the_back_off(
    pki_folder: Path, tmp_path: Path, answer: tuple[int, float | None] | None
) -> None:
    async def story(bench: BundleBench) -> None:
        bench.issue()
        bench.script = [answer, answer]
        bench.start()
        await bench.asked_once()
        await asyncio.sleep(20.0)
        assert bench.polled == 0
        assert bench.bound() is BindingState.PENDING
        assert bench.agent.board.snapshot().eims[0].trouble
        await bench.until(4 * 86400.0)
        assert len(bench.binds) == 3
        first, second, third = (at_s for at_s, *_ in bench.binds)
        assert 30.0 < second - first < third - second
        assert bench.bound() is BindingState.BOUND
        assert bench.polled >= 1

    said = told(pki_folder, tmp_path, story)
    assert len(of(said, BOUND)) == 1


def test_t38_a_person_polls_an_eim_that_does_not_know_the_way(pki_folder: Path, tmp_path: Path) -> None:
    async def story(bench: BundleBench) -> None:
        bench.issue()
        bench.script = [(404, None)] * 20
        bench.start()
        await bench.asked_once()
        assert bench.polled == 0
        # What the operator of such an eIM does: the file of `ipactl emulation export`, which is the same.
        bench.eim.import_device(bench.binds[0][3])
        order = bench.order("list-profiles")
        await bench.command()
        assert order.state == "done"
        asked = len(bench.binds)
        await bench.until(3 * 86400.0)  # it signed an order for the card: it knows it
        assert len(bench.binds) == asked
        assert bench.polled > 1

    told(pki_folder, tmp_path, story)


def test_the_eim_registers_only_keys_that_it_issued(pki_folder: Path, tmp_path: Path) -> None:
    async def story(bench: BundleBench) -> None:
        configuration = bench.identity.configuration(fqdn=bench.identity.eim_id, counter=0)
        bench.path.write_bytes(written(configuration))
        bench.start()
        await bench.until(600.0)
        assert bench.bound() is BindingState.REFUSED
        assert bench.card.eid not in bench.eim.devices

    told(pki_folder, tmp_path, story)
