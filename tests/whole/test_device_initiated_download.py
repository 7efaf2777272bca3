"""A person downloads a profile by its activation code: only where that is allowed, by the rules of every download, and
everybody learns of it, whatever is cut."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from ipad_agent.codec.esipa.device_info import IpaCapabilities
from ipad_agent.config import Config, DownloadConfig
from ipad_agent.daemon import download_by_hand
from ipad_agent.errors import IpadError
from ipad_agent.lab.euicc import BOOTSTRAP, Profile
from ipad_agent.lab.euicc.state.policy_rules import AuthorisationRule, Operator
from ipad_agent.lab.pki import Pki
from ipad_agent.lab.smdp import OrderState
from ipad_agent.local.local_verbs import Refused
from ipad_agent.policy.switching.switch_table import Way
from ipad_agent.procedures.context import Context
from ipad_agent.procedures.download import device_initiated_download
from ipad_agent.procedures.records.local_download_record import ENTRY_KIND, LocalDownloads
from ipad_agent.procedures.records.local_switch_record import LocalSwitchRecord
from ipad_agent.procedures.records.owed_work import WorkList
from ipad_agent.procedures.records.receiver_backoff import Receivers
from ipad_agent.procedures.records.redeliveries import Redeliveries
from ipad_agent.procedures.records.state_changes import StateChanges
from ipad_agent.procedures.records.switch_record import Switches
from ipad_agent.procedures.startup import device_start
from virtual_time import run

from .agent_bench import AgentBench
from .downloads import CODE, ICCID, MATCHING, SMDP, DownloadWorld
from .local_switches import ECALL
from .memory import Device

ALLOWED = Config(download=DownloadConfig(by_hand=True))
CONFIRMATION = "98765432"
PPR1, PPR2 = 1, 2


def context_of(world: DownloadWorld) -> Context:
    return Context(
        card=world.euicc,
        eid=world.eid,
        device=Device(),
        work=WorkList(world.journal),
        changes=StateChanges(world.documents),
        capabilities=world.capabilities,
        max_packages=16,
        clock=world.clock,
        receivers=Receivers(world.documents, world.clock),
        redeliveries=Redeliveries(world.documents, world.clock),
        switches=Switches(world.journal, world.clock),
        local_switch_record=LocalSwitchRecord(world.documents),
        connector=world.connector,
        download=world.rules,
    )


def eims_of(world: DownloadWorld) -> tuple[str, ...]:
    return tuple(entry.eim_id for entry in world.card.state.eims)


async def by_hand(
    world: DownloadWorld,
    text: str = CODE,
    *,
    config: Config = ALLOWED,
    confirmation_code: str | None = None,
    rules_accepted: bool = False,
) -> str:
    """What ``ipactl download`` has the agent do."""
    code = download_by_hand.wanted(config, text, confirmation_code)
    return await download_by_hand.carry_out(
        context_of(world),
        eims_of(world),
        world.journal,
        code,
        confirmation_code=confirmation_code,
        rules_accepted=rules_accepted,
    )


async def start(world: DownloadWorld) -> None:
    """What the daemon does first."""
    context = context_of(world)
    device_start.note_changes(await device_start.read_card(world.euicc), context.changes)
    await device_initiated_download.settle(context, LocalDownloads(world.journal), eims_of(world))


def told(world: DownloadWorld) -> list[object]:
    """The state changes that the eIM has heard of."""
    return [item["stateChange"] for item in world.eim.history if item.get("stateChange")]


def assert_nothing_came(world: DownloadWorld) -> None:
    assert not world.installed
    assert world.journal.entries() == ()
    assert world.card.enabled_iccid == BOOTSTRAP


async def test_the_profile_is_installed_and_not_enabled_and_server_and_eim_learn_of_it(pki_folder: Path) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=True)
    await start(world)
    assert await by_hand(world, CODE.removeprefix("LPA:")) == ICCID
    assert world.card.profile_states()[ICCID] is False
    assert world.card.enabled_iccid == BOOTSTRAP
    assert world.journal.entries() == ()
    await world.poll()
    assert told(world) == ["local"]
    assert world.profile.state is OrderState.INSTALLED
    assert world.card.state.notifications == []
    await world.poll()
    assert told(world) == ["local"]


async def test_an_eim_that_relays_has_no_part_in_it(pki_folder: Path) -> None:
    """The entry on the card says that the eIM serves SM-DP+s; a person's order goes straight there all the same."""
    world = DownloadWorld.with_servers(pki_folder, direct=True)
    world.card.state.eims.clear()
    pki = Pki.load(pki_folder)
    world.card.associate_eim(pki.eim_id, pki["eim-sign"].cert_der, fqdn=pki.eim_id, indirect_download=True)
    assert await by_hand(world) == ICCID
    assert world.carrier.functions == []


