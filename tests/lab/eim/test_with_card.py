"""The eIM's packages on the lab's eUICC, and the card's results back: two parts that share only the TLV writer."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim import EimIdentity, PackageFaults, VirtualEim, add_initial_eim, build_order
from ipad_agent.lab.euicc import OPERATOR_A, VirtualEuicc, default_card
from ipad_agent.lab.pki import Pki

from .world import noted, provide


class Pair:
    """A card that has the eIM by AddInitialEim, and the eIM that knows the card."""

    def __init__(self, folder: Path, *, curve: str = "p256", ask_for_token: bool = True, signing: str = "spki") -> None:
        pki = Pki.create(folder, curve)
        self.card: VirtualEuicc = default_card(pki, associated=False)
        self.eim = VirtualEim(EimIdentity.from_pki(pki))
        configuration = self.eim.identity.configuration(counter=3, ask_for_token=ask_for_token, signing=signing)
        answer = der.parse(self.card.es10.execute(add_initial_eim(configuration)))
        (result,) = answer.get(0xA0).children
        token = result.integer() if result.tag == 0x84 else None
        self.eim.add_device(self.card.eid, counter=3, token=token, certificate_der=pki["euicc"].cert_der)

    def round(self) -> bytes:
        """Poll, execute, deliver; the eIM's last answer."""
        eid = bytes.fromhex(self.card.eid)
        package = der.parse(self.eim.handle(der.tlv(0xBF4F, der.tlv(0x5A, eid)))).children[0]
        return self.eim.handle(provide(self.card.es10.execute(package.raw), eid=self.card.eid))


@pytest.mark.parametrize("curve", ["p256", "brainpool"])
@pytest.mark.parametrize(("ask_for_token", "signing"), [(True, "spki"), (False, "certificate")])
def test_card_and_eim_accept_each_others_signatures(
    tmp_path: Path, curve: str, ask_for_token: bool, signing: str
) -> None:
    pair = Pair(tmp_path, curve=curve, ask_for_token=ask_for_token, signing=signing)
    order = pair.eim.enqueue(pair.card.eid, build_order(["list-profiles", "+", "enable", OPERATOR_A, "--rollback"]))
    assert pair.round().startswith(bytes.fromhex("BF50 06 BF53 03 80"))
    assert order.state == "done"
    assert order.counter == 4
    (entry,) = noted(pair.eim, "result")
    assert entry["facts"]["signature"] == "right (token)"
    assert [one["operation"] for one in entry["facts"]["operations"]] == ["listProfileInfo", "enable"]
    assert pair.card.enabled_iccid == OPERATOR_A


@pytest.mark.parametrize(
    ("faults", "name"),
    [
        (PackageFaults(counter_offset=-1), "replayError"),
        (PackageFaults(eid="89049032000000000000000000000014"), "invalidEid"),
        (PackageFaults(signature="wrong-key"), None),
        (PackageFaults(signature="der"), None),
    ],
)
def test_the_card_refuses_what_is_wrong_on_purpose(tmp_path: Path, faults: PackageFaults, name: str | None) -> None:
    pair = Pair(tmp_path)
    order = build_order(["get-rat"])
    order.faults = faults
    pair.eim.enqueue(pair.card.eid, order)
    assert pair.round() == bytes.fromhex("BF50 02 3000")
    assert order.state == "failed"
    facts = noted(pair.eim, "result")[0]["facts"]
    assert facts["variant"] == ("error" if name else "unsigned error")
    assert facts.get("name") == name
    good = pair.eim.enqueue(pair.card.eid, build_order(["get-rat"]))
    pair.round()
    assert good.state == "done"


def test_a_token_forgotten_by_the_eim_is_told_by_the_card(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    device = pair.eim.device(pair.card.eid)
    right, device.token = device.token, 99
    pair.eim.enqueue(pair.card.eid, build_order(["get-rat"]))
    pair.round()
    assert device.token == right
    again = pair.eim.enqueue(pair.card.eid, build_order(["list-eim"]))
    pair.round()
    assert again.state == "done"
