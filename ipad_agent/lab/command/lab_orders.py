"""What can be ordered from a running lab, word by word: the other side of ``ipad-agent lab eim|modem|card|...``."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.network.impaired_network import Direction, Impairments
from ipad_agent.lab.bench.rsp_servers_on_bench import Offer
from ipad_agent.lab.eim.eim_faults import Fault as EimFault
from ipad_agent.lab.eim.errors import EimLabError
from ipad_agent.lab.eim.injection.injection_site import INJECTION
from ipad_agent.lab.eim.orders.order_verbs import VERBS, build_order
from ipad_agent.lab.eim.results.result_report import results_json, results_text
from ipad_agent.lab.errors import BenchError, ControlError
from ipad_agent.lab.euicc import CardError, Profile
from ipad_agent.lab.modem import Cell, Fault, Module
from ipad_agent.lab.modem.at.message_commands import sms_deliver
from ipad_agent.lab.modem.modem_options import FaultKind
from ipad_agent.lab.smdp import Fault as SmdpFault
from ipad_agent.lab.smdp import SmdpError

from .lab_socket import Answer

__all__ = ["ORDERS", "OrderWord", "obey", "usage"]

Words = Sequence[str]


@dataclass(frozen=True, slots=True)
class OrderWord:
    """One order: how to type what follows it, what it does, and the doing."""

    usage: str
    about: str
    do: Callable[[Bench, Words], Answer]


def obey(bench: Bench, words: Words) -> Answer:
    """Carry out ``words`` (``["modem", "restart"]``). ``ControlError`` says what is wrong with them."""
    if len(words) < 2 or words[0] not in ORDERS or words[1] not in ORDERS[words[0]]:
        raise ControlError(f"not an order: {shlex.join(words)}\n{usage()}")
    order = ORDERS[words[0]][words[1]]
    try:
        return order.do(bench, words[2:])
    except (EimLabError, BenchError, CardError, SmdpError) as error:
        raise ControlError(str(error)) from error
    except (ValueError, IndexError, KeyError) as error:
        raise ControlError(f"usage: {words[0]} {words[1]} {order.usage}".rstrip()) from error


def usage() -> str:
    """Every order with its words."""
    lines = []
    for part, orders in ORDERS.items():
        lines += [f"  {f'{part} {name} {order.usage}'.rstrip():58} {order.about}" for name, order in orders.items()]
    inject = "eim inject [https|coaps] [--json-binding] VERB ..."
    lines.append(f"  {inject:58} push an order to a device that listens (lab up --inject)")
    lines += ["", "  what eim queue takes:"]
    lines += [f"    {f'{name} {verb.usage}'.rstrip():56} {verb.about}" for name, verb in VERBS.items()]
    return "\n".join(lines)


# eIM


def _eim_queue(bench: Bench, words: Words) -> Answer:
    if list(words[:1]) == ["--eid"]:
        return _queue_for(bench, words[1:])
    order = bench.order(*words)
    return Answer(f"queued: {order.label}", {"order": order.label})


def _queue_for(bench: Bench, words: Words) -> Answer:
    """``--eid EID|all``: for another device of this eIM, or for every one."""
    eim = bench.eim.eim
    wanted = words[0] if words else ""
    eids = list(eim.devices) if wanted == "all" else [wanted.upper()]
    for eid in eids:
        order = eim.enqueue(eid, build_order(words[1:]))
    count = "" if len(eids) == 1 else f" for {len(eids)} devices"
    return Answer(f"queued{count}: {order.label}", {"order": order.label, "devices": len(eids)})


async def push_package(bench: Bench, words: Words) -> Answer:
    """``eim inject``: push an order to the device that listens. Raises ``ControlError``."""
    carrier, binding = None, "asn1"
    if words and words[0] in INJECTION:
        carrier, words = words[0], words[1:]
    if words and words[0] == "--json-binding":
        binding, words = "json", words[1:]
    try:
        order = build_order(words)
        answer = await bench.injection.push(bench.eim.eim, bench.eid, order, carrier=carrier, binding=binding)
    except (EimLabError, BenchError) as error:
        raise ControlError(str(error)) from error
    return Answer(f"{order.label}: {answer.text}", {"order": order.label, "answer": answer.text})


def _eim_results(bench: Bench, words: Words) -> Answer:
    return Answer(results_text(bench.eim.eim), json.loads(results_json(bench.eim.eim)))


def _eim_fault(bench: Bench, words: Words) -> Answer:
    function, action, *rest = words
    if function == "clear":
        raise ValueError(function)
    value = None if not rest or rest[0] == "-" else int(rest[0]) if rest[0].isdecimal() else rest[0]
    times = int(rest[1]) if len(rest) > 1 else 1
    bench.eim.eim.faults.arm(EimFault(function, action, value, times))
    return Answer(f"the next {times} request(s) of {function}: {action}")


def _eim_refuse(bench: Bench, words: Words) -> Answer:
    answer, *verb = words
    again = "--again" in verb
    order = bench.order(*(word for word in verb if word != "--again"))
    bench.eim.eim.refuse_results(order, answer, again=again)
    return Answer(f"queued, and no result of it will be taken: {order.label}", {"order": order.label})


def _eim_take(bench: Bench, words: Words) -> Answer:
    bench.eim.eim.take_results()
    return Answer("the results of every order are taken again")


def _eim_import(bench: Bench, words: Words) -> Answer:
    replace_key = "--replace-key" in words
    (name,) = [word for word in words if word != "--replace-key"]
    try:
        raw = Path(name).read_bytes()
    except OSError as error:
        raise ControlError(f"{name} cannot be read: {error}") from error
    device = bench.eim.eim.import_device(raw, replace_key=replace_key, now_s=time.time())
    fingerprint = hashlib.sha256(device.euicc_spki or b"").hexdigest().upper()
    data = {"eid": device.eid, "counter": device.counter, "token": device.token, "fingerprint": fingerprint}
    return Answer(f"registered, emulated: {device.eid}, counter {device.counter}, key {fingerprint}", data)


def _eim_bundle(bench: Bench, words: Words) -> Answer:
    name, *rest = words
    counter = int(rest[1]) if rest[:1] == ["--counter"] and len(rest) == 2 else 0
    if rest and len(rest) != 2:
        raise ControlError("FILE [--counter N]")
    if bench.https_gate is None:
        raise ControlError("a device binds itself over HTTPS: lab up --carrier https, or both")
    text = bench.issue_bundle(counter=counter)
    try:
        with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
    except OSError as error:
        raise ControlError(f"{name} cannot be written: {error.strerror or error}") from error
    about = "the device's key is in it; provisioning.bundle or ipactl provision takes it"
    return Answer(f"{name}: {about}", {"path": name, "counter": counter})


def _eim_well(bench: Bench, words: Words) -> Answer:
    bench.eim.eim.faults.clear()
    return Answer("no faults armed")


def _eim_restart(bench: Bench, words: Words) -> Answer:
    bench.server.restart_quietly()
    return Answer("every DTLS session and half transfer is forgotten")


# Modem


def _modem_status(bench: Bench, words: Words) -> Answer:
    module = bench.modem.module
    data = {
        "port": str(bench.modem.path),
        "present": not module.away,
        "functionality": module.functionality,
        "registration": module.radio.state.name.lower(),
        "plmn": module.radio.cell.plmn if module.radio.cell else None,
        "iccid": module.uicc.iccid,
        "sessions": module.uicc.sessions,
        "channels": sorted(module.uicc.open_channels),
        "apdus": module.uicc.apdu_count,
        "cardResets": module.uicc.reset_count,
        "refreshes": module.refresh_count,
    }
    return Answer(_lines(data), data)


def _modem_order(action: Callable[[Module, Words], None], said: str) -> Callable[[Bench, Words], Answer]:
    def do(bench: Bench, words: Words) -> Answer:
        bench.modem.order(lambda module: action(module, words))
        return Answer(said)

    return do


def _modem_fault(bench: Bench, words: Words) -> Answer:
    kind, *rest = words
    if kind not in get_args(FaultKind):
        raise ControlError(f"{kind!r} is none of {', '.join(get_args(FaultKind))}")
    fault = Fault(cast(FaultKind, kind), rest[0].upper() if rest and rest[0] != "-" else "")
    if len(rest) > 1:
        fault = replace(fault, times=int(rest[1]))
    bench.modem.inject(fault)
    return Answer(f"the next {fault.times} command(s) {fault.prefix or 'of any name'}: {kind}")


def _modem_trace(bench: Bench, words: Words) -> Answer:
    count = int(words[0]) if words else 40
    rows = [(t_s, way, data.decode("latin-1")) for t_s, way, data in list(bench.modem.trace)[-count:]]
    return Answer("\n".join(f"{t_s:9.3f} {way} {text!r}" for t_s, way, text in rows), rows)


def _modem_cell(bench: Bench, words: Words) -> Answer:
    iccid, plmn = words
    bench.cover(iccid, None if plmn == "none" else Cell(plmn=plmn))
    return Answer(f"{iccid} is served by {'nobody' if plmn == 'none' else plmn}")


def _modem_coverage(bench: Bench, words: Words) -> Answer:
    iccid, word, *rest = words
    covered = {"on": True, "off": False}[word]
    bench.set_coverage(iccid, covered, attach_s=float(rest[0]) if rest else None)
    return Answer(f"{iccid} has {'coverage' if covered else 'no coverage'} here")


# Card


def _card_add(bench: Bench, words: Words) -> Answer:
    iccid = words[0].upper()
    profile = bench.card.add_profile(Profile(iccid, bench.card.next_aid(), name=" ".join(words[1:])))
    return Answer(f"on the card: {profile.iccid}", {"iccid": profile.iccid})


def _card_profiles(bench: Bench, words: Words) -> Answer:
    rows = [
        {
            "iccid": profile.iccid,
            "state": "enabled" if profile.enabled else "disabled",
            "name": profile.name,
            "provider": profile.service_provider,
            "fallback": profile.fallback_attribute,
        }
        for profile in bench.card.state.profiles
    ]
    text = "\n".join(
        f"{row['iccid']}  {row['state']:<8}  {row['name']}{'  fallback' if row['fallback'] else ''}" for row in rows
    )
    return Answer(text or "no profiles", rows)


def _card_show(bench: Bench, words: Words) -> Answer:
    state = bench.card.state
    data: dict[str, Any] = {
        "eid": bench.eid,
        "enabled": bench.card.enabled_iccid,
        "visible": bench.card.active_iccid,
        "eims": [{"eimId": eim.eim_id, "counter": eim.counter, "token": eim.token} for eim in state.eims],
        "results": [result.seq for result in state.results],
        "notifications": [notification.seq for notification in state.notifications],
        "rollbackTo": state.rollback.previous if state.rollback else None,
    }
    return Answer(_lines(data), data)


def _card_cut(bench: Bench, words: Words) -> Answer:
    bench.card.power_cut_at(words[0])
    return Answer(f"the power goes at the step {words[0]}")


def _card_pull(bench: Bench, words: Words) -> Answer:
    bench.slot.inserted = False
    return Answer("the card is out")


def _card_insert(bench: Bench, words: Words) -> Answer:
    bench.slot.inserted = True
    bench.modem.order(lambda module: module.restart_card())
    return Answer("the card is in")


# Network


def _network_show(bench: Bench, words: Words) -> Answer:
    link = bench.proxy.link
    data = {
        way: {"datagrams": c.delivered, "bytes": c.delivered_bytes, "lost": c.lost, "duplicated": c.duplicated}
        for way, c in link.counters.items()
    }
    return Answer(_lines({"up": data["up"], "down": data["down"], "passes": not link.blackout}), data)


def _network_impair(bench: Bench, words: Words) -> Answer:
    name, value = words[0], float(words[1])
    if name not in ("loss", "duplicate", "reorder", "delay_s", "jitter_s", "reorder_s") or value < 0:
        raise ValueError(name)
    ways: tuple[Direction, ...] = ("up", "down") if len(words) < 3 else (cast(Direction, words[2]),)
    for way in ways:
        impairments: Impairments = bench.proxy.link.impairments[way]
        bench.proxy.link.impairments[way] = replace(impairments, **{name: value})
    return Answer(f"{name} is {value:g} {' and '.join(ways)}")


def _network_pass(up: bool) -> Callable[[Bench, Words], Answer]:
    def do(bench: Bench, words: Words) -> Answer:
        bench.set_link_up(up)
        return Answer("everything passes" if up else "nothing passes")

    return do


def _network_ethernet(bench: Bench, words: Words) -> Answer:
    plugged = {"in": True, "out": False}[words[0]]
    bench.plug_ethernet(plugged)
    return Answer("everything passes without the modem" if plugged else "only what the modem carries passes")


def _network_rebind(bench: Bench, words: Words) -> Answer:
    bench.proxy.rebind()
    return Answer("the eIM sees new source ports")


# SM-DP+ and SM-DS


def _smdp_orders(bench: Bench, words: Words) -> Answer:
    rows = [
        {
            "code": bench.rsp.code(order),
            "iccid": order.package.metadata.iccid,
            "state": order.state.value,
            "confirmationCode": order.confirmation_code,
            "ppr": list(order.package.metadata.ppr),
            "attempts": order.attempts,
        }
        for order in bench.rsp.smdp.orders
    ]
    text = "\n".join(
        f"{row['state']:<10}  {row['iccid']}  {row['code']}"
        + (f"  confirmation code {row['confirmationCode']}" if row["confirmationCode"] else "")
        for row in rows
    )
    return Answer(text or "nothing is on offer", rows)


def _smdp_offer(bench: Bench, words: Words) -> Answer:
    matching_id, iccid, *rest = words
    offer = Offer("" if matching_id == "-" else matching_id, iccid)
    while rest:
        option = rest.pop(0)
        match option:
            case "--event":
                offer = replace(offer, event=True)
            case "--eid":
                offer = replace(offer, eid=rest.pop(0).upper())
            case "--cc":
                offer = replace(offer, confirmation_code=rest.pop(0))
            case "--ppr":
                offer = replace(offer, ppr=tuple(int(bit) for bit in rest.pop(0).split(",")))
            case "--size":
                offer = replace(offer, size_bytes=int(rest.pop(0)))
            case _:
                raise ValueError(option)
    order = bench.rsp.offer(offer)
    return Answer(bench.rsp.code(order), {"code": bench.rsp.code(order)})


def _smdp_notifications(bench: Bench, words: Words) -> Answer:
    rows = [
        {
            "seqNumber": one.sequence_number,
            "kind": one.kind,
            "events": list(one.events),
            "iccid": one.iccid,
            "eid": one.eid,
            "installed": one.succeeded,
            "error": one.error,
            "problem": one.problem,
            "times": one.times,
        }
        for one in bench.rsp.smdp.notifications
    ]
    return Answer("\n".join(_lines(row) + "\n" for row in rows).rstrip() or "no notifications", rows)


def _smdp_fault(bench: Bench, words: Words) -> Answer:
    function, action, *rest = words
    value = None if not rest or rest[0] == "-" else int(rest[0]) if rest[0].isdecimal() else rest[0]
    times = int(rest[1]) if len(rest) > 1 else 1
    bench.rsp.smdp.faults.arm(SmdpFault(function, action, value, times))
    return Answer(f"the next {times} request(s) of {function}: {action}")


def _smdp_well(bench: Bench, words: Words) -> Answer:
    bench.rsp.smdp.faults.clear()
    bench.rsp.smds.faults.clear()
    return Answer("no faults armed")


ORDERS: dict[str, dict[str, OrderWord]] = {
    "eim": {
        "queue": OrderWord(
            "[--eid EID|all] VERB ...", "queue an order for the card, or another of lab up --devices", _eim_queue
        ),
        "results": OrderWord("", "devices, orders and everything that happened", _eim_results),
        "fault": OrderWord("FUNCTION ACTION [VALUE|-] [TIMES]", "misbehave on coming requests", _eim_fault),
        "refuse": OrderWord(
            "ERROR|STATUS|garbage|crash VERB ... [--again]",
            "queue an order whose result is never taken; --again hands it out again when no other waits",
            _eim_refuse,
        ),
        "import": OrderWord(
            "FILE [--replace-key]", "register a consumer card by the import file that its device wrote", _eim_import
        ),
        "bundle": OrderWord(
            "FILE [--counter N]",
            "issue a provisioning bundle: this eIM and a key for the device, which then registers itself",
            _eim_bundle,
        ),
        "take": OrderWord("", "take the results of every order again", _eim_take),
        "well": OrderWord("", "drop every armed fault", _eim_well),
        "restart": OrderWord("", "forget all DTLS sessions, as after a crash", _eim_restart),
    },
    "modem": {
        "status": OrderWord("", "registration, profile, channels, counters", _modem_status),
        "restart": OrderWord("", "restart the module", _modem_order(lambda m, _: m.restart(), "restarting")),
        "get-stuck": OrderWord(
            "", "search for ever, until it is restarted", _modem_order(lambda m, _: m.get_stuck(), "searching")
        ),
        "drop-port": OrderWord(
            "[SECONDS]",
            "take the port away for a while",
            _modem_order(lambda m, w: m.drop_port(float(w[0]) if w else 5.0), "the port is gone"),
        ),
        "urc": OrderWord("TEXT", "send an unsolicited line", _modem_order(lambda m, w: m.report(" ".join(w)), "sent")),
        "sms": OrderWord(
            "SENDER TEXT",
            "let an SMS arrive",
            _modem_order(lambda m, w: m.receive_message(sms_deliver(w[0], " ".join(w[1:]))), "the SMS is there"),
        ),
        "fault": OrderWord("KIND [PREFIX|-] [TIMES]", "let coming commands go wrong", _modem_fault),
        "cell": OrderWord("ICCID PLMN|none", "which network serves a profile", _modem_cell),
        "coverage": OrderWord(
            "ICCID on|off [SECONDS]", "whether its operator serves a profile, registered after so long", _modem_coverage
        ),
        "trace": OrderWord("[COUNT]", "the last bytes on the line", _modem_trace),
    },
    "card": {
        "profiles": OrderWord("", "the profiles and their states", _card_profiles),
        "show": OrderWord("", "eIMs, results, notifications, rollback", _card_show),
        "add": OrderWord("ICCID [NAME]", "put a disabled profile onto it, also one with letters", _card_add),
        "pull": OrderWord("", "take the card out", _card_pull),
        "insert": OrderWord("", "put it back", _card_insert),
        "power-cut-at": OrderWord("STEP", "lose power at counter-stored, operation-N, after-swap, ...", _card_cut),
    },
    "smdp": {
        "orders": OrderWord("", "activation codes and what became of them", _smdp_orders),
        "offer": OrderWord(
            "MATCHING_ID|- ICCID [--cc CODE] [--ppr 1,2] [--size BYTES] [--event] [--eid EID]",
            "put a profile out; - is for this card's default SM-DP+, --event tells the SM-DS",
            _smdp_offer,
        ),
        "notifications": OrderWord("", "what cards reported, verified", _smdp_notifications),
        "fault": OrderWord("FUNCTION ACTION [VALUE|-] [TIMES]", "misbehave on coming requests", _smdp_fault),
        "well": OrderWord("", "drop every armed fault", _smdp_well),
    },
    "network": {
        "show": OrderWord("", "datagrams and bytes each way", _network_show),
        "set": OrderWord(
            "loss|duplicate|reorder|delay_s|jitter_s VALUE [up|down]", "make the link worse or better", _network_impair
        ),
        "off": OrderWord("", "let nothing pass", _network_pass(False)),
        "on": OrderWord("", "let everything pass", _network_pass(True)),
        "ethernet": OrderWord("in|out", "a way to the servers that needs no modem", _network_ethernet),
        "rebind": OrderWord("", "new NAT bindings", _network_rebind),
    },
}


def _lines(data: dict[str, Any]) -> str:
    return "\n".join(
        f"{name:14} {json.dumps(value) if isinstance(value, dict) else value}" for name, value in data.items()
    )
