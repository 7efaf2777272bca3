"""ES2+: an operator orders, confirms, releases and cancels profiles, and hears of their download."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from ipad_agent.lab.bench.bench_options import BenchOptions
from ipad_agent.lab.bench.lab_bench import Bench
from ipad_agent.lab.bench.rsp_servers_on_bench import RspOptions
from ipad_agent.lab.http import Request
from ipad_agent.lab.smdp import Order, Reply, SmdpError, VirtualSmdp
from ipad_agent.lab.smdp.es2.operator_functions import OperatorFunctions
from ipad_agent.lab.smdp.es2.operator_link import OperatorLink, Point

from .scripted import Card, Client, fields_of

HEADER = {"functionRequesterIdentifier": "operator", "functionCallIdentifier": "1"}
ICCID = "8949020000600000099"
EID = "89049032000000000000000000000163"
OTHER = "89049032000000000000000000000260"
DS = "smds.lab.example"


class Operator:
    """Calls functions of the SM-DP+ and keeps the events that were registered."""

    def __init__(self, smdp: VirtualSmdp) -> None:
        self.events: list[tuple[str, str, str]] = []
        numbers = itertools.count(1)
        self.functions = OperatorFunctions(
            smdp.orders,
            lambda: "smdp.lab.example",
            lambda size: bytes([next(numbers)]) * size,
            register=self._register,
            delete=lambda *event: self.events.remove(event),
        )

    def _register(self, eid: str, event_id: str, smds: str) -> None:
        if smds != DS:
            raise SmdpError("nobody there")
        self.events.append((eid, event_id, smds))

    def ask(self, function: str, **body: Any) -> Reply:
        return self.functions.handle(function, {"header": HEADER, **body})

    def done(self, function: str, **body: Any) -> dict[str, Any]:
        answer = fields_of(self.ask(function, **body))
        return {name: value for name, value in answer.items() if name != "header"}


@pytest.fixture
def operator(smdp: VirtualSmdp) -> Operator:
    return Operator(smdp)


def test_an_ordered_and_released_profile_is_downloaded(smdp: VirtualSmdp, operator: Operator, card: Card) -> None:
    assert operator.done("downloadOrder", iccid=ICCID, profileType="IoT") == {"iccid": ICCID}
    confirmed = operator.done("confirmOrder", iccid=ICCID, matchingId="M-1", confirmationCode="1234", releaseFlag=False)
    assert confirmed == {"matchingId": "M-1", "smdpAddress": "smdp.lab.example"}
    assert Client(smdp, card).authenticate("M-1").code == "8.2/1.2"
    assert operator.done("releaseProfile", iccid=ICCID) == {}
    assert Client(smdp, card).get_package(None, "M-1").code == "8.2.7/2.2"
    opened = Client(smdp, card).download("1234", "M-1")
    assert b"IoT" in opened.metadata


def test_a_profile_may_be_ordered_by_type_and_gets_a_matching_id(smdp: VirtualSmdp, operator: Operator) -> None:
    first, second = (operator.done("downloadOrder", profileType="IoT")["iccid"] for _ in range(2))
    assert first != second
    confirmed = operator.done("confirmOrder", iccid=first, releaseFlag=True)
    assert confirmed["matchingId"] == "01010-10101-01010-10101"
    assert [order.released for order in smdp.orders] == [True]


def test_an_order_for_an_eid_is_for_no_other_card(smdp: VirtualSmdp, operator: Operator, card: Card) -> None:
    operator.done("downloadOrder", iccid=ICCID, eid=OTHER)
    assert operator.ask("confirmOrder", iccid=ICCID, eid=EID, releaseFlag=True).code == "8.1.1/3.10"
    assert operator.done("confirmOrder", iccid=ICCID, matchingId="M-1", releaseFlag=True)["eid"] == OTHER
    assert Client(smdp, card).authenticate("M-1").code == "8.1.1/3.8"


def test_an_event_is_registered_at_the_release_and_deleted_at_the_cancellation(operator: Operator) -> None:
    operator.done("downloadOrder", iccid=ICCID)
    operator.done("confirmOrder", iccid=ICCID, eid=EID, matchingId="M-1", smdsAddress=DS, releaseFlag=False)
    assert operator.events == []
    operator.done("releaseProfile", iccid=ICCID)
    assert operator.events == [(EID, "M-1", DS)]
    operator.done("cancelOrder", iccid=ICCID, finalProfileStatusIndicator="Available")
    assert operator.events == []


def test_an_sm_ds_that_is_not_reached_undoes_the_confirmation(smdp: VirtualSmdp, operator: Operator) -> None:
    operator.done("downloadOrder", iccid=ICCID, eid=EID)
    assert operator.ask("confirmOrder", iccid=ICCID, smdsAddress="x", releaseFlag=True).code == "8.9/5.1"
    assert list(smdp.orders) == []
    operator.done("confirmOrder", iccid=ICCID, smdsAddress=DS, releaseFlag=True)


def test_a_cancelled_profile_is_available_again_or_not(smdp: VirtualSmdp, operator: Operator, card: Card) -> None:
    for final, code in (("Available", None), ("Unavailable", "8.2.1/3.3")):
        operator.done("downloadOrder", iccid=ICCID)
        operator.done("confirmOrder", iccid=ICCID, matchingId="M-1", releaseFlag=True)
        operator.done("cancelOrder", iccid=ICCID, matchingId="M-1", finalProfileStatusIndicator=final)
        assert Client(smdp, card).authenticate("M-1").code == "8.2.6/3.8"
        if code is not None:
            assert operator.ask("downloadOrder", iccid=ICCID).code == code


def test_a_downloaded_profile_is_not_cancelled(smdp: VirtualSmdp, operator: Operator, card: Card) -> None:
    operator.done("downloadOrder", iccid=ICCID)
    operator.done("confirmOrder", iccid=ICCID, matchingId="M-1", releaseFlag=True)
    Client(smdp, card).download(matching_id="M-1")
    found = operator.ask("cancelOrder", iccid=ICCID, finalProfileStatusIndicator="Available").code
    assert found == "8.2.1/3.3"


@pytest.mark.parametrize(
    ("function", "body", "code"),
    [
        ("downloadOrder", {}, "1.6/2.2"),
        ("downloadOrder", {"iccid": "12"}, "1.6/2.1"),
        ("downloadOrder", {"iccid": 12}, "1.6/2.1"),
        ("downloadOrder", {"iccid": ICCID, "eid": "12"}, "1.6/2.1"),
        ("downloadOrder", {"iccid": "8949020000600000001"}, "8.2.1/3.3"),
        ("downloadOrder", {"iccid": "8949020000600000001", "profileType": "other"}, "8.2.5/3.8"),
        ("confirmOrder", {"iccid": ICCID, "releaseFlag": True}, "8.2.1/3.9"),
        ("confirmOrder", {"iccid": "8949020000600000001"}, "1.6/2.2"),
        ("confirmOrder", {"iccid": "8949020000600000001", "releaseFlag": 1}, "1.6/2.1"),
        ("confirmOrder", {"iccid": "8949020000600000001", "matchingId": "", "releaseFlag": True}, "8.1.1/2.2"),
        ("confirmOrder", {"iccid": "8949020000600000001", "matchingId": "a b", "releaseFlag": True}, "8.2.6/2.1"),
        ("confirmOrder", {"iccid": "8949020000600000001", "matchingId": "TAKEN", "releaseFlag": True}, "8.2.6/3.3"),
        ("confirmOrder", {"iccid": "8949020000600000001", "smdsAddress": DS, "releaseFlag": True}, "8.1.1/2.2"),
        ("confirmOrder", {"iccid": "8949020000600000002", "releaseFlag": True}, "8.2.1/3.3"),
        ("releaseProfile", {"iccid": "8949020000600000001"}, "8.2.1/3.5"),
        ("releaseProfile", {"iccid": "8949020000600000002"}, "8.2.1/3.5"),
        ("releaseProfile", {}, "1.6/2.2"),
        ("cancelOrder", {"iccid": ICCID, "finalProfileStatusIndicator": "Available"}, "8.2.1/3.9"),
        ("cancelOrder", {"iccid": ICCID}, "8.2.1/2.2"),
        ("cancelOrder", {"finalProfileStatusIndicator": "Available"}, "8.2.1/2.2"),
        (
            "cancelOrder",
            {"iccid": "8949020000600000002", "matchingId": "X", "finalProfileStatusIndicator": "Available"},
            "8.2.6/3.10",
        ),
        (
            "cancelOrder",
            {"iccid": "8949020000600000002", "eid": OTHER, "finalProfileStatusIndicator": "Available"},
            "8.1.1/3.10",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_status(
    operator: Operator, function: str, body: dict[str, Any], code: str
) -> None:
    operator.done("downloadOrder", iccid="8949020000600000001", profileType="IoT")
    operator.done("downloadOrder", iccid="8949020000600000002")
    operator.done("confirmOrder", iccid="8949020000600000002", matchingId="TAKEN", releaseFlag=True)
    assert operator.ask(function, **body).code == code


def test_who_asks_must_say_so(operator: Operator) -> None:
    for header, code in ((None, "1.2.1/2.1"), ({"functionRequesterIdentifier": "x"}, "1.2.2/2.1")):
        body = {"iccid": ICCID} | ({} if header is None else {"header": header})
        assert operator.functions.handle("downloadOrder", body).code == code
    assert operator.functions.handle("downloadOrder", []).code == "1.6/2.1"
    assert operator.functions.handle("tea", {}).status == 404


# What the operator hears


class Ear:
    """An operator's server, which keeps what it is told."""

    def __init__(self, status: int = 204) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        ear = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                ear.heard.append((self.path, body))
                self.send_response(status)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/gsma/rsp2/es2plus/"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def __enter__(self) -> Ear:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.mark.parametrize("function", ["handleNotification", "handleDownloadProgressInfo"])
