"""What an emulated card has besides itself, and what happens when that is gone: the device's key, what the device keeps
in the place of the card's memory, and the card."""

from __future__ import annotations

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.eim.eim_identity import add_initial_eim
from ipad_agent.lab.euicc import BOOTSTRAP, OPERATOR_A, EuiccIdentity, VirtualEuicc, default_profiles
from ipad_agent.lab.pki import Pki
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import case, play, until
from ipad_agent.lab.scenarios.support.emulated_card_steps import (
    CONSUMER,
    PROVISIONED,
    accepted,
    check_emulated_end,
    emulated,
    export,
    kept,
    registered,
    status_says,
)
from ipad_agent.lab.scenarios.support.ipactl_run import ipactl

KEY_LOST = "IPA-1233"
OTHER_EID = "89049032000000000000000000000260"


@scenario(
    "emulated-key-lost",
    "Without the key that the eIM knows nothing is signed and nothing done; a new one is registered, and work goes on.",
    deadline_s=60,
)
async def emulated_key_lost(run: Run) -> None:
    """As docs/emulation.md has it: a new key, a configuration with a counter above the eIM's, a replacement there."""
    async with run.bench(emulated()) as bench:
        device = await registered(run, bench)
        first = case("list-profiles", "listProfileInfo ok", name="before")
        await play(run, bench, [first])
        await bench.agent.terminate()
        key = bench.folder / "agent-state" / "device-key.pem"
        key.unlink()
        waiting = bench.order("enable", OPERATOR_A)
        await bench.agent.start()
        await bench.agent.event(KEY_LOST, deadline_s=20)
        await status_says(run, bench, "people are told", "device key", "ipactl emulation new-key")
        run.check("no key was made", not key.exists())
        run.check(
            "nothing was done", bench.card.enabled_iccid == BOOTSTRAP and waiting.state == "queued", waiting.state
        )
        await bench.agent.terminate()
        await ipactl(bench, "emulation", "new-key", "--yes", "--config", str(bench.agent.config))
        configuration = bench.configuration(counter=device.counter + 1)
        (bench.folder / "initial-eim.der").write_bytes(add_initial_eim(configuration))
        bench.proxy.set_link_up(False)  # the export comes before the first poll
        await bench.agent.start()
        await bench.agent.event(PROVISIONED, deadline_s=20)
        old = device.euicc_spki
        device = bench.eim.eim.import_device(await export(bench), replace_key=True)
        run.check("the eIM has another key", device.euicc_spki != old)
        bench.proxy.set_link_up(True)
        async with run.step("the order that waited is carried out"):
            await until(lambda: waiting.state == "done", "result", deadline_s=30)
        await check_emulated_end(run, bench, OPERATOR_A, [first.order, waiting])


@scenario(
    "emulated-state-lost",
    "What the device kept for the card is gone: no old order is done again, and the eIM goes on with the new token.",
    deadline_s=60,
)
async def emulated_state_lost(run: Run) -> None:
    """The file that gave the card its eIM does so again. The first order after it carries the old token, and is refused
    without a signature, which tells the new one; the key is the same, so nothing has to be registered."""
    async with run.bench(emulated()) as bench:
        device = await registered(run, bench)
        first = case(f"enable {OPERATOR_A}", "enable ok")
        await play(run, bench, [first])
        token = device.token
        await bench.agent.terminate()
        (bench.folder / "agent-state" / f"emulated-{bench.eid}.json").unlink()
        await bench.agent.start()
        await bench.agent.event(PROVISIONED, deadline_s=20)
        stale = bench.order("enable", BOOTSTRAP)
        async with run.step("an order with the old token is refused"):
            await until(lambda: stale.state == "failed", "refusal", deadline_s=20)
        run.check("it was not carried out", bench.card.enabled_iccid == OPERATOR_A)
        run.check("the eIM knows the new token", device.token not in (None, token), f"{device.token}, not {token}")
        last = case("list-profiles", "listProfileInfo ok")
        await play(run, bench, [last])
        numbers = [int(one["facts"]["seqNumber"]) for one in accepted(bench.eim) if "seqNumber" in one["facts"]]
        run.check("its number is above all before", numbers == sorted(set(numbers)), str(numbers))
        await check_emulated_end(run, bench, OPERATOR_A, [first.order, last.order], refused=1)


@scenario(
    "emulated-card-swapped",
    "Two consumer cards in one device, one after the other: each is registered, and keeps its own counter.",
    deadline_s=60,
)
async def emulated_card_swapped(run: Run) -> None:
    """The same key signs for both. What one was ordered, the other never does."""
    async with run.bench(emulated()) as bench:
        device = await registered(run, bench)
        first = case("list-profiles", "listProfileInfo ok", name="the first card's list")
        await play(run, bench, [first])
        mine, other = bench.card, _other_card(bench)
        _put_in(bench, other)
        await bench.agent.event(PROVISIONED, deadline_s=30)
        waiting = bench.eim.eim.enqueue(mine.eid, case(f"enable {OPERATOR_A}").order)
        second = bench.eim.eim.import_device(await export(bench, "--eid", OTHER_EID))
        run.check("the same key is registered for it", second.euicc_spki == device.euicc_spki)
        run.check(
            "it has a counter and a token of its own", (second.counter, second.token != device.token) == (0, True)
        )
        yours = bench.eim.eim.enqueue(OTHER_EID, case("list-profiles").order)
        async with run.step("the second card's order is carried out"):
            await until(lambda: yours.state == "done", "result", deadline_s=20)
        run.check("what the first was ordered waits", waiting.state == "queued", waiting.state)
        run.check("and is not done by the second", other.enabled_iccid == BOOTSTRAP)
        await status_says(run, bench, "the screen shows the second card", "emulated by this device", OTHER_EID[-4:])
        _put_in(bench, mine)
        async with run.step("the first card is back, and does what waited"):
            await until(lambda: waiting.state == "done", "result", deadline_s=30)
        counters = [kept(bench, eid)["eims"][0][1] for eid in (mine.eid, OTHER_EID)]
        run.check("each counted its own orders", counters == [2, 1], str(counters))
        await check_emulated_end(run, bench, OPERATOR_A, [first.order, waiting])


def _other_card(bench: Bench) -> VirtualEuicc:
    identity = EuiccIdentity.from_pki(Pki.create(bench.folder / "other-pki", "p256", eid=OTHER_EID))
    return VirtualEuicc(identity, bench.folder / "other-card.json", CONSUMER, profiles=default_profiles())


def _put_in(bench: Bench, card: VirtualEuicc) -> None:
    """Another card into the slot; the modem starts anew, as after a look under the cover."""
    bench.card = bench.slot.card = card
    bench.modem.order(lambda module: module.restart())
