"""Who may: the bus says who asks, polkit's answer is final, and what cannot be understood is no yes."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass, field

import pytest

from ipad_agent.local.access_rights import Right
from ipad_agent.local.dbus.dbus_authority import Authority, Caller, LocalRule, groups_of
from ipad_agent.local.dbus.dbus_interfaces import BUNDLE, POLL, ROLLBACK, SWITCH
from ipad_agent.local.dbus.errors import RemoteFailure
from ipad_agent.local.varlink import UnixAuthority

AGENT, MEMBER, STRANGER = 500, 501, 502
RULE = LocalRule("ipad-admin", frozenset({0, AGENT}), lambda uid: frozenset({"ipad-admin"} if uid == MEMBER else {"x"}))
NOT_THERE = RemoteFailure("org.freedesktop.DBus.Error.ServiceUnknown", "")


@dataclass
class Peers:
    """The bus and polkit: each answers, or raises."""

    bus: object = None
    polkit: object = field(default_factory=lambda: NOT_THERE)
    asked: list[tuple[str, tuple[object, ...], float | None]] = field(default_factory=list)

    async def call(
        self,
        destination: str,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: tuple[object, ...] = (),
        *,
        deadline_s: float | None = None,
    ) -> tuple[object, ...]:
        self.asked.append((member, body, deadline_s))
        answer = self.bus if member == "GetConnectionCredentials" else self.polkit
        if isinstance(answer, Exception):
            raise answer
        return (answer,)


async def allowed(
    uid: int | None, action: str = ROLLBACK, *, polkit: object = NOT_THERE, interactive: bool = False
) -> bool:
    authority = Authority(Peers(polkit=polkit), RULE)
    return (await authority.decide(Caller(":1.7", uid, 42), action, interactive=interactive)).allowed


async def test_who_calls_is_asked_of_the_bus() -> None:
    peers = Peers(bus={"UnixUserID": STRANGER, "ProcessID": 42, "LinuxSecurityLabel": b"x"})
    assert await Authority(peers, RULE).caller(":1.7") == Caller(":1.7", STRANGER, 42)
    assert peers.asked == [("GetConnectionCredentials", (":1.7",), None)]


@pytest.mark.parametrize("answer", [NOT_THERE, {}, {"UnixUserID": "0"}, "root", None])
async def test_a_caller_that_the_bus_cannot_tell_has_no_rights(answer: object) -> None:
    authority = Authority(Peers(bus=answer, polkit=[True, False, {}]), RULE)
    caller = await authority.caller(":1.7")
    assert caller.uid is None
    assert not (await authority.decide(caller, ROLLBACK, interactive=False)).allowed


@pytest.mark.parametrize("uid", [0, AGENT])
async def test_root_and_the_agents_user_may_whatever_polkit_says(uid: int) -> None:
    assert await allowed(uid, polkit=[False, False, {}])


@pytest.mark.parametrize("action", [POLL, ROLLBACK, SWITCH, BUNDLE])
async def test_without_polkit_only_the_group_may_act(action: str) -> None:
    assert await allowed(MEMBER, action)
    assert not await allowed(STRANGER, action)


def test_who_may_look_is_told_by_the_groups_as_on_the_socket() -> None:
    groups = {1: {"ipad-view"}, 2: {"ipad-admin"}, 3: {"ipad"}, 4: {""}, 5: {"ipad-examine"}}
    rule = LocalRule("ipad-admin", frozenset({0}), lambda uid: frozenset(groups[uid]), "ipad-view", "ipad-examine")
    assert [rule.right_of(uid) for uid in range(4)] == [Right.CONTROL, Right.READ, Right.CONTROL, Right.NONE]
    assert rule.right_of(5) is Right.EXAMINE
    assert LocalRule("", frozenset({0}), lambda uid: frozenset(groups[uid])).right_of(4) is Right.NONE
    assert rule.needed == UnixAuthority(
        read_group="ipad-view", control_group="ipad-admin", examine_group="ipad-examine"
    ).needed_for(Right.READ)


async def test_polkits_answer_is_final() -> None:
    assert await allowed(STRANGER, polkit=[True, False, {}])
    assert not await allowed(MEMBER, polkit=[False, False, {}])
    assert not await allowed(MEMBER, polkit=[False, True, {}])


@pytest.mark.parametrize("answer", [None, [], [1, 0, {}], ["yes", False, {}], [True], "true"])
async def test_an_answer_of_polkit_that_is_none_is_no_yes(answer: object) -> None:
    assert not await allowed(MEMBER, polkit=answer)


async def test_a_polkit_that_does_not_answer_leaves_it_to_the_group() -> None:
    assert await allowed(MEMBER, polkit=TimeoutError())
    assert not await allowed(STRANGER, polkit=TimeoutError())


async def test_polkit_gets_time_for_a_password_only_when_the_caller_agreed() -> None:
    for interactive, flag in ((False, 0), (True, 1)):
        peers = Peers(polkit=[True, False, {}])
        await Authority(peers, RULE).decide(Caller(":1.7", STRANGER, 1), ROLLBACK, interactive=interactive)
        (_, body, deadline_s), *_ = peers.asked
        assert body[3] == flag
        assert deadline_s is not None
        assert (deadline_s > 60) == interactive


async def test_a_password_that_nobody_typed_in_time_is_not_asked_for_any_longer() -> None:
    peers = Peers(polkit=TimeoutError())
    decision = await Authority(peers, RULE).decide(Caller(":1.7", MEMBER, 1), ROLLBACK, interactive=True)
    assert not decision.allowed, "polkit is there and was not satisfied"
    (_, body, _), (last, cancelled, _) = peers.asked
    assert (last, cancelled) == ("CancelCheckAuthorization", (body[4],))


async def test_without_a_control_group_nobody_else_may() -> None:
    rule = LocalRule("", frozenset({0}), lambda uid: frozenset({""}))
    assert not (await Authority(Peers(), rule).decide(Caller(":1.7", STRANGER, 1), POLL, interactive=False)).allowed


def test_groups_are_those_of_the_machine() -> None:
    me = pwd.getpwuid(os.geteuid())
    assert grp.getgrgid(me.pw_gid).gr_name in groups_of(me.pw_uid)
    assert groups_of(4_000_000_000) == frozenset()
