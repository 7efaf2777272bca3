"""Histories that once ended badly, as short as they can be."""

from __future__ import annotations

import pytest

from ipad_agent.lab.euicc.state.profile_list import OPERATOR_A, OPERATOR_B
from ipad_agent.torture.history.fault_history import AT, COAP, CODE, FaultStep, History, Setting
from ipad_agent.torture.run.history_run import live_through

DECIDED_WITHOUT_EIM = History(
    982451838,
    Setting(way=AT, carrier=COAP, modem="deaf", preset="nbiot"),
    (
        FaultStep(163.05573512755475, "order", (0, f"enable {OPERATOR_A} --rollback")),
        FaultStep(163.05573512755475, "order", (0, f"enable {OPERATOR_B}")),
        FaultStep(163.05573512755475, "order", (0, "delete-eim eim.lab.example")),
        FaultStep(229.24821492666715, "disk full", (3610,)),
    ),
    heal_at_s=4483.412820811178,
)
"""The disk refuses the commit, the next order takes the only eIM off the card, and no poll is left to decide it."""
TOLD_WITH_AN_ERROR = History(
    982452851,
    Setting(eims=3, uncovered=frozenset({OPERATOR_B}), modem="sara-r5"),
    (
        FaultStep(8412.58691727618, "order", (1, f"enable {OPERATOR_B}")),
        FaultStep(8452.58691727618, "blackout", (60.0,)),
        FaultStep(13079.639582286658, "poll now", ()),
        FaultStep(13118.639582286658, "outage", (19,)),
        FaultStep(13118.639582286658, "kill", (1342,)),
        FaultStep(19021.42550778318, "eIM fault", (0, "any", "refuse", 2, 127)),
        FaultStep(19022.42550778318, "poll now", ()),
    ),
    heal_at_s=19086.42550778318,
)
"""The eIM answers "undefined error" to the question that tells of the change, and the agent is killed after it."""

KILLED_BEFORE_THE_ANSWER = History(
    1,
    Setting(way=AT, modem="eg916q", quirk="old-state"),
    (
        FaultStep(700.0, "order", (0, f"enable {OPERATOR_A}")),
        FaultStep(701.0, "poll now"),
        FaultStep(701.0, "kill", (24,)),
    ),
    heal_at_s=760.0,
)
"""The process that ordered the switch is gone, and the next one does not know that a reset is due (seed 806831)."""

ADDED_AGAIN_AFTER_THE_END = History(
    0,
    Setting(eims=3),
    (
        FaultStep(1000.0, "add eIM", (1, 2)),
        FaultStep(1000.0, "order", (2, "delete-eim third.lab.example")),
    ),
    heal_at_s=1001.0,
)
"""An eIM leaves the card and comes back without association token when everything has healed already."""

TAKEN_WHILE_THE_DISK_REFUSED = History(
    1,
    Setting(),
    (
        FaultStep(159.0, "disk full", (1800,)),
        FaultStep(160.0, "order", (0, "delete-eim eim.lab.example")),
        FaultStep(160.1, "poll now"),
    ),
    heal_at_s=3843.0,
)
"""The last eIM takes and acknowledges the result by which it is gone, and the disk does not have that result."""
NOTIFIED_WITHOUT_EIM = History(
    0,
    Setting(direct=True),
    (
        FaultStep(600.0, "SM-DP+ fault", ("handleNotification", "dead", 40)),
        FaultStep(700.0, "order", (0, f"trigger {CODE}")),
        FaultStep(700.1, "order", (0, "delete-eim eim.lab.example")),
        FaultStep(701.0, "poll now"),
    ),
    heal_at_s=5000.0,
)
"""The SM-DP+ takes no notification of the download while the last eIM goes, and would take it later."""

UNDONE_BEFORE_ANY_DISK_KNEW = History(
    0,
    Setting(emulated=True),
    (
        FaultStep(1000.0, "order", (0, f"enable {OPERATOR_A} --rollback")),
        FaultStep(1000.0, "disk full", (4800,)),
        FaultStep(1000.1, "poll now"),
        FaultStep(1300.0, "eIM fault", (0, "any", "refuse", 2, 127)),
        FaultStep(1300.0, "kill", (1,)),
        FaultStep(1400.0, "poll now"),
        FaultStep(2300.0, "kill", (1,)),
        FaultStep(2400.0, "poll now"),
    ),
    heal_at_s=5000.0,
)
"""The disk takes that an emulated card begins to enable and nothing after it; the eIM takes the result, refuses that of
the next run, which goes back, and the agent is killed again."""


@pytest.mark.parametrize(
    "history",
    [
        DECIDED_WITHOUT_EIM,
        TOLD_WITH_AN_ERROR,
        KILLED_BEFORE_THE_ANSWER,
        ADDED_AGAIN_AFTER_THE_END,
        TAKEN_WHILE_THE_DISK_REFUSED,
        NOTIFIED_WITHOUT_EIM,
        UNDONE_BEFORE_ANY_DISK_KNEW,
    ],
    ids=[
        "no-eim-left",
        "told-by-error",
        "killed-before-answer",
        "added-again",
        "taken-while-refused",
        "notified-without-eim",
        "undone-unknown",
    ],
)
def test_a_history_that_ended_badly_ends_well_now(history: History) -> None:
    assert live_through(history).violations == ()
