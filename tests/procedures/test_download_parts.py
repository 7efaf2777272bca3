"""The small parts of a download by themselves: choice, rules, confirmation code, progress, pauses."""

from __future__ import annotations

import pytest

from ipad_agent.codec.es10.rules_authorisation_table import OperatorId, RulesAuthorisationTable
from ipad_agent.codec.esipa.device_info import IpaFeature
from ipad_agent.codec.esipa.download_trigger import DownloadData, UseActivationCode, UseDefaultSmdp
from ipad_agent.procedures.download import confirmation_code, profile_policy_rules
from ipad_agent.procedures.download.download_progress import Progress
from ipad_agent.procedures.records.receiver_backoff import Receivers
from ipad_agent.procedures.rsp.download_way import Way, choose_way

from .fakes import FakeClock, FakeMemory

BOTH = frozenset({IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION, IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION})
DIRECT = frozenset({IpaFeature.DIRECT_RSP_SERVER_COMMUNICATION})
INDIRECT = frozenset({IpaFeature.INDIRECT_RSP_SERVER_COMMUNICATION})
AC = UseActivationCode("LPA:1$smdp.example$M-1")


# -- directly or through the eIM (SGP.32 v1.2 §3.2.3) ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "entry_indirect", "features", "connected", "way"),
    [
        (AC, True, BOTH, True, Way.INDIRECT),
        (AC, True, INDIRECT, False, Way.INDIRECT),
        (AC, True, DIRECT, True, Way.DIRECT),
        (AC, False, BOTH, True, Way.DIRECT),
        (AC, False, BOTH, False, Way.INDIRECT),
        (AC, False, INDIRECT, True, Way.INDIRECT),
        (AC, False, DIRECT, False, None),
        (AC, True, frozenset(), True, None),
        (UseDefaultSmdp(), False, BOTH, True, Way.DIRECT),
        (None, True, BOTH, True, Way.INDIRECT),
        (None, False, BOTH, True, Way.INDIRECT),
        (None, True, DIRECT, True, None),
    ],
)
def test_the_entry_on_the_card_and_what_this_ipa_can_do_choose_the_way(
    data: DownloadData | None, entry_indirect: bool, features: frozenset[IpaFeature], connected: bool, way: Way | None
) -> None:
    assert choose_way(data, entry_indirect=entry_indirect, features=features, connected=connected) is way


# -- hashCc (SGP.22 v2.5 §5.7.5) -------------------------------------------------------------------------------------


def test_the_hash_of_a_confirmation_code_is_that_of_openssl() -> None:
    # openssl dgst -sha256 of openssl dgst -sha256 -binary of '12345678', followed by the eight bytes
    expected = "f2c294f13be780a590e70b815392f423756fc30246f785acbe2523882dcaab19"
    assert confirmation_code.hash_of("12345678", bytes.fromhex("0123456789ABCDEF")).hex() == expected


def test_a_confirmation_code_is_hashed_as_utf8() -> None:
    # openssl dgst -sha256 of openssl dgst -sha256 -binary of 'Ünïcode', followed by one zero byte
    expected = "581923e4dbc4a9833c064aff3bb6bdd69057617c73d4898a3441a2c5ad32a08c"
    assert confirmation_code.hash_of("Ünïcode", b"\x00").hex() == expected


# -- policy rules (SGP.22 v2.5 §2.9.2, §2.9.3) -----------------------------------------------------------------------

PPR1, PPR2 = 1, 2
OWNER = OperatorId(bytes.fromhex("62F210"))
OWNER_WITH_GID = OperatorId(bytes.fromhex("62F210"), b"\x01")
# BF43 { A0 { 30 { 80 pprIds, A1 { 30 { 80 mccMnc, 81 gid1? } }, 82 pprFlags } ... } }, written by hand.
ANYBODY = "3010" + "80020560" + "A1073005" + "8003EEEEEE" + "820100"
WITH_CONSENT = "3011" + "80020560" + "A1073005" + "8003EEEEEE" + "82020780"
ONLY_PPR2 = "3010" + "80020520" + "A1073005" + "8003EEEEEE" + "820100"
OTHER_OWNER = "3010" + "80020560" + "A1073005" + "800302F810" + "820100"
ANY_GID = "3012" + "80020560" + "A1093007" + "8003EEEEEE" + "8100" + "820100"


def table(*rules: str) -> RulesAuthorisationTable:
    content = bytes.fromhex("".join(rules))
    listed = b"\xa0" + bytes([len(content)]) + content
    return RulesAuthorisationTable.parse(b"\xbf\x43" + bytes([len(listed)]) + listed)


