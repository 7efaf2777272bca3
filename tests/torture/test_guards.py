"""The torture run bites: with any one guard taken away, it finds a broken promise in a few named histories.

The same histories are lived through with the guard in place first, so that it is the guard that makes the difference.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ipad_agent.lab.euicc.state.profile_list import OPERATOR_A
from ipad_agent.torture.history.fault_history import AT, LETTERS, FaultStep, History, Setting, write
from ipad_agent.torture.run.history_run import live_through

from .guards import GUARDS

UNCOVERED = frozenset({OPERATOR_A})


def outage_while_a_profile_proves_itself(steps: int) -> History:
    """The only way out of a profile without coverage is the rollback, and the power goes while it is armed."""
    faults = (
        FaultStep(700.0, "order", (0, f"enable {LETTERS}")),
        FaultStep(700.1, "order", (0, "unset-fallback")),
        FaultStep(700.2, "order", (0, f"enable {OPERATOR_A} --rollback")),
        FaultStep(701.0, "poll now"),
        FaultStep(780.0, "outage", (steps,)),
    )
    return History(steps, Setting(uncovered=UNCOVERED), faults, heal_at_s=1300.0)


def rollback_whose_answer_is_lost() -> History:
    faults = (
        FaultStep(700.0, "order", (0, f"enable {OPERATOR_A} --rollback")),
        FaultStep(701.0, "poll now"),
        FaultStep(1000.0, "reader fault", ("answer-lost", 1)),
    )
    return History(1, Setting(uncovered=UNCOVERED), faults, heal_at_s=1300.0)


def outage_while_a_consumer_card_is_changed(steps: int) -> History:
    """The card has enabled the profile, and the gateway goes off before it could keep the result."""
    faults = (
        FaultStep(700.0, "order", (0, f"enable {OPERATOR_A}")),
        FaultStep(700.5, "outage", (steps,)),
        FaultStep(701.0, "poll now"),
    )
    return History(steps, Setting(emulated=True), faults, heal_at_s=1300.0)


def modem_stuck_without_a_fallback_profile() -> History:
    """The profile is served all the time, and the modem looks for it no more."""
    faults = (
        FaultStep(700.0, "order", (0, "unset-fallback")),
        FaultStep(701.0, "poll now"),
        FaultStep(900.0, "modem stuck", (1,)),
    )
    return History(1, Setting(way=AT), faults, heal_at_s=1300.0)


def seeds(*numbers: int) -> list[History]:
    return [write(number) for number in numbers]


CASES: dict[str, tuple[set[str], list[History]]] = {
    "journal_is_synced": ({"stranded"}, [outage_while_a_profile_proves_itself(steps) for steps in (13, 25, 31)]),
    "order_is_written_down_before_the_card_gets_it": ({"stranded"}, [outage_while_a_profile_proves_itself(13)]),
    "result_is_on_disk_before_it_is_sent": ({"journal-not-empty"}, seeds(1, 2, 4)),
    "modem_and_card_have_to_agree": ({"not-in-step"}, seeds(121)),
    "way_back_is_taken": ({"stranded"}, [outage_while_a_profile_proves_itself(13)]),
    "one_rollback_only": ({"outdated-result"}, [rollback_whose_answer_is_lost()]),
    "a_modem_that_is_cut_off_is_restarted": ({"stranded"}, [modem_stuck_without_a_fallback_profile()]),
    "removal_only_after_acknowledgement": ({"removed-early"}, seeds(0, 1, 2)),
    "notification_is_removed_only_when_taken": ({"removed-early"}, seeds(164, 170)),
    "card_counts_packages": ({"executed-twice"}, seeds(3, 8, 22)),
    "card_is_asked_before_a_package_is_loaded_again": ({"not-delivered"}, seeds(43, 62, 196)),
    "server_is_judged_after_every_handshake": ({"betrayed"}, seeds(3, 11, 37)),
    "commands_have_deadlines": ({"no-deadline"}, seeds(4, 8, 18)),
    "eim_takes_a_result_twice": ({"journal-not-empty"}, seeds(12, 44, 46)),
    "eims_are_told_of_changes": ({"not-told"}, seeds(32, 74, 85)),
    "emulated_card_is_noted_down_before_it_is_changed": (
        {"executed-twice", "view-wrong"},
        [outage_while_a_consumer_card_is_changed(steps) for steps in range(46, 58, 2)],
    ),
}


def broken(histories: Iterable[History]) -> set[str]:
    return {name for history in histories for name in live_through(history).names}


def finds(histories: Iterable[History], names: set[str]) -> bool:
    """Whether all of ``names`` are broken in them; when the first ones show that, the others are not lived through."""
    missing = set(names)
    for history in histories:
        missing -= live_through(history).names
        if not missing:
            return True
    return False


@pytest.mark.parametrize("guard", GUARDS)
def test_a_guard_that_is_taken_away_is_missed(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names, histories = CASES[guard]
    assert broken(histories) == set()
    GUARDS[guard](monkeypatch)
    assert finds(histories, names)
