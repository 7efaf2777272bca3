"""Everything that an eIM may ask the device for, in the words of v1.2 and of v1.0 (SGP.32 §2.11.1.2)."""

from __future__ import annotations

from typing import Any

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.watched_eim import Entry
from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim import DataRequest, Fault, Order
from ipad_agent.lab.eim.orders.package_bytes import DATA_TAGS
from ipad_agent.lab.euicc import OPERATOR_A, default_profiles
from ipad_agent.lab.euicc.state.card_state import DISABLE, ENABLE
from ipad_agent.lab.euicc.state.profile_switching import add_notifications
from ipad_agent.lab.scenarios.scenario_runner import Run, scenario
from ipad_agent.lab.scenarios.support.common_steps import NO_MORE_WORK, check_nothing_left, quick, spare_profile

UNKNOWN_TAG = 0xC1
ENABLE_EMERGENCY, DISABLE_EMERGENCY = 0xBF5B, 0xBF5C
LISTS = ("notifications", "results")

Facts = dict[str, Any]


@scenario(
    "data-request-all",
    "Each kind of data, alone and with all others, is answered as the card itself says.",
    deadline_s=60,
)
async def data_request_all(run: Run) -> None:
    """Every tag of v1.2 and of v1.0, an unknown tag, criteria, CI identifiers, and the refusal in an emergency."""
    options = quick(profiles=[*default_profiles(), spare_profile(3, ecall=True)], link_follows_modem=False)
    async with run.bench(options) as bench:
        await bench.agent.start()
        await bench.agent.event(NO_MORE_WORK, deadline_s=30)
        for dialect in ("1.2", "1.0"):
            bench.eim.eim.settings.dialect = dialect
            await _single_values(run, bench, dialect)
            await _all_together(run, bench, dialect)
            await _refusals(run, bench, dialect)
        bench.eim.eim.settings.dialect = "1.2"
        await _criteria(run, bench)
        await _stored_results(run, bench)
        await _ci_identifiers(run, bench)
        await _emergency(run, bench)
        await bench.agent.event(NO_MORE_WORK, deadline_s=30)
        check_nothing_left(run, bench)
        run.check("the agent never failed unexpectedly", not bench.agent.said("IPA-1006"))


async def _ask(bench: Bench, *requests: DataRequest) -> list[Entry]:
    """Ask in one poll; the results in the same order."""
    bench.eim.skip()
    for number, request in enumerate(requests):
        bench.eim.eim.enqueue(bench.eid, Order("data", f"request {number}", data=request))
    return [
        await bench.eim.entry("result", deadline_s=30, where=lambda entry: entry.get("discarded") is None)
        for _ in requests
    ]


async def _single_values(run: Run, bench: Bench, dialect: str) -> None:
    names = [name for name in DATA_TAGS if name not in LISTS]
    entries = await _ask(bench, *(DataRequest((DATA_TAGS[name],)) for name in names))
    expected = _card_values(bench)
    for name, entry in zip(names, entries, strict=True):
        seen = _values(entry)
        wanted = {key: value for key, value in expected.items() if key == _FACT[name]}
        run.check(f"v{dialect}: {name}", seen == wanted, _differences(seen, wanted))


async def _all_together(run: Run, bench: Bench, dialect: str) -> None:
    _make_notifications(bench)
    numbers = [n.seq for n in bench.card.state.notifications]
    (entry,) = await _ask(bench, DataRequest(tuple(DATA_TAGS.values())))
    seen = _values(entry)
    expected = _card_values(bench)
    notifications = seen.pop("notifications", [])
    seen.pop("packageResults", None)
    run.check(f"v{dialect}: all values together", seen == expected, _differences(seen, expected))
    listed = [one["seqNumber"] for one in notifications]
    run.check(f"v{dialect}: all notifications together", listed == numbers, f"expected {numbers}, seen {listed}")


async def _refusals(run: Run, bench: Bench, dialect: str) -> None:
    # The tag of the SM-DP+ address is what tells the two releases apart.
    (entry,) = await _ask(bench, DataRequest((0x81, UNKNOWN_TAG)))
    _check_refused(run, f"v{dialect}: an unknown tag", entry, "incorrectTagList")
    form = 0xA1 if dialect == "1.2" else 0x81
    body = der.parse(bytes.fromhex(entry["raw"]))
    run.check(f"v{dialect}: refused in the form of that release", body.find(form) is not None, entry["raw"])


async def _criteria(run: Run, bench: Bench) -> None:
    _make_notifications(bench)
    first, second = bench.card.state.notifications
    tags = (DATA_TAGS["notifications"],)
    by_event, by_number = await _ask(
        bench,
        DataRequest(tags, notification_events=frozenset({second.event})),
        DataRequest(tags, notification_seq=first.seq),
    )
    for name, entry, wanted in (("event", by_event, second.seq), ("number", by_number, first.seq)):
        listed = [one["seqNumber"] for one in _values(entry)["notifications"]]
        run.check(f"notifications by {name}", listed == [wanted], f"expected {[wanted]}, seen {listed}")


