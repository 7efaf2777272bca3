from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ipad_agent.cli.ipactl.errors import NotRunningError
from ipad_agent.cli.ipactl.varlink_client import DEFAULT_SOCKET
from ipad_agent.local.varlink.varlink_interface import METHODS as INTERFACE
from ipad_agent.openwrt import rpcd_object
from ipad_agent.openwrt.rpcd_object import METHODS, main

PREFIX = "io.github.ipadagent."
ROOT = Path(__file__).parents[2]
ACL = ROOT / "packaging" / "openwrt" / "luci-app-ipad-agent" / "root/usr/share/rpcd/acl.d/luci-app-ipad-agent.json"


class Asked:
    """What the socket was asked; answers with what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Mapping[str, object]]] = []

    def __call__(self, path: str, method: str, parameters: Mapping[str, object], timeout_s: float) -> dict[str, Any]:
        self.calls.append((method, parameters))
        return {"answer": method}


def call(method: str, arguments: object, asked: Asked | None = None) -> dict[str, Any]:
    source = io.StringIO(arguments if isinstance(arguments, str) else json.dumps(arguments))
    printed = main(["call", method], source, asked, "/nowhere")
    result: dict[str, Any] = json.loads(printed)
    return result


def test_rpcd_is_told_every_method_with_its_parameters() -> None:
    listed = json.loads(main(["list"], io.StringIO()))
    assert listed["status"] == {}
    assert listed["emergency"] == {"enable": True}
    assert set(listed) == set(METHODS)


def test_every_method_of_the_object_is_one_of_the_socket_with_those_parameters() -> None:
    interface = {method.name: {field.name for field in method.takes} for method in INTERFACE}
    # ListHistory comes with an agent that keeps a history; an older one answers MethodNotFound.
    known = {name: method for name, method in METHODS.items() if method.varlink != "ListHistory"}
    assert {name: set(method.takes) for name, method in known.items()} == {
        name: interface[method.varlink] for name, method in known.items()
    }


def test_a_memory_reset_cannot_be_asked_for_over_the_network() -> None:
    assert not {"MemoryReset", "Bundle", "Record"} & {method.varlink for method in METHODS.values()}


def test_arguments_reach_the_agent_and_the_session_of_luci_does_not() -> None:
    asked = Asked()
    assert call("plan", {"iccid": "8949", "ubus_rpc_session": "0123"}, asked) == {"answer": "PlanSwitch"}
    assert call("emergency", {"enable": False}, asked) == {"answer": "Emergency"}
    assert asked.calls == [("PlanSwitch", {"iccid": "8949"}), ("Emergency", {"enable": False})]


def test_what_a_form_sends_for_nothing_is_left_out() -> None:
    asked = Asked()
    for arguments in ({}, {"eim_id": ""}, {"eim_id": None}, ""):
        call("poll", arguments, asked)
    assert asked.calls == [("Poll", {})] * 4


def test_an_error_is_an_object_because_rpcd_does_not_look_at_the_exit_status(tmp_path: Path) -> None:
    def refuse(*_: object) -> dict[str, Any]:
        raise NotRunningError("The agent is not running.", hint="systemctl start ipad-agent")

    printed = json.loads(main(["call", "status"], io.StringIO("{}"), refuse, "/nowhere"))
    assert printed["error"]["name"] == "NotRunning"
    assert "/etc/init.d/ipad-agent start" in printed["error"]["hint"], "there is no systemctl here"


@pytest.mark.parametrize("arguments", ["[]", "nonsense", '"text"', "[" * 100_000])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    assert call("status", arguments, Asked())["error"]["name"] == "InvalidParameter"


@pytest.mark.parametrize("line", [[], ["call"], ["call", "memory_reset"], ["call", "status", "more"], ["other"]])
def test_a_method_that_there_is_not_is_said_so(line: list[str]) -> None:
    assert json.loads(main(line, io.StringIO("{}"), Asked()))["error"]["name"] == "MethodNotFound"


def _answer_calls(listener: socket.socket, answers: Mapping[str, list[dict[str, Any]]], asked: list[Any]) -> None:
    """One connection for each of the answers: a request in, replies out."""
    for _ in answers:
        peer, _address = listener.accept()
        with peer:
            received = b""
            while not received.endswith(b"\0"):
                received += peer.recv(65_536)
            request = json.loads(received[:-1])
            asked.append((request["method"].removeprefix(PREFIX), request["parameters"]))
            for reply in answers[asked[-1][0]]:
                peer.sendall(json.dumps(reply).encode() + b"\0")


def test_the_agent_is_asked_over_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    item = {"layer": "usb", "sentence": "fine", "ok": True, "fix": None}
    answers: dict[str, list[dict[str, Any]]] = {
        "ListEvents": [{"parameters": {"events": []}}],
        "Doctor": [{"parameters": {"item": item}, "continues": True}, {"parameters": {"item": item}}],
        "Rollback": [{"error": f"{PREFIX}NotReady", "parameters": {"sentence": "No change is under way."}}],
    }
    asked: list[Any] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(30)
        agent = threading.Thread(target=_answer_calls, args=(listener, answers, asked))
        agent.start()
        results = {
            name: json.loads(main(["call", name], io.StringIO(given), None, str(path)))
            for name, given in (("events", '{"count": 5}'), ("doctor", "{}"), ("rollback", "{}"))
        }
        agent.join(30)
    assert asked == [("ListEvents", {"count": 5}), ("Doctor", {}), ("Rollback", {})]
    assert results["events"] == {"events": []}
    assert results["doctor"] == {"items": [item, item]}
    assert results["rollback"]["error"]["name"] == "NotReady"
    assert results["rollback"]["error"]["sentence"] == "No change is under way."


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ('[store]\nruntime_dir = "/var/run/ipad-agent"\n', "/var/run/ipad-agent/io.github.ipadagent"),
        ('[local]\nsocket_path = "/srv/s"\n[store]\nruntime_dir = "/r"\n', "/srv/s"),
        ("", DEFAULT_SOCKET),
        ("no toml", DEFAULT_SOCKET),
        ("store = 1\nlocal = []\n", DEFAULT_SOCKET),
    ],
)
def test_the_socket_is_where_the_configuration_says(tmp_path: Path, toml: str, expected: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(toml)
    assert rpcd_object._socket_path(file) == expected


def test_whoever_may_only_read_in_luci_can_call_nothing_that_acts() -> None:
    (rights,) = json.loads(ACL.read_text()).values()
    looks = {"status", "profiles", "eims", "history", "events", "explain", "owed", "plan"}
    assert set(rights["read"]["ubus"]["ipad"]) == looks
    assert set(rights["write"]["ubus"]["ipad"]) == set(METHODS) - looks
    right_of = {method.name: method.right.name for method in INTERFACE}
    assert {right_of[METHODS[name].varlink] for name in looks - {"history"}} == {"READ"}
    assert {right_of[METHODS[name].varlink] for name in set(METHODS) - looks} == {"CONTROL", "EXAMINE"}
