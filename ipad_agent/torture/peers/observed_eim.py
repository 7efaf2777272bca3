"""An eIM with its server, and everything that it says and hears as sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ipad_agent.lab.eim import Fault, Order, Reply, VirtualEim, build_order
from ipad_agent.torture.history.history_log import EIM, HistoryLog
from ipad_agent.torture.world.dtls_stand_in import StandInServer
from ipad_agent.torture.world.ground_truth import GroundTruth, name_of

from .eim_refusals import STATUS, STATUS_AFTER, UNDEFINED_ERROR, Refusals


class ObservedEim:
    """Implements the lab's ``Application`` around one ``VirtualEim``."""

    def __init__(
        self,
        eim: VirtualEim,
        eid: str,
        gate: StandInServer,
        ground_truth: GroundTruth,
        log: HistoryLog,
        now_s: Callable[[], float],
    ) -> None:
        self.eim = eim
        self.gate = gate
        self.told_changes: list[str] = []
        """The stateChangeCauses this eIM was given."""
        self.told_at_s: list[float] = []
        """When, in seconds of the story."""
        self.accepted: dict[int, tuple[Order | None, Mapping[str, Any]]] = {}
        """By number: signed results with the order they belong to and what they say."""
        self.polls = 0
        self.refusals: Refusals | None = None
        """How it refuses requests at the moment."""
        self._eid = eid
        self._ground_truth = ground_truth
        self._log = log
        self._now_s = now_s

    @property
    def eim_id(self) -> str:
        return self.eim.identity.eim_id

    @property
    def orders(self) -> list[Order]:
        """All orders of the device, finished ones first."""
        device = self.eim.device(self._eid)
        return [*device.finished, *device.queue]

    @property
    def unfinished(self) -> list[Order]:
        """Orders that have no result yet."""
        return list(self.eim.device(self._eid).queue)

    def order(self, words: str, label: str = "") -> Order:
        """Queue an order; ``label`` is what a story calls it."""
        order = build_order(words.split())
        order.label = label or order.label
        self._log.tell(EIM, f"{self.eim_id} is asked to: {_short(order.label)}")
        return self.eim.enqueue(self._eid, order)

    def exchange(self, body: bytes, *, now_s: float = 0.0, peer: str = "") -> Reply:
        """See ``Application``."""
        history = self.eim.history
        before = len(history)
        refused = None if self.refusals is None else self.refusals.draw(body, self._now_s())
        if self.refusals is not None and refused == STATUS:
            reply = self.refusals.reply()
            self._log.tell(EIM, f"{self.eim_id} answers {reply.code}")
            return reply
        if refused == UNDEFINED_ERROR:
            self.eim.faults.arm(Fault("any", "refuse", 127), first=True)  # this request, and no other
        reply = self.eim.exchange(body, now_s=self._now_s(), peer=peer)
        if self.refusals is not None and refused == STATUS_AFTER and reply.later is None:
            reply = self.refusals.reply()
        for item in list(history)[before:]:
            self._note(item)
        history.clear()
        if reply.lost == "crash":
            self._log.tell(EIM, f"{self.eim_id} crashes and forgets all sessions")
            self.gate.forget()
        elif reply.lost is not None:
            self._log.tell(EIM, f"{self.eim_id} does not answer")
        elif reply.code is not None:
            self._log.tell(EIM, f"{self.eim_id} answers {reply.code}")
        return reply

    def _note(self, item: Mapping[str, Any]) -> None:
        match item["kind"]:
            case "request":
                self.polls += 1
                if item.get("stateChange") is not None:
                    self.told_changes.append(str(item["stateChange"]))
                if item.get("stateChange") is not None or item.get("notifyStateChange"):
                    self.told_at_s.append(self._log.now_s)
            case "result" | "result by notification":
                self._result(item)
            case "acknowledged":
                # The eIM passes on what came along with a result, and names it with the result's own number.
                self._ground_truth.took_notifications(set(item["numbers"]))
            case "notification":
                seq = item["facts"].get("seqNumber")
                if seq is not None:
                    self._ground_truth.took_notifications({int(seq)})
        self._log.tell(EIM, f"{self.eim_id}: {_sentence(item)}")

    def _result(self, item: Mapping[str, Any]) -> None:
        if item.get("discarded") or "facts" not in item:
            return
        facts = item["facts"]
        found = [facts, *(one for one in facts.get("packageResults", ()) if "discarded" not in one)]
        numbers = set()
        for one in found:
            seq = one.get("seqNumber")
            if seq is None or one.get("variant") != "result":
                continue
            numbers.add(int(seq))
            transaction = one.get("transactionId")
            order = next((o for o in self.orders if (o.transaction_id or b"").hex().upper() == transaction), None)
            self.accepted[int(seq)] = order, one
        self._ground_truth.took_results(numbers)


def _short(label: str) -> str:
    return label if len(label) <= 60 else label[:57] + "..."


def _sentence(item: Mapping[str, Any]) -> str:
    match item["kind"]:
        case "request":
            # In v1.0 the flag alone says it; the cause came with v1.1.
            change = item.get("stateChange") or ("a change" if item.get("notifyStateChange") else None)
            told = f", told of {change}" if change else ""
            return f"asked for work{told}"
        case "handed out":
            again = " again" if item.get("again") else ""
            return f"hands out{again}: {_short(str(item['order']))}"
        case "result" | "result by notification" if "facts" not in item:
            return f"does not know whose result that is [{item.get('error')}]"
        case "result" | "result by notification":
            verdict = "discards" if item.get("discarded") else "takes"
            why = f" ({item['discarded']})" if item.get("discarded") else ""
            order = _short(str(item["order"])) if item.get("order") else "nothing it ordered"
            end = "done" if item.get("ok") else "failed"
            return f"{verdict} a result for: {order} [{end}]{why}{_codes(item['facts'])}"
        case "notification":
            facts = item["facts"]
            return f"takes notification {facts.get('seqNumber')} about {name_of(facts.get('iccid'))}"
        case "acknowledged":
            return f"acknowledges {item['numbers']}"
        case "fault":
            return f"misbehaves on {item['on']}: {item['action']}"
        case kind:
            return f"{kind} {'ok' if item.get('ok') else ''}".rstrip()


def _codes(facts: Mapping[str, Any]) -> str:
    said = [f"{one['operation']} {one['name']}" for one in facts.get("operations", ()) if one.get("code")]
    if facts.get("variant") != "result" and "name" in facts:
        said.append(str(facts["name"]))
    return f": {', '.join(said)}" if said else ""