async def _stored_results(run: Run, bench: Bench) -> None:
    """The eIM takes a result without acknowledging it and asks for it by a data request."""
    bench.eim.eim.faults.arm(Fault("result", "acknowledge", ()))
    bench.eim.skip()
    bench.order("list-profiles")
    tags = (DATA_TAGS["results"],)
    bench.eim.eim.enqueue(bench.eid, Order("data", "stored results", data=DataRequest(tags)))
    taken = await bench.eim.entry("result", deadline_s=30)
    number = taken["facts"]["seqNumber"]
    entry = await bench.eim.entry("result", deadline_s=30, where=lambda entry: entry.get("order") == "stored results")
    listed = [one["seqNumber"] for one in _values(entry).get("packageResults", [])]
    run.check("stored results", listed == [number], f"expected {[number]}, seen {listed}")


async def _ci_identifiers(run: Run, bench: Bench) -> None:
    ci_pkid = bench.pki.ci_pkid
    tags = (DATA_TAGS["eum"], DATA_TAGS["euicc"])
    full, prefix, unknown = await _ask(
        bench, *(DataRequest(tags, ci_pkid=value) for value in (ci_pkid, ci_pkid[:6], bytes(20)))
    )
    expected = {name: value for name, value in _card_values(bench).items() if name.endswith("Certificate")}
    for name, entry in (("full", full), ("prefix", prefix)):
        run.check(f"certificates by CI identifier ({name})", _values(entry) == expected)
    _check_refused(run, "certificates by CI identifier (unknown)", unknown, "euiccCiPKIdNotFound")


async def _emergency(run: Run, bench: Bench) -> None:
    _local(bench, ENABLE_EMERGENCY)
    (entry,) = await _ask(bench, DataRequest((DATA_TAGS["info1"],)))
    _check_refused(run, "during an emergency call", entry, "ecallActive")
    _local(bench, DISABLE_EMERGENCY)
    (entry,) = await _ask(bench, DataRequest((DATA_TAGS["info1"],)))
    run.check("after it", "euiccInfo1" in _values(entry))


_FACT = {
    "smdp": "defaultSmdpAddress",
    "info1": "euiccInfo1",
    "info2": "euiccInfo2",
    "smds": "rootSmdsAddress",
    "token": "associationToken",
    "eum": "eumCertificate",
    "euicc": "euiccCertificate",
    "ipa": "ipaCapabilities",
    "device": "deviceInfo",
}


def _card_values(bench: Bench) -> Facts:
    """What the card, asked by its own contacts' functions, and the modem say."""
    execute = bench.card.es10.execute
    addresses = der.parse(execute(bytes.fromhex("BF3C00")))
    entry = bench.card.state.eim(bench.identity.eim_id)
    imei = bench.options.modem_options().imei
    certificates = {0xA5: bench.pki["eum"].cert_der, 0xA6: bench.pki["euicc"].cert_der}
    return {
        "defaultSmdpAddress": addresses.get(0x80).text(),
        "rootSmdsAddress": addresses.get(0x81).text(),
        "euiccInfo1": execute(bytes.fromhex("BF2000")).hex().upper(),
        "euiccInfo2": execute(bytes.fromhex("BF2200")).hex().upper(),
        "associationToken": None if entry is None else entry.token,
        "eumCertificate": (b"\xa5" + certificates[0xA5][1:]).hex().upper(),
        "euiccCertificate": (b"\xa6" + certificates[0xA6][1:]).hex().upper(),
        # Without certificates of a CI there is no direct way to an SM-DP+.
        "ipaCapabilities": {
            "features": ["indirectRspServerCommunication"],
            "protocols": ["retrieveHttps", "retrieveCoaps"],
        },
        "deviceInfo": {"tac": _swapped(imei[:8]), "imei": _swapped(imei[:14]) + imei[14] + "F"},
    }


def _swapped(digits: str) -> str:
    return "".join(digits[i + 1] + digits[i] for i in range(0, len(digits), 2))


def _values(entry: Entry) -> Facts:
    """The data of a response, without what is about the message itself."""
    facts = {name: value for name, value in entry["facts"].items() if name not in ("ok", "transactionId")}
    if "euiccInfo2" in facts:
        facts["euiccInfo2"] = facts["euiccInfo2"]["raw"]
    return facts


def _differences(seen: Facts, expected: Facts) -> str:
    wrong = [name for name in {**seen, **expected} if seen.get(name) != expected.get(name)]
    return "; ".join(f"{name}: expected {expected.get(name)}, seen {seen.get(name)}" for name in wrong)


def _check_refused(run: Run, name: str, entry: Entry, expected: str) -> None:
    seen = entry["facts"].get("name", "data")
    run.check(name, seen == expected, f"expected {expected}, seen {seen}")


def _make_notifications(bench: Bench) -> None:
    """Two notifications for the SM-DP+, as a switch away from and back to a profile leaves them."""
    profile = bench.card.state.profile(OPERATOR_A)
    if profile is not None:
        for event in (DISABLE, ENABLE):
            add_notifications(bench.card.isdr, profile, event)
        bench.card.isdr.commit()


def _local(bench: Bench, function: int) -> None:
    bench.card.es10.execute(der.tlv(function, der.boolean(True, 0x80)))
    bench.modem.order(lambda module: module.restart_card())
