"""What is remembered of the profiles, and which eIM has to be told of a change (SGP.32 v1.2 §5.14.5)."""

from __future__ import annotations

from ipad_agent.codec.esipa.eim_package import StateChangeCause
from ipad_agent.procedures.records.state_changes import StateChanges, snapshot

from .fakes import ICCID_A, ICCID_B, FakeMemory, profile


def test_a_card_never_seen_before_has_not_changed() -> None:
    assert StateChanges(FakeMemory()).learn("eid1", {"A": "enabled"}) is False


def test_a_difference_on_the_same_card_is_a_change_once() -> None:
    changes = StateChanges(FakeMemory())
    changes.learn("eid1", {"A": "enabled"})
    assert changes.learn("eid1", {"A": "disabled"}) is True
    assert changes.learn("eid1", {"A": "disabled"}) is False


def test_another_card_in_the_slot_is_no_change_and_owes_nobody_the_old_ones_news() -> None:
    changes = StateChanges(FakeMemory())
    changes.learn("eid1", {"A": "enabled"})
    changes.note(["eim1"], StateChangeCause.FALLBACK)
    assert changes.learn("eid2", {"B": "enabled"}) is False
    assert changes.pending("eim1") is None


def test_what_has_to_be_told_survives_a_restart_and_the_next_look_at_the_card() -> None:
    memory = FakeMemory()
    StateChanges(memory).learn("eid1", {"A": "enabled"})
    StateChanges(memory).note(["eim1"], StateChangeCause.FALLBACK)
    StateChanges(memory).learn("eid1", {"A": "disabled"})
    assert StateChanges(memory).pending("eim1") is StateChangeCause.FALLBACK


def test_the_snapshot_names_every_profile_and_its_state() -> None:
    profiles = [profile(ICCID_A, enabled=True), profile(ICCID_B, enabled=False)]
    assert sorted(snapshot(profiles).values()) == ["disabled", "enabled"]