async def test_it_is_refused_unless_the_configuration_allows_it(pki_folder: Path) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=True)
    with pytest.raises(Refused, match=r"download\.by_hand is false") as refused:
        await by_hand(world, config=Config())
    assert refused.value.error == "RefusedByPolicy"
    assert world.smdp.sessions.latest is None
    assert_nothing_came(world)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("LPA:1$smdp.example", "fewer than three fields"),
        ("LPA:2$smdp.example$TOKEN", "a format other than 1"),
        ("LPA:1$https://smdp.example$TOKEN", "without a usable SM-DP+ address"),
        (f"LPA:1${SMDP}$TO_KEN", "token has characters"),
        (f"LPA:1${SMDP}$TOKEN$a.b", "no OID"),
        (f"LPA:1${SMDP}$" + "T" * 300, "over 255"),
    ],
)
async def test_a_code_that_is_none_is_refused_with_what_is_wrong_and_without_the_code(text: str, wrong: str) -> None:
    with pytest.raises(Refused, match=wrong.replace("+", r"\+")) as refused:
        download_by_hand.wanted(ALLOWED, text, None)
    assert refused.value.error == "InvalidParameter"
    assert text not in refused.value.sentence


async def test_a_device_without_a_way_to_an_smdp_says_so(pki_folder: Path) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=False)
    with pytest.raises(Refused, match="no way of its own to an SM-DP"):
        await by_hand(world)
    other = DownloadWorld.with_servers(pki_folder, direct=True)
    other.capabilities = IpaCapabilities(frozenset())
    with pytest.raises(Refused, match="no way of its own to an SM-DP"):
        await by_hand(other)


async def test_during_a_switch_nothing_is_downloaded(pki_folder: Path) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=True)
    switches = Switches(world.journal, world.clock)
    switches.arm("eim", previous=BOOTSTRAP, target=ICCID, way=Way.ROLLBACK, deadline_s=60.0)
    with pytest.raises(Refused, match="not proved yet") as refused:
        await by_hand(world)
    assert refused.value.facts == {"rule": "switch"}
    assert not world.installed
    assert world.smdp.sessions.latest is None


async def test_while_the_emergency_profile_is_enabled_nothing_is_downloaded(pki_folder: Path) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=True)
    world.card.add_profile(Profile(ECALL, world.card.next_aid(), name="eCall", ecall=True))
    for iccid in (BOOTSTRAP, ECALL):
        world.card.update_profile(iccid, enabled=iccid == ECALL)
    with pytest.raises(Refused, match="emergency profile") as refused:
        await by_hand(world)
    assert refused.value.facts == {"rule": "emergency"}
    assert world.journal.entries() == ()
    assert world.smdp.sessions.latest is None


async def test_a_rule_that_would_lock_the_profile_in_is_refused_even_with_consent(pki_folder: Path) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=True)
    _with_rule(world, PPR1)
    with pytest.raises(Refused, match="not allowed on this card") as refused:
        await by_hand(world, rules_accepted=True)
    assert refused.value.error == "RefusedByPolicy"
    assert world.profile.cancel_reason == 3
    assert_nothing_came(world)


async def test_a_rule_that_needs_consent_wants_it_from_the_person_and_not_from_the_configuration(
    pki_folder: Path,
) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=True)
    world.card.isdr.quirks = replace(
        world.card.isdr.quirks,
        rules=(AuthorisationRule((PPR1, PPR2), (Operator(b"\xee\xee\xee"),), consent_required=True),),
    )
    _with_rule(world, PPR2)
    world.rules = replace(world.rules, eim_is_consent=True)  # an eIM's order would do, a person's not
    with pytest.raises(Refused, match="--accept-rules") as refused:
        await by_hand(world)
    assert refused.value.facts == {"rule": "consent"}
    assert_nothing_came(world)
    world.profile.state = OrderState.AVAILABLE
    assert await by_hand(world, rules_accepted=True) == ICCID