def test_an_operator_hears_of_each_point_of_a_download(
    smdp: VirtualSmdp, order: Order, card: Card, function: str
) -> None:
    order.confirmation_code = "1234"
    point, status = (
        ("notificationEvent", "notificationEventStatus")
        if function == "handleNotification"
        else ("notificationPointId", "notificationPointStatus")
    )
    with Ear() as ear:
        link = OperatorLink(ear.url, function)
        smdp.on_progress = lambda order, number, refusal, eid: link.tell(order, Point(number), refusal, eid)
        client = Client(smdp, card)
        client.get_package("wrong")
        client.download("1234")
        client.notify(card.installation_result(client.transaction))
        link.close()
        assert {path for path, _ in ear.heard} == {f"/gsma/rsp2/es2plus/{function}"}
        told = [(body[point], body[status]["status"]) for _, body in ear.heard]
    assert told == [(1, "Executed-Success"), (2, "Failed"), (3, "Executed-Success"), (4, "Executed-Success")]
    first = ear.heard[0][1]
    assert (first["eid"], first["iccid"]) == (card.pki.eid, order.package.metadata.iccid)
    assert ear.heard[1][1][status]["statusCodeData"]["reasonCode"] == "3.8"
    assert [one.answer for one in link.told] == ["204"] * 4


