"""Every order about the eIMs on the card, with its error codes (SGP.32 v1.2 §2.11.1.1.3)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.watched_eim import WatchedEim
from ipad_agent.lab.eim import CoapsServer, DtlsSettings, EimIdentity, Order, VirtualEim
from ipad_agent.lab.eim.orders import package_bytes as eim_packages
from ipad_agent.lab.euicc import Quirks, eim_configuration
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import (
    Case,
    case,
    check_nothing_left,
    check_result,
    play,
    quick,
    result_of,
)

SECOND, THIRD, FOURTH = "second.lab.example", "third.lab.example", "fourth.lab.example"
UNKNOWN_CI = bytes(20)
MAX_EIMS = 3


@scenario(
    "eco-all",
    "eIMs are added, changed, listed and deleted by order; the last one still hears that it is gone.",
    deadline_s=60,
)
async def eco_all(run: Run) -> None:
    """Codes that no order can provoke on this card: undefinedError(127), and commandError(7) of deleteEim; the card
    has no switch for such defects. The last order deletes the very eIM that gave it (lastEimDeleted)."""
    options = quick(quirks=Quirks(max_eims=MAX_EIMS), config={"provisioning": {"initial_eim": None}}, provision="card")
    async with run.bench(options) as bench, _second_eim(bench) as second:
        await bench.agent.start()
        await _add(run, bench, second)
        await _second_is_polled(run, bench, second)
        await _update(run, bench)
        await _delete(run, bench)
        await _delete_the_last(run, bench)


@contextlib.asynccontextmanager
async def _second_eim(bench: Bench) -> AsyncIterator[tuple[WatchedEim, EimIdentity, str]]:
    """Another eIM with its own name and port: what is served there, who it is, and its address."""
    identity = replace(bench.identity, eim_id=SECOND)
    watched = WatchedEim(VirtualEim(identity))
    watched.eim.add_device(bench.eid, token=bench.card.state.next_token, certificate_der=bench.pki["euicc"].cert_der)
    async with CoapsServer(watched, dtls=DtlsSettings(identity=identity.tls)) as server:
        yield watched, identity, f"localhost:{server.port}"


async def _add(run: Run, bench: Bench, second: tuple[WatchedEim, EimIdentity, str]) -> None:
    _, identity, address = second
    third, fourth = replace(identity, eim_id=THIRD), replace(identity, eim_id=FOURTH)
    key = identity.signing_spki
    unreachable = ("inject-coaps",)
    entries = await play(
        run,
        bench,
        [
            case("list-eim", "listEim ok"),
            _add_case("add with a token", identity.configuration(fqdn=address), "addEim ok"),
            _add_case("add once more", identity.configuration(fqdn=address), "addEim associatedEimAlreadyExists"),
            _add_case(
                "add without a token",
                third.configuration(ask_for_token=False, protocols=unreachable),
                "addEim ok",
            ),
            _add_case("add for an unknown CI", fourth.configuration(ci_pkid=UNKNOWN_CI), "addEim ciPKUnknown"),
            _add_case("add with a token", eim_configuration(FOURTH, key, token=5), "addEim invalidAssociationToken"),
            _add_case("add with a counter", fourth.configuration(counter=0x800000), "addEim counterValueOutOfRange"),
            _add_case("add without a key", fourth.configuration(signing="none"), "addEim commandError"),
            _add_case("add one too many", fourth.configuration(), "addEim insufficientMemory"),
            case("list-eim", "listEim ok", name="list three eIMs"),
        ],
    )
    state = bench.card.state
    entry, other = state.eim(SECOND), state.eim(THIRD)
    reported = entries[1]["facts"]["operations"][0].get("associationToken")
    run.check("the card made the token", entry is not None and entry.token == reported, f"token {reported}")
    run.check("no token was made where none was asked for", other is not None and other.token is None)
    listed = [[row["eimId"] for row in entries[i]["facts"]["operations"][0]["eims"]] for i in (0, -1)]
    first = bench.identity.eim_id
    run.check("the lists are right", listed == [[first], [first, SECOND, THIRD]], f"{listed}")
    run.check("refused eIMs are not on the card", state.eim(FOURTH) is None)


async def _second_is_polled(run: Run, bench: Bench, second: tuple[WatchedEim, EimIdentity, str]) -> None:
    watched = second[0]
    async with run.step("the new eIM is polled, and its own order is carried out"):
        watched.eim.enqueue(bench.eid, Order("psmo", "ask", (eim_packages.get_rat(),)))
        entry = await watched.entry("result", deadline_s=20)
    check_result(run, "the new eIM's order", entry, ["getRAT ok"])


async def _update(run: Run, bench: Bench) -> None:
    identity = bench.identity
    second = replace(identity, eim_id=SECOND)
    third, nobody = replace(identity, eim_id=THIRD), replace(identity, eim_id="nobody.example")
    await play(
        run,
        bench,
        [
            _update_case("update", _change(third, fqdn="new.example", counter=7), "updateEim ok"),
            _update_case("update nobody", _change(nobody, fqdn="new.example"), "updateEim eimNotFound"),
            _update_case("update the counter backwards", _change(third, counter=6), "updateEim counterValueOutOfRange"),
            _update_case(
                "update the counter too far", _change(third, counter=0x800000), "updateEim counterValueOutOfRange"
            ),
            _update_case("update to an unknown CI", _change(third, ci_pkid=UNKNOWN_CI), "updateEim ciPKUnknown"),
            _update_case("update a token", _change(third, ask_for_token=True), "updateEim commandError"),
            _update_case("update nothing", _change(second), "updateEim commandError"),
        ],
    )
    entry = bench.card.state.eim(THIRD)
    changed = entry is not None and entry.counter == 7 and any(b"new.example" in field for field in entry.fields)
    run.check("the card has the new values", changed)


async def _delete(run: Run, bench: Bench) -> None:
    await play(
        run,
        bench,
        [
            case("delete-eim nobody.example", "deleteEim eimNotFound"),
            case(f"delete-eim {THIRD}", "deleteEim ok"),
            case(f"delete-eim {SECOND}", "deleteEim ok"),
            case("list-eim", "listEim ok", name="list the one that is left"),
        ],
    )
    left = [entry.eim_id for entry in bench.card.state.eims]
    run.check("one eIM is left", left == [bench.identity.eim_id], ", ".join(left))
    check_nothing_left(run, bench)


async def _delete_the_last(run: Run, bench: Bench) -> None:
    one = case(f"delete-eim {bench.identity.eim_id}", "deleteEim lastEimDeleted", name="delete the eIM that orders it")
    bench.eim.eim.enqueue(bench.eid, one.order)
    entry = await result_of(bench, one.name)
    check_result(run, one.name, entry, one.expected)
    run.check("no eIM is left", not bench.card.state.eims)
    async with run.step("the agent has nobody left to ask"):
        await bench.agent.event("IPA-4003", deadline_s=20)
    check_nothing_left(run, bench)


def _add_case(name: str, configuration: bytes, result: str) -> Case:
    operation = eim_packages.add_eim(configuration)
    return case(Order(eim_packages.ECO, f"{name}: {result.split()[1]}", (operation,)), result)


def _update_case(name: str, configuration: bytes, result: str) -> Case:
    return case(Order(eim_packages.ECO, name, (eim_packages.update_eim(configuration),)), result)


def _change(
    identity: EimIdentity,
    *,
    fqdn: str | None = None,
    counter: int | None = None,
    ci_pkid: bytes | None = None,
    ask_for_token: bool = False,
) -> bytes:
    """EimConfigurationData with nothing in it but the changes."""
    return identity.configuration(
        fqdn=fqdn,
        id_type=None,
        counter=counter,
        ask_for_token=ask_for_token,
        signing="none",
        tls_pin="none",
        protocols=None,
        ci_pkid=ci_pkid,
    )
