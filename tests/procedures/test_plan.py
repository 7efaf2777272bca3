"""What a switch would need: told from the card, the modem and the site, and nothing is changed by asking."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from ipad_agent.policy.polling.hold_reason import Held
from ipad_agent.policy.switching.proof_stage import Finding, Stage
from ipad_agent.policy.switching.switch_settings import SwitchSettings
from ipad_agent.procedures.default_ports import NO_SITE, UNKNOWN_NETWORK
from ipad_agent.procedures.switching.switch_plan import SwitchPlan, plan

from .fakes import ICCID_A, Bench, FakeClock, profile

OTHER, WANTED = "5A0A98940000000000000012", "89490000000000000021"
"""A disabled profile, as in EF_ICCID and as digits."""


@dataclass
class Site:
    """A site with an APN for every profile and whatever holds work back."""

    held: tuple[Held, ...] = ()
    apn_of: str | None = "iot.example"

    async def hook(self, moment: str, facts: object) -> None:
        raise AssertionError("asking runs no hook")

    async def conditions(self) -> tuple[Held, ...]:
        return self.held

    def apn(self, iccid: str) -> str | None:
        return self.apn_of


class Network:
    """Registered or not."""

    def __init__(self, ok: bool | None) -> None:
        self._ok = ok

    def __getattr__(self, name: str) -> object:
        return getattr(UNKNOWN_NETWORK, name)

    async def registration(self) -> Finding:
        return Finding(Stage.REGISTRATION, self._ok, "registered at home" if self._ok else "searching")


def device(*, enabled: bool = True, ppr: str = "", ecall: bool = False, fallback: bool = False) -> Bench:
    bench = Bench()
    more = ("99020640" if ppr else "") + ("9F260101" if fallback else "")
    bench.card.profiles = [
        profile(ICCID_A, enabled=enabled, more=more),
        profile(OTHER, enabled=False, more="9F7B01FF" if ecall else ""),
    ]
    return bench


async def ask(
    bench: Bench, iccid: str = WANTED, site: Site | None = None, registered: bool | None = True
) -> SwitchPlan:
    context = replace(bench.context, site=site or Site(), network=Network(registered), switching=SwitchSettings())  # type: ignore[arg-type]
    found = await plan(context, iccid)
    assert bench.card.loaded == []
    assert bench.journal.entries() == []
    return found


def point(found: SwitchPlan, name: str) -> tuple[bool | None, str]:
    return next((point.ok, point.sentence) for point in found.points if point.name == name)


async def test_a_switch_that_nothing_speaks_against_is_possible_and_has_its_steps() -> None:
    found = await ask(device())
    assert found.possible
    assert [step.partition(" ")[0] for step in found.steps] == ["write", "let", "reset", "register", "keep"]
    assert "within 7 min" in found.steps[-1]
    assert point(found, "APN") == (True, "iot.example (site's table)")


async def test_a_profile_that_is_not_there_cannot_be_enabled() -> None:
    found = await ask(device(), "89490000000000000099")
    assert not found.possible
    assert found.steps == ()
    assert point(found, "profile") == (False, "8949…0099 is not on the card")


async def test_a_profile_that_is_enabled_already_needs_no_switch() -> None:
    bench = device()
    enabled = bench.card.profiles[0].iccid
    assert point(await ask(bench, str(enabled)), "profile")[0] is False


async def test_the_emergency_profile_is_enabled_by_no_order() -> None:
    assert "emergency profile" in point(await ask(device(ecall=True)), "profile")[1]


async def test_a_profile_that_may_not_be_disabled_holds_the_switch_up() -> None:
    found = await ask(device(ppr="ppr1"))
    assert not found.possible
    assert point(found, "policy")[1].endswith("may not be disabled (its rule ppr1)")


async def test_what_holds_the_site_back_is_named_with_its_reason() -> None:
    found = await ask(device(), site=Site((Held("external_power", "the device runs on its battery"),)))
    assert not found.possible
    assert point(found, "site: external_power") == (False, "the device runs on its battery")


async def test_an_apn_that_nobody_knows_and_a_clock_that_was_never_set_are_open_questions() -> None:
    bench = device()
    bench.clock = FakeClock(wall_s=100.0)
    found = await ask(bench, site=Site(apn_of=None))
    assert found.possible
    assert point(found, "APN")[0] is None
    assert point(found, "clock")[0] is None


@pytest.mark.parametrize("enabled", [True, False])
async def test_the_way_back_is_the_enabled_profile_and_else_the_fallback_profile(enabled: bool) -> None:
    found = await ask(device(enabled=enabled, fallback=True))
    ok, sentence = point(found, "way back")
    assert ok is (None if enabled else True)
    assert ("fallback" in sentence) is not enabled


async def test_without_a_network_now_the_plan_says_so() -> None:
    assert point(await ask(device(), registered=False), "network")[0] is False
    assert NO_SITE.apn(WANTED) is None
