"""The JSON form of the model."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from ipad_agent.local import status_model
from ipad_agent.local.status_model import Guardian, Happening, State, Status, to_plain
from situations import SITUATIONS


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_situation_has_a_json_form_with_every_field(situation: str) -> None:
    plain = json.loads(json.dumps(to_plain(SITUATIONS[situation]), allow_nan=False))
    assert set(plain) == {item.name for item in fields(Status)}
    assert plain["schema_version"] == status_model.SCHEMA_VERSION


def test_words_pairs_and_shares_have_their_form() -> None:
    happening = Happening("IPA-1", "info", "x", 1, (("eim", "a"), ("count", "2")))
    assert to_plain(happening) == {
        "id": "IPA-1", "level": "info", "text": "x", "at_s": 1, "facts": {"eim": "a", "count": "2"},
    }  # fmt: skip
    assert to_plain(status_model.Traffic(5, 4, None, (status_model.TrafficShare("coaps", "eim", 5),))) == {
        "total_bytes": 5,
        "today_bytes": 4,
        "budget_bytes_per_day": None,
        "by": [{"carrier": "coaps", "purpose": "eim", "size_bytes": 5}],
        "budget_bytes_total": None,
        "only_results": False,
        "by_profile": [],
        "radio": {"cycles": 0, "cycles_today": 0, "wake_ups": 0, "wake_ups_today": 0},
    }
    assert to_plain(State.ROLLING_BACK) == "rolling-back"


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_a_number_that_json_has_not_is_null(number: float) -> None:
    status = replace(SITUATIONS["ready"], guardian=Guardian(enabled=True, lost_for_s=number))
    assert json.loads(json.dumps(to_plain(status), allow_nan=False))["guardian"]["lost_for_s"] is None
