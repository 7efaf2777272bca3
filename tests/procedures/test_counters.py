"""Replay counters, card by card."""

from __future__ import annotations

from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.procedures.records.replay_counters import COUNTERS, MAX_CARDS, Counters
from ipad_agent.store import Memory
from ipad_agent.store.memory_filesystem import MemoryFilesystem

# EimConfigurationData: eimId 'eim1' [0], counterValue [3] 3 (SGP.32 v1.2 §2.11.1.1).
ENTRY = bytes.fromhex("30 09 80 04 65696D31 83 01 03".replace(" ", ""))
# AddInitialEimRequest (§5.9.4) with that entry.
REQUEST = bytes.fromhex("BF57 0D A0 0B".replace(" ", "")) + ENTRY
A, B = "89049032000000000000000000000124", "89049032000000000000000000000223"


def memory(disk: MemoryFilesystem) -> Memory:
    return Memory(disk, state_dir="/state", runtime_dir="/run")


def test_another_card_in_between_does_not_make_an_old_file_good_again() -> None:
    disk = MemoryFilesystem()
    Counters(memory(disk)).used(A, "eim1", 7)
    disk.power_cut()
    Counters(memory(disk)).used(B, "eim1", 2)
    disk.power_cut()
    counters = Counters(memory(disk))
    assert counters.stale(A, REQUEST) == ("eim1", 3, 7)
    assert counters.stale(B, REQUEST) is None
    counters.saw(B, [EimConfigurationData.parse(ENTRY)])
    assert counters.stale(A, REQUEST) == ("eim1", 3, 7)


def test_a_counter_never_goes_down() -> None:
    counters = Counters(memory(MemoryFilesystem()))
    counters.used(A, "eim1", 7)
    counters.saw(A, [EimConfigurationData.parse(ENTRY)])
    assert counters.stale(A, REQUEST) == ("eim1", 3, 7)


def test_what_was_remembered_of_one_card_only_is_known_of_that_card() -> None:
    store = memory(MemoryFilesystem())
    store.save(COUNTERS, {"eid": A, "counters": {"eim1": 7}})
    counters = Counters(store)
    assert counters.stale(A, REQUEST) == ("eim1", 3, 7)
    counters.used(B, "eim1", 9)
    assert Counters(store).stale(A, REQUEST) == ("eim1", 3, 7)


def test_a_disk_that_refuses_does_not_make_an_old_file_good_as_long_as_the_agent_runs() -> None:
    disk = MemoryFilesystem()
    disk.refuses = 30
    counters = Counters(memory(disk))
    counters.used(A, "eim1", 7)
    assert counters.stale(A, REQUEST) == ("eim1", 3, 7)


def test_the_card_that_was_not_heard_of_for_longest_is_forgotten_first() -> None:
    counters = Counters(memory(MemoryFilesystem()))
    counters.used(A, "eim1", 7)
    for number in range(MAX_CARDS - 2):
        counters.used(f"{number:032}", "eim1", 5)
    assert counters.stale("0" * 32, REQUEST) == ("eim1", 3, 5)
    counters.used(A, "eim1", 8)
    counters.used(B, "eim1", 9)
    counters.used("f" * 32, "eim1", 9)
    assert counters.stale(A, REQUEST) == ("eim1", 3, 8)
    assert counters.stale("0" * 32, REQUEST) is None  # forgotten
