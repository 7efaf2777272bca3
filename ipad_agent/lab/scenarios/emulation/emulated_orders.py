"""Orders about the eIMs of an emulated card, and data that eIMs ask for: what is told is the device's own and the
card's, each where it belongs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.second_eim import EimSpot
from ipad_agent.lab.bench.watched_eim import Entry
from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim import DataRequest, EimIdentity, Order
from ipad_agent.lab.eim.orders import package_bytes
from ipad_agent.lab.eim.orders.package_bytes import DATA_TAGS
from ipad_agent.lab.euicc import BOOTSTRAP
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import Case, case, check_result, play, until
from ipad_agent.lab.scenarios.support.emulated_card_steps import (
    check_emulated_end,
    emulated,
    export,
    kept,
    registered,
)

SECOND, THIRD = "second.lab.example", "third.lab.example"
TOO_FAR = 0x80000000


@scenario(
    "emulated-eco-all",
    "On an emulated card eIMs are added, changed, listed and deleted; a second one is registered and gives orders.",
    deadline_s=60,
)
async def emulated_eco_all(run: Run) -> None:
    """The card knows none of it; each eIM has a counter and a token of its own, and the same key signs for both."""
    async with run.bench(emulated(more_eims=[EimSpot(SECOND, on_card=False)])) as bench:
        await registered(run, bench)
        second, first = bench.eims[SECOND], bench.identity.eim_id
        new, third = second.configuration(), replace(second.identity, eim_id=THIRD)
        entries = await play(
            run,
            bench,
            [
                _add("add", new, "addEim ok"),
                _add("add once more", new, "addEim associatedEimAlreadyExists"),
                _add(
                    "add with a counter too far", third.configuration(counter=TOO_FAR), "addEim counterValueOutOfRange"
                ),
                _add("add without a key", third.configuration(signing="none"), "addEim commandError"),
                case("list-eim", "listEim ok", name="list two"),
                case("delete-eim nobody.example", "deleteEim eimNotFound"),
            ],
        )
        token = entries[0]["facts"]["operations"][0].get("associationToken")
        run.check("the device made its token", isinstance(token, int) and token > 0, str(token))
        run.check("the list is right", _listed(entries[4]) == [first, SECOND], str(_listed(entries[4])))
        await _the_second_gives_an_order(run, bench, token)
        entries = await play(
            run,
            bench,
            [
                _update("update", _change(second.identity, fqdn="elsewhere.example"), "updateEim ok"),
                _update("update nobody", _change(third, fqdn="elsewhere.example"), "updateEim eimNotFound"),
                case(f"delete-eim {SECOND}", "deleteEim ok"),
                case("list-eim", "listEim ok", name="list one"),
            ],
        )
        run.check("one is left", _listed(entries[-1]) == [first], str(_listed(entries[-1])))
        await check_emulated_end(run, bench, BOOTSTRAP, list(bench.eim.eim.device(bench.eid).finished))


async def _the_second_gives_an_order(run: Run, bench: Bench, token: int) -> None:
    """Its operator registers the same key, with the counter and the token that are its own."""
    site = bench.eims[SECOND]
    device = site.eim.eim.import_device(await export(bench, "--eim", SECOND))
    run.check("the file for the second has its token and counter", (device.token, device.counter) == (token, 0))
    site.eim.eim.enqueue(
        bench.eid, Order(package_bytes.PSMO, "the second's list", (package_bytes.list_profile_info(),))
    )
    async with run.step("the second is polled, and its order is carried out"):
        entry = await site.eim.entry("result", deadline_s=20)
    check_result(run, "the second's order", entry, ["listProfileInfo ok"])
    run.check("its signature is right too", entry["facts"]["signature"] == "right (token)")
    counters = [row[1] for row in kept(bench)["eims"]]
    run.check("each has its own counter", counters == [bench.eim.eim.device(bench.eid).counter, 1], str(counters))


@scenario(
    "emulated-data-request",
    "Data of an emulated card is what the card and this device say themselves; what neither has is left out.",
    deadline_s=60,
)
async def emulated_data_request(run: Run) -> None:
    """Certificates are never made up: a consumer card shows its own in a download only."""
    async with run.bench(emulated(old_notifications=3)) as bench:
        device = await registered(run, bench)
        await until(lambda: not bench.card.state.notifications, "card without old notifications", deadline_s=20)
        execute = bench.card.es10.execute
        addresses = der.parse(execute(bytes.fromhex("BF3C00")))
        expected: dict[str, object] = {
            "smdp": addresses.get(0x80).text(),
            "smds": addresses.get(0x81).text(),
            "info1": execute(bytes.fromhex("BF2000")).hex().upper(),
            "info2": execute(bytes.fromhex("BF2200")).hex().upper(),
            "token": device.token,
        }
        for name, value in expected.items():
            seen = _values(await _ask(bench, name))
            run.check(f"{name} alone is true", list(seen.values()) == [value], f"{seen}, not {value}")
        everything = _values(await _ask(bench, *DATA_TAGS))
        told = {key: value for key, value in everything.items() if key in _FACTS.values()}
        wanted = {_FACTS[name]: value for name, value in expected.items()}
        run.check("all together are the same", told == wanted, str(told))
        made_up = [name for name in ("euiccCertificate", "eumCertificate") if name in everything]
        run.check("no certificate is made up", not made_up, str(made_up))
        lists = [everything.get(name) for name in ("notifications", "packageResults")]
        run.check("nothing is owed, and so it is told", lists == [[], []], str(lists))
        await check_emulated_end(run, bench, BOOTSTRAP, [])


_FACTS = {
    "smdp": "defaultSmdpAddress",
    "smds": "rootSmdsAddress",
    "info1": "euiccInfo1",
    "info2": "euiccInfo2",
    "token": "associationToken",
}


async def _ask(bench: Bench, *names: str) -> Entry:
    bench.eim.skip()
    request = DataRequest(tuple(DATA_TAGS[name] for name in names))
    bench.eim.eim.enqueue(bench.eid, Order("data", f"request {'+'.join(names)}", data=request))
    return await bench.eim.entry("result", deadline_s=20)


def _values(entry: Entry) -> dict[str, Any]:
    facts = {name: value for name, value in entry["facts"].items() if name not in ("ok", "transactionId")}
    if isinstance(facts.get("euiccInfo2"), dict):
        facts["euiccInfo2"] = facts["euiccInfo2"]["raw"]
    return facts


def _listed(entry: Entry) -> list[str]:
    return [row["eimId"] for row in entry["facts"]["operations"][0]["eims"]]


def _add(name: str, configuration: bytes, result: str) -> Case:
    return case(Order(package_bytes.ECO, name, (package_bytes.add_eim(configuration),)), result)


def _update(name: str, configuration: bytes, result: str) -> Case:
    return case(Order(package_bytes.ECO, name, (package_bytes.update_eim(configuration),)), result)


def _change(identity: EimIdentity, *, fqdn: str) -> bytes:
    """EimConfigurationData with nothing in it but the change."""
    return identity.configuration(
        fqdn=fqdn, id_type=None, counter=None, ask_for_token=False, signing="none", tls_pin="none", protocols=None
    )