def test_a_failed_installation_and_a_refused_card_are_told_as_such(smdp: VirtualSmdp, order: Order, card: Card) -> None:
    told: list[tuple[int, str | None]] = []
    smdp.on_progress = lambda order, number, refusal, eid: told.append(
        (number, None if refusal is None else refusal.code)
    )
    client = Client(smdp, card)
    client.download()
    client.notify(card.installation_result(client.transaction, error=(5, 12)))
    Client(smdp, card).authenticate()
    assert told == [(1, None), (3, None), (4, "8.2.10/4.2"), (1, "8.2.6/3.8")]


def test_an_operator_that_does_not_answer_holds_nothing_up(order: Order) -> None:
    link = OperatorLink("http://127.0.0.1:9/es2plus")
    link.tell(order, Point.ELIGIBILITY)
    link.close()
    assert link.told[0].answer.startswith("not reached")
    with Ear(500) as ear:
        refusing = OperatorLink(ear.url)
        refusing.tell(order, Point.ELIGIBILITY)
        refusing.close()
    assert refusing.told[0].answer == "500"


async def test_es2_is_served_beside_es9_on_the_bench() -> None:
    with Ear() as ear:
        async with Bench(BenchOptions(rsp=RspOptions(offers=(), operator_url=ear.url))) as bench:
            handle = bench.rsp.smdp_server.http.handler

            def post(function: str, **body: Any) -> dict[str, Any]:
                headers = (("Content-Type", "application/json"), ("X-Admin-Protocol", "gsma/rsp/v2.5.0"))
                content = json.dumps({"header": HEADER, **body}).encode()
                answer: dict[str, Any] = json.loads(
                    handle(Request("POST", f"/gsma/rsp2/es2plus/{function}", headers=headers, body=content)).body
                )
                return answer

            post("downloadOrder", iccid=ICCID)
            smds = bench.rsp.smds_address
            confirmed = post("confirmOrder", iccid=ICCID, eid=bench.eid, smdsAddress=smds, releaseFlag=True)
            assert confirmed["smdpAddress"] == bench.rsp.smdp_address
            assert [event.event_id for event in bench.rsp.smds.events] == [confirmed["matchingId"]]
            lpa = Client(bench.rsp.smdp, Card(bench.pki), address=bench.rsp.smdp_address)
            await asyncio.to_thread(lpa.download, matching_id=confirmed["matchingId"])
    assert [body["notificationEvent"] for _, body in ear.heard] == [1, 3]