async def test_a_wrong_confirmation_code_ends_it_and_the_right_one_opens_the_order(
    pki_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=True)
    world.profile.confirmation_code = CONFIRMATION
    with caplog.at_level("DEBUG"):
        with pytest.raises(Refused, match="wants a confirmation code") as refused:
            await by_hand(world)
        assert refused.value.error == "InvalidParameter"
        with pytest.raises(Refused, match="No profile was installed: the SM-DP") as refused:
            await by_hand(world, confirmation_code="11112222")
        assert refused.value.error == "DownloadFailed"
        assert_nothing_came(world)
        assert await by_hand(world, confirmation_code=CONFIRMATION) == ICCID
    written = [caplog.text, str(world.disk.read("/state/journal")), str(world.documents.documents)]
    for secret in (MATCHING, CONFIRMATION, "11112222"):
        assert not any(secret in text for text in written)


async def test_a_code_that_wants_a_confirmation_code_does_not_reach_the_server_without_one() -> None:
    with pytest.raises(Refused, match="wants a confirmation code too"):
        download_by_hand.wanted(ALLOWED, f"{CODE}$$1", None)
    assert download_by_hand.wanted(ALLOWED, f"{CODE}$$1", CONFIRMATION).confirmation_code_required


@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("apdus", range(1, 90, 3))
async def test_a_power_cut_at_any_apdu_ends_in_the_truth(pki_folder: Path, apdus: int, answer_lost: bool) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=True)
    await start(world)
    world.card.power_cut_after(apdus, answer_lost=answer_lost)
    with contextlib.suppress(IpadError, Refused):
        await by_hand(world)
    world.restart()
    await start(world)
    assert world.journal.entries() == ()
    assert world.profile.bindings <= 1
    for _ in range(3):
        await world.poll()
    assert told(world) == (["local"] if world.installed else [])
    assert world.card.state.notifications == []
    assert (world.profile.state is OrderState.INSTALLED) is world.installed
    assert world.card.enabled_iccid == BOOTSTRAP


class GatewayOffError(BaseException):
    """The gateway loses its power: not an error of anything, the end of the process."""


@pytest.mark.parametrize(
    ("where", "what"),
    [(WorkList, "installed"), (StateChanges, "learn"), (StateChanges, "note"), (LocalDownloads, "end")],
)
async def test_a_gateway_that_goes_off_right_after_the_installation_tells_the_truth_when_it_is_back(
    pki_folder: Path, monkeypatch: pytest.MonkeyPatch, where: type[object], what: str
) -> None:
    world = DownloadWorld.with_servers(pki_folder, direct=True)
    await start(world)

    def off(*_: object, **__: object) -> None:
        raise GatewayOffError

    with monkeypatch.context() as patch:
        patch.setattr(where, what, off)
        with pytest.raises(GatewayOffError):
            await by_hand(world)
    assert [entry.facts["by"] for entry in world.journal.entries(ENTRY_KIND)] == ["person"]
    world.access.reset()
    world.restart()
    await start(world)
    assert world.installed
    assert world.journal.entries() == ()
    await world.poll()
    assert told(world) == ["local"]
    with pytest.raises(Refused, match="No profile was installed"):  # the order is used up
        await by_hand(world)
    assert world.profile.bindings == 1


def test_the_agent_finds_out_at_its_start_what_became_of_it(pki_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        bench = AgentBench(pki_folder)
        bench.start()
        await bench.until(1.0)
        await bench.kill()
        bench.disk.allowance = None
        agent = bench.start()
        work = LocalDownloads(agent.journal).begin(bench.card.eid)
        await bench.until(30.0)
        assert [event.id for record in caplog.records if (event := getattr(record, "event", None))].count(
            "IPA-4411"
        ) == 1
        assert work.id not in [entry.id for entry in agent.journal.entries()]
        await bench.stop()

    with caplog.at_level("INFO", "ipad_agent"):
        run(story())


def _with_rule(world: DownloadWorld, rule: int) -> None:
    package = world.profile.package
    world.profile.package = replace(package, metadata=replace(package.metadata, ppr=(rule,)))