@pytest.mark.parametrize(
    ("rules", "owner", "rat", "options", "why"),
    [
        (set(), None, table(), {}, None),
        ({0}, None, table(), {}, None),
        ({PPR1}, OWNER, table(ANYBODY), {}, None),
        ({PPR1, PPR2}, OWNER, table(ANYBODY), {}, None),
        ({0, PPR2}, OWNER, table(ANYBODY), {}, None),
        (None, OWNER, table(ANYBODY), {}, "cannot be read"),
        ({3}, OWNER, table(ANYBODY), {}, "nobody here knows"),
        ({PPR1}, OWNER, table(ANYBODY), {"operational_installed": True}, "first operational"),
        ({PPR2}, OWNER, table(ANYBODY), {"operational_installed": True}, None),
        ({PPR2}, OWNER, table(ANYBODY), {"forbidden": {PPR2}}, "forbids PPR2"),
        ({PPR2}, OWNER, table(ANYBODY), {"forbidden": {PPR1}}, None),
        ({PPR2}, None, table(ANYBODY), {}, "no owner"),
        ({PPR2}, OWNER, table(), {}, "authorises nobody"),
        ({PPR2}, OWNER, None, {}, "authorises nobody"),
        ({PPR1}, OWNER, table(ONLY_PPR2), {}, "authorises nobody"),
        ({PPR1, PPR2}, OWNER, table(ONLY_PPR2), {}, "authorises nobody"),
        ({PPR1}, OWNER, table(OTHER_OWNER), {}, "authorises nobody"),
        ({PPR1}, OWNER_WITH_GID, table(ANYBODY), {}, "authorises nobody"),
        ({PPR1}, OWNER_WITH_GID, table(ANY_GID), {}, None),
        ({PPR1}, OWNER, table(WITH_CONSENT), {}, "consent"),
        ({PPR1}, OWNER, table(WITH_CONSENT), {"consent_given": True}, None),
        # The first rule that fits decides, also when a later one asks for less.
        ({PPR1}, OWNER, table(WITH_CONSENT, ANYBODY), {}, "consent"),
        ({PPR1}, OWNER, table(OTHER_OWNER, ANYBODY, WITH_CONSENT), {}, None),
    ],
)
def test_policy_rules_come_only_with_an_authorisation_of_the_card(
    rules: set[int] | None,
    owner: OperatorId | None,
    rat: RulesAuthorisationTable | None,
    options: dict[str, object],
    why: str | None,
) -> None:
    given: dict[str, object] = {"forbidden": set(), "operational_installed": False, "consent_given": False}
    said = profile_policy_rules.refusal(rules, owner, table=rat, **(given | options))  # type: ignore[arg-type]  # by name
    assert (said is None) if why is None else (said is not None and why in said.sentence)
    assert said is None or said.consent_missing is (why == "consent")


# -- progress --------------------------------------------------------------------------------------------------------


def lines(steps: list[tuple[int, int | None]]) -> list[tuple[int, int | None]]:
    said: list[tuple[int, int | None]] = []
    progress = Progress(lambda done, total: said.append((done, total)))
    for done, total in steps:
        progress(done, total)
    return said


def test_a_large_transfer_is_eight_lines_and_the_last_is_the_end() -> None:
    said = lines([(done, 50_000) for done in range(0, 50_001, 100)])
    assert len(said) == 8
    assert said[-1] == (50_000, 50_000)


def test_a_small_one_says_no_more_than_its_steps() -> None:
    assert lines([(1, 3), (2, 3), (3, 3)]) == [(1, 3), (2, 3), (3, 3)]


def test_without_a_total_a_line_comes_whenever_it_has_doubled() -> None:
    said = lines([(done, None) for done in range(0, 200_001, 1024)])
    assert [done for done, _ in said] == [32_768, 65_536, 131_072]


def test_a_server_that_sends_more_than_it_said_does_not_fill_the_log() -> None:
    assert len(lines([(done, 100) for done in range(0, 100_000, 10)])) == 8


# -- pauses of receivers ---------------------------------------------------------------------------------------------


def test_pauses_double_from_ten_minutes_to_a_day_and_outlive_a_restart() -> None:
    memory, clock = FakeMemory(), FakeClock()
    pauses = [Receivers(memory, clock).failed("smdp.example", 7) for _ in range(9)]
    assert pauses == [600, 1200, 2400, 4800, 9600, 19_200, 38_400, 76_800, 86_400]
    assert Receivers(memory, clock).wait_s("smdp.example", 7) == 86_400


def test_a_pause_ends_by_time_by_success_and_by_news() -> None:
    memory, clock = FakeMemory(), FakeClock()
    receivers = Receivers(memory, clock)
    receivers.failed("smdp.example", 7)
    assert receivers.wait_s("smdp.example", 8) == 0  # something new has happened
    assert receivers.wait_s("other.example", 7) == 0
    clock.wall_s += 599
    assert receivers.wait_s("smdp.example", 7) == 1
    clock.wall_s += 1
    assert receivers.wait_s("smdp.example", 7) == 0
    receivers.took("smdp.example")
    assert receivers.failed("smdp.example", 7) == 600


def test_a_clock_that_jumped_back_does_not_make_a_pause_last_for_years() -> None:
    memory, clock = FakeMemory(), FakeClock()
    receivers = Receivers(memory, clock)
    receivers.failed("smdp.example", 7)
    clock.wall_s = 0.0
    assert receivers.wait_s("smdp.example", 7) == 0


def test_a_receiver_that_asks_for_more_time_gets_it_up_to_a_day() -> None:
    receivers = Receivers(FakeMemory(), FakeClock())
    assert receivers.failed("smdp.example", 7, retry_after_s=3600) == 3600
    assert receivers.failed("busy.example", 7, retry_after_s=1e9) == 86_400


@pytest.mark.parametrize("kept", [{"receivers": 3}, {"receivers": {"a": "x"}}, {"receivers": {"a": (1, 2)}}, {}])
def test_a_memory_that_another_version_wrote_is_no_pause(kept: dict[str, object]) -> None:
    memory = FakeMemory({"notifications": kept})
    assert Receivers(memory, FakeClock()).wait_s("a", 1) == 0


def test_receivers_that_were_paused_longest_ago_are_forgotten_when_there_are_too_many() -> None:
    memory, clock = FakeMemory(), FakeClock()
    receivers = Receivers(memory, clock)
    for number in range(100):
        receivers.failed(f"{number}.example", 1)
    assert receivers.wait_s("0.example", 1) == 0
    assert receivers.wait_s("99.example", 1) == 600
