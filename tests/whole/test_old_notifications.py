"""A consumer card that kept thirty notifications of profiles long gone, and an eIM that takes none of them."""

from __future__ import annotations

from pathlib import Path

from ipad_agent.lab.eim.eim_faults import Fault
from ipad_agent.lab.euicc import leave_old_notifications
from virtual_time import run

from .test_emulated_agent import EmulatedBench

OLD = 30
DAY_S = 86_400.0
SETTLED_DAYS, DAYS = 9, 3


async def registered(folder: Path, *, old: int, days: float) -> EmulatedBench:
    """A device that was there for so many days; its eIM was offered each of ``old`` notifications, and refused it."""
    bench = EmulatedBench(folder)
    leave_old_notifications(bench.card, old)
    bench.start()
    await bench.until(60.0)
    bench.register()
    bench.eim.faults.arm(Fault("notification", "refuse", times=-1))
    await bench.poll(400.0)
    assert offers(bench) == old
    await bench.until(days * DAY_S)
    return bench


async def idle_polls(folder: Path, *, old: int) -> list[tuple[int, int, int]]:
    """What each daily poll of the next days costs: APDUs, requests to the eIM, and bytes of them."""
    bench = await registered(folder, old=old, days=SETTLED_DAYS)
    before, costs = offers(bench), []
    for day in range(1, DAYS + 1):
        apdus, seen = bench.emulated.apdu_count, len(bench.network.requests)
        await bench.until((SETTLED_DAYS + day) * DAY_S)
        new = bench.network.requests[seen:]
        costs.append((bench.emulated.apdu_count - apdus, len(new), sum(len(body) for *_, body in new)))
    assert offers(bench) == before <= 6 * old
    assert len(bench.card.state.notifications) == old  # nothing that nobody has taken is ever removed
    await bench.stop()
    return costs


def offers(bench: EmulatedBench) -> int:
    """How often the eIM was offered a notification."""
    return sum(function == "HandleNotification" for _, _, function, _ in bench.network.requests)


def test_an_idle_poll_costs_no_apdu_and_no_byte_more_because_of_thirty_old_notifications(pki_folder: Path) -> None:
    costs = run(idle_polls(pki_folder, old=OLD))
    assert costs == run(idle_polls(pki_folder, old=0))
    assert {(apdus, requests) for apdus, requests, _ in costs} == {(0, 1)}  # one question, and nothing of the card


def test_old_notifications_are_offered_again_when_the_entry_of_the_eim_changes(pki_folder: Path) -> None:
    async def story() -> None:
        bench = await registered(pki_folder, old=OLD, days=0.01)
        before = offers(bench)
        bench.eim.faults.clear()
        changed = bench.identity.configuration(
            fqdn="elsewhere.example", counter=None, ask_for_token=False, signing="none"
        )
        order = bench.order("update-eim", changed.hex())
        await bench.poll(1000.0)
        assert order.state == "done"
        await bench.poll(1300.0)
        assert offers(bench) == before + OLD
        assert bench.card.state.notifications == []
        await bench.stop()

    run(story())
