"""What a wider world has in it does what it says."""

from __future__ import annotations

import errno

import pytest

from ipad_agent.lab.euicc.state.profile_list import OPERATOR_A
from ipad_agent.torture.history.fault_history import AT, CODE, HTTPS, LETTERS, FaultStep, History, Setting
from ipad_agent.torture.history.features import FEATURES, parse
from ipad_agent.torture.run.history_run import Ended, live_through

ORDER = FaultStep(700.0, "order", (0, f"enable {OPERATOR_A} --rollback"))
POLL = FaultStep(701.0, "poll now")


def lived(setting: Setting, *faults: FaultStep, heal_at_s: float = 1500.0) -> Ended:
    return live_through(History(1, setting, tuple(sorted(faults, key=lambda fault: fault.at_s)), heal_at_s))


def told(ended: Ended) -> str:
    return str(ended.log)


def test_a_direct_download_goes_past_the_eim() -> None:
    ended = lived(Setting(direct=True), FaultStep(700.0, "order", (0, f"trigger {CODE}")), POLL)
    assert ended.violations == ()
    assert "SMDP   getBoundProfilePackage: 200" in told(ended)
    assert "SMDP   handleNotification: 204" in told(ended)


def test_https_goes_through_real_tls() -> None:
    ended = lived(Setting(carrier=HTTPS), ORDER, POLL)
    assert ended.violations == ()
    assert "IPA-3009 Connected to eim.lab.example:443 (TLSv1." in told(ended)
    assert ended.executed == 2


def test_an_impostor_behind_https_gets_nothing() -> None:
    ended = lived(Setting(carrier=HTTPS), ORDER, FaultStep(690.0, "impostor", (0, 300.0)), POLL)
    assert ended.violations == ()
    assert "is not trusted" in told(ended)


def test_scripts_take_their_time_while_a_profile_proves_itself() -> None:
    ended = lived(Setting(scripts="slow"), ORDER, POLL)
    assert ended.violations == ()
    assert "site   runs its scripts for pre-switch" in told(ended)
    assert "site   runs its scripts for committed" in told(ended)


def test_work_that_the_site_holds_back_waits() -> None:
    faults = FaultStep(600.0, "site holds", (7200.0,)), FaultStep(700.0, "order", (0, "list-profiles"))
    ended = lived(Setting(preset="eager"), *faults, heal_at_s=20_000.0)
    assert ended.violations == ()
    log = told(ended).splitlines()
    handed = next(line for line in log if "hands out: list-profiles" in line)
    assert int(handed.split(":")[0]) >= 2


def test_a_disk_refuses_as_soon_as_a_profile_has_to_prove_itself() -> None:
    ended = lived(Setting(), FaultStep(600.0, "disk refuses a proof", (errno.EROFS, 5.0)), ORDER, POLL)
    assert "the disk refuses: Read-only file system" in told(ended)
    assert "IPA-1208" in told(ended)


@pytest.mark.parametrize(("provisioned", "polls"), [(True, True), (False, False)])
def test_a_card_without_an_eim_is_provisioned_from_a_file(provisioned: bool, polls: bool) -> None:
    ended = lived(
        Setting(managed=False, provisioned=provisioned), FaultStep(700.0, "order", (0, "list-profiles")), POLL
    )
    assert ended.violations == ()
    assert bool(ended.polls) is polls
    assert ("no eIM on the card yet" in told(ended).splitlines()[0]) is True


def test_a_port_is_found_again_under_another_name() -> None:
    ended = lived(Setting(way=AT, renames=True), FaultStep(650.0, "drop port", (10.0, 1)), ORDER, POLL)
    assert ended.violations == ()
    assert "/dev/ttyUSB3" in told(ended)
    assert "/dev/ttyUSB6" in told(ended)


@pytest.mark.parametrize("what", ["status", "status after", "undefined error"])
def test_an_eim_answers_with_errors_for_a_while(what: str) -> None:
    ended = lived(Setting(), FaultStep(600.0, "eIM errors", (0, "get", what, 1.0, 3000.0)), POLL)
    assert "127" in told(ended) if what == "undefined error" else "eim.lab.example answers " in told(ended)


def test_an_eim_refuses_the_request_that_was_drawn_and_not_the_next_one() -> None:
    garbage = FaultStep(600.0, "eIM fault", (0, "result", "garbage", 1, ""))
    refusal = FaultStep(600.0, "eIM errors", (0, "result", "undefined error", 1.0, 3000.0))
    ended = lived(Setting(), garbage, refusal, ORDER, POLL)
    assert "misbehaves on result: refuse" in told(ended)
    assert "misbehaves on get: refuse" not in told(ended)
    assert ended.violations == ()


@pytest.mark.parametrize(
    ("words", "told_then"),
    [
        ("rollback", "IPA-4207 The card has 8949…0011 enabled again"),
        ("confirm", "IPA-4205 The switch to 8986…8927 is committed"),
        ("fallback", "ipactl fallback: done"),
        ("fallback --return", "the device is not in fallback"),
        ("owed", "ipactl owed: The agent is busy with something that must not be disturbed."),
        ("emergency on", "the card has no emergency profile"),
    ],
)
def test_a_person_on_the_device_is_heard_while_a_profile_proves_itself(words: str, told_then: str) -> None:
    order = FaultStep(700.0, "order", (0, f"enable {LETTERS} --rollback"))
    ended = lived(Setting(uncovered=frozenset({LETTERS})), order, POLL, FaultStep(790.0, "ipactl", (words, 1)))
    assert told_then in told(ended)
    assert ended.violations == ()


def test_a_person_on_the_device_downloads_a_profile() -> None:
    ended = lived(Setting(direct=True), FaultStep(700.0, "ipactl", ("download", 1)))
    assert "ipactl download: done" in told(ended)
    assert "SMDP   handleNotification: 204" in told(ended)
    assert ended.violations == ()


def test_names_of_features_are_parsed() -> None:
    assert parse("all") == frozenset(FEATURES) - {"emulated"}
    assert parse("none") == frozenset()
    assert parse("https, no-eim") == {"https", "no-eim"}
    with pytest.raises(ValueError, match="weather"):
        parse("https,weather")


def test_a_profile_without_coverage_is_left_again_over_every_carrier() -> None:
    for carrier in (HTTPS, "coap"):
        faults = FaultStep(700.0, "order", (0, f"enable {LETTERS} --rollback")), POLL
        ended = lived(Setting(carrier=carrier, uncovered=frozenset({LETTERS})), *faults)
        assert ended.violations == ()
        assert "IPA-4207" in told(ended)
