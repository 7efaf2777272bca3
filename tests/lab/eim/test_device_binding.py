"""Bundles that the lab's eIM issues, and devices that register themselves by one."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ipad_agent.lab.eim import VirtualEim
from ipad_agent.lab.eim.https.esipa_https import Front
from ipad_agent.lab.http import Request

from .import_files import written
from .world import EID, identity, new_key

NOW_S = 1_800_000_000.0


def issued(eim: VirtualEim, counter: int = 0) -> ec.EllipticCurvePrivateKey:
    configuration = eim.identity.configuration(counter=counter)
    bundle = json.loads(eim.bindings.issue(configuration, counter=counter, now_s=NOW_S))
    assert base64.b64decode(bundle["eim_configuration"]) == configuration
    assert bundle["expires_at"] == "2027-02-14T08:00:00Z"
    key = serialization.load_der_private_key(base64.b64decode(bundle["device_key"]), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def test_only_a_key_of_a_bundle_is_registered_and_only_once() -> None:
    eim = VirtualEim(identity())
    key = issued(eim)
    assert eim.bindings.bind(written(new_key(), 0), now_s=NOW_S) == (403, None)
    assert eim.bindings.bind(written(key, 0).replace(b'"counter":0', b'"counter":1'), now_s=NOW_S) == (400, None)
    assert eim.devices == {}
    assert eim.bindings.bind(written(key, 0), now_s=NOW_S) == (204, None)
    assert eim.device(EID).emulated
    assert eim.bindings.bind(written(key, 0), now_s=NOW_S) == (409, None)
    assert [entry["status"] for entry in eim.history if entry["kind"] == "bind"] == [403, 400, 204, 409]


def test_another_bundle_replaces_a_key_where_its_counter_is_above() -> None:
    eim = VirtualEim(identity())
    assert eim.bindings.bind(written(issued(eim), 0), now_s=NOW_S)[0] == 204
    eim.device(EID).counter = 4
    assert eim.bindings.bind(written(issued(eim, 4), 4), now_s=NOW_S)[0] == 403
    assert eim.bindings.bind(written(issued(eim, 5), 5), now_s=NOW_S)[0] == 204
    assert eim.device(EID).counter == 5


def test_what_was_issued_is_known_after_a_restart(tmp_path: Path) -> None:
    key = issued(VirtualEim(identity(), state_path=tmp_path / "eim.json"))
    assert (
        VirtualEim(identity(), state_path=tmp_path / "eim.json").bindings.bind(written(key, 0), now_s=NOW_S)[0] == 204
    )


def test_over_https_a_binding_is_a_post_of_json_with_retry_after() -> None:
    eim = VirtualEim(identity())
    front = Front(eim, None, eim.bindings.bind)
    key = issued(eim)
    json_type = (("Content-Type", "application/json"),)
    body = written(key, 0)
    eim.bindings.answers.append((429, 30))
    later = front(Request("POST", "/ipad/v1/bind", headers=json_type, body=body))
    assert (later.status, later.headers) == (429, (("Retry-After", "30"),))
    assert front(Request("POST", "/ipad/v1/bind", headers=json_type, body=body)).status == 204
    assert front(Request("GET", "/ipad/v1/bind", headers=json_type)).status == 405
    assert front(Request("POST", "/ipad/v1/bind", body=body)).status == 415
    assert Front(eim)(Request("POST", "/ipad/v1/bind", headers=json_type, body=body)).status == 404
